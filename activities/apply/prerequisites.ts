// Objects that others need before they can be applied: CRDs have to be established, Namespaces active (contract 2.1).
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, type ObjectRef, subjectOf } from '../../k8s/object.ts';
import type { ApplyItem } from './apply-item.ts';
import { awaitObjects } from './await-objects.ts';
import { type ApplyOwner, ownerNameLabel, ownerNamespaceLabel } from './owner.ts';
import { ObjectError } from './refusals.ts';

interface CrdSpec {
  group?: string;
  names?: { kind?: string };
  versions?: Array<{ name: string; served?: boolean }>;
}

/** True when an object is the CRD of a kind. */
export function isCustomKindOf(object: KubeObject, ref: Pick<ObjectRef, 'group' | 'kind'>): boolean {
  if (object.kind !== 'CustomResourceDefinition') return false;
  const spec = object.spec as CrdSpec | undefined;
  return spec?.group === ref.group && spec.names?.kind === ref.kind;
}

/** True for an established CRD, an active Namespace, and any other existing object. */
export function isUsable(object: KubeObject | undefined): boolean {
  if (!object) return false;
  const status = object.status as { phase?: string; conditions?: Array<{ type: string; status: string }> } | undefined;
  if (object.kind === 'Namespace') return status?.phase === 'Active';
  if (object.kind !== 'CustomResourceDefinition') return true;
  return status?.conditions?.some(({ type, status: value }) => type === 'Established' && value === 'True') ?? false;
}

/**
 * Waits until the CRDs and Namespaces among written objects can be used, and the new kinds are served. Throws an
 * `ObjectError` that names what is not ready after the time-out.
 */
export async function awaitUsable(
  client: KubeClient,
  written: readonly ApplyItem[],
  owner: ApplyOwner,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const labelSelector = `${ownerNameLabel}=${owner.name},${ownerNamespaceLabel}=${owner.namespace}`;
  const deadline = Date.now() + timeoutMs;
  const late: string[] = [];
  for (const kind of ['CustomResourceDefinition', 'Namespace']) {
    const waiting = written.filter((item) => item.ref.kind === kind && item.resource);
    const resource = waiting[0]?.resource;
    if (!resource) continue;
    const refs = waiting.map((item) => item.ref);
    const isDone = isUsable;
    const left = await awaitObjects({ client, resource, refs, labelSelector, isDone, timeoutMs, signal });
    late.push(...left.map(subjectOf));
  }
  for (const { desired, subject } of written) {
    for (const ref of servedKinds(desired)) {
      while (!(await client.resourceFor(ref.group, ref.version, ref.kind))) {
        if (Date.now() >= deadline) {
          late.push(subject);
          break;
        }
        await sleep(100, undefined, { signal }).catch(() => signal?.throwIfAborted());
      }
    }
  }
  if (late.length === 0) return;
  const names = [...new Set(late)].join(', ');
  throw new ObjectError(names, `${names} not ready after ${timeoutMs / 1000}s: see its conditions`);
}

function servedKinds(object: KubeObject): Array<Pick<ObjectRef, 'group' | 'version' | 'kind'>> {
  if (object.kind !== 'CustomResourceDefinition') return [];
  const { group = '', names, versions = [] } = (object.spec ?? {}) as CrdSpec;
  return versions.filter((one) => one.served).map((one) => ({ group, version: one.name, kind: names?.kind ?? '' }));
}
