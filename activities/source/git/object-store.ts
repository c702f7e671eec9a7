// The kept bare store of one repository: packs as they were fetched, with an index each, and objects read by id. There is no
// checkout, no refs and no configuration; `kept.json`, written last, says which commit is complete.
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { failure, messageOf } from '../../errors.ts';
import { indexLargePack, type LargePackOptions } from './git-binary.ts';
import {
  formatIndex,
  type GitObject,
  type ObjectType,
  parseCommit,
  parseIndex,
  parseTree,
  type TreeEntry,
} from './pack-format.ts';
import { indexPack } from './pack-indexer.ts';
import { createPackReader, openPack, type OpenPack } from './pack-reader.ts';

export type { TreeEntry } from './pack-format.ts';

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

export interface ObjectStore {
  state: KeptState;
  hasCommit(oid: string): Promise<boolean>;
  hasTag(oid: string): Promise<boolean>;
  // All reads throw DamagedStoreError for an object that is not there or cannot be read.
  /** The root tree and message of a commit. */
  readCommit(oid: string): Promise<{ tree: string; message: string }>;
  readTree(oid: string): Promise<TreeEntry[]>;
  readBlob(oid: string): Promise<Uint8Array>;
  /** An object as it is stored, without its header. */
  readObject(oid: string): Promise<GitObject>;
  /**
   * Stores a pack stream. Fails with GitOperationFailed when it is larger than allowed or has too many objects, throws
   * when it is damaged, and the signal's reason when that is aborted.
   */
  addPack(stream: AsyncIterable<Buffer>, maxBytes: number, signal: AbortSignal): Promise<void>;
  /** Notes the commit that is complete now. */
  keep(head: string, isShallow: boolean): Promise<void>;
  /** Deletes all objects. */
  drop(): Promise<void>;
  /** Lets go of the files; what is read after that opens them again. */
  close(): void;
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
export async function openObjectStore(directory: string, large: LargePackOptions = {}): Promise<ObjectStore> {
  const packs = join(directory, 'objects', 'pack');
  const stateFile = join(directory, 'kept.json');
  await mkdir(packs, { recursive: true, mode: 0o700 });
  /** Opened when the first object is read. */
  let opened: OpenPack[] | undefined;
  const reader = createPackReader(() => opened ?? []);

  function close(): void {
    for (const pack of opened ?? []) pack.close();
    opened = undefined;
  }

  async function open(): Promise<void> {
    if (opened) return;
    const found: OpenPack[] = [];
    try {
      for (const file of (await readdir(packs)).sort()) {
        if (!file.startsWith('pack-') || !file.endsWith('.idx')) continue;
        const name = file.slice(0, -'.idx'.length);
        const index = parseIndex(await readFile(join(packs, file)));
        found.push(openPack(name, join(packs, `${name}.pack`), index));
      }
    } catch (error) {
      for (const pack of found) pack.close();
      throw error;
    }
    opened = found;
  }

  async function write(state: KeptState): Promise<void> {
    const temporary = `${stateFile}.tmp`;
    await writeFile(temporary, JSON.stringify({ formatVersion, ...state }), { mode: 0o600 });
    await rename(temporary, stateFile);
    store.state = state;
  }

  /** Whatever goes wrong is a damaged store, except what a stage says itself of the content. */
  async function guarded<T>(oid: string, work: () => Promise<T>): Promise<T> {
    try {
      await open();
      return await work();
    } catch (error) {
      if (error instanceof Error && error.name === 'ApplicationFailure') throw error;
      throw new DamagedStoreError(`object ${oid} cannot be read: ${messageOf(error)}`, { cause: error });
    }
  }

  async function read(oid: string, expected?: ObjectType): Promise<GitObject> {
    return await guarded(oid, async () => {
      const object = await reader.read(oid);
      if (!object) throw new Error('it is not there');
      if (expected && object.type !== expected) throw new Error(`it is a ${object.type}, expected a ${expected}`);
      refuseOversized(object);
      return object;
    });
  }

  async function has(oid: string, type: ObjectType): Promise<boolean> {
    if (store.state.packCount === 0) return false;
    return await guarded(oid, async () => (await reader.read(oid))?.type === type);
  }

  /** Makes the index of a pack that was received; deltas may build on what is kept already. */
  async function index(name: string, file: string, sizeBytes: number, signal: AbortSignal): Promise<void> {
    // Later packs are thin, and Git has only what is in the file.
    if (store.state.packCount === 0 && (await indexLargePack(file, sizeBytes, large, signal))) return;
    await open();
    const pack = openPack(name, file, { offsetOf: () => undefined, entryAt: () => undefined });
    try {
      const entries = await indexPack(pack, opened ?? [], signal);
      const content = formatIndex(entries, pack.read(pack.sizeBytes - trailerBytes, trailerBytes));
      await writeFile(file.replace(/\.pack$/, '.idx'), content, { mode: 0o600 });
    } finally {
      pack.close();
    }
  }

  const state = await readState(stateFile);
  const store: ObjectStore = {
    state: state ?? { ...emptyState },

    hasCommit: (oid) => has(oid, 'commit'),
    hasTag: (oid) => has(oid, 'tag'),

    async readCommit(oid) {
      const { content } = await read(oid, 'commit');
      return await guarded(oid, async () => parseCommit(content));
    },

    async readTree(oid) {
      const { content } = await read(oid, 'tree');
      return await guarded(oid, async () => parseTree(content));
    },

    async readBlob(oid) {
      return (await read(oid, 'blob')).content;
    },

    readObject: (oid) => read(oid),

    async addPack(stream, maxBytes, signal) {
      const name = `incoming-${randomBytes(6).toString('hex')}`;
      const file = join(packs, `${name}.pack`);
      try {
        const pack = await receivePack(stream, file, maxBytes);
        if (pack.objectCount === 0) return;
        await index(name, file, pack.sizeBytes, signal);
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
      } finally {
        close(); // there is one more now
        await rm(file, { force: true });
        await rm(join(packs, `${name}.idx`), { force: true });
      }
    },

    async keep(head, isShallow) {
      await write({ ...store.state, head, isShallow });
    },

    close,

    async drop() {
      close();
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

const mebibyte = 1024 * 1024;
/** What is parsed as a whole is bounded far beyond an honest one: 16 MiB are a directory of 100,000 long names. */
const maxParsedBytes: Partial<Record<ObjectType, number>> = {
  commit: 4 * mebibyte,
  tag: 4 * mebibyte,
  tree: 16 * mebibyte,
};
/** Each takes some hundred bytes of memory while the pack is indexed; a commit of 100,000 files has about twice as many. */
const maxPackObjects = 1_000_000;

function refuseOversized({ type, content }: GitObject): void {
  const allowed = maxParsedBytes[type];
  if (allowed === undefined || content.length <= allowed) return;
  throw failure(
    'GitOperationFailed',
    `the commit has a ${type} of ${content.length} bytes, more than the ${allowed} allowed`,
  );
}

function refuseMany(objectCount: number): void {
  if (objectCount <= maxPackObjects) return;
  throw failure(
    'GitOperationFailed',
    `the server sends ${objectCount} objects at once, more than the ${maxPackObjects} allowed: ` +
      'keep manifests in a repository of their own',
  );
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
      if (head.length < headBytes) {
        head = Buffer.concat([head, chunk.subarray(0, headBytes - head.length)]);
        if (head.length === headBytes) refuseMany(head.readUInt32BE(8));
      }
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
