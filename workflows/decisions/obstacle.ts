// What an observation already sees to be in the way of a reconcile, as the failure that a stage would have thrown.
import { ApplicationFailure } from '@temporalio/workflow';

/** Something that a reconcile cannot get past now: a missing source, an unsupported field, a dependency. */
export interface Obstacle {
  /** A reason of the table in activities/errors.ts. */
  reason: string;
  message: string;
  /** When to look again without a wake. */
  retryInMs?: number;
}

export function obstacleFailure(obstacle: Obstacle): ApplicationFailure {
  return ApplicationFailure.create({
    type: obstacle.reason,
    message: obstacle.message,
    details: [{ retryInMs: obstacle.retryInMs }],
    nonRetryable: true,
  });
}
