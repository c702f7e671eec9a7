// What the apply activities share of running inside Temporal: when they end, how they tell that they live, what they throw.
import { CancelledFailure, Context } from '@temporalio/activity';
import { failure, messageOf } from '../errors.ts';
import type { ApplyTarget } from './target.ts';

const heartbeatEveryMs = 1_000;

/** Ends with the activity's cancellation, when the cluster goes away, and after the time-out. */
export function deadline(timeoutMs: number, target: ApplyTarget): AbortSignal {
  return AbortSignal.any([...endings(target), AbortSignal.timeout(timeoutMs)]);
}

/** The same without a time-out. */
export function endings({ lost }: ApplyTarget): AbortSignal[] {
  const { cancellationSignal } = Context.current();
  return lost ? [cancellationSignal, lost] : [cancellationSignal];
}

/** Heartbeats once a second with how far the work is, also while it waits, until it is stopped. */
export function startBeating(verb: string): { onProgress(done: number, total: number): void; stop(): void } {
  const context = Context.current();
  let cursor = verb;
  // A local activity lives within its workflow task, which tells the server by itself that it is alive.
  const timer = context.info.isLocal ? undefined : setInterval(() => context.heartbeat(cursor), heartbeatEveryMs);
  return {
    onProgress: (done, total) => {
      cursor = `${verb} ${done} of ${total}`;
    },
    stop: () => clearInterval(timer),
  };
}

/** What an activity throws for an error: cancelled when it was, else a failure with one of our reasons. */
export function asFailure(
  error: unknown,
  timeoutMs: number,
  reason: 'ReconciliationFailed' | 'PruneFailed' = 'ReconciliationFailed',
): unknown {
  if (Context.current().cancellationSignal.aborted) {
    const { reason: cause } = Context.current().cancellationSignal;
    return cause instanceof CancelledFailure ? cause : new CancelledFailure('cancelled');
  }
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return failure(
      reason,
      `not finished after ${timeoutMs / 1000}s: raise spec.timeout or see the API server's latency`,
    );
  }
  return error instanceof Error && error.name === 'ApplicationFailure'
    ? error
    : failure(reason, messageOf(error), { cause: error });
}
