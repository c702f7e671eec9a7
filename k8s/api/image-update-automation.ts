// ImageUpdateAutomation (contract 1.11).
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
import { GitRef } from './git-repository.ts';
import { duration, stringMap, timestamp } from './shared/fields.ts';
import { ImageRef, imageVersions } from './shared/image.ts';
import { LabelSelector, localRef } from './shared/reference.ts';
import { conditions, lastHandledReconcileAt, observedGeneration } from './shared/status.ts';

/** How the commit is made. */
export const AutomationCommit = z.object({
  author: z
    .object({
      email: z.string().describe('Mail address of the author.'),
      name: z.string().optional().describe('Name of the author.'),
    })
    .describe('Author of the commit.'),
  messageTemplate: z.string().optional().describe('Go template of the commit message.'),
  messageTemplateValues: stringMap('Values for the template, as `.Values`.').optional(),
  signingKey: z
    .object({
      secretRef: localRef('Secret with `git.asc` and `passphrase`, or with `identity` and `password` for SSH.'),
      type: z.enum(['gpg', 'ssh']).optional().describe('What the key is; unset: `gpg`.'),
    })
    .optional()
    .describe('Key that signs the commit.'),
});
export type AutomationCommit = z.infer<typeof AutomationCommit>;

/** What is checked out, committed and pushed. */
export const AutomationGit = z.object({
  checkout: z
    .object({ ref: GitRef.describe('What to check out.') })
    .optional()
    .describe('Where the change starts from; unset: the reference of the GitRepository.'),
  commit: AutomationCommit.describe('How the commit is made.'),
  push: z
    .object({
      branch: z.string().optional().describe('Branch to push to; it is made when it does not exist.'),
      refspec: z.string().optional().describe('Refspec to push as well.'),
      options: stringMap('Push options for the server.').optional(),
    })
    .optional()
    .describe('Where the commit is pushed to; unset: the branch that was checked out.'),
});
export type AutomationGit = z.infer<typeof AutomationGit>;

export const ImageUpdateAutomationSpec = z.object({
  sourceRef: z
    .object({
      apiVersion: z.string().optional().describe('API version of the source.'),
      kind: z.literal('GitRepository').default('GitRepository').describe('Kind of the source.'),
      name: z.string().describe('Name of the source.'),
      namespace: z.string().optional().describe('Its namespace; unset: that of this object.'),
    })
    .describe('The repository to change.'),
  interval: duration('How often it is looked for changes.'),
  policySelector: LabelSelector.optional().describe('The ImagePolicies to use; unset: all in the namespace.'),
  update: z
    .object({
      strategy: z.literal('Setters').default('Setters').describe('How files are changed: at marked lines.'),
      path: z.string().optional().describe('Directory whose files are changed; unset: all.'),
    })
    .default({ strategy: 'Setters' })
    .describe('Which files are changed, and how.'),
  git: AutomationGit.optional().describe('What is checked out, committed and pushed.'),
  suspend: z.boolean().optional().describe('Stop until it is unset.'),
});
export type ImageUpdateAutomationSpec = z.infer<typeof ImageUpdateAutomationSpec>;

export const ImageUpdateAutomationStatus = z.object({
  observedGeneration,
  conditions,
  lastAutomationRunTime: timestamp('When it last ran to the end.').optional(),
  lastPushCommit: z.string().optional().describe('The commit that was last pushed.'),
  lastPushTime: timestamp('When that was.').optional(),
  observedPolicies: z.record(z.string(), ImageRef).optional().describe('The images of the policies, by policy.'),
  observedSourceRevision: z.string().optional().describe('Revision of the source that was last looked at.'),
  lastHandledReconcileAt,
});
export type ImageUpdateAutomationStatus = z.infer<typeof ImageUpdateAutomationStatus>;

export interface ImageUpdateAutomation extends KubeObject {
  kind: 'ImageUpdateAutomation';
  spec: ImageUpdateAutomationSpec;
  status?: ImageUpdateAutomationStatus;
}

export const definition: KindDefinition = {
  group: 'image.toolkit.fluxcd.io',
  versions: imageVersions('ImageUpdateAutomation'),
  kind: 'ImageUpdateAutomation',
  plural: 'imageupdateautomations',
  singular: 'imageupdateautomation',
  shortNames: ['iua', 'imgupd', 'imgauto'],
  categories: ['all', 'fluxcd', 'fluxcd-images'],
  description: 'Writes the chosen images into a Git repository.',
  component: 'image-automation-controller',
  columns: [
    readyColumn,
    messageColumn,
    { ...stringColumn('Last run', '.status.lastAutomationRunTime'), priority: 1 },
    ageColumn,
  ],
  spec: ImageUpdateAutomationSpec,
  status: ImageUpdateAutomationStatus,
  statusDefault: neverObserved,
  finalizer: fluxFinalizer,
};
