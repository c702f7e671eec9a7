// HelmRepository (contract 1.3).
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
import { duration, shortDuration, suspend } from './shared/fields.ts';
import { AccessFrom, certSecretRef, localRef } from './shared/reference.ts';
import { artifact, artifactUrl, conditions, lastHandledReconcileAt, observedGeneration } from './shared/status.ts';

export const HelmRepositorySpec = z.object({
  url: z
    .string()
    .regex(/^(http|https|oci):\/\/.*$/)
    .describe('Address of the repository.'),
  type: z
    .enum(['default', 'oci'])
    .optional()
    .describe('`oci`: a registry, whose charts are pulled one by one; otherwise a server with an index.yaml.'),
  interval: duration('How often the index is downloaded; unset: every minute.').optional(),
  timeout: shortDuration('Longest time for a download; unset: 60s.').optional(),
  provider: z
    .enum(['generic', 'aws', 'azure', 'gcp'])
    .default('generic')
    .describe('How to log in; for the type `oci` only.'),
  secretRef: localRef(
    'Secret with `username` and `password`, or of type `kubernetes.io/dockerconfigjson` for the type `oci`.',
  ).optional(),
  certSecretRef,
  passCredentials: z
    .boolean()
    .optional()
    .describe('Send the credentials also to other hosts that the index names for its charts.'),
  insecure: z.boolean().optional().describe('Speak HTTP without TLS; for the type `oci` only.'),
  accessFrom: AccessFrom.optional().describe('Reserved: not enforced.'),
  suspend,
});
export type HelmRepositorySpec = z.infer<typeof HelmRepositorySpec>;

export const HelmRepositoryStatus = z.object({
  observedGeneration,
  conditions,
  url: artifactUrl,
  artifact,
  lastHandledReconcileAt,
});
export type HelmRepositoryStatus = z.infer<typeof HelmRepositoryStatus>;

export interface HelmRepository extends KubeObject {
  kind: 'HelmRepository';
  spec: HelmRepositorySpec;
  status?: HelmRepositoryStatus;
}

export const definition: KindDefinition = {
  group: 'source.toolkit.fluxcd.io',
  versions: [{ name: 'v1', isStored: true }],
  kind: 'HelmRepository',
  plural: 'helmrepositories',
  singular: 'helmrepository',
  shortNames: ['helmrepo'],
  categories: ['all', 'fluxcd', 'fluxcd-sources'],
  description: 'A Helm chart repository, whose index becomes an artifact, or a registry that holds charts.',
  component: 'source-controller',
  columns: [stringColumn('URL', '.spec.url'), ageColumn, readyColumn, messageColumn],
  spec: HelmRepositorySpec,
  status: HelmRepositoryStatus,
  statusDefault: neverObserved,
  finalizer: fluxFinalizer,
};
