// A layer of unknown origin as files for an artifact: unpacked into a directory of its own within limits, links left out,
// ignore rules applied (contract 1.0 and 1.2).
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ArchiveFile } from '../../artifact/artifact.ts';
import { extractTarball, type ExtractLimits } from '../../artifact/extract.ts';
import { failure, messageOf } from '../../errors.ts';
import { withoutIgnored } from '../ignore.ts';

export interface ExtractLayerOptions {
  /** Where working directories are made; those of dead processes are removed from it. */
  directory: string;
  limits: ExtractLimits;
  /** `spec.ignore`. */
  ignore: string | undefined;
  signal: AbortSignal;
}

export interface ExtractedLayer {
  files: ArchiveFile[];
  /** Bytes of all files that are taken. */
  sizeBytes: number;
}

const workPrefix = 'layer-';
/** A working directory this old belongs to a process that died: a stage ends within the hour. */
const abandonedAfterMs = 2 * 3_600_000;

/**
 * Downloads and unpacks a layer, hands its files to `use` and cleans up. Fails with OCIArtifactLayerOperationFailed for
 * what is no gzipped tar archive or an unsafe one, with SourceIgnoreError for an ignore file that is too large; what the
 * download throws is passed on.
 */
export async function withExtractedLayer<T>(
  layer: AsyncIterable<Uint8Array>,
  { directory, limits, ignore, signal }: ExtractLayerOptions,
  use: (extracted: ExtractedLayer) => Promise<T>,
): Promise<T> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await removeAbandoned(directory);
  const work = join(directory, `${workPrefix}${process.pid}-${randomBytes(6).toString('hex')}`);
  try {
    const root = join(work, 'files');
    await mkdir(root, { recursive: true, mode: 0o700 });
    const tarball = join(work, 'layer');
    await pipeline(layer, createWriteStream(tarball, { mode: 0o600 }), { signal });
    await requireGzip(tarball);
    const { files } = await extract(tarball, root, limits, signal);
    await rm(tarball);
    return await use(await selectFiles(root, [...files.keys()], ignore, signal));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function requireGzip(tarball: string): Promise<void> {
  const handle = await open(tarball);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    if (bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b) return;
  } finally {
    await handle.close();
  }
  throw failure(
    'OCIArtifactLayerOperationFailed',
    'the layer is not a gzipped tar archive: choose another layer with spec.layerSelector.mediaType, or keep it as it is with spec.layerSelector.operation "copy"',
  );
}

async function extract(tarball: string, root: string, limits: ExtractLimits, signal: AbortSignal) {
  try {
    return await extractTarball(tarball, root, limits, signal);
  } catch (error) {
    signal.throwIfAborted();
    // An error of the file system names a place on this machine.
    const message = `the layer cannot be unpacked: ${messageOf(error).replaceAll(`${root}/`, '')}`;
    throw failure('OCIArtifactLayerOperationFailed', message, { cause: error });
  }
}

async function selectFiles(
  root: string,
  paths: string[],
  ignore: string | undefined,
  signal: AbortSignal,
): Promise<ExtractedLayer> {
  const all: ArchiveFile[] = [];
  for (const path of paths) {
    const info = await stat(join(root, path));
    all.push({
      path,
      isExecutable: (info.mode & 0o100) !== 0,
      sizeBytes: info.size,
      async content() {
        signal.throwIfAborted();
        return await readFile(join(root, path));
      },
    });
  }
  const files = await withoutIgnored(all, ignore);
  return { files, sizeBytes: files.reduce((sum, file) => sum + (file.sizeBytes ?? 0), 0) };
}

async function removeAbandoned(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.startsWith(workPrefix)) continue;
    const path = join(directory, name);
    const info = await stat(path).catch(() => undefined);
    if (info && Date.now() - info.mtimeMs > abandonedAfterMs) await rm(path, { recursive: true, force: true });
  }
}
