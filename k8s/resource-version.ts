// The order of resourceVersions, which the API server promises to be growing decimal integers.

/**
 * Negative, 0 or positive as `a` is older than, equal to or newer than `b`. They exceed 2^53, and without leading zeros
 * the longer one is the bigger one, so no number has to be made of them. '' is older than everything.
 */
export function compareResourceVersions(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}
