// JSON text exactly as Go's encoder writes it, for digests that Go programs compute over it.

/**
 * The text of a value. The fields of an object stand in the order in which they were set, as in a Go struct, and those
 * that are undefined are left out; the keys of a `Map`, and of any object within one, are sorted, as in a Go map.
 */
export function goJson(value: unknown): string {
  if (value instanceof Map) return sortedObject([...value]);
  if (Array.isArray(value)) return `[${value.map((item) => goJson(item ?? null)).join(',')}]`;
  if (typeof value === 'object' && value !== null) return objectOf(Object.entries(value), goJson);
  return scalar(value);
}

/** The same for free-form data: all keys are sorted. */
function goMapJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => goMapJson(item ?? null)).join(',')}]`;
  if (typeof value === 'object' && value !== null) return sortedObject(Object.entries(value));
  return scalar(value);
}

function sortedObject(entries: [string, unknown][]): string {
  const sorted = entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return objectOf(sorted, goMapJson);
}

function objectOf(entries: [string, unknown][], write: (value: unknown) => string): string {
  const present = entries.filter(([, value]) => value !== undefined);
  return `{${present.map(([key, value]) => `${scalar(key)}:${write(value)}`).join(',')}}`;
}

const escapes: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
};

function scalar(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  // A lone surrogate cannot come out of Go, which reads it as U+FFFD.
  const text = JSON.stringify(typeof value === 'string' ? value.toWellFormed() : value);
  return typeof value === 'string' ? text.replace(/[<>&\u2028\u2029]/g, (character) => escapes[character] ?? '') : text;
}
