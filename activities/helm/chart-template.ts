// The HelmChart object that is made for `spec.chart` (contract 2.2, step 3).
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { helmChartRefOf } from './names.ts';
import { originLabelsOf } from './post-render.ts';

/** Field manager of the HelmChart. */
export const chartFieldManager = 'helm-controller';

/** The HelmChart for server-side apply; undefined when the release names its chart by `chartRef`. */
export function helmChartOf(object: Pick<HelmRelease, 'metadata' | 'spec'>): KubeObject | undefined {
  const template = object.spec.chart;
  const ref = helmChartRefOf(object);
  if (!template || !ref) return undefined;
  const { spec, metadata } = template;
  const annotations = metadata?.annotations;
  return withoutUnset({
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'HelmChart',
    metadata: {
      ...ref,
      labels: { ...metadata?.labels, ...originLabelsOf(object) },
      annotations: annotations && Object.keys(annotations).length > 0 ? annotations : undefined,
    },
    spec: {
      chart: spec.chart,
      version: spec.version ?? '*',
      sourceRef: { kind: spec.sourceRef.kind, name: spec.sourceRef.name },
      interval: spec.interval ?? object.spec.interval,
      reconcileStrategy: spec.reconcileStrategy ?? 'ChartVersion',
      valuesFiles: spec.valuesFiles,
      ignoreMissingValuesFiles: spec.ignoreMissingValuesFiles || undefined,
      verify: spec.verify && { provider: spec.verify.provider ?? 'cosign', secretRef: spec.verify.secretRef },
    },
  });
}

function withoutUnset(object: KubeObject): KubeObject {
  return JSON.parse(JSON.stringify(object)) as KubeObject;
}
