// Kustomization (contract 1.8).
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
import { duration, int64, stringMap, suspend, timestamp } from './shared/fields.ts';
import { CommonMetadata, DriftIgnoreRule, HealthCheckExpr, ImageOverride, Patch } from './shared/kustomize.ts';
import { DependencyRef, KubeConfigRef, localRef, ObjectKindRef } from './shared/reference.ts';
import { conditions, Inventory, lastHandledReconcileAt, observedGeneration } from './shared/status.ts';

/** The source whose artifact is built. */
export const KustomizationSourceRef = z.object({
  apiVersion: z.string().optional().describe('API version of the source.'),
  kind: z.enum(['GitRepository', 'OCIRepository', 'Bucket', 'ExternalArtifact']).describe('Kind of the source.'),
  name: z.string().describe('Name of the source.'),
  namespace: z.string().optional().describe('Its namespace; unset: that of this object.'),
});
export type KustomizationSourceRef = z.infer<typeof KustomizationSourceRef>;

/** Where variables for the substitution come from. */
export const SubstituteRef = z.object({
  kind: z.enum(['Secret', 'ConfigMap']).describe('Kind of the object.'),
  name: z.string().min(1).max(253).describe('Name of the object, in the same namespace.'),
  optional: z.boolean().default(false).describe('Go on without it when it does not exist.'),
});
export type SubstituteRef = z.infer<typeof SubstituteRef>;

/** Substitution of variables after the build. */
export const PostBuild = z.object({
  substitute: stringMap('Variables and their values; they win over those of `substituteFrom`.').optional(),
  substituteFrom: z
    .array(SubstituteRef)
    .optional()
    .describe('ConfigMaps and Secrets whose keys are variables; later ones win over earlier ones.'),
  substituteStrategy: z
    .enum(['WithVariables', 'Always'])
    .optional()
    .describe('Substitute when there are variables, or always; unset: `WithVariables`.'),
});
export type PostBuild = z.infer<typeof PostBuild>;

/** Decryption of files before the build. */
export const Decryption = z.object({
  provider: z.literal('sops').describe('The tool that encrypted the files.'),
  secretRef: localRef('Secret with the private keys, or with static credentials of a cloud.').optional(),
  serviceAccountName: z
    .string()
    .optional()
    .describe('Service account whose workload identity logs in to the key service of a cloud.'),
});
export type Decryption = z.infer<typeof Decryption>;

export const deletionPolicies = ['MirrorPrune', 'Delete', 'WaitForTermination', 'Orphan'] as const;

export const KustomizationSpec = z.object({
  interval: duration('How often the cluster is compared with the source.'),
  retryInterval: duration('How long to wait after a failure; unset: `interval`.').optional(),
  timeout: duration(
    'Longest time for build, apply and health checks; unset: `interval` less 30s, at least 30s.',
  ).optional(),
  sourceRef: KustomizationSourceRef.describe('The source of the manifests.'),
  path: z
    .string()
    .optional()
    .describe('Directory in the source: one with a kustomization.yaml, or of plain manifests; unset: the root.'),
  prune: z.boolean().describe('Delete objects that are gone from the source.'),
  deletionPolicy: z
    .enum(deletionPolicies)
    .optional()
    .describe(
      'What happens to the objects when this one is deleted; `MirrorPrune`, also when unset: delete them if `prune` is set.',
    ),
  force: z.boolean().default(false).describe('Delete and create again what cannot be changed in place.'),
  wait: z.boolean().optional().describe('Wait until every applied object is healthy; `healthChecks` is then not used.'),
  healthChecks: z.array(ObjectKindRef).optional().describe('Objects whose health is waited for.'),
  healthCheckExprs: z
    .array(HealthCheckExpr)
    .optional()
    .describe('How to tell the health of kinds that report it their own way.'),
  dependsOn: z
    .array(DependencyRef)
    .optional()
    .describe('Objects that must be ready before this one; Kustomizations unless a kind is given.'),
  targetNamespace: z.string().min(1).max(63).optional().describe('Namespace for every object.'),
  namePrefix: z.string().min(1).max(200).optional().describe('Put before the name of every object.'),
  nameSuffix: z.string().min(1).max(200).optional().describe('Put after the name of every object.'),
  commonMetadata: CommonMetadata.optional(),
  patches: z.array(Patch).optional().describe('Patches of the manifests.'),
  images: z.array(ImageOverride).optional().describe('Replacements of container images.'),
  components: z.array(z.string()).optional().describe('Paths of kustomize components to add, relative to `path`.'),
  ignoreMissingComponents: z.boolean().optional().describe('Pass over components that do not exist.'),
  buildMetadata: z
    .array(z.enum(['originAnnotations', 'transformerAnnotations']))
    .optional()
    .describe('Which annotations kustomize adds to tell where an object comes from.'),
  postBuild: PostBuild.optional().describe('Substitution of variables after the build.'),
  decryption: Decryption.optional().describe('How encrypted files are decrypted.'),
  serviceAccountName: z.string().optional().describe('Service account to act as.'),
  kubeConfig: KubeConfigRef.optional(),
  ignore: z.array(DriftIgnoreRule).optional().describe('Fields that are left as they are in the cluster.'),
  suspend,
});
export type KustomizationSpec = z.infer<typeof KustomizationSpec>;

/** One line of the reconcile history. */
export const KustomizationHistoryEntry = z.object({
  digest: z.string().describe('Digest of the manifests.'),
  firstReconciled: timestamp('When they were first reconciled with this result.'),
  lastReconciled: timestamp('When they were last reconciled with this result.'),
  lastReconciledDuration: z.string().describe('How long that took.'),
  lastReconciledStatus: z.string().describe('The reason of `Ready` after it.'),
  totalReconciliations: int64('How often it was so.'),
  metadata: stringMap('`revision` and `originRevision` of the source.').optional(),
});
export type KustomizationHistoryEntry = z.infer<typeof KustomizationHistoryEntry>;

export const KustomizationStatus = z.object({
  observedGeneration,
  conditions,
  lastAppliedRevision: z.string().optional().describe('Revision of the source that was last applied with success.'),
  lastAppliedOriginRevision: z
    .string()
    .optional()
    .describe('Its revision in the origin, e.g. the commit of an OCI artifact.'),
  lastAttemptedRevision: z.string().optional().describe('Revision of the source that was last tried.'),
  inventory: Inventory.optional(),
  history: z.array(KustomizationHistoryEntry).optional().describe('The last results, newest first.'),
  lastHandledReconcileAt,
});
export type KustomizationStatus = z.infer<typeof KustomizationStatus>;

export interface Kustomization extends KubeObject {
  kind: 'Kustomization';
  spec: KustomizationSpec;
  status?: KustomizationStatus;
}

export const definition: KindDefinition = {
  group: 'kustomize.toolkit.fluxcd.io',
  versions: [{ name: 'v1', isStored: true }],
  kind: 'Kustomization',
  plural: 'kustomizations',
  singular: 'kustomization',
  shortNames: ['ks'],
  categories: ['all', 'fluxcd', 'fluxcd-appliers'],
  description: 'A directory of manifests in a source that is built, applied and kept in the cluster.',
  component: 'kustomize-controller',
  columns: [ageColumn, readyColumn, messageColumn],
  spec: KustomizationSpec,
  status: KustomizationStatus,
  statusDefault: neverObserved,
  finalizer: fluxFinalizer,
};
