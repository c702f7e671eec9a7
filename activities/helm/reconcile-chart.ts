// The HelmChart that a release asks for with `spec.chart`: made, kept as wanted, and deleted when it is wanted no more
// (contract 2.2, step 3; its events are told for Kubernetes alone, as Flux tells them).
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import { KubeApiError } from '../../k8s/client.ts';
import { failure } from '../errors.ts';
import { chartFieldManager, helmChartOf } from './chart-template.ts';
import { originLabelsOf } from './post-render.ts';
import type { ReleaseDependencies } from './release-context.ts';

export interface ReconciledChart {
  message: string;
  /** So long the chart is waited for, unless a wake of it comes before; 0: nothing has changed. Absent in histories of before. */
  awaitMs?: number;
}

type ChartDependencies = Pick<ReleaseDependencies, 'home' | 'learn' | 'patchStatus' | 'tell'>;

/** Contract 7: --requeue-dependency. */
const requeueDependencyMs = 30_000;

/** Applies the HelmChart, and deletes the one from before. Fails with ReconcileError. */
export async function reconcileHelmChart(deps: ChartDependencies, object: HelmRelease): Promise<ReconciledChart> {
  const wanted = helmChartOf(object);
  const place = wanted ? `${wanted.metadata.namespace}/${wanted.metadata.name}` : undefined;
  const known = object.status?.helmChart;
  let isChanged = false;
  try {
    if (known && known !== place) await deleteChart(deps, object, known);
    if (wanted && place) {
      const before = await find(deps, place);
      const applied = await deps.home.apply(wanted, { fieldManager: chartFieldManager, force: true });
      deps.learn(applied);
      isChanged = applied.metadata.resourceVersion !== before?.metadata.resourceVersion;
      const { kind, name } = object.spec.chart?.spec.sourceRef ?? {};
      const source = `with SourceRef '${kind}/${wanted.metadata.namespace}/${name}'`;
      if (!before) deps.tell(object, 'HelmChartCreated', `HelmChart/${place} created ${source}`);
      else if (isChanged) deps.tell(object, 'HelmChartConfigured', `HelmChart/${place} configured ${source}`);
    }
  } catch (error) {
    if (!(error instanceof KubeApiError) || error.isTransient) throw error;
    const { message, reason } = error;
    const told = `HelmChart '${place ?? known}' cannot be applied (${reason}): ${message}`;
    deps.tell(object, 'HelmChartSyncErr', told);
    throw failure('ReconcileError', told);
  }
  if (known !== place) await deps.patchStatus(object, { helmChart: place });
  const message = `HelmChart '${place}' is not ready: it was applied a moment ago`;
  return { message, awaitMs: isChanged ? requeueDependencyMs : 0 };
}

/** Deletes a HelmChart, `<namespace>/<name>`, that this release has made. */
export async function deleteChart(deps: ChartDependencies, object: HelmRelease, place: string): Promise<void> {
  const live = await find(deps, place);
  const isOurs = Object.entries(originLabelsOf(object)).every(([key, value]) => live?.metadata.labels?.[key] === value);
  if (!live || !isOurs) return;
  await deps.home.delete(refOf(place), { propagationPolicy: 'Background', uid: live.metadata.uid });
  deps.tell(object, 'HelmChartDeleted', `HelmChart/${place} deleted`);
}

async function find({ home }: ChartDependencies, place: string) {
  return await home.get(refOf(place), { metadataOnly: true });
}

function refOf(place: string) {
  const [namespace = '', name = ''] = place.split('/');
  return { group: 'source.toolkit.fluxcd.io', version: 'v1', kind: 'HelmChart', namespace, name };
}
