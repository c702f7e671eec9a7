// One user of a kept store at a time: a queue inside of the process, a lock file between processes.
import { open, readFile, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const refreshMs = 5_000;
/** A lock that was not refreshed for so long belongs to a process that is gone. */
const staleMs = 30_000;
const pollMs = 50;

const queues = new Map<string, Promise<void>>();

/** Runs `work` while holding the lock. Waiting ends with the signal's reason when it aborts. */
export async function withStoreLock<T>(path: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const before = queues.get(path) ?? Promise.resolve();
  const turn = Promise.withResolvers<void>();
  const tail = before.then(() => turn.promise);
  queues.set(path, tail);
  try {
    await abortable(before, signal);
    await acquire(path, signal);
    const refresh = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => undefined), refreshMs);
    refresh.unref();
    try {
      return await work();
    } finally {
      clearInterval(refresh);
      await rm(path, { force: true });
    }
  } finally {
    turn.resolve();
    if (queues.get(path) === tail) queues.delete(path);
  }
}

async function abortable(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function acquire(path: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    try {
      const handle = await open(path, 'wx', 0o600);
      await handle.writeFile(`${hostname()} ${process.pid}`);
      await handle.close();
      return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    if (await isStale(path)) await rm(path, { force: true });
    else await sleep(pollMs);
  }
}

/** In this process nobody holds the lock when it is our turn, so a lock with our own process id is a left-over. */
async function isStale(path: string): Promise<boolean> {
  try {
    const [text, info] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    if (Date.now() - info.mtimeMs > staleMs) return true;
    const [host, pid] = text.split(' ');
    if (host !== hostname() || !pid) return false;
    return Number(pid) === process.pid || !isAlive(Number(pid));
  } catch {
    return false; // released meanwhile
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
