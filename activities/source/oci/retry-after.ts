// How long a server asks to be left alone (RFC 9110, 10.2.3).

/** Milliseconds from `nowMs` of a `Retry-After` header: seconds or a date; undefined for none or anything else. */
export function retryAfterMs(header: string | string[] | undefined, nowMs: number): number | undefined {
  const text = (Array.isArray(header) ? header[0] : header)?.trim();
  if (!text) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  // Other texts, such as "-1", would be years of long ago.
  const date = /^[A-Z][a-z]+,/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}
