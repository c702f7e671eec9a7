// ArtifactGenerator (contract 1.7).
import * as z from 'zod';
import type { KubeObject } from '../object.ts';
import { ageColumn, type KindDefinition, messageColumn, readyColumn } from './definition.ts';
import { withRules } from './shared/fields.ts';
import { CommonMetadata } from './shared/kustomize.ts';
import { conditions, lastHandledReconcileAt } from './shared/status.ts';

const aliasRef = /^@([a-z0-9]([a-z0-9_-]*[a-z0-9])?)$/;
const aliasPath = /^@([a-z0-9]([a-z0-9_-]*[a-z0-9])?)\/(.*)$/;

const SourceRef = z.object({
  alias: z
    .string()
    .max(63)
    .regex(/^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$/)
    .describe('Name for the source within this object; each is used once.'),
  kind: z
    .enum(['Bucket', 'GitRepository', 'OCIRepository', 'HelmChart', 'ExternalArtifact'])
    .describe('Kind of the source.'),
  name: z.string().max(253).describe('Name of the source.'),
  namespace: z.string().min(1).max(63).optional().describe('Its namespace; unset: that of this object.'),
});

const CopyOperation = z.object({
  from: z.string().max(1024).regex(aliasPath).describe('What to copy, `@<alias>/<glob>`.'),
  to: z
    .string()
    .max(1024)
    .regex(/^@(artifact)\/(.*)$/)
    .describe('Where to put it, `@artifact/<path>`.'),
  exclude: z.array(z.string()).max(100).optional().describe('Globs of files and directories to leave out.'),
  strategy: z
    .enum(['Overwrite', 'Merge', 'Extract'])
    .optional()
    .describe('For a file that exists: replace it, or merge the YAML; `Extract` unpacks tarballs. Unset: `Overwrite`.'),
});

const OutputArtifact = z.object({
  name: z.string().max(253).describe('Name of the ExternalArtifact; may hold captures of `pathPattern`.'),
  revision: z
    .string()
    .max(64)
    .regex(aliasRef)
    .optional()
    .describe('`@<alias>`: take the revision of that source; unset: the digest of the content.'),
  originRevision: z
    .string()
    .max(64)
    .regex(aliasRef)
    .optional()
    .describe('`@<alias>`: hand on the origin revision of that source in the metadata of the artifact.'),
  copy: z.array(CopyOperation).min(1).describe('What goes into the artifact, in this order.'),
});

export const ArtifactGeneratorSpec = withRules(
  z.object({
    sources: z.array(SourceRef).min(1).max(1000).describe('The sources to copy from.'),
    artifacts: z.array(OutputArtifact).min(1).max(1000).describe('The artifacts to make.'),
    pathPattern: z
      .string()
      .max(1024)
      .regex(aliasPath)
      .optional()
      .describe(
        '`@<alias>/apps/{app}`: make the artifacts once for each directory that fits; `{app}` can be used in them.',
      ),
    commonMetadata: CommonMetadata.optional().describe('Labels and annotations for the ExternalArtifacts.'),
  }),
  [
    {
      rule: "has(self.pathPattern) || self.artifacts.all(a, a.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'))",
      message: 'the name of an artifact must be a DNS subdomain when pathPattern is not set',
    },
  ],
);
export type ArtifactGeneratorSpec = z.infer<typeof ArtifactGeneratorSpec>;

export const ArtifactGeneratorStatus = z.object({
  conditions,
  inventory: z
    .array(
      z.object({
        name: z.string().describe('Name of the ExternalArtifact.'),
        namespace: z.string().describe('Its namespace.'),
        digest: z.string().describe('Digest of its content.'),
        filename: z.string().describe('Name of its file in the store.'),
      }),
    )
    .optional()
    .describe('The ExternalArtifacts that were made.'),
  observedSourcesDigest: z.string().optional().describe('Digest over the state of all sources.'),
  lastHandledReconcileAt,
});
export type ArtifactGeneratorStatus = z.infer<typeof ArtifactGeneratorStatus>;

export interface ArtifactGenerator extends KubeObject {
  kind: 'ArtifactGenerator';
  spec: ArtifactGeneratorSpec;
  status?: ArtifactGeneratorStatus;
}

export const definition: KindDefinition = {
  group: 'source.extensions.fluxcd.io',
  versions: [{ name: 'v1beta1', isStored: true }],
  kind: 'ArtifactGenerator',
  plural: 'artifactgenerators',
  singular: 'artifactgenerator',
  shortNames: ['ag'],
  categories: ['all', 'fluxcd', 'fluxcd-sources'],
  description: 'Makes new artifacts out of parts of others.',
  component: 'source-watcher',
  columns: [ageColumn, readyColumn, messageColumn],
  spec: ArtifactGeneratorSpec,
  status: ArtifactGeneratorStatus,
  statusDefault: undefined,
  finalizer: 'source.extensions.fluxcd.io/finalizer',
};
