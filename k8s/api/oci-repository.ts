// OCIRepository (contract 1.2).
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
import { duration, ignorePatterns, shortDuration, suspend } from './shared/fields.ts';
import { certSecretRef, localRef, proxySecretRef } from './shared/reference.ts';
import {
  artifact,
  artifactUrl,
  conditions,
  lastHandledReconcileAt,
  observedGeneration,
  observedIgnore,
} from './shared/status.ts';
import { OciVerification } from './shared/verification.ts';

/** Which layer of the OCI artifact is used, and how. */
export const LayerSelector = z.object({
  mediaType: z.string().optional().describe('Media type of the layer, the first with it is taken; unset: any.'),
  operation: z
    .enum(['extract', 'copy'])
    .optional()
    .describe('`extract` unpacks the layer and packs it again, `copy` keeps it as it is; unset: `extract`.'),
});
export type LayerSelector = z.infer<typeof LayerSelector>;

export const OCIRepositorySpec = z.object({
  url: z
    .string()
    .regex(/^oci:\/\/.*$/)
    .describe('Address of the repository in the registry, without tag.'),
  interval: duration('How often the registry is asked.'),
  timeout: shortDuration('Longest time for a pull.').default('60s'),
  ref: z
    .object({
      digest: z.string().optional().describe('Digest, `sha256:<hex>`; wins over all.'),
      semver: z.string().optional().describe('Range of versions, the highest matching tag is taken; wins over `tag`.'),
      semverFilter: z.string().optional().describe('Regular expression that tags must match to count for `semver`.'),
      tag: z.string().optional().describe('Tag; unset: `latest`.'),
    })
    .optional()
    .describe('Which artifact to take; unset: the tag `latest`.'),
  layerSelector: LayerSelector.optional().describe('Which layer is used; unset: the first one is unpacked.'),
  provider: z.enum(['generic', 'aws', 'azure', 'gcp']).default('generic').describe('How to log in to the registry.'),
  secretRef: localRef('Secret of type `kubernetes.io/dockerconfigjson`.').optional(),
  serviceAccountName: z
    .string()
    .optional()
    .describe('Service account whose image pull secrets, or whose workload identity, log in.'),
  certSecretRef,
  proxySecretRef,
  verify: OciVerification.optional(),
  ignore: ignorePatterns('files'),
  insecure: z.boolean().optional().describe('Accept any certificate, and speak HTTP where the registry has no TLS.'),
  suspend,
});
export type OCIRepositorySpec = z.infer<typeof OCIRepositorySpec>;

export const OCIRepositoryStatus = z.object({
  observedGeneration,
  conditions,
  url: artifactUrl,
  artifact,
  observedIgnore,
  observedLayerSelector: LayerSelector.optional().describe('`spec.layerSelector` as it was for the artifact.'),
  lastHandledReconcileAt,
});
export type OCIRepositoryStatus = z.infer<typeof OCIRepositoryStatus>;

export interface OCIRepository extends KubeObject {
  kind: 'OCIRepository';
  spec: OCIRepositorySpec;
  status?: OCIRepositoryStatus;
}

export const definition: KindDefinition = {
  group: 'source.toolkit.fluxcd.io',
  versions: [{ name: 'v1', isStored: true }],
  kind: 'OCIRepository',
  plural: 'ocirepositories',
  singular: 'ocirepository',
  shortNames: ['ocirepo'],
  categories: ['all', 'fluxcd', 'fluxcd-sources'],
  description: 'A repository in an OCI registry whose layer becomes an artifact at every new digest.',
  component: 'source-controller',
  columns: [stringColumn('URL', '.spec.url'), readyColumn, messageColumn, ageColumn],
  spec: OCIRepositorySpec,
  status: OCIRepositoryStatus,
  statusDefault: neverObserved,
  finalizer: fluxFinalizer,
};
