// The kept bare store of one repository: packs as they were fetched, objects read by id through isomorphic-git. There is
// no checkout, no refs and no configuration; `kept.json`, written last, says which commit is complete.
import { createHash, randomBytes } from 'node:crypto';
import fs, { createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import git, { Errors } from 'isomorphic-git';
import { failure, messageOf } from '../../errors.ts';

/** An object is missing or unreadable: the store has to be fetched anew. */
export class DamagedStoreError extends Error {
  override readonly name = 'DamagedStoreError';
}

/** True when a damaged store is what an error comes down to. */
export function isDamagedStore(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof DamagedStoreError) return true;
  }
  return false;
}

/** What the store holds. */
export interface KeptState {
  /** The commit that was fetched last: its tree is complete. */
  head?: string;
  /** True when the parents of the head are missing. */
  isShallow: boolean;
  /** Size of the first pack, against which growth is measured. */
  firstPackBytes: number;
  totalBytes: number;
  packCount: number;
}

/** One entry of a tree. */
export interface TreeEntry {
  name: string;
  /** Octal, e.g. `100644`. */
  mode: string;
  oid: string;
  type: 'blob' | 'tree' | 'commit';
}

export interface ObjectStore {
  state: KeptState;
  hasCommit(oid: string): Promise<boolean>;
  // All reads throw DamagedStoreError for an object that is not there or cannot be read.
  /** The root tree and message of a commit. */
  readCommit(oid: string): Promise<{ tree: string; message: string }>;
  readTree(oid: string): Promise<TreeEntry[]>;
  readBlob(oid: string): Promise<Uint8Array>;
  /** Stores a pack stream. Fails with GitOperationFailed when it is larger than allowed, throws when it is damaged. */
  addPack(stream: AsyncIterable<Buffer>, maxBytes: number): Promise<void>;
  /** Notes the commit that is complete now. */
  keep(head: string, isShallow: boolean): Promise<void>;
  /** Deletes all objects. */
  drop(): Promise<void>;
}

/**
 * Packs are thin: their deltas build on objects of older packs, and the same object may come again in a newer pack as a
 * delta of what was a delta of it (`git revert` does so). Readers take packs in the order of their names, so names tell
 * the age: an object is read from the oldest pack that has it, whose deltas lead to older ones and never in a circle.
 */
function packName(packCount: number, checksum: string): string {
  return `pack-${String(packCount).padStart(6, '0')}-${checksum}`;
}

const formatVersion = 2;
const emptyState: KeptState = { isShallow: false, firstPackBytes: 0, totalBytes: 0, packCount: 0 };
const maxPacks = 40;
const growthFactor = 4;
const growthAllowanceBytes = 64 * 1024 * 1024;

/** True when a store has collected so many increments that fetching it anew is cheaper to live with. */
export function isOvergrown(state: KeptState): boolean {
  return state.packCount >= maxPacks || state.totalBytes > growthFactor * state.firstPackBytes + growthAllowanceBytes;
}

/** Opens the store in a directory, which is made when it is missing; without a readable `kept.json` it is emptied. */
export async function openObjectStore(directory: string): Promise<ObjectStore> {
  const packs = join(directory, 'objects', 'pack');
  const stateFile = join(directory, 'kept.json');
  await mkdir(packs, { recursive: true, mode: 0o700 });
  // Holds opened packs; it lives as long as this object, so that memory is free again after each use.
  let cache: object = {};

  async function write(state: KeptState): Promise<void> {
    const temporary = `${stateFile}.tmp`;
    await writeFile(temporary, JSON.stringify({ formatVersion, ...state }), { mode: 0o600 });
    await rename(temporary, stateFile);
    store.state = state;
  }

  async function read(oid: string): Promise<{ type: string; object: Uint8Array }> {
    const result = await git.readObject({ fs, gitdir: directory, oid, format: 'content', cache });
    return result as { type: string; object: Uint8Array };
  }

  async function guarded<T>(oid: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw new DamagedStoreError(`object ${oid} cannot be read: ${messageOf(error)}`, { cause: error });
    }
  }

  const state = await readState(stateFile);
  const store: ObjectStore = {
    state: state ?? { ...emptyState },

    async hasCommit(oid) {
      if (store.state.packCount === 0) return false;
      return await guarded(oid, async () => {
        try {
          return (await read(oid)).type === 'commit';
        } catch (error) {
          if (error instanceof Errors.NotFoundError) return false;
          throw error;
        }
      });
    },

    async readCommit(oid) {
      const { commit } = await guarded(oid, () => git.readCommit({ fs, gitdir: directory, oid, cache }));
      return { tree: commit.tree, message: commit.message };
    },

    async readTree(oid) {
      const { tree } = await guarded(oid, () => git.readTree({ fs, gitdir: directory, oid, cache }));
      return tree.map(({ path, mode, oid: entryOid, type }) => ({ name: path, mode, oid: entryOid, type }));
    },

    async readBlob(oid) {
      const { type, object } = await guarded(oid, () => read(oid));
      if (type !== 'blob') throw new DamagedStoreError(`object ${oid} is a ${type}, expected a blob`);
      return object;
    },

    async addPack(stream, maxBytes) {
      const name = `incoming-${randomBytes(6).toString('hex')}`;
      const file = join(packs, `${name}.pack`);
      try {
        const pack = await receivePack(stream, file, maxBytes);
        if (pack.objectCount === 0) return;
        await git.indexPack({ fs, dir: packs, gitdir: directory, filepath: `${name}.pack`, cache });
        // Readers find a pack by its index, so the index comes last.
        const { firstPackBytes, totalBytes, packCount } = store.state;
        const kept = join(packs, packName(packCount, pack.checksum));
        await rename(file, `${kept}.pack`);
        await rename(join(packs, `${name}.idx`), `${kept}.idx`);
        await write({
          ...store.state,
          firstPackBytes: firstPackBytes || pack.sizeBytes,
          totalBytes: totalBytes + pack.sizeBytes,
          packCount: packCount + 1,
        });
        cache = {};
      } finally {
        await rm(file, { force: true });
        await rm(join(packs, `${name}.idx`), { force: true });
      }
    },

    async keep(head, isShallow) {
      await write({ ...store.state, head, isShallow });
    },

    async drop() {
      cache = {};
      await rm(directory, { recursive: true, force: true });
      await mkdir(packs, { recursive: true, mode: 0o700 });
      store.state = { ...emptyState };
    },
  };
  if (!state) await store.drop(); // packs that nobody accounts for must not be read
  return store;
}

/** undefined where there is none, or one of another version. */
async function readState(file: string): Promise<KeptState | undefined> {
  try {
    const { formatVersion: version, ...state } = JSON.parse(await readFile(file, 'utf8')) as Partial<KeptState> & {
      formatVersion?: number;
    };
    return version === formatVersion ? { ...emptyState, ...state } : undefined;
  } catch {
    return undefined;
  }
}

const trailerBytes = 20;
const headBytes = 12;

/** Writes a pack to a file while checking its size and its checksum (the last 20 bytes are the SHA-1 of the others). */
async function receivePack(
  stream: AsyncIterable<Buffer>,
  file: string,
  maxBytes: number,
): Promise<{ sizeBytes: number; objectCount: number; checksum: string }> {
  const hash = createHash('sha1');
  let sizeBytes = 0;
  let head: Buffer = Buffer.alloc(0);
  let tail: Buffer = Buffer.alloc(0);
  async function* checked(): AsyncGenerator<Buffer> {
    for await (const chunk of stream) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) {
        throw failure(
          'GitOperationFailed',
          `the repository is larger than the ${maxBytes} bytes allowed for one fetch: ` +
            'raise the limit, or keep manifests in a repository of their own',
        );
      }
      if (head.length < headBytes) head = Buffer.concat([head, chunk.subarray(0, headBytes - head.length)]);
      // The last 20 bytes seen so far may be the trailer, so they are held back from the hash.
      const seen = tail.length > 0 ? Buffer.concat([tail, chunk]) : chunk;
      const body = Math.max(0, seen.length - trailerBytes);
      hash.update(seen.subarray(0, body));
      tail = Buffer.from(seen.subarray(body));
      yield chunk;
    }
  }
  await pipeline(checked(), createWriteStream(file, { mode: 0o600 }));
  const checksum = tail.toString('hex');
  if (head.toString('latin1', 0, 4) !== 'PACK' || hash.digest('hex') !== checksum) {
    throw new Error('the pack that the server sent is damaged (wrong checksum)');
  }
  return { sizeBytes, objectCount: head.readUInt32BE(8), checksum };
}
