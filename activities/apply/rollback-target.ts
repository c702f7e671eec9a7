// Where a rollback goes: manifests that the history knows as healthy and that the artifact store still has.
import type { Kustomization } from '../../k8s/api/kustomization.ts';
import { failure } from '../errors.ts';

/** A healthy entry of `status.history`. */
export interface HealthyRevision {
  manifestsDigest: string;
  revision: string;
}

/**
 * The healthy revisions of a Kustomization, newest first, without the one that was tried last and, with `revision`, only
 * those that it names (in full, or by a part of at least seven characters).
 */
export function healthyRevisions({ status }: Kustomization, revision?: string): HealthyRevision[] {
  const [newest] = status?.history ?? [];
  return (status?.history ?? [])
    .filter(({ lastReconciledStatus, digest }) => lastReconciledStatus === healthy && digest !== newest?.digest)
    .map((entry) => ({ manifestsDigest: entry.digest, revision: entry.metadata?.revision ?? '' }))
    .filter((entry) => revision === undefined || isNamed(entry.revision, revision));
}

/** The last healthy revision, unless its manifests are just those that failed. */
export function lastHealthyRevision({ status }: Kustomization, failedDigest: string): HealthyRevision | undefined {
  const entry = status?.history?.find(({ lastReconciledStatus }) => lastReconciledStatus === healthy);
  if (!entry || entry.digest === failedDigest) return undefined;
  return { manifestsDigest: entry.digest, revision: entry.metadata?.revision ?? '' };
}

/** The refusal of a rollback by hand. */
export function noRollbackTarget(object: Kustomization, revision: string | undefined): Error {
  const { namespace, name } = object.metadata;
  const kept = healthyRevisions(object).map((entry) => entry.revision);
  const wanted =
    revision === undefined
      ? 'no healthy revision before the present one is kept'
      : `"${revision}" is no healthy revision that is kept`;
  const there = kept.length > 0 ? `expected one of ${kept.join(', ')}` : 'its history has no other healthy one';
  return failure('RollbackFailed', `Kustomization/${namespace}/${name} cannot be rolled back: ${wanted}; ${there}`);
}

function isNamed(revision: string, wanted: string): boolean {
  return revision === wanted || (wanted.length >= 7 && revision.includes(wanted));
}

const healthy = 'ReconciliationSucceeded';
