// ExternalArtifact (contract 1.6): an artifact whose producer writes the status itself.
import * as z from 'zod';
import type { KubeObject } from '../object.ts';
import {
  ageColumn,
  fluxFinalizer,
  type KindDefinition,
  messageColumn,
  readyColumn,
  stringColumn,
} from './definition.ts';
import { ObjectKindRef } from './shared/reference.ts';
import { artifact, conditions } from './shared/status.ts';

export const ExternalArtifactSpec = z.object({
  sourceRef: ObjectKindRef.optional().describe('The object that the artifact is made from.'),
});
export type ExternalArtifactSpec = z.infer<typeof ExternalArtifactSpec>;

export const ExternalArtifactStatus = z.object({ conditions, artifact });
export type ExternalArtifactStatus = z.infer<typeof ExternalArtifactStatus>;

export interface ExternalArtifact extends KubeObject {
  kind: 'ExternalArtifact';
  spec?: ExternalArtifactSpec;
  status?: ExternalArtifactStatus;
}

export const definition: KindDefinition = {
  group: 'source.toolkit.fluxcd.io',
  versions: [{ name: 'v1', isStored: true }],
  kind: 'ExternalArtifact',
  plural: 'externalartifacts',
  singular: 'externalartifact',
  shortNames: ['ea'],
  categories: ['all', 'fluxcd', 'fluxcd-sources'],
  description: 'An artifact that something other than a source of ours produces.',
  component: 'source-controller',
  columns: [ageColumn, readyColumn, messageColumn, stringColumn('Source', '.spec.sourceRef.name')],
  spec: ExternalArtifactSpec,
  status: ExternalArtifactStatus,
  statusDefault: undefined,
  finalizer: fluxFinalizer,
};
