// From the Kustomization or HelmRelease that has applied an object to the source of it, as facts for a person.
import { kinds } from '../k8s/api/index.ts';
import type { Kustomization } from '../k8s/api/kustomization.ts';
import type { KubeClient } from '../k8s/client.ts';
import { inventoryEntryOf, type KubeObject, refOf, subjectOf } from '../k8s/object.ts';
import { workflowIdOf } from '../workflows/messages.ts';
import { type TemporalTarget, uiLink } from './connect.ts';
import { definitionOf, objectRefOf } from './kinds.ts';
import { lastAppliedAt, revisionOf } from './object-columns.ts';
import { conditionOf, isSuspended, readinessOf } from './readiness.ts';
import { applierOf } from './trace-owner.ts';
import { isReconciledKind } from './workflow-view.ts';

/** One object of ours on the way from an applied object to its source. */
export interface TraceStep {
  kind: string;
  namespace: string;
  name: string;
  /** False for one that is named and does not exist. */
  exists: boolean;
  /** Address of a source, without credentials. */
  url?: string;
  /** Branch, tag, range … of a source. */
  ref?: string;
  path?: string;
  revision?: string;
  /** `Ready`, `Failed (BuildFailed)` … */
  status?: string;
  message?: string;
  lastReconciled?: string;
  /** `Kustomization/<namespace>/<name>` that has applied this object. */
  appliedBy?: string;
  /** The page of its workflow in Temporal's UI. */
  workflow?: string;
  /** What is odd about it. */
  note?: string;
}

interface SourceRef {
  kind?: string;
  name: string;
  namespace?: string;
}

/** Only what is read of the spec of any kind of ours. */
interface AnySpec {
  path?: string;
  url?: string;
  ref?: Record<string, string>;
  sourceRef?: SourceRef;
  chartRef?: SourceRef;
  chart?: { spec?: { chart?: string; sourceRef?: SourceRef } };
}

export interface TraceContext {
  kube: KubeClient;
  temporal: Pick<TemporalTarget, 'uiUrl' | 'namespace'>;
}

/** The steps from an applier on; `applied` is the object that it is said to have applied. */
export async function stepsFrom(
  context: TraceContext,
  named: { kind: string; namespace: string; name: string },
  applied?: KubeObject,
): Promise<TraceStep[]> {
  const steps: TraceStep[] = [];
  const objects: (KubeObject | undefined)[] = [];
  let next: { kind: string; namespace: string; name: string } | undefined = named;
  // Applier, chart, source: no way is longer.
  while (next && steps.length < 4) {
    const definition: (typeof kinds)[keyof typeof kinds] | undefined = kinds[next.kind as keyof typeof kinds];
    const object: KubeObject | undefined = definition && (await context.kube.get(objectRefOf(definition, next)));
    steps.push(object ? stepOf(context, object) : { ...next, exists: false });
    objects.push(object);
    next = object && sourceOf(object);
  }
  const [first] = steps;
  if (first?.exists && first.kind === 'Kustomization' && applied) {
    const { status } = objects[0] as Kustomization;
    const { id } = inventoryEntryOf(refOf(applied));
    const isListed = status?.inventory?.entries.some((entry) => entry.id === id) ?? false;
    if (!isListed) first.note = `${subjectOf(refOf(applied))} carries its labels, but is not in its inventory`;
  }
  return steps;
}

function stepOf({ temporal }: TraceContext, object: KubeObject): TraceStep {
  const { kind, metadata } = object;
  const { name, namespace = '' } = metadata;
  const spec = (object.spec ?? {}) as AnySpec;
  const { state, reason, message } = readinessOf(object);
  const words = { ready: 'Ready', progressing: 'InProgress', failed: 'Failed', stalled: 'Stalled' };
  const applier = applierOf(object);
  return {
    kind,
    namespace,
    name,
    exists: true,
    url: spec.url?.replace(/\/\/[^/@]*@/, '//'),
    ref: refText(spec),
    path: kind === 'Kustomization' ? spec.path || './' : undefined,
    revision: revisionOf(object),
    status: isSuspended(object) ? 'Suspended' : `${words[state]}${state === 'ready' || !reason ? '' : ` (${reason})`}`,
    message,
    lastReconciled: lastAppliedAt(object) ?? conditionOf(object, 'Ready')?.lastTransitionTime,
    appliedBy: applier && `${applier.kind}/${applier.namespace}/${applier.name}`,
    workflow: isReconciledKind(kind) ? uiLink(temporal, workflowIdOf({ kind, namespace, name })) : undefined,
  };
}

/** `branch main`; what the kind takes when nothing is set is told by its revision. */
function refText({ ref }: AnySpec): string | undefined {
  const entries = Object.entries(ref ?? {}).filter(([, value]) => typeof value === 'string');
  return entries.length > 0 ? entries.map(([key, value]) => `${key} ${value}`).join(', ') : undefined;
}

/** Where an object of ours takes its content from; undefined for what takes it from outside of the cluster. */
function sourceOf(object: KubeObject): { kind: string; namespace: string; name: string } | undefined {
  const definition = definitionOf(object);
  const spec = (object.spec ?? {}) as AnySpec;
  const { helmChart } = (object.status ?? {}) as { helmChart?: string };
  const [chartNamespace, chartName] = helmChart?.split('/') ?? [];
  if (definition?.kind === 'HelmRelease' && chartNamespace && chartName) {
    return { kind: 'HelmChart', namespace: chartNamespace, name: chartName };
  }
  const ref = spec.sourceRef ?? spec.chartRef ?? spec.chart?.spec?.sourceRef;
  if (!ref?.kind) return undefined;
  return { kind: ref.kind, namespace: ref.namespace ?? object.metadata.namespace ?? '', name: ref.name };
}
