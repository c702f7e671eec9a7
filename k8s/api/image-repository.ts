// ImageRepository (contract 1.11).
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
import { duration, shortDuration, timestamp } from './shared/fields.ts';
import { imageVersions } from './shared/image.ts';
import { AccessFrom, certSecretRef, localRef, proxySecretRef } from './shared/reference.ts';
import { conditions, lastHandledReconcileAt, observedGeneration } from './shared/status.ts';

export const ImageRepositorySpec = z.object({
  image: z.string().describe('Name of the image, without tag.'),
  interval: duration('How often the tags are listed.'),
  timeout: shortDuration('Longest time for a scan; unset: `interval`.').optional(),
  provider: z.enum(['generic', 'aws', 'azure', 'gcp']).default('generic').describe('How to log in to the registry.'),
  secretRef: localRef('Secret of type `kubernetes.io/dockerconfigjson`.').optional(),
  serviceAccountName: z
    .string()
    .max(253)
    .optional()
    .describe('Service account whose image pull secrets, or whose workload identity, log in.'),
  certSecretRef,
  proxySecretRef,
  insecure: z.boolean().optional().describe('Speak HTTP without TLS.'),
  exclusionList: z
    .array(z.string())
    .max(25)
    .default(['^.*\\.sig$'])
    .describe('Regular expressions of tags to leave out.'),
  accessFrom: AccessFrom.optional(),
  suspend: z.boolean().optional().describe('Stop scanning until it is unset.'),
});
export type ImageRepositorySpec = z.infer<typeof ImageRepositorySpec>;

export const ImageRepositoryStatus = z.object({
  observedGeneration,
  conditions,
  canonicalImageName: z.string().optional().describe('Full name of the image, with its registry.'),
  observedExclusionList: z.array(z.string()).optional().describe('`spec.exclusionList` as it was for the last scan.'),
  lastScanResult: z
    .object({
      revision: z.string().optional().describe('Checksum of the tags.'),
      tagCount: z.int().describe('How many tags there are.'),
      scanTime: timestamp('When they were listed.').optional(),
      latestTags: z.array(z.string()).optional().describe('The last ten tags in alphabetical order, last first.'),
    })
    .optional()
    .describe('What the last scan found.'),
  lastHandledReconcileAt,
});
export type ImageRepositoryStatus = z.infer<typeof ImageRepositoryStatus>;

export interface ImageRepository extends KubeObject {
  kind: 'ImageRepository';
  spec: ImageRepositorySpec;
  status?: ImageRepositoryStatus;
}

export const definition: KindDefinition = {
  group: 'image.toolkit.fluxcd.io',
  versions: imageVersions('ImageRepository'),
  kind: 'ImageRepository',
  plural: 'imagerepositories',
  singular: 'imagerepository',
  shortNames: ['imgrepo', 'imagerepo'],
  categories: ['all', 'fluxcd', 'fluxcd-images'],
  description: 'An image whose tags are listed.',
  component: 'image-reflector-controller',
  columns: [
    stringColumn('Image', '.spec.image'),
    stringColumn('Tags', '.status.lastScanResult.tagCount'),
    readyColumn,
    messageColumn,
    { ...stringColumn('Last scan', '.status.lastScanResult.scanTime'), priority: 1 },
    ageColumn,
  ],
  spec: ImageRepositorySpec,
  status: ImageRepositoryStatus,
  statusDefault: neverObserved,
  finalizer: fluxFinalizer,
};
