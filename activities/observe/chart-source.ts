// Which chart a HelmRelease is made from, or why there is none (contract 2.2, steps 3 and 6).
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import { isWatchedKind, type WatchedKind } from '../../k8s/flux-objects.ts';
import type { KubeObject } from '../../k8s/object.ts';
import type { Obstacle } from '../../workflows/decisions/obstacle.ts';
import type { SourceObject } from '../source/source-driver.ts';
import type { ArtifactRef } from './observation.ts';
import { accessRefusal, artifactRefOf, requeueDependencyMs, type SourceLookup } from './source-of.ts';

export interface ChartSourceRef {
  kind: WatchedKind;
  namespace: string;
  name: string;
}

/** The object whose artifact is the chart: that of chartRef, or the HelmChart that is made for the release. */
export function chartSourceRefOf({ metadata, spec }: HelmRelease): ChartSourceRef {
  const own = metadata.namespace ?? '';
  const { chart, chartRef } = spec;
  if (chartRef) {
    const { kind, namespace = own, name } = chartRef;
    return { kind, namespace, name };
  }
  const namespace = chart?.spec.sourceRef.namespace ?? own;
  return { kind: 'HelmChart', namespace, name: `${own}-${metadata.name}` };
}

/** The chart's artifact, or what is in the way. For the HelmChart that has yet to be made, `isUnmade` is true. */
export async function chartSourceOf(
  object: HelmRelease,
  deps: SourceLookup,
): Promise<ArtifactRef | (Obstacle & { isUnmade?: boolean })> {
  const ref = chartSourceRefOf(object);
  const subject = `${ref.kind}/${ref.namespace}/${ref.name}`;
  const refusal = accessRefusal(ref, object.metadata.namespace, deps);
  if (refusal) return refusal;
  const source = isWatchedKind(ref.kind)
    ? ((await deps.objects.get(ref.kind, ref)) as SourceObject | undefined)
    : undefined;
  const notReady = (why: string): Obstacle => ({
    reason: 'SourceNotReady',
    message: `${subject} is not ready: ${why}`,
    retryInMs: requeueDependencyMs,
  });
  if (!source) {
    if (object.spec.chart) return { ...notReady('it was asked for a moment ago'), isUnmade: true };
    return notReady('it does not exist; create it, or correct spec.chartRef');
  }
  const { artifact } = source.status ?? {};
  const why = whyNotReady(source);
  if (why || !artifact) return notReady(why ?? 'it has no artifact yet');
  return artifactRefOf(artifact);
}

/** A source counts once it has observed its present spec and is not stalled. */
function whyNotReady(source: KubeObject & SourceObject): string | undefined {
  const { status, metadata } = source;
  const condition = (type: string) => status?.conditions?.find((one) => one.type === type);
  const stalled = condition('Stalled');
  if (stalled?.status === 'True') return stalled.message;
  if (!status?.artifact) {
    const ready = condition('Ready');
    return ready?.status === 'False' ? ready.message : 'it has no artifact yet';
  }
  // An ExternalArtifact has no observedGeneration: who makes it writes status as it is.
  const observed = status.observedGeneration;
  if (observed !== undefined && observed !== metadata.generation) return 'it has not observed its latest generation';
  return undefined;
}
