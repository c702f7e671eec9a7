// The artifacts of the S3 driver as files to be served and read: each is brought to disk once and served from there,
// as many consumers ask for a new artifact at the same moment. The disk holds a bounded cache and nothing else.
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { S3Client, S3Content } from '../s3-client.ts';
import { linkFolder } from './s3-store.ts';
import { servedFile, type ServedFiles, servedPath } from './served-files.ts';

export interface S3FilesOptions {
  client: S3Client;
  /** Beginning of every key; empty, or with `/` at its end. */
  prefix: string;
  /** Where files are kept; made when it is missing. */
  cacheDirectory: string;
  /** Bytes kept over all. @default 1 GiB */
  maxCacheBytes?: number;
}

const headTimeoutMs = 15_000;
const transferTimeoutMs = 900_000;
const maxLinkBytes = 1024;

/** Opens artifacts by their paths, and follows links. Throws what the storage throws when it does not answer. */
export function createS3Files(options: S3FilesOptions): ServedFiles {
  const { client, prefix, cacheDirectory, maxCacheBytes = 1024 ** 3 } = options;
  const flights = new Map<string, Promise<string>>();

  async function headOf(path: string): Promise<{ path: string; head: Omit<S3Content, 'body'> } | undefined> {
    const signal = AbortSignal.timeout(headTimeoutMs);
    const head = await client.head(prefix + path, signal);
    if (head) return { path, head };
    const link = await client.read(`${prefix}${linkFolder}/${path}`, signal);
    const target = link && servedPath(`${path.slice(0, path.lastIndexOf('/'))}/${await shortText(link)}`);
    const found = target === undefined ? undefined : await client.head(prefix + target, signal);
    return found && target !== undefined ? { path: target, head: found } : undefined;
  }

  /** The file on disk that holds a version of an artifact; those who want it at the same time share one download. */
  function bring(path: string, etag: string): Promise<string> {
    const name = createHash('sha256')
      .update(JSON.stringify([path, etag]))
      .digest('hex');
    const file = join(cacheDirectory, name);
    const flying = flights.get(name);
    if (flying) return flying;
    const flight = download(path, etag, file).finally(() => flights.delete(name));
    flights.set(name, flight);
    return flight;
  }

  async function download(path: string, etag: string, file: string): Promise<string> {
    const info = await stat(file).catch(() => undefined);
    if (info) {
      await utimes(file, new Date(), info.mtime).catch(() => undefined); // the access time says what goes first
      return file;
    }
    await mkdir(cacheDirectory, { recursive: true, mode: 0o700 });
    const temporary = join(cacheDirectory, `.tmp-${randomBytes(8).toString('hex')}`);
    try {
      const signal = AbortSignal.timeout(transferTimeoutMs);
      const content = await client.read(prefix + path, signal, { ifMatch: etag });
      if (!content) throw new Error('the artifact was removed meanwhile');
      await pipeline(content.body, createWriteStream(temporary, { mode: 0o600 }), { signal });
      const { size } = await stat(temporary);
      if (size !== content.sizeBytes) throw new Error(`expected ${content.sizeBytes} bytes, got ${size}`);
      await rename(temporary, file);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await shrink(file);
    return file;
  }

  async function shrink(newest: string): Promise<void> {
    const files = [];
    let sizeBytes = 0;
    for (const name of await readdir(cacheDirectory)) {
      const path = join(cacheDirectory, name);
      const info = await stat(path).catch(() => undefined);
      if (!info?.isFile()) continue;
      sizeBytes += info.size;
      files.push({ path, usedMs: info.atimeMs, sizeBytes: info.size });
    }
    for (const file of files.sort((a, b) => a.usedMs - b.usedMs)) {
      if (sizeBytes <= maxCacheBytes) return;
      if (file.path === newest) continue;
      await rm(file.path, { force: true }); // who reads it now reads on
      sizeBytes -= file.sizeBytes;
    }
  }

  return async (asked) => {
    const found = await headOf(asked);
    if (!found) return undefined;
    const { path, head } = found;
    let handle: FileHandle | undefined;
    return {
      ...head,
      async content(range) {
        if (head.sizeBytes > maxCacheBytes / 2 || (range && range.last - range.first + 1 < head.sizeBytes / 2)) {
          const read = await client.read(prefix + path, AbortSignal.timeout(transferTimeoutMs), {
            ifMatch: head.etag,
            ...(range ? { range } : {}),
          });
          if (!read) throw new Error('the artifact was removed meanwhile');
          return read.body;
        }
        handle = await open(await bring(path, head.etag), 'r');
        return await servedFile(handle, head.sizeBytes, head.modifiedMs).content(range);
      },
      close: async () => await handle?.close(),
    };
  };
}

async function shortText({ body }: S3Content): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxLinkBytes) return '';
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
