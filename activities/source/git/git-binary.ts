// Large packs are indexed by the `git` binary, in a process of its own, so that the worker does other things meanwhile. It
// sees one file and nothing else: no network, no credentials, no repository, no configuration of the machine, and so no
// hooks and no filters.
import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../../errors.ts';

/** Which packs go to the binary. */
export interface LargePackOptions {
  /** The binary; where there is none, our own indexer takes its place. @default 'git' */
  gitBinary?: string;
  /** Packs above this size. @default 200 MiB */
  largePackBytes?: number;
}

const defaultLargePackBytes = 200 * 1024 * 1024;

/**
 * Writes the index beside a pack that is complete in itself (`x.pack` → `x.idx`). Gives false, and does nothing, for a
 * smaller pack and where there is no binary. Throws an `Error` with Git's words for a pack that is damaged, and the
 * signal's reason when that is aborted.
 */
export async function indexLargePack(
  file: string,
  sizeBytes: number,
  options: LargePackOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const { gitBinary = 'git', largePackBytes = defaultLargePackBytes } = options;
  if (sizeBytes <= largePackBytes) return false;
  try {
    await promisify(execFile)(gitBinary, ['-c', 'pack.threads=1', 'index-pack', '--object-format=sha1', file], {
      cwd: dirname(file),
      signal, // carries spec.timeout
      env: {
        PATH: process.env['PATH'],
        LC_ALL: 'C',
        HOME: '/nonexistent',
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_CEILING_DIRECTORIES: dirname(dirname(dirname(file))),
        GIT_ALLOW_PROTOCOL: 'none',
        GIT_TERMINAL_PROMPT: '0',
        GIT_LFS_SKIP_SMUDGE: '1',
      },
    });
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw new Error(`git cannot index the pack: ${wordsOf(error)}`, { cause: error });
  }
}

function wordsOf(error: unknown): string {
  const text = error instanceof Error && 'stderr' in error ? String(error.stderr) : messageOf(error);
  return `"${text
    .replaceAll(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, 300)}"`;
}
