// The status of a Kustomization after a reconcile, as a pure function of what it was and what came of it (contract 1.8,
// 2.1).
import type { Kustomization, KustomizationStatus } from '../../k8s/api/kustomization.ts';
import { formatDuration } from '../../k8s/duration.ts';
import type { InventoryEntry } from '../../k8s/object.ts';
import type { DriftRound } from '../../workflows/decisions/drift-fight.ts';
import { type ConditionWish, failureWishes, withConditions } from './conditions.ts';
import { driftConflictCondition, driftConflictWishes } from './drift-conflict.ts';

/** Names the objects that another Kustomization has in its source too, and has got. Not one of Flux's. */
export const ownerConflictCondition = 'OwnerConflict';

/** Says that a rollback was made, and of what; while it is True the source's revision is held. As for a HelmRelease. */
export const remediatedCondition = 'Remediated';

/** Newest history entries that the status keeps (contract 1.8). */
const historyLimit = 5;

/** What every report says. */
export interface ReportContext {
  generation: number;
  /** Value of `requestedAt` that the run answers. */
  request?: string;
  revision?: string;
  /** The revision's name in the origin, when the source tells one. */
  originRevision?: string;
  /** Digest of the manifests, when they were built. */
  manifestsDigest?: string;
  lostFights: readonly DriftRound[];
  durationMs: number;
  now: string;
}

export function statusAfterSuccess(
  object: Kustomization,
  context: ReportContext,
  result: { inventory?: InventoryEntry[]; health?: { durationMs: number }; yielded?: readonly YieldedObject[] },
): KustomizationStatus {
  const status = object.status ?? {};
  const revision = context.revision ?? '';
  const hasHealthChecks = object.spec.wait === true || (object.spec.healthChecks?.length ?? 0) > 0;
  const wishes: ConditionWish[] = [
    { type: 'Ready', status: 'True', reason: 'ReconciliationSucceeded', message: `Applied revision: ${revision}` },
    ...(hasHealthChecks ? [healthyWish(status, result.health)] : []),
    ...driftConflictWishes('Kustomization', context.lostFights),
    ...ownerConflictWishes(result.yielded ?? []),
  ];
  const removed = ['Reconciling', 'Stalled', 'Healthy', remediatedCondition, driftConflictCondition];
  if (result.yielded) removed.push(ownerConflictCondition);
  return {
    ...status,
    conditions: withConditions(status.conditions, wishes, removed, context.generation, context.now),
    observedGeneration: context.generation,
    ...handled(context),
    lastAppliedRevision: revision,
    lastAppliedOriginRevision: context.originRevision,
    lastAttemptedRevision: revision,
    ...(result.inventory ? { inventory: { entries: result.inventory } } : {}),
    history: withHistory(status.history, context, 'ReconciliationSucceeded'),
  };
}

export function statusAfterFailure(
  object: Kustomization,
  context: ReportContext,
  failed: { reason: string; message: string; isStalled: boolean; isHeld?: boolean; inventory?: InventoryEntry[] },
): KustomizationStatus {
  const status = object.status ?? {};
  const wishes = [
    ...failureWishes(failed.reason, failed.message, failed.isStalled),
    ...driftConflictWishes('Kustomization', context.lostFights),
  ];
  if (failed.reason === 'HealthCheckFailed') {
    wishes.push({ type: 'Healthy', status: 'False', reason: failed.reason, message: failed.message });
  }
  if (failed.reason === 'RollbackFailed') {
    wishes.push({ type: remediatedCondition, status: 'False', reason: failed.reason, message: failed.message });
  }
  // What is held stays so until another revision was really tried.
  const isHoldOver = context.revision !== undefined && !failed.isHeld && failed.reason !== 'RollbackFailed';
  // Contract 1.0: a Kustomization's observedGeneration moves only with Ready=True or InvalidCELExpression.
  const isObserved = failed.reason === 'InvalidCELExpression';
  return {
    ...status,
    conditions: withConditions(
      status.conditions,
      wishes,
      [
        failed.isStalled ? 'Reconciling' : 'Stalled',
        driftConflictCondition,
        ...(isHoldOver ? [remediatedCondition] : []),
      ],
      context.generation,
      context.now,
    ),
    ...(isObserved ? { observedGeneration: context.generation } : {}),
    ...handled(context),
    ...(context.revision ? { lastAttemptedRevision: context.revision } : {}),
    ...(failed.inventory ? { inventory: { entries: failed.inventory } } : {}),
    history: context.manifestsDigest ? withHistory(status.history, context, failed.reason) : status.history,
  };
}

/**
 * After a rollback: Ready says what has failed and Stalled that nothing more is tried; by a person's word both are fine.
 * Remediated holds the source's revision.
 */
export function statusAfterRollback(
  object: Kustomization,
  context: ReportContext,
  result: {
    target: { revision: string; manifestsDigest: string };
    failed?: { reason: string; message: string };
    failedDigest?: string;
    inventory?: InventoryEntry[];
  },
): KustomizationStatus {
  const status = object.status ?? {};
  const { target, failed, failedDigest } = result;
  const originRevision = originRevisionOf(status, target.revision);
  const held = rollbackMessage(target.revision, context.revision ?? '');
  const reason = 'RollbackSucceeded';
  const message = failed ? `${held}. What failed: ${failed.message}` : held;
  const wishes: ConditionWish[] = [
    ...(failed
      ? failureWishes(failed.reason, message, true)
      : [{ type: 'Ready', status: 'True', reason, message } satisfies ConditionWish]),
    { type: remediatedCondition, status: 'True', reason, message: held },
    ...driftConflictWishes('Kustomization', context.lostFights),
  ];
  const removed = ['Reconciling', 'Stalled', 'Healthy', driftConflictCondition];
  const withFailure =
    failed && failedDigest
      ? withHistory(status.history, { ...context, manifestsDigest: failedDigest }, failed.reason)
      : status.history;
  return {
    ...status,
    conditions: withConditions(status.conditions, wishes, removed, context.generation, context.now),
    observedGeneration: context.generation,
    ...handled(context),
    lastAppliedRevision: target.revision,
    lastAppliedOriginRevision: originRevision,
    lastAttemptedRevision: context.revision ?? status.lastAttemptedRevision,
    ...(result.inventory ? { inventory: { entries: result.inventory } } : {}),
    history: withHistory(
      withFailure,
      { ...context, revision: target.revision, originRevision, manifestsDigest: target.manifestsDigest },
      'ReconciliationSucceeded',
    ),
  };
}

/** What is in place, what is held, and what lifts that. */
export function rollbackMessage(target: string, held: string): string {
  return `rolled back to revision ${target}; revision ${held} is held until a newer one appears or a reconcile is requested`;
}

function healthyWish(status: KustomizationStatus, health: { durationMs: number } | undefined): ConditionWish {
  const previous = status.conditions?.find((c) => c.type === 'Healthy' && c.status === 'True');
  return {
    type: 'Healthy',
    status: 'True',
    reason: 'Succeeded',
    // A pass that found all healthy at once keeps the words of the one that had to wait: no write for a duration.
    message: health
      ? `Health check passed in ${formatDuration(health.durationMs)}`
      : (previous?.message ?? 'Health check passed in 0s'),
  };
}

/** An object that was left to another Kustomization, `<namespace>/<name>`. */
export interface YieldedObject {
  subject: string;
  to: string;
}

function ownerConflictWishes(yielded: readonly YieldedObject[]): ConditionWish[] {
  if (yielded.length === 0) return [];
  const told = yielded.slice(0, 10).map(({ subject, to }) => `${subject} (Kustomization/${to})`);
  if (yielded.length > told.length) told.push(`and ${yielded.length - told.length} more`);
  return [
    {
      type: ownerConflictCondition,
      status: 'True',
      reason: 'OwnerConflict',
      message: `not applied, as another Kustomization has it in its source too: ${told.join(', ')}; remove each object from one of the two`,
    },
  ];
}

function handled(context: ReportContext): { lastHandledReconcileAt?: string } {
  return context.request ? { lastHandledReconcileAt: context.request } : {};
}

function metadataOf({ revision, originRevision }: ReportContext): Record<string, string> | undefined {
  if (!revision) return undefined;
  return { revision, ...(originRevision ? { originRevision } : {}) };
}

/** The name that a revision of the history has in the origin. */
export function originRevisionOf(status: KustomizationStatus | undefined, revision: string): string | undefined {
  return status?.history?.find(({ metadata }) => metadata?.['revision'] === revision)?.metadata?.['originRevision'];
}

type History = NonNullable<KustomizationStatus['history']>;

/** Contract 1.8: one entry for each (digest, reason); a repeat counts up and moves to the front; five are kept. */
function withHistory(history: KustomizationStatus['history'], context: ReportContext, reason: string): History {
  const entries = history ?? [];
  const digest = context.manifestsDigest ?? entries[0]?.digest;
  if (!digest) return entries;
  const known = entries.find((entry) => entry.digest === digest && entry.lastReconciledStatus === reason);
  const entry: History[number] = {
    digest,
    firstReconciled: known?.firstReconciled ?? context.now,
    lastReconciled: context.now,
    lastReconciledDuration: formatDuration(context.durationMs),
    lastReconciledStatus: reason,
    totalReconciliations: (known?.totalReconciliations ?? 0) + 1,
    metadata: metadataOf(context),
  };
  return [entry, ...entries.filter((other) => other !== known)].slice(0, historyLimit);
}
