// Short-lived credentials by what they were given for, so that a poll does not log in each time, and a hundred sources
// of one registry log in once.
import { createHash } from 'node:crypto';
import { untilAborted } from '../until-aborted.ts';

/** What ends sometime; without `expiresMs` it is asked for each time. */
export interface Expiring {
  expiresMs?: number;
}

interface Kept {
  value: Expiring;
  renewMs: number;
}

const byId = new Map<string, Kept>();
const asking = new Map<string, Promise<Expiring>>();
const maxKept = 256;
const renewBeforeMs = 120_000;
/** Who may no longer log in is told an hour later at most. */
const maxKeptMs = 3_600_000;
/** For one login with all of its requests. */
const loginTimeoutMs = 15_000;

/**
 * What was given for `id` (anything that JSON can hold; only its digest is kept), or what `ask` gives now. Those who want
 * the same at the same time share one login, which has 15 s.
 */
export async function kept<T extends Expiring>(
  id: unknown,
  ask: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const key = createHash('sha256').update(JSON.stringify(id)).digest('hex');
  const known = byId.get(key);
  if (known && known.renewMs > Date.now()) return known.value as T;
  let asked = asking.get(key);
  if (!asked) {
    asked = askNow(key, ask).finally(() => asking.delete(key));
    asking.set(key, asked);
  }
  return (await untilAborted(asked, signal)) as T;
}

async function askNow(key: string, ask: (signal: AbortSignal) => Promise<Expiring>): Promise<Expiring> {
  const timeout = AbortSignal.timeout(loginTimeoutMs);
  let value: Expiring;
  try {
    value = await ask(timeout);
  } catch (error) {
    if (!timeout.aborted) throw error;
    throw new Error(`it did not answer within ${loginTimeoutMs / 1000} s`, { cause: error });
  }
  byId.delete(key);
  byId.set(key, { value, renewMs: Math.min((value.expiresMs ?? 0) - renewBeforeMs, Date.now() + maxKeptMs) });
  for (const oldest of byId.keys()) {
    if (byId.size <= maxKept) break;
    byId.delete(oldest);
  }
  return value;
}
