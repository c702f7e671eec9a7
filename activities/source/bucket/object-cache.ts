// Downloaded objects on disk, a directory for each Bucket, so that only what changed is downloaded again. Another Bucket
// never gets what one has downloaded: it may have other rights. Losing it costs downloads.
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { NamespacedName } from '../../../k8s/object.ts';

/** The objects of one Bucket. */
export interface ObjectCache {
  has(id: string): Promise<boolean>;
  /** undefined when it was removed meanwhile. */
  read(id: string): Promise<Uint8Array | undefined>;
  /** Keeps content; what the stream throws keeps nothing. */
  write(id: string, content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  /** Removes everything but these. */
  keepOnly(ids: ReadonlySet<string>): Promise<void>;
}

export interface ObjectCaches {
  of(owner: NamespacedName): ObjectCache;
  remove(owner: NamespacedName): Promise<void>;
  /** Removes whole Buckets, those first that were used longest ago, until all together are within the limit. */
  shrink(except: NamespacedName): Promise<void>;
}

/** The caches under a directory; `maxBytes` bounds them all together. */
export function createObjectCaches(directory: string, maxBytes: number): ObjectCaches {
  const placeOf = ({ namespace, name }: NamespacedName): string => join(directory, digestOf(`${namespace}/${name}`));

  return {
    of(owner) {
      const place = placeOf(owner);
      const pathOf = (id: string): string => join(place, digestOf(id));
      return {
        async has(id) {
          return (await stat(pathOf(id)).catch(() => undefined))?.isFile() ?? false;
        },
        read: (id) => readFile(pathOf(id)).catch(() => undefined),
        async write(id, content, signal) {
          await mkdir(place, { recursive: true, mode: 0o700 });
          const temporary = join(place, `.tmp-${randomBytes(8).toString('hex')}`);
          try {
            await pipeline(content, createWriteStream(temporary, { mode: 0o600 }), { signal });
            await rename(temporary, pathOf(id));
          } catch (error) {
            await rm(temporary, { force: true });
            throw error;
          }
        },
        async keepOnly(ids) {
          const kept = new Set([...ids].map(digestOf));
          for (const name of await namesIn(place)) if (!kept.has(name)) await rm(join(place, name), { force: true });
          await utimes(place, new Date(), new Date()).catch(() => undefined);
        },
      };
    },

    remove: (owner) => rm(placeOf(owner), { recursive: true, force: true }),

    async shrink(except) {
      const places = [];
      for (const name of await namesIn(directory)) places.push(await measure(join(directory, name)));
      places.sort((a, b) => a.usedMs - b.usedMs);
      let sizeBytes = places.reduce((sum, place) => sum + place.sizeBytes, 0);
      for (const place of places) {
        if (sizeBytes <= maxBytes) return;
        if (place.path === placeOf(except)) continue;
        await rm(place.path, { recursive: true, force: true });
        sizeBytes -= place.sizeBytes;
      }
    },
  };
}

async function measure(path: string): Promise<{ path: string; usedMs: number; sizeBytes: number }> {
  const usedMs = (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;
  let sizeBytes = 0;
  for (const name of await namesIn(path)) sizeBytes += (await stat(join(path, name)).catch(() => undefined))?.size ?? 0;
  return { path, usedMs, sizeBytes };
}

async function namesIn(directory: string): Promise<string[]> {
  return await readdir(directory).catch(() => []);
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
