// Bucket: which objects are in it, those that changed since the last time, and the artifact of all (contract 1.5).
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Bucket } from '../../../k8s/api/bucket.ts';
import { parseDuration } from '../../../k8s/duration.ts';
import { type NamespacedName, refOf } from '../../../k8s/object.ts';
import type { ArtifactStore } from '../../artifact/artifact.ts';
import { failure } from '../../errors.ts';
import { ignoreFileName } from '../ignore.ts';
import type { ArchivedRevision, SourceDriver } from '../source-driver.ts';
import { isStored } from '../stored.ts';
import { certificateHint } from '../git/remote-error.ts';
import { type BucketAccess, bucketFailure } from './bucket-error.ts';
import { type BucketStorage, ObjectChanged, type StoredObject } from './bucket-storage.ts';
import { createObjectCaches, type ObjectCache } from './object-cache.ts';
import { type BucketLimits, defaultBucketLimits, indexObjects, type ObjectIndex, textOfKey } from './object-index.ts';
import { openStorage, type OpenStorageDeps } from './open-storage.ts';

/** What the driver needs from outside. */
export interface BucketSourceDeps extends OpenStorageDeps {
  store: ArtifactStore;
  /** Downloaded objects are kept under `<dataDirectory>/bucket`. */
  dataDirectory: string;
  limits?: Partial<BucketLimits>;
  /** Downloaded objects of all Buckets together. @default 4 GiB */
  maxCachedBytes?: number;
}

/** Downloads of one Bucket at the same time. */
const concurrentDownloads = 8;
/** How often a bucket that changes while it is read is listed anew. */
const maxListings = 3;
/** Objects of a listing that are looked at, for each that may be in the artifact. */
const listedPerAllowed = 10;
/** Keys of all of them together; an S3 key has at most 1,024 bytes. */
const maxListedKeyBytes = 128 * 1024 * 1024;
/** Largest `.sourceignore`. */
const maxIgnoreFileBytes = 1024 * 1024;
/** Listings kept between the fetch and the archive stage. */
const maxListingsKept = 16;
const latestLink = 'latest.tar.gz';

interface Listing extends ObjectIndex {
  /** What the `.sourceignore` is kept under. */
  ignoreId?: string;
}

interface Opened extends BucketAccess {
  object: Bucket;
  owner: NamespacedName;
  storage: BucketStorage;
  cache: ObjectCache;
  signal: AbortSignal;
}

export function createBucketSource(deps: BucketSourceDeps): SourceDriver<Bucket> {
  const { store } = deps;
  const limits = { ...defaultBucketLimits, ...deps.limits };
  const caches = createObjectCaches(join(deps.dataDirectory, 'bucket'), deps.maxCachedBytes ?? 4 * 1024 ** 3);
  /** Owner → what the fetch stage has seen; another worker lists again. */
  const seen = new Map<string, Listing>();

  /** Opens the storage and runs a step on it, within `spec.timeout`. */
  async function onStorage<T>(object: Bucket, signal: AbortSignal, step: (opened: Opened) => Promise<T>): Promise<T> {
    const { spec } = object;
    const { namespace, name } = refOf(object);
    const timeout = AbortSignal.timeout(parseDuration(spec.timeout ?? '60s'));
    const isByIdentity = spec.provider !== 'generic' || spec.sts !== undefined;
    const login = spec.secretRef ? 'secret' : isByIdentity ? 'identity' : 'none';
    const hint = certificateHint(spec.insecure ? 'http:' : 'https:', false);
    const owner = { namespace, name };
    const storage = await openStorage(object, deps);
    try {
      const both = AbortSignal.any([signal, timeout]);
      return await step({ object, owner, storage, cache: caches.of(owner), login, hint, signal: both });
    } catch (error) {
      signal.throwIfAborted();
      if (!timeout.aborted) throw error;
      const message = `${storage.name} did not answer within spec.timeout (${spec.timeout ?? '60s'})`;
      throw failure('BucketOperationFailed', `${message}: raise it, or leave out what is not needed`, { cause: error });
    }
  }

  async function list(opened: Opened): Promise<Listing> {
    const { object, storage, signal } = opened;
    let index: Listing;
    try {
      const objects: StoredObject[] = [];
      let keyBytes = 0;
      for await (const page of storage.list(signal)) {
        for (const one of page) {
          objects.push(one);
          keyBytes += one.keyBytes.byteLength;
        }
        const maxListed = limits.maxObjects * listedPerAllowed;
        if (objects.length > maxListed) throw new Error(`there are more than ${maxListed} objects: use spec.prefix`);
        if (keyBytes > maxListedKeyBytes) {
          throw new Error(`the keys have more than ${maxListedKeyBytes} bytes together: use spec.prefix`);
        }
      }
      const listed = objects.find(({ keyBytes }) => textOfKey(keyBytes) === ignoreFileName);
      const ignoreFile = await readIgnoreFile(opened, listed);
      index = {
        ...indexObjects(objects, { ignoreFile, ignore: object.spec.ignore, limits }),
        ...(listed ? { ignoreId: idOf(storage, ignoreFileName, listed) } : {}),
      };
    } catch (error) {
      throw bucketFailure('listing', storage, error, opened);
    }
    const key = `${opened.owner.namespace}/${opened.owner.name}`;
    seen.delete(key);
    seen.set(key, index);
    for (const oldest of seen.keys()) {
      if (seen.size <= maxListingsKept) break;
      seen.delete(oldest);
    }
    return index;
  }

  /** The `.sourceignore` in the bucket's root, which spec.prefix may keep out of the listing. */
  async function readIgnoreFile(opened: Opened, listed: StoredObject | undefined): Promise<string | undefined> {
    const { storage, cache, object, signal } = opened;
    if (!listed) {
      if (ignoreFileName.startsWith(object.spec.prefix ?? '')) return undefined;
      const content = await storage.readAny(ignoreFileName, signal);
      return content && (await textOfIgnoreFile(content));
    }
    if (listed.sizeBytes > maxIgnoreFileBytes) throw ignoreFileTooLarge();
    const id = idOf(storage, ignoreFileName, listed);
    if (!(await cache.has(id))) await download(opened, ignoreFileName, listed);
    return Buffer.from((await cache.read(id)) ?? []).toString('utf8');
  }

  async function download({ storage, cache, signal }: Opened, path: string, object: StoredObject): Promise<void> {
    const content = await storage.read(path, object, signal);
    await cache.write(idOf(storage, path, object), checked(content, path, object), signal);
  }

  /** Downloads what is not there from before. A bucket that changes meanwhile is listed again. */
  async function downloadAll(opened: Opened, known: Listing | undefined): Promise<Listing> {
    for (let listing = 1; ; listing++) {
      const index = (listing === 1 ? known : undefined) ?? (await list(opened));
      try {
        await concurrently(concurrentDownloads, index.files, async ([path, object]) => {
          opened.signal.throwIfAborted();
          if (!(await opened.cache.has(idOf(opened.storage, path, object)))) await download(opened, path, object);
        });
        return index;
      } catch (error) {
        opened.signal.throwIfAborted();
        if (error instanceof ObjectChanged && listing < maxListings) continue;
        throw bucketFailure('downloading from', opened.storage, error, opened);
      }
    }
  }

  /** The content of a file; one that was removed from the cache meanwhile is downloaded again. */
  async function contentOf(opened: Opened, path: string, object: StoredObject): Promise<Uint8Array> {
    const { storage, cache, signal } = opened;
    signal.throwIfAborted();
    const id = idOf(storage, path, object);
    const content = await cache.read(id);
    if (content?.length === object.sizeBytes) return content;
    try {
      await download(opened, path, object);
    } catch (error) {
      throw bucketFailure('downloading from', storage, error, opened);
    }
    return (await cache.read(id)) ?? new Uint8Array();
  }

  return {
    fetch: (object, signal) =>
      onStorage(object, signal, async (opened) => {
        const { revision } = await list(opened);
        const isSame = object.status?.observedIgnore === object.spec.ignore && object.status?.url !== undefined;
        return { revision, isUnchanged: isSame && (await isStored(store, object, revision)) };
      }),

    archive: (object, fetched, signal) =>
      onStorage(object, signal, async (opened): Promise<ArchivedRevision> => {
        const { owner, storage, cache } = opened;
        const last = seen.get(`${owner.namespace}/${owner.name}`);
        const known = last?.revision === fetched.revision ? last : undefined;
        const { files, revision, ignoreId } = await downloadAll(opened, known);
        let sizeBytes = 0;
        const archived = [...files].map(([path, stored]) => {
          sizeBytes += stored.sizeBytes;
          const content = (): Promise<Uint8Array> => contentOf(opened, path, stored);
          const contentId = idOf(storage, path, stored);
          return { path, isExecutable: false, contentId, sizeBytes: stored.sizeBytes, content };
        });
        const artifactOwner = { kind: object.kind, ...owner };
        const fileName = `${revision.slice('sha256:'.length)}.tar.gz`;
        const artifact = await store.publish(artifactOwner, fileName, revision, archived);
        const url = await store.link(artifactOwner, latestLink, artifact);
        const ids = [...files].map(([path, stored]) => idOf(storage, path, stored));
        await cache.keepOnly(new Set(ignoreId === undefined ? ids : [...ids, ignoreId]));
        await caches.shrink(owner);
        const { ignore, bucketName } = object.spec;
        return {
          artifact,
          isNew: artifact.digest !== object.status?.artifact?.digest,
          message: `stored artifact with ${files.size} fetched files from '${bucketName}' bucket`,
          conditionMessage: `stored artifact: revision '${revision}'`,
          fileCount: files.size,
          sizeBytes,
          observed: { url, ...(ignore === undefined ? {} : { observedIgnore: ignore }) },
        };
      }),

    remove: (owner) => caches.remove(owner),
  };
}

/** What a download is kept under: the very same content, as far as the storage can tell. */
function idOf(storage: BucketStorage, path: string, { etag, version = '', sizeBytes }: StoredObject): string {
  return JSON.stringify([storage.name, path, etag, version, sizeBytes]);
}

/** Passes content on, and fails at its end when it is not what the listing promised. */
async function* checked(
  content: AsyncIterable<Uint8Array>,
  path: string,
  { sizeBytes, md5 }: StoredObject,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('md5');
  let seenBytes = 0;
  for await (const chunk of content) {
    seenBytes += chunk.length;
    if (seenBytes > sizeBytes) break;
    if (md5 !== undefined) hash.update(chunk);
    yield chunk;
  }
  if (seenBytes !== sizeBytes) {
    const got = seenBytes > sizeBytes ? 'more' : `${seenBytes}`;
    throw new Error(`the content of "${path}" is not what was listed: expected ${sizeBytes} bytes, got ${got}`);
  }
  if (md5 !== undefined && hash.digest('base64') !== md5) {
    throw new Error(`the content of "${path}" is not what was listed: its MD5 does not match`);
  }
}

function ignoreFileTooLarge(): Error {
  return failure('SourceIgnoreError', `"${ignoreFileName}" has more than the ${maxIgnoreFileBytes} bytes allowed`);
}

async function textOfIgnoreFile(content: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of content) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxIgnoreFileBytes) throw ignoreFileTooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Does work on every item, a few at a time; the first failure ends it once those under way are over. */
async function concurrently<T>(count: number, items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let failed: { error: unknown } | undefined;
  async function worker(): Promise<void> {
    for (let next = iterator.next(); !next.done && !failed; next = iterator.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failed ??= { error };
      }
    }
  }
  await Promise.all(Array.from({ length: count }, worker));
  if (failed) throw failed.error;
}
