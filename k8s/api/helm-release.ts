// HelmRelease (contract 1.9). What is marked "unset: …" is decided in code, not filled in by the API server.
import * as z from 'zod';
import type { KubeObject } from '../object.ts';
import {
  ageColumn,
  fluxFinalizer,
  type KindDefinition,
  messageColumn,
  neverObserved,
  readyColumn,
} from './definition.ts';
import { HelmInstall, HelmRollback, HelmTest, HelmUninstall, HelmUpgrade } from './helm-release-actions.ts';
import { duration, freeForm, int64, stringMap, suspend, timestamp, withRules } from './shared/fields.ts';
import { CommonMetadata, DriftIgnoreRule, HealthCheckExpr, ImageOverride, Patch } from './shared/kustomize.ts';
import { DependencyRef, KubeConfigRef, localRef } from './shared/reference.ts';
import { conditions, Inventory, lastHandledReconcileAt, observedGeneration } from './shared/status.ts';

/** A reference to a source, whose kinds the caller names. */
function sourceRef<const Kinds extends readonly [string, ...string[]]>(kinds: Kinds, description: string) {
  return z
    .object({
      apiVersion: z.string().optional().describe('API version of the source.'),
      kind: z.enum(kinds).describe('Kind of the source.'),
      name: z.string().min(1).max(253).describe('Name of the source.'),
      namespace: z.string().min(1).max(63).optional().describe('Its namespace; unset: that of this object.'),
    })
    .describe(description);
}

/** The HelmChart object that is made for the release. */
export const HelmChartTemplate = z.object({
  metadata: z
    .object({
      labels: stringMap('Labels of the HelmChart.').optional(),
      annotations: stringMap('Annotations of the HelmChart.').optional(),
    })
    .optional()
    .describe('Metadata of the HelmChart.'),
  spec: z
    .object({
      chart: z.string().min(1).max(2048).describe('Name of the chart in its repository, or its path in the source.'),
      version: z
        .string()
        .default('*')
        .describe('Version or range of versions; without meaning for charts from Git and buckets.'),
      sourceRef: sourceRef(['HelmRepository', 'GitRepository', 'Bucket'], 'Where the chart comes from.'),
      interval: duration('How often the source is looked at; unset: `spec.interval`.').optional(),
      reconcileStrategy: z
        .enum(['ChartVersion', 'Revision'])
        .default('ChartVersion')
        .describe('What makes a new artifact: a new version of the chart, or any new revision of its source.'),
      valuesFiles: z
        .array(z.string())
        .optional()
        .describe('Files that are merged, in this order, in place of the values.yaml of the chart.'),
      ignoreMissingValuesFiles: z.boolean().optional().describe('Pass over values files that do not exist.'),
      verify: z
        .object({
          provider: z.enum(['cosign', 'notation']).default('cosign').describe('The tool that signed the chart.'),
          secretRef: localRef('Secret with the trusted public keys or certificates.').optional(),
        })
        .optional()
        .describe('How the signature of a chart from a registry is checked.'),
    })
    .describe('Spec of the HelmChart.'),
});
export type HelmChartTemplate = z.infer<typeof HelmChartTemplate>;

/** Where values come from. */
export const ValuesRef = z.object({
  kind: z.enum(['Secret', 'ConfigMap']).describe('Kind of the object.'),
  name: z.string().min(1).max(253).describe('Name of the object, in the same namespace.'),
  valuesKey: z
    .string()
    .max(253)
    .regex(/^[-._a-zA-Z0-9]+$/)
    .optional()
    .describe('Key that holds the values; unset: `values.yaml`.'),
  targetPath: z
    .string()
    .max(250)
    .regex(/^([a-zA-Z0-9_\-.\\/]|\[[0-9]{1,5}\])+$/)
    .optional()
    .describe('Path in dot notation to put a single value at; unset: the content is merged at the root.'),
  optional: z.boolean().optional().describe('Go on without it when the object does not exist.'),
  literal: z.boolean().optional().describe('Take the value at `targetPath` as a string as it is, without parsing it.'),
});
export type ValuesRef = z.infer<typeof ValuesRef>;

/** A change of the rendered manifests. */
export const PostRenderer = z.object({
  kustomize: z
    .object({
      patches: z.array(Patch).optional().describe('Patches of the manifests.'),
      images: z.array(ImageOverride).optional().describe('Replacements of container images.'),
    })
    .optional()
    .describe('Changes made with kustomize.'),
});
export type PostRenderer = z.infer<typeof PostRenderer>;

export const HelmReleaseSpec = withRules(
  z.object({
    chart: HelmChartTemplate.optional().describe('The chart to install, through a HelmChart made for this release.'),
    chartRef: sourceRef(
      ['OCIRepository', 'HelmChart', 'ExternalArtifact'],
      'The chart to install, as the artifact of an object that exists.',
    ).optional(),
    interval: duration('How often the release is compared with the cluster.'),
    timeout: duration('Longest time for each step of a Helm action; unset: 5m.').optional(),
    releaseName: z
      .string()
      .min(1)
      .max(53)
      .optional()
      .describe('Name of the release; unset: `[<targetNamespace>-]<name>`.'),
    targetNamespace: z
      .string()
      .min(1)
      .max(63)
      .optional()
      .describe('Namespace of the release; unset: that of this object.'),
    storageNamespace: z
      .string()
      .min(1)
      .max(63)
      .optional()
      .describe('Namespace of the release history; unset: that of this object.'),
    maxHistory: z.int().optional().describe('How many revisions of the release are kept; 0: all; unset: 5.'),
    dependsOn: z
      .array(DependencyRef)
      .optional()
      .describe('Objects that must be ready before this one; HelmReleases unless a kind is given.'),
    values: freeForm('Values of the chart; they win over those of `valuesFrom`.').optional(),
    valuesFrom: z
      .array(ValuesRef)
      .optional()
      .describe('ConfigMaps and Secrets with values; later ones win over earlier ones.'),
    postRenderers: z.array(PostRenderer).optional().describe('Changes of the rendered manifests, in this order.'),
    postRenderStrategy: z
      .enum(['nohooks', 'combined', 'separate'])
      .optional()
      .describe('Whether hooks are changed too: not, together with the rest, or on their own; unset: `combined`.'),
    commonMetadata: CommonMetadata.optional(),
    install: HelmInstall.optional().describe('How the release is installed.'),
    upgrade: HelmUpgrade.optional().describe('How the release is upgraded.'),
    rollback: HelmRollback.optional().describe('How the release is rolled back.'),
    uninstall: HelmUninstall.optional().describe('How the release is uninstalled.'),
    test: HelmTest.optional().describe('How the tests of the chart are run.'),
    driftDetection: z
      .object({
        mode: z
          .enum(['enabled', 'warn', 'disabled'])
          .optional()
          .describe('Correct changes in the cluster, tell of them, or do not look; unset: `disabled`.'),
        ignore: z.array(DriftIgnoreRule).optional().describe('Changes that are left alone.'),
      })
      .optional()
      .describe('What happens when objects of the release were changed in the cluster.'),
    healthCheckExprs: z
      .array(HealthCheckExpr)
      .optional()
      .describe('How to tell the health of kinds that report it their own way.'),
    waitStrategy: z
      .object({
        name: z
          .enum(['poller', 'legacy'])
          .describe('`poller` waits for the health of every object, `legacy` as Helm 3 did.'),
      })
      .optional()
      .describe('How health is waited for; unset: `poller`.'),
    persistentClient: z.boolean().optional().describe('Keep one Kubernetes client for all steps; unset: true.'),
    serviceAccountName: z.string().min(1).max(253).optional().describe('Service account to act as.'),
    kubeConfig: KubeConfigRef.optional(),
    suspend,
  }),
  [
    {
      rule: 'has(self.chart) != has(self.chartRef)',
      message: 'exactly one of chart and chartRef must be set',
    },
  ],
);
export type HelmReleaseSpec = z.infer<typeof HelmReleaseSpec>;

/** One release as it was after an action of ours. */
export const HelmSnapshot = z.object({
  apiVersion: z.string().optional().describe('How the digest was made.'),
  digest: z.string().describe('Digest of the release in the storage.'),
  name: z.string().describe('Name of the release.'),
  namespace: z.string().describe('Namespace of the release.'),
  version: z.int().describe('Revision of the release.'),
  status: z.string().describe('State of the release, e.g. `deployed`.'),
  action: z.string().optional().describe('The action that made it.'),
  chartName: z.string().describe('Name of the chart.'),
  chartVersion: z.string().describe('Version of the chart.'),
  appVersion: z.string().optional().describe('Version of the application in the chart.'),
  configDigest: z.string().describe('Digest of the values.'),
  firstDeployed: timestamp('When the release was first deployed.'),
  lastDeployed: timestamp('When this revision was deployed.'),
  deleted: timestamp('When the release was deleted.').optional(),
  ociDigest: z.string().optional().describe('Digest of the OCI artifact that the chart is from.'),
  testHooks: z
    .record(
      z.string(),
      z.object({
        phase: z.string().optional().describe('How the test ended.'),
        lastStarted: timestamp('When it was started.').optional(),
        lastCompleted: timestamp('When it ended.').optional(),
      }),
    )
    .optional()
    .describe('The tests that were run, by name.'),
});
export type HelmSnapshot = z.infer<typeof HelmSnapshot>;

export const HelmReleaseStatus = z.object({
  observedGeneration,
  conditions,
  helmChart: z.string().optional().describe('`<namespace>/<name>` of the HelmChart that was made.'),
  storageNamespace: z.string().min(1).max(63).optional().describe('Namespace of the release history.'),
  history: z.array(HelmSnapshot).optional().describe('The last releases, newest first.'),
  inventory: Inventory.optional(),
  failures: int64('Failures in a row for the present desired state.').optional(),
  installFailures: int64('Failed installs for the present desired state.').optional(),
  upgradeFailures: int64('Failed upgrades for the present desired state.').optional(),
  lastAttemptedGeneration: int64('The generation that was last tried.').optional(),
  lastAttemptedRevision: z.string().optional().describe('Version of the chart that was last tried.'),
  lastAttemptedRevisionDigest: z.string().optional().describe('Its digest, for a chart from an OCIRepository.'),
  lastAttemptedConfigDigest: z.string().optional().describe('Digest of the values that were last tried.'),
  lastAttemptedValuesChecksum: z.string().optional().describe('Deprecated: always empty.'),
  lastReleaseRevision: z.int().optional().describe('Deprecated: always 0.'),
  lastAttemptedReleaseAction: z.enum(['install', 'upgrade']).optional().describe('The action that was last tried.'),
  lastAttemptedReleaseActionDuration: z.string().optional().describe('How long it took.'),
  observedPostRenderersDigest: z.string().optional().describe('Digest of the post-renderers of the release.'),
  observedCommonMetadataDigest: z.string().optional().describe('Digest of the common metadata of the release.'),
  lastHandledForceAt: z
    .string()
    .optional()
    .describe('The value of `reconcile.fluxcd.io/forceAt` that was last answered.'),
  lastHandledResetAt: z
    .string()
    .optional()
    .describe('The value of `reconcile.fluxcd.io/resetAt` that was last answered.'),
  lastHandledReconcileAt,
});
export type HelmReleaseStatus = z.infer<typeof HelmReleaseStatus>;

export interface HelmRelease extends KubeObject {
  kind: 'HelmRelease';
  spec: HelmReleaseSpec;
  status?: HelmReleaseStatus;
}

export const definition: KindDefinition = {
  group: 'helm.toolkit.fluxcd.io',
  versions: [{ name: 'v2', isStored: true }],
  kind: 'HelmRelease',
  plural: 'helmreleases',
  singular: 'helmrelease',
  shortNames: ['hr'],
  categories: ['all', 'fluxcd', 'fluxcd-appliers'],
  description: 'A Helm release that is installed, upgraded, tested, remediated and kept in the cluster.',
  component: 'helm-controller',
  columns: [ageColumn, readyColumn, messageColumn],
  spec: HelmReleaseSpec,
  status: HelmReleaseStatus,
  statusDefault: neverObserved,
  finalizer: fluxFinalizer,
};
