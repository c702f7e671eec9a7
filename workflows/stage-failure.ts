// What a stage that failed says, as the conditions and the run's record tell it.
import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/workflow';
import type { StageFailure } from './reconciled-kind.ts';

/** A cancelled stage whose worker died meanwhile ends with its time-out. */
export function isTimeout(error: unknown): boolean {
  return error instanceof ActivityFailure && error.cause instanceof TimeoutFailure;
}

/** What a thrown stage failure says; anything that is no ApplicationFailure of ours is told as it is. */
export function stageFailureOf(error: unknown): StageFailure {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    const details = (cause.details?.[0] ?? {}) as { retryInMs?: number };
    return { reason: cause.type ?? 'ReconciliationFailed', message: cause.message, retryInMs: details.retryInMs };
  }
  const timedOut = cause instanceof Error ? cause.message : String(cause);
  const stage = error instanceof ActivityFailure ? `stage ${error.activityType}: ` : '';
  return { reason: 'ReconciliationFailed', message: `${stage}${timedOut}` };
}
