// When the next pass is due.

/** Shortest and longest pause after a source's failure (contract 1.0: --min-retry-delay, --max-retry-delay). */
export const backoffOptions = { minimumMs: 750, maximumMs: 15 * 60_000 };

/** Exponential back-off: 0.75 s, 1.5 s, 3 s … 15 min for the 1st, 2nd, 3rd … failure in a row. */
export function backoffMs(failures: number): number {
  const exponent = Math.min(Math.max(failures, 1) - 1, 30);
  return Math.min(backoffOptions.minimumMs * 2 ** exponent, backoffOptions.maximumMs);
}

/** The interval with ±5 % jitter (contract 7: --interval-jitter-percentage); `random` is in [0, 1). */
export function withJitter(intervalMs: number, random: number): number {
  return Math.round(intervalMs * (0.95 + 0.1 * random));
}
