// HelmChart (contract 1.4).
import * as z from 'zod';
import type { KubeObject } from '../object.ts';
import {
  ageColumn,
  fluxFinalizer,
  type KindDefinition,
  messageColumn,
  neverObserved,
  readyColumn,
  stringColumn,
} from './definition.ts';
import { duration, suspend, withRules } from './shared/fields.ts';
import { artifact, artifactUrl, conditions, lastHandledReconcileAt, observedGeneration } from './shared/status.ts';
import { OciVerification } from './shared/verification.ts';

export const HelmChartSpec = withRules(
  z.object({
    chart: z.string().describe('Name of the chart in its repository, or its path in the source.'),
    version: z
      .string()
      .default('*')
      .describe('Version or range of versions; without meaning for charts from Git and buckets.'),
    sourceRef: z
      .object({
        apiVersion: z.string().optional().describe('API version of the source.'),
        kind: z.enum(['HelmRepository', 'GitRepository', 'Bucket']).describe('Kind of the source.'),
        name: z.string().describe('Name of the source, in the same namespace.'),
      })
      .describe('Where the chart comes from.'),
    interval: duration('How often the source is looked at.'),
    reconcileStrategy: z
      .enum(['ChartVersion', 'Revision'])
      .default('ChartVersion')
      .describe('What makes a new artifact: a new version of the chart, or any new revision of its source.'),
    valuesFiles: z
      .array(z.string())
      .optional()
      .describe('Files that are merged, in this order, in place of the values.yaml of the chart.'),
    ignoreMissingValuesFiles: z.boolean().optional().describe('Pass over values files that do not exist.'),
    verify: OciVerification.optional(),
    suspend,
  }),
  [
    {
      rule: "!has(self.verify) || self.sourceRef.kind == 'HelmRepository'",
      message: "verify can only be set when sourceRef.kind is 'HelmRepository'",
    },
  ],
);
export type HelmChartSpec = z.infer<typeof HelmChartSpec>;

export const HelmChartStatus = z.object({
  observedGeneration,
  conditions,
  observedSourceArtifactRevision: z.string().optional().describe('Revision of the source that the chart is from.'),
  observedChartName: z.string().optional().describe('Name of the chart as it was found.'),
  observedValuesFiles: z.array(z.string()).optional().describe('The values files that were merged.'),
  url: artifactUrl,
  artifact,
  lastHandledReconcileAt,
});
export type HelmChartStatus = z.infer<typeof HelmChartStatus>;

export interface HelmChart extends KubeObject {
  kind: 'HelmChart';
  spec: HelmChartSpec;
  status?: HelmChartStatus;
}

export const definition: KindDefinition = {
  group: 'source.toolkit.fluxcd.io',
  versions: [{ name: 'v1', isStored: true }],
  kind: 'HelmChart',
  plural: 'helmcharts',
  singular: 'helmchart',
  shortNames: ['hc'],
  categories: ['all', 'fluxcd', 'fluxcd-sources'],
  description: 'A chart from a Helm repository, a Git repository or a bucket, as a packaged artifact.',
  component: 'source-controller',
  columns: [
    stringColumn('Chart', '.spec.chart'),
    stringColumn('Version', '.spec.version'),
    stringColumn('Source Kind', '.spec.sourceRef.kind'),
    stringColumn('Source Name', '.spec.sourceRef.name'),
    ageColumn,
    readyColumn,
    messageColumn,
  ],
  spec: HelmChartSpec,
  status: HelmChartStatus,
  statusDefault: neverObserved,
  finalizer: fluxFinalizer,
};
