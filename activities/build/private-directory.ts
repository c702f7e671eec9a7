// Directories that only this process may read and that may hold secrets for the moment of a build. Their names tell who
// made them, so that a worker can remove at its start what one that was killed has left.
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** Longer than any build lasts: what another machine made and is older than this is nobody's any more. */
const abandonedAfterMs = 15 * 60_000;

/** Makes a directory for one purpose (a lower-case word) below `root`, with mode 0700. The caller removes it. */
export async function makePrivateDirectory(root: string, purpose: string): Promise<string> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  return await mkdtemp(join(root, `${purpose}.${hostname()}.${process.pid}.`)); // mkdtemp makes it 0700
}

/**
 * Removes what processes that are gone have left below `root`, for a worker that starts. A directory of a process that
 * lives on this machine stays, and one of another machine (on a shared volume) as long as it is young.
 */
export async function removeAbandoned(root: string, nowMs = Date.now()): Promise<void> {
  for (const name of await readdir(root).catch(() => [])) {
    const path = join(root, name);
    const info = await stat(path).catch(() => undefined);
    if (info && isAbandoned(name, nowMs - info.mtimeMs)) await rm(path, { recursive: true, force: true });
  }
}

function isAbandoned(name: string, ageMs: number): boolean {
  const [, host, pid] = /^[a-z]+\.(.+)\.(\d+)\.[^.]+$/.exec(name) ?? [];
  if (host !== hostname()) return ageMs > abandonedAfterMs;
  // In a container every start may have the same pid: what has ours was made by the one before.
  return Number(pid) === process.pid || !isAlive(Number(pid)) || ageMs > abandonedAfterMs;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
