// Heartbeats for activities that have nothing of their own to tell: while one works, Temporal knows that its worker lives.
import { Context } from '@temporalio/activity';

const heartbeatEveryMs = 2_000;

/** The same activities, each with a heartbeat for as long as it runs. Cancellation reaches them with it. */
export function beating<T extends object>(activities: T): T {
  const wrapped = Object.entries(activities).map(([name, activity]) => {
    const run = async (input: unknown): Promise<unknown> => {
      const context = Context.current();
      if (context.info.isLocal) return await (activity as (input: unknown) => Promise<unknown>)(input);
      const timer = setInterval(() => context.heartbeat(), heartbeatEveryMs);
      try {
        return await (activity as (input: unknown) => Promise<unknown>)(input);
      } finally {
        clearInterval(timer);
      }
    };
    return [name, run];
  });
  return Object.fromEntries(wrapped) as T;
}
