// ImagePolicy (contract 1.11).
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
import { duration, withRules } from './shared/fields.ts';
import { ImageRef, imageVersions } from './shared/image.ts';
import { namespacedRef } from './shared/reference.ts';
import { conditions, lastHandledReconcileAt, observedGeneration } from './shared/status.ts';

const order = z.enum(['asc', 'desc']).default('asc').describe('`asc` takes the last in this order, `desc` the first.');

/** How the tag is chosen; one of the fields is set. */
export const ImagePolicyChoice = z.object({
  semver: z
    .object({ range: z.string().describe('Range of versions.') })
    .optional()
    .describe('Take the highest version in a range.'),
  alphabetical: z.object({ order }).optional().describe('Take by alphabetical order.'),
  numerical: z.object({ order }).optional().describe('Take by numerical order.'),
});
export type ImagePolicyChoice = z.infer<typeof ImagePolicyChoice>;

export const ImagePolicySpec = withRules(
  z.object({
    imageRepositoryRef: namespacedRef('The ImageRepository whose tags are looked at.'),
    policy: ImagePolicyChoice.describe('How the tag is chosen.'),
    filterTags: z
      .object({
        pattern: z.string().optional().describe('Regular expression that a tag must match.'),
        extract: z.string().optional().describe('What of the match is compared, e.g. `$ts`; unset: the whole tag.'),
      })
      .optional()
      .describe('Which tags are looked at; unset: all.'),
    digestReflectionPolicy: z
      .enum(['Always', 'IfNotPresent', 'Never'])
      .default('Never')
      .describe('Whether the digest is put into the status: refreshed at every `interval`, once a tag, or not.'),
    interval: duration('How often the digest is refreshed; with the policy `Always` only.').optional(),
    suspend: z.boolean().optional().describe('Stop choosing until it is unset.'),
  }),
  [
    {
      rule: "!has(self.interval) || (has(self.digestReflectionPolicy) && self.digestReflectionPolicy == 'Always')",
      message: "interval can only be set when digestReflectionPolicy is 'Always'",
    },
    {
      rule: "has(self.interval) || !has(self.digestReflectionPolicy) || self.digestReflectionPolicy != 'Always'",
      message: "interval must be set when digestReflectionPolicy is 'Always'",
    },
  ],
);
export type ImagePolicySpec = z.infer<typeof ImagePolicySpec>;

export const ImagePolicyStatus = z.object({
  observedGeneration,
  conditions,
  latestRef: ImageRef.optional().describe('The image that was chosen.'),
  observedPreviousRef: ImageRef.optional().describe('The image that was chosen before.'),
  lastHandledReconcileAt,
});
export type ImagePolicyStatus = z.infer<typeof ImagePolicyStatus>;

export interface ImagePolicy extends KubeObject {
  kind: 'ImagePolicy';
  spec: ImagePolicySpec;
  status?: ImagePolicyStatus;
}

export const definition: KindDefinition = {
  group: 'image.toolkit.fluxcd.io',
  versions: imageVersions('ImagePolicy'),
  kind: 'ImagePolicy',
  plural: 'imagepolicies',
  singular: 'imagepolicy',
  shortNames: ['imgpol', 'imagepol'],
  categories: ['all', 'fluxcd', 'fluxcd-images'],
  description: 'Chooses one tag of an image.',
  component: 'image-reflector-controller',
  columns: [
    stringColumn('Image', '.status.latestRef.name'),
    stringColumn('Tag', '.status.latestRef.tag'),
    readyColumn,
    messageColumn,
    ageColumn,
  ],
  spec: ImagePolicySpec,
  status: ImagePolicyStatus,
  statusDefault: neverObserved,
  finalizer: fluxFinalizer,
};
