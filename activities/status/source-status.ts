// The status of a source after a reconcile, as a pure function (contract 1.0).
import type { GitRepository, GitRepositoryStatus } from '../../k8s/api/git-repository.ts';
import type { Artifact } from '../artifact/artifact.ts';
import { failureWishes, withConditions } from './conditions.ts';

/** Conditions of things that went wrong; none of them is left after a success. */
const failureConditions = ['FetchFailed', 'StorageOperationFailed', 'SourceVerified', 'IncludeUnavailable'] as const;
/** Reasons that are told in StorageOperationFailed; all other failures of a source are told in FetchFailed. */
const storageReasons = new Set(['ArchiveOperationFailed', 'StorageOperationFailed', 'SourceIgnoreError']);

export interface SourceContext {
  generation: number;
  request?: string;
  now: string;
}

/** What the archive stage made, and the spec fields that shaped it. */
export interface ArchivedSource {
  artifact: Artifact;
  observed: { ignore?: string; sparseCheckout?: string[] };
}

export function sourceStatusAfterSuccess(
  object: GitRepository,
  context: SourceContext,
  archived: ArchivedSource | undefined,
): GitRepositoryStatus {
  const status = object.status ?? {};
  const artifact = archived?.artifact ?? status.artifact;
  const message = `stored artifact for revision '${artifact?.revision ?? ''}'`;
  return {
    ...status,
    ...(archived
      ? { observedIgnore: archived.observed.ignore, observedSparseCheckout: archived.observed.sparseCheckout }
      : {}),
    artifact,
    conditions: withConditions(
      status.conditions,
      [
        { type: 'Ready', status: 'True', reason: 'Succeeded', message },
        { type: 'ArtifactInStorage', status: 'True', reason: 'Succeeded', message },
      ],
      ['Reconciling', 'Stalled', 'ArtifactOutdated', ...failureConditions],
      context.generation,
      context.now,
    ),
    observedGeneration: context.generation,
    ...(context.request ? { lastHandledReconcileAt: context.request } : {}),
  };
}

export function sourceStatusAfterFailure(
  object: GitRepository,
  context: SourceContext,
  failed: { reason: string; message: string; isStalled: boolean },
): GitRepositoryStatus {
  const status = object.status ?? {};
  const type = storageReasons.has(failed.reason) ? 'StorageOperationFailed' : 'FetchFailed';
  return {
    ...status,
    conditions: withConditions(
      status.conditions,
      [
        ...failureWishes(failed.reason, failed.message, failed.isStalled),
        { type, status: 'True', reason: failed.reason, message: failed.message },
      ],
      [failed.isStalled ? 'Reconciling' : 'Stalled', ...failureConditions],
      context.generation,
      context.now,
    ),
    // Contract 1.0: a source has observed a generation when it finished without error, or stalled.
    ...(failed.isStalled ? { observedGeneration: context.generation } : {}),
    ...(context.request ? { lastHandledReconcileAt: context.request } : {}),
  };
}
