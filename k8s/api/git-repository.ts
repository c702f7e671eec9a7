// GitRepository (contract 1.1).
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
import { duration, ignorePatterns, shortDuration, suspend, withRules } from './shared/fields.ts';
import { localRef, proxySecretRef } from './shared/reference.ts';
import {
  artifact,
  ArtifactStatus,
  conditions,
  lastHandledReconcileAt,
  observedGeneration,
  observedIgnore,
} from './shared/status.ts';

/** Which commit to take; when several fields are set, the order is commit, name, semver, tag, branch. */
export const GitRef = z.object({
  branch: z.string().optional().describe('Branch; `master` when nothing else is set.'),
  tag: z.string().optional().describe('Tag; wins over `branch`.'),
  semver: z.string().optional().describe('Range of versions, the highest matching tag is taken; wins over `tag`.'),
  name: z.string().optional().describe('Full name of a reference, e.g. `refs/pull/7/head`; wins over `semver`.'),
  commit: z.string().optional().describe('Commit id; wins over all. With `branch` only that branch is fetched.'),
});
export type GitRef = z.infer<typeof GitRef>;

/** Another repository whose content goes into this one's artifact. */
export const GitInclude = z.object({
  repository: localRef('The GitRepository to include.'),
  fromPath: z.string().optional().describe('Directory to take; unset: all.'),
  toPath: z.string().optional().describe('Where to put it; unset: a directory with the name of the repository.'),
});
export type GitInclude = z.infer<typeof GitInclude>;

const verificationModes = ['head', 'HEAD', 'Tag', 'TagAndHEAD'] as const;

export const GitRepositorySpec = withRules(
  z.object({
    url: z
      .string()
      .regex(/^(http|https|ssh):\/\/.*$/)
      .describe('Address of the repository; `ssh://` in full, not the short scp form.'),
    interval: duration('How often the repository is looked at.'),
    timeout: shortDuration('Longest time for a fetch.').default('60s'),
    ref: GitRef.optional().describe('Which commit to take.'),
    provider: z
      .enum(['generic', 'aws', 'azure', 'github'])
      .optional()
      .describe('How to log in: with the Secret as it is (`generic`, also when unset), or as a cloud or app identity.'),
    secretRef: localRef(
      'Secret with `username` and `password`, `bearerToken`, SSH `identity` and `known_hosts`, TLS files or GitHub app keys.',
    ).optional(),
    serviceAccountName: z
      .string()
      .optional()
      .describe('Service account whose workload identity logs in; for the providers `azure` and `aws`.'),
    proxySecretRef,
    verify: z
      .object({
        mode: z
          .enum(verificationModes)
          .default('HEAD')
          .describe('What must be signed: the commit, the tag, or both. `head` is the same as `HEAD`.'),
        secretRef: localRef('Secret with the trusted public keys: `*.asc` for PGP, `*.sshpub` for SSH.'),
      })
      .optional()
      .describe('Which signatures are demanded.'),
    ignore: ignorePatterns('files'),
    include: z.array(GitInclude).optional().describe('Other repositories to put into the artifact.'),
    recurseSubmodules: z.boolean().optional().describe('Fetch submodules too.'),
    sparseCheckout: z.array(z.string()).optional().describe('Directories to take; unset: all.'),
    suspend,
  }),
  [
    {
      rule: "!has(self.serviceAccountName) || (has(self.provider) && self.provider in ['aws', 'azure'])",
      message: "serviceAccountName can only be set when provider is 'aws' or 'azure'",
    },
  ],
);
export type GitRepositorySpec = z.infer<typeof GitRepositorySpec>;

export const GitRepositoryStatus = z.object({
  observedGeneration,
  conditions,
  artifact,
  includedArtifacts: z.array(ArtifactStatus).optional().describe('The artifacts that are included in this one.'),
  observedIgnore,
  observedInclude: z.array(GitInclude).optional().describe('`spec.include` as it was for the artifact.'),
  observedRecurseSubmodules: z.boolean().optional().describe('`spec.recurseSubmodules` as it was for the artifact.'),
  observedSparseCheckout: z.array(z.string()).optional().describe('`spec.sparseCheckout` as it was for the artifact.'),
  sourceVerificationMode: z.string().optional().describe('What was verified: `HEAD`, `Tag` or `TagAndHEAD`.'),
  lastHandledReconcileAt,
});
export type GitRepositoryStatus = z.infer<typeof GitRepositoryStatus>;

export interface GitRepository extends KubeObject {
  kind: 'GitRepository';
  spec: GitRepositorySpec;
  status?: GitRepositoryStatus;
}

export const definition: KindDefinition = {
  group: 'source.toolkit.fluxcd.io',
  versions: [{ name: 'v1', isStored: true }],
  kind: 'GitRepository',
  plural: 'gitrepositories',
  singular: 'gitrepository',
  shortNames: ['gitrepo'],
  categories: ['all', 'fluxcd', 'fluxcd-sources'],
  description: 'A Git repository whose content becomes an artifact at every new commit of a reference.',
  component: 'source-controller',
  columns: [stringColumn('URL', '.spec.url'), ageColumn, readyColumn, messageColumn],
  spec: GitRepositorySpec,
  status: GitRepositoryStatus,
  statusDefault: neverObserved,
  finalizer: fluxFinalizer,
};
