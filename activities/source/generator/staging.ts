// The files of an artifact while it is put together: paths, digests and where the content is. Nothing is copied on disk.
import { createHash } from 'node:crypto';
import type { ArchiveFile } from '../../artifact/artifact.ts';
import { pathProblem } from '../../artifact/tar-path.ts';
import { parentsOf } from './source-tree.ts';

/** A file with the name of its content. */
export interface StagedFile {
  /** Hex sha256. */
  digest: string;
  isExecutable: boolean;
  sizeBytes: number;
  content(): Promise<Uint8Array>;
}

export interface StagingLimits {
  maxFiles: number;
  maxBytes: number;
}

/** As for the artifacts of a source: what is larger could not be unpacked by those who use it. */
export const defaultStagingLimits: StagingLimits = { maxFiles: 100_000, maxBytes: 1024 ** 3 };

export interface Staging {
  /** Puts a file in place of what is there. Throws an `Error` for an unsafe path, a directory, and beyond the limits. */
  put(path: string, file: StagedFile): void;
  get(path: string): StagedFile | undefined;
  isDirectory(path: string): boolean;
  /** For the archive. */
  files(): ArchiveFile[];
  /** Hex sha256 over paths, modes and contents. */
  contentDigest(): string;
}

export function createStaging({ maxFiles, maxBytes }: StagingLimits = defaultStagingLimits): Staging {
  const files = new Map<string, StagedFile>();
  const directories = new Set<string>();
  let sizeBytes = 0;

  return {
    put(path, file) {
      const problem = pathProblem(path);
      if (problem) throw new Error(`"${path.slice(0, 200)}" cannot be in an artifact: it ${problem}`);
      if (isNeverPacked(path)) return;
      if (directories.has(path)) throw new Error(`"${path}" is a directory in the artifact already`);
      const parents = parentsOf(path);
      const inTheWay = parents.find((parent) => files.has(parent));
      if (inTheWay !== undefined) throw new Error(`"${inTheWay}" is a file in the artifact already, and no directory`);
      sizeBytes += file.sizeBytes - (files.get(path)?.sizeBytes ?? 0);
      files.set(path, file);
      for (const parent of parents) directories.add(parent);
      if (files.size > maxFiles) throw new Error(`the artifact has more than the ${maxFiles} files allowed`);
      if (sizeBytes > maxBytes) throw new Error(`the artifact has more than the ${maxBytes} bytes allowed`);
    },
    get: (path) => files.get(path),
    isDirectory: (path) => path === '' || directories.has(path),
    files: () =>
      [...files].map(([path, { digest, isExecutable, sizeBytes: size, content }]) => ({
        path,
        isExecutable,
        contentId: digest,
        sizeBytes: size,
        content,
      })),
    contentDigest() {
      const lines = [...files].map(([path, { digest, isExecutable }]) => JSON.stringify([path, digest, isExecutable]));
      return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
    },
  };
}

/** No artifact holds these (contract 1.0, "Ignore rules"). */
function isNeverPacked(path: string): boolean {
  const names = path.split('/');
  return names.includes('.git') || ['.gitignore', '.gitmodules', '.gitattributes'].includes(names.at(-1) ?? '');
}
