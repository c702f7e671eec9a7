// Built manifests in the artifact store: content-addressed sealed blobs, and the index from build key to content.
// A set of manifests travels between stages and through Temporal as its digest alone.
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { failure, messageOf } from '../errors.ts';
import type { ArtifactStore } from './artifact.ts';
import type { Sealer } from './sealing.ts';

/** A stored set of manifests. */
export interface StoredManifests {
  /** `sha256:<hex>` of the canonical JSON: keys sorted, objects sorted by identity. */
  digest: string;
  count: number;
  /** Of the canonical JSON, before compression. */
  sizeBytes: number;
}

/** Keeps manifests; losing a blob costs a rebuild, never correctness. */
export interface ManifestStore {
  /** Stores objects; storing the same ones again, in any order, is harmless and gives the same digest. */
  put(objects: readonly KubeObject[]): Promise<StoredManifests>;
  /**
   * The objects of a digest, sorted by identity and deeply frozen: readers share them.
   * Fails with reason StorageOperationFailed when the blob is lost or damaged, so that the caller builds again.
   */
  get(digest: string): Promise<readonly KubeObject[]>;
  /** The objects if they are in memory now. */
  peek(digest: string): readonly KubeObject[] | undefined;
  /** Remembers what a build key gave. */
  remember(buildKey: string, stored: StoredManifests): Promise<void>;
  /** What a build key gave, as long as its blob is there. */
  lookup(buildKey: string): Promise<StoredManifests | undefined>;
  /** What a build key gave, from memory alone; the blob may be gone. */
  peekKey(buildKey: string): StoredManifests | undefined;
  /** Forgets what the store has no more, so that it is stored again when it is built again. */
  forget(isGone: (digest: string) => boolean): void;
}

export interface ManifestStoreOptions {
  store: Pick<ArtifactStore, 'readBlob' | 'writeBlob'>;
  /** Manifests hold Secrets in plain text; they are stored sealed. */
  sealer: Sealer;
  /** Bound on the canonical JSON of the sets kept in memory. */
  maxCachedBytes: number;
}

interface CachedManifests extends StoredManifests {
  objects: readonly KubeObject[];
}

const maxRememberedKeys = 50_000;
const maxStoredBytes = 512 * 1024 * 1024;
const compress = promisify(gzip);
const decompress = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip);

export function createManifestStore({ store, sealer, maxCachedBytes }: ManifestStoreOptions): ManifestStore {
  const cached = new Map<string, CachedManifests>();
  const keys = new Map<string, StoredManifests>();
  let cachedBytes = 0;

  function touch(entry: CachedManifests): void {
    const known = cached.get(entry.digest);
    if (known) cached.delete(entry.digest);
    else cachedBytes += entry.sizeBytes;
    cached.set(entry.digest, known ?? entry);
    for (const [digest, oldest] of cached) {
      if (cachedBytes <= maxCachedBytes || cached.size === 1) break;
      cached.delete(digest);
      cachedBytes -= oldest.sizeBytes;
    }
  }

  function rememberInMemory(buildKey: string, stored: StoredManifests): void {
    keys.delete(buildKey);
    keys.set(buildKey, stored);
    if (keys.size > maxRememberedKeys) keys.delete(keys.keys().next().value ?? '');
  }

  async function put(objects: readonly KubeObject[]): Promise<StoredManifests> {
    const sorted = [...objects].sort(byIdentity);
    const text = canonicalJson(sorted);
    const digest = digestOf(text);
    const stored = { digest, count: sorted.length, sizeBytes: Buffer.byteLength(text) };
    if (!cached.has(digest)) {
      const sealed = sealer.seal(await compress(text, { level: 1 }), digest);
      await storage(store.writeBlob(manifestsBlob(digest), sealed));
      touch({ ...stored, objects: deepFreeze(JSON.parse(text) as KubeObject[]) });
    }
    return stored;
  }

  async function load(digest: string): Promise<CachedManifests | undefined> {
    const known = cached.get(digest);
    if (known) {
      touch(known);
      return known;
    }
    const blob = await storage(store.readBlob(manifestsBlob(digest)));
    // What was stored unsealed, or with a key that is lost, is lost as well: it is built again.
    const content = blob && sealer.open(blob, digest);
    if (!content) return undefined;
    const text = await inflate(content);
    if (text === undefined || digestOf(text) !== digest) return undefined;
    const objects = deepFreeze(JSON.parse(text) as KubeObject[]);
    const entry = { digest, count: objects.length, sizeBytes: Buffer.byteLength(text), objects };
    touch(entry);
    return entry;
  }

  async function get(digest: string): Promise<readonly KubeObject[]> {
    const entry = await load(digest);
    if (!entry) {
      for (const [buildKey, built] of keys) if (built.digest === digest) keys.delete(buildKey);
      throw failure('StorageOperationFailed', `manifests "${digest}" are lost or damaged; they have to be built again`);
    }
    return entry.objects;
  }

  async function remember(buildKey: string, stored: StoredManifests): Promise<void> {
    if (keys.get(buildKey)?.digest === stored.digest) return;
    await storage(store.writeBlob(keyBlob(buildKey), Buffer.from(stored.digest)));
    rememberInMemory(buildKey, stored);
  }

  async function lookup(buildKey: string): Promise<StoredManifests | undefined> {
    let digest = keys.get(buildKey)?.digest;
    if (!digest) {
      const blob = await storage(store.readBlob(keyBlob(buildKey)));
      digest = blob && Buffer.from(blob).toString('utf8');
    }
    const entry = digest && /^sha256:[0-9a-f]{64}$/.test(digest) ? await load(digest) : undefined;
    if (!entry) {
      keys.delete(buildKey);
      return undefined;
    }
    const { objects: _, ...stored } = entry;
    rememberInMemory(buildKey, stored);
    return stored;
  }

  return {
    put,
    get,
    peek: (digest) => cached.get(digest)?.objects,
    remember,
    lookup,
    peekKey: (buildKey) => keys.get(buildKey),
    forget(isGone) {
      for (const [buildKey, built] of keys) if (isGone(built.digest)) keys.delete(buildKey);
      for (const [digest, entry] of cached) {
        if (!isGone(digest)) continue;
        cached.delete(digest);
        cachedBytes -= entry.sizeBytes;
      }
    },
  };
}

/** JSON with the keys of every mapping sorted, so that equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    const entries = Object.entries(part);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  });
}

function byIdentity(left: KubeObject, right: KubeObject): number {
  const a = identityOf(left);
  const b = identityOf(right);
  return a < b ? -1 : a > b ? 1 : 0;
}

function identityOf(object: KubeObject): string {
  const { group, version, kind, namespace, name } = refOf(object);
  return [group, kind, namespace, name, version].join('\0');
}

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** The key of a digest's blob. */
export function manifestsBlob(digest: string): string {
  return `manifests/${digest.slice('sha256:'.length)}`;
}

/** The key of the blob that holds the digest which a build key gave. */
export function keyBlob(buildKey: string): string {
  return `builds/${buildKey}`;
}

async function inflate(blob: Uint8Array): Promise<string | undefined> {
  try {
    return (await decompress(Buffer.from(blob), { maxOutputLength: maxStoredBytes })).toString('utf8');
  } catch {
    return undefined; // a damaged blob is a lost one
  }
}

async function storage<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    const message = `artifact store cannot be read or written: ${messageOf(cause)}`;
    throw failure('StorageOperationFailed', message, { cause, isTransient: true });
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
