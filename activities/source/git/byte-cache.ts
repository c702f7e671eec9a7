// A cache bounded by bytes that drops what was used longest ago.

export interface ByteCache {
  get(key: string): Uint8Array | undefined;
  set(key: string, value: Uint8Array): void;
}

/** Keeps values of together at most `maxBytes`; a value of more than a sixteenth of that is not kept. */
export function createByteCache(maxBytes: number): ByteCache {
  const values = new Map<string, Uint8Array>();
  let sizeBytes = 0;
  return {
    get(key) {
      const value = values.get(key);
      if (value === undefined) return undefined;
      values.delete(key);
      values.set(key, value);
      return value;
    },
    set(key, value) {
      if (value.byteLength > maxBytes / 16 || values.has(key)) return;
      // A copy, as a small view would keep the whole pack alive that it was cut from.
      values.set(key, Uint8Array.from(value));
      sizeBytes += value.byteLength;
      for (const [oldest, old] of values) {
        if (sizeBytes <= maxBytes) break;
        values.delete(oldest);
        sizeBytes -= old.byteLength;
      }
    },
  };
}
