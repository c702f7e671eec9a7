// Unpacks a tarball of unknown origin into an empty directory: regular files and directories only, inside of the
// directory, within limits. Symbolic and hard links are left out as contract 2.1 demands; devices are refused.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { pathProblem } from './tar-path.ts';
import { readTar, type TarReaderEntry } from './tar-reader.ts';

/** Bounds of an unpacked artifact. */
export interface ExtractLimits {
  /** Regular files and directories together. */
  maxFiles: number;
  /** Bytes of the unpacked tar stream. */
  maxBytes: number;
}

export interface ExtractedFiles {
  /** Path → hex sha256. */
  files: Map<string, string>;
  sizeBytes: number;
}

/** Unpacks `tarball` (.tar.gz) into `directory`. Throws an `Error` whose message names the entry and what is wrong. */
export async function extractTarball(
  tarball: string,
  directory: string,
  limits: ExtractLimits,
  signal: AbortSignal,
): Promise<ExtractedFiles> {
  const files = new Map<string, string>();
  const directories = new Set<string>(['.']);
  let entryCount = 0;
  let sizeBytes = 0;

  async function makeDirectory(path: string): Promise<void> {
    if (directories.has(path)) return;
    await mkdir(join(directory, path), { recursive: true, mode: 0o750 });
    for (let parent = path; !directories.has(parent); parent = dirname(parent)) directories.add(parent);
    // A file far down needs directories that no entry is for: a small archive could ask for millions.
    if (directories.size + files.size > limits.maxFiles) throw tooMany(limits.maxFiles);
  }

  async function writeEntry(path: string, entry: TarReaderEntry): Promise<void> {
    if (files.has(path)) throw new Error(`entry "${quote(path)}" is in the archive twice`);
    if (directories.has(path)) throw new Error(`entry "${quote(path)}" is a file and a directory`);
    // What an entry says of itself spares writing most of a bomb; a lie about it ends in the meter below.
    if (sizeBytes + entry.sizeBytes > limits.maxBytes) throw tooLarge(limits.maxBytes);
    await makeDirectory(dirname(path));
    const hash = createHash('sha256');
    // "wx" refuses whatever is there already, so nothing can be written through a link.
    const handle = await open(join(directory, path), 'wx', entry.isExecutable ? 0o700 : 0o600);
    try {
      for await (const chunk of entry.content()) {
        hash.update(chunk);
        await handle.write(chunk);
        sizeBytes += chunk.length;
      }
    } finally {
      await handle.close();
    }
    files.set(path, hash.digest('hex'));
  }

  const gunzip = createGunzip();
  const feeding = pipeline(createReadStream(tarball), gunzip, { signal });
  feeding.catch(() => undefined); // reading from gunzip throws the same error
  try {
    for await (const entry of readTar(metered(gunzip, limits.maxBytes))) {
      signal.throwIfAborted();
      if (++entryCount > limits.maxFiles) throw tooMany(limits.maxFiles);
      if (entry.kind === 'symlink' || entry.kind === 'hardlink') continue;
      const path = entry.path.replace(/^(\.\/)+/, '').replace(/\/+$/, '');
      if (entry.kind === 'directory' && (path === '' || path === '.') && !entry.path.startsWith('/')) continue;
      const problem = pathProblem(path);
      if (problem) throw new Error(`entry "${quote(entry.path)}" ${problem}`);
      if (entry.kind === 'device')
        throw new Error(`entry "${quote(entry.path)}" is a device, which no artifact may hold`);
      if (entry.kind === 'other') throw new Error(`entry "${quote(entry.path)}" is of an unknown type`);
      if (entry.kind === 'directory') {
        if (files.has(path)) throw new Error(`entry "${quote(path)}" is a file and a directory`);
        await makeDirectory(path);
      } else await writeEntry(path, entry);
    }
  } finally {
    gunzip.destroy();
  }
  return { files, sizeBytes };
}

async function* metered(stream: Readable, maxBytes: number): AsyncGenerator<Buffer> {
  let total = 0;
  for await (const chunk of stream) {
    total += (chunk as Buffer).length;
    if (total > maxBytes) throw tooLarge(maxBytes);
    yield chunk as Buffer;
  }
}

function tooMany(maxFiles: number): Error {
  return new Error(`the archive has more than the ${maxFiles} files and directories allowed`);
}

function tooLarge(maxBytes: number): Error {
  return new Error(`the unpacked archive has more than the ${maxBytes} bytes allowed`);
}

function quote(path: string): string {
  return path.slice(0, 200).replaceAll('\0', '\\0');
}
