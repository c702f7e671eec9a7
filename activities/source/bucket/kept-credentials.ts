// Short-lived credentials by what they were given for, so that a poll of a bucket does not log in each time.
import { createHash } from 'node:crypto';

interface Kept {
  value: { expiresMs?: number };
  renewMs: number;
}

const byId = new Map<string, Kept>();
const maxKept = 256;
const renewBeforeMs = 120_000;

/**
 * What was given for `id` (anything that JSON can hold; only its digest is kept), or what `ask` gives now. What has no
 * end is asked for each time.
 */
export async function kept<T extends { expiresMs?: number }>(id: unknown, ask: () => Promise<T>): Promise<T> {
  const key = createHash('sha256').update(JSON.stringify(id)).digest('hex');
  const known = byId.get(key);
  if (known && known.renewMs > Date.now()) return known.value as T;
  const value = await ask();
  byId.delete(key);
  byId.set(key, { value, renewMs: (value.expiresMs ?? 0) - renewBeforeMs });
  for (const oldest of byId.keys()) {
    if (byId.size <= maxKept) break;
    byId.delete(oldest);
  }
  return value;
}
