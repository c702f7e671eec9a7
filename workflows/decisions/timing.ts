// When the next pass is due.
import type { Observation } from './decide.ts';

/** Shortest and longest pause after a source's failure (contract 1.0: --min-retry-delay, --max-retry-delay). */
export const backoffOptions = { minimumMs: 750, maximumMs: 15 * 60_000 };

/** Exponential back-off: 0.75 s, 1.5 s, 3 s … 15 min for the 1st, 2nd, 3rd … failure in a row. */
export function backoffMs(failures: number): number {
  const exponent = Math.min(Math.max(failures, 1) - 1, 30);
  return Math.min(backoffOptions.minimumMs * 2 ** exponent, backoffOptions.maximumMs);
}

/**
 * How long a pass that found all in order stands. Where the bridge looks at every interval whether it is still so, and
 * wakes who is not, the workflow's own timer is there only for a bridge that is away (decision 0012).
 */
export function standsForMs({
  intervalMs,
  isIntervalWatched,
}: Pick<Observation, 'intervalMs' | 'isIntervalWatched'>): number {
  return isIntervalWatched ? intervalMs * watchedIntervals : intervalMs;
}
const watchedIntervals = 5;

/** The interval with ±5 % jitter (contract 7: --interval-jitter-percentage); `random` is in [0, 1). */
export function withJitter(intervalMs: number, random: number): number {
  return Math.round(intervalMs * (0.95 + 0.1 * random));
}
