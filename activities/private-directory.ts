// Directories that only this process may read and that may hold secrets for as long as a process works in them. Their names
// tell who made them, so that a worker can remove at its start what one that was killed has left.
import { existsSync, readdirSync } from 'node:fs';
import { copyFile, link, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** Longer than any build lasts. */
const longestUseMs = 15 * 60_000;

/**
 * Makes a directory for one purpose (a lower-case word) below `root`, with mode 0700. The caller removes it; once `owner`,
 * a process, is gone it counts as abandoned.
 */
export async function makePrivateDirectory(root: string, purpose: string, owner = process.pid): Promise<string> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  return await mkdtemp(join(root, `${purpose}.${hostname()}.${owner}.`)); // mkdtemp makes it 0700
}

/**
 * Removes what processes that are gone have left below `root`, for a worker that starts. A directory of a process that
 * lives on this machine stays, and one of another machine (on a shared volume) as long as it is younger than the longest use
 * of any of them.
 */
export async function removeAbandoned(root: string, abandonedAfterMs = longestUseMs): Promise<void> {
  for (const name of await readdir(root).catch(() => [])) {
    const path = join(root, name);
    const info = await stat(path).catch(() => undefined);
    if (info && isAbandoned(name, Date.now() - info.mtimeMs, abandonedAfterMs))
      await rm(path, { recursive: true, force: true });
  }
}

/**
 * Removes what is below `root` at this moment and was made for this process, when all that worked in it has ended. Not by
 * {@link removeAbandoned}, which looks a while: others may have been made by then.
 */
export async function removeOwn(root: string): Promise<void> {
  const isOwn = (name: string): boolean => name.includes(`.${hostname()}.${process.pid}.`);
  const own = existsSync(root) ? readdirSync(root).filter(isOwn) : [];
  await Promise.all(own.map((name) => rm(join(root, name), { recursive: true, force: true, maxRetries: 3 })));
}

function isAbandoned(name: string, ageMs: number, abandonedAfterMs: number): boolean {
  const [, host, pid] = /^[a-z]+\.(.+)\.(\d+)\.[^.]+$/.exec(name) ?? [];
  if (host !== hostname()) return ageMs > abandonedAfterMs;
  // In a container every start may have the same pid: what has ours was made by the one before.
  return Number(pid) === process.pid || !isAlive(Number(pid)) || ageMs > abandonedAfterMs;
}

/** Puts a file that nobody writes to into a private directory: a hard link to it where that can be. */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    // Another file system, one without hard links, or a file that has too many.
    if (!['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await copyFile(from, to);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
