// The bytes of an artifact that is used as it is: an index, a chart. Downloaded, verified, and gone from the disk again.
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Artifact } from './artifact.ts';
import { type DownloadOptions, downloadArtifact } from './download.ts';

export interface ReadArtifactOptions extends Omit<DownloadOptions, 'maxDownloadBytes'> {
  /** For the downloads under way. */
  directory: string;
}

export type ReadArtifact = (
  artifact: Pick<Artifact, 'digest' | 'url' | 'revision'>,
  maxBytes: number,
  signal: AbortSignal,
) => Promise<Uint8Array<ArrayBuffer>>;

/** Gives a function that reads artifacts. It fails as `downloadArtifact` does: ArtifactFailed. */
export function createReadArtifact({ directory, ...options }: ReadArtifactOptions): ReadArtifact {
  return async (artifact, maxBytes, signal) => {
    const file = join(directory, `${process.pid}-${randomBytes(6).toString('hex')}`);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    try {
      await downloadArtifact(artifact, file, { ...options, maxDownloadBytes: maxBytes }, signal);
      return Uint8Array.from(await readFile(file));
    } finally {
      await rm(file, { force: true });
    }
  };
}
