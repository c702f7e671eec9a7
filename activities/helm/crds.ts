// The CRDs in the `crds` directory of a chart, which helm itself would only ever create (contract 1.9, `crds`, and 2.2,
// "apply behaviour"). They are applied before the templates, so that these may use them.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAllDocuments } from 'yaml';
import { KubeApiError, type KubeClient } from '../../k8s/client.ts';
import { type Change, type KubeObject, refOf, subjectOf } from '../../k8s/object.ts';
import type { LoadedChart } from './chart-file.ts';
import { enabledCrds } from './chart-file-archive.ts';
import type { Values } from './values-map.ts';

export type CrdPolicy = 'Skip' | 'Create' | 'CreateReplace';

/** The CRDs of a chart, and what else is in the directory and is left alone. */
export interface ChartCrds {
  crds: KubeObject[];
  /** Subjects of objects that are no CRDs. */
  ignored: string[];
}

export interface ApplyCrdsOptions {
  policy: CrdPolicy | undefined;
  /** Labels that say whose release it is. */
  labels: Readonly<Record<string, string>>;
  signal: AbortSignal;
  /** Longest wait until the API server serves them. @default 60000 */
  timeoutMs?: number;
}

/** Flux's default, also for upgrades (contract 1.9). */
const defaultPolicy: CrdPolicy = 'Create';
const fieldManager = 'helm-controller';
const pollMs = 200;

/** Reads the CRDs that the values do not switch off. Throws an `Error` that says what is no valid object. */
export function chartCrdsOf(chart: Pick<LoadedChart, 'archive'>, values: Values): ChartCrds {
  const crds: KubeObject[] = [];
  const ignored: string[] = [];
  for (const text of enabledCrds(chart.archive, values)) {
    for (const document of parseAllDocuments(text, { logLevel: 'silent', schema: 'core' })) {
      if ('errors' in document && document.errors[0]) {
        throw new Error(`a file in the crds directory of the chart is no valid YAML (${document.errors[0].code})`);
      }
      const object = document.toJS() as KubeObject | null;
      if (object === null) continue;
      if (typeof object.kind !== 'string' || typeof object.metadata?.name !== 'string') {
        throw new Error('a file in the crds directory of the chart holds something without kind and name');
      }
      const isCrd = object.kind === 'CustomResourceDefinition' && object.apiVersion.startsWith('apiextensions.k8s.io/');
      if (isCrd) crds.push(object);
      else ignored.push(subjectOf(refOf(object)));
    }
  }
  return { crds, ignored };
}

/**
 * Applies them and waits until they are served; what it created or changed is told, and the rest is not. Rejects with an
 * `Error` that names the CRD.
 */
export async function applyChartCrds(
  client: Pick<KubeClient, 'get' | 'create' | 'apply'>,
  crds: readonly KubeObject[],
  options: ApplyCrdsOptions,
): Promise<Change[]> {
  const policy = options.policy ?? defaultPolicy;
  if (policy === 'Skip' || crds.length === 0) return [];
  const { signal } = options;
  const changes: Change[] = [];
  for (const crd of crds) {
    const labels = { ...crd.metadata.labels, ...options.labels };
    const object = { ...crd, metadata: { ...crd.metadata, labels } };
    const subject = subjectOf(refOf(crd));
    try {
      const action = policy === 'Create' ? await create(client, object, signal) : await replace(client, object, signal);
      if (action) changes.push({ subject, action });
    } catch (error) {
      signal.throwIfAborted();
      throw new Error(`${subject} of the chart cannot be applied: ${(error as Error).message}`, { cause: error });
    }
  }
  const changed = crds.filter((crd) => changes.some(({ subject }) => subject === subjectOf(refOf(crd))));
  await waitUntilServed(client, changed, options);
  return changes;
}

type Outcome = Change['action'] | undefined;

async function create(client: Pick<KubeClient, 'create'>, object: KubeObject, signal: AbortSignal): Promise<Outcome> {
  try {
    await client.create(object, { fieldManager, signal });
    return 'created';
  } catch (error) {
    if (error instanceof KubeApiError && error.reason === 'AlreadyExists') return undefined;
    throw error;
  }
}

async function replace(
  client: Pick<KubeClient, 'get' | 'apply'>,
  object: KubeObject,
  signal: AbortSignal,
): Promise<Outcome> {
  const before = await client.get(refOf(object), { metadataOnly: true, signal });
  const after = await client.apply(object, { fieldManager, force: true, signal });
  if (!before) return 'created';
  return before.metadata.resourceVersion === after.metadata.resourceVersion ? undefined : 'configured';
}

async function waitUntilServed(
  client: Pick<KubeClient, 'get'>,
  crds: readonly KubeObject[],
  { signal, timeoutMs = 60_000 }: ApplyCrdsOptions,
): Promise<void> {
  const endMs = Date.now() + timeoutMs;
  for (const crd of crds) {
    for (;;) {
      const live = await client.get(refOf(crd), { signal });
      if (live && isEstablished(live)) break;
      if (Date.now() > endMs) {
        throw new Error(`${subjectOf(refOf(crd))} of the chart is not established after ${timeoutMs / 1000}s`);
      }
      await sleep(pollMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

function isEstablished(crd: KubeObject): boolean {
  const conditions = (crd.status as { conditions?: { type: string; status: string }[] } | undefined)?.conditions ?? [];
  return conditions.some(({ type, status }) => type === 'Established' && status === 'True');
}
