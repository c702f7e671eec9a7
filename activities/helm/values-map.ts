// Values of a chart as plain data, and how two of them are merged.

/** Values of a chart: JSON, in which whole numbers that a double cannot hold are bigints. */
export type Values = Record<string, unknown>;

/** True for a map, as opposed to a list or a scalar. */
export function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Merges `over` onto `base`: maps merge, everything else replaces. The copy is shallow: what only one side has is the
 * very same map in the result. `composeValues` relies on that (contract 1.9, "values").
 */
export function mergeValues(base: Values, over: Values): Values {
  const merged: Values = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const known = Object.hasOwn(merged, key) ? merged[key] : undefined;
    const next = isMap(value) && isMap(known) ? mergeValues(known, value) : value;
    Object.defineProperty(merged, key, { value: next, enumerable: true, configurable: true, writable: true });
  }
  return merged;
}
