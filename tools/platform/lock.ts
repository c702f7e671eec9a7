// A lock between processes: a file that holds the owner's pid. It exists so that two processes never build the same
// binary or start the same platform at once. A lock whose owner is gone is taken over.
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, processIdentity } from './process-identity.ts';

/** How `withLock` waits. */
export interface LockOptions {
  /** Called once when somebody else holds the lock, with their pid. */
  onWait?: (pid: number) => void;
  /** How often the lock is tried again, in milliseconds. @default 200 */
  pollMs?: number;
  /** Ends the waiting. */
  signal?: AbortSignal | undefined;
}

/** Runs `work` while holding the lock file `path`; the lock is released whatever happens. */
export async function withLock<T>(path: string, options: LockOptions, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  let announced = false;
  while (!(await tryLock(path))) {
    const owner = await readOwner(path);
    if (owner && !announced) {
      announced = true;
      options.onWait?.(owner.pid);
    }
    await sleep(options.pollMs ?? 200, undefined, { signal: options.signal });
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function tryLock(path: string): Promise<boolean> {
  const content = JSON.stringify({ pid: process.pid, identity: processIdentity(process.pid) });
  try {
    const file = await open(path, 'wx');
    await file.writeFile(content);
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const owner = await readOwner(path);
  // An empty file is an owner between open and write: give it time.
  if (!owner || isAlive(owner.pid, owner.identity)) return false;
  // Renaming is atomic, so one of several waiters takes the stale lock away. A slow one may catch a fresh lock
  // instead; it sees the other owner and puts it back.
  const aside = `${path}.stale-${process.pid}`;
  await rename(path, aside).catch(() => undefined);
  const taken = await readOwner(aside);
  if (taken && taken.identity !== owner.identity) await rename(aside, path);
  else await rm(aside, { force: true });
  return false;
}

async function readOwner(path: string): Promise<{ pid: number; identity: string } | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as { pid: number; identity: string };
  } catch {
    return undefined;
  }
}
