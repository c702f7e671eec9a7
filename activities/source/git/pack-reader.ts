// Reads objects by id from the packs of a kept store. Native inflate, deltas resolved over all packs; contents are bounded
// before they are unpacked.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { crc32, inflate, inflateSync } from 'node:zlib';
import { failure } from '../../errors.ts';
import { createByteCache } from './byte-cache.ts';
import {
  applyDelta,
  type EntryHead,
  type GitObject,
  maxHeadBytes,
  type ObjectType,
  type PackIndex,
  parseEntryHead,
  resultBytesOfDelta,
} from './pack-format.ts';

/** One pack on disk. */
export interface OpenPack {
  /** How entries of this pack are told from those of others. */
  name: string;
  index: PackIndex;
  sizeBytes: number;
  /** Bytes from an offset on; fewer at the end of the file. */
  read(offset: number, sizeBytes: number): Buffer;
  close(): void;
}

export interface PackReader {
  /** An object of the oldest pack that has it; undefined when none has. */
  read(oid: string): Promise<GitObject | undefined>;
  /** The object of an entry. */
  readAt(place: EntryAddress): Promise<GitObject>;
}

/** Where an entry begins. */
export interface EntryAddress {
  pack: OpenPack;
  offset: number;
}

/** No file of a repository that is applied to a cluster comes near this. */
export const maxObjectBytes = 256 * 1024 * 1024;
/** Bases of deltas that are kept, as the next delta often has the same. */
const baseCacheBytes = 32 * 1024 * 1024;
const maxBaseBytes = 2 * 1024 * 1024;
/** The object that was read last is kept up to here, as packs have each delta behind its base. */
const maxLastBytes = 32 * 1024 * 1024;
/** Larger contents are inflated beside the event loop. */
const largeBytes = 256 * 1024;
/** Everything else gets its turn after so many bytes, as small contents never wait for anything. */
const bytesPerTurn = 4 * 1024 * 1024;
/** What reading an entry takes, whatever its size. */
const bytesPerEntry = 64 * 1024;
/** Git itself makes no longer chains than 4,095 in a pack. */
const maxChainLength = 10_000;
const trailerBytes = 20;

const inflateBeside = promisify<Uint8Array, object, Buffer>(inflate);

/** Opens a pack with its index. Throws the file system's error. */
export function openPack(name: string, file: string, index: PackIndex): OpenPack {
  const fd = openSync(file, 'r');
  return {
    name,
    index,
    sizeBytes: fstatSync(fd).size,
    read(offset, sizeBytes) {
      const buffer = Buffer.allocUnsafe(sizeBytes);
      return buffer.subarray(0, readSync(fd, buffer, 0, sizeBytes, offset));
    },
    close: () => closeSync(fd),
  };
}

/**
 * Reads over packs, oldest first. Reading throws an `Error` for what is damaged, and fails with GitOperationFailed for an
 * object that is larger than {@link maxObjectBytes}.
 */
export function createPackReader(packs: () => readonly OpenPack[]): PackReader {
  const bases = createByteCache(baseCacheBytes);
  let last: (EntryAddress & { object: GitObject }) | undefined;
  let bytesSinceTurn = 0;

  function find(oid: string): EntryAddress | undefined {
    for (const pack of packs()) {
      const offset = pack.index.offsetOf(oid);
      if (offset !== undefined) return { pack, offset };
    }
    return undefined;
  }

  async function read(oid: string): Promise<GitObject | undefined> {
    const place = find(oid);
    return place && (await readAt(place));
  }

  /** Goes down to an object that is whole, then up again: no more than one delta and its base are in memory. */
  async function readAt(place: EntryAddress): Promise<GitObject> {
    const deltas: EntryAddress[] = [];
    let object: GitObject | undefined;
    for (let at = place; !object; ) {
      const head = headOf(at);
      if (head.type === 'delta') {
        if (deltas.push(at) > maxChainLength) throw new Error(`a delta builds on more than ${maxChainLength} others`);
        at = baseOf(at, head);
        object = known(at);
      } else {
        object = { type: head.type, content: await contentOf(at) };
        if (deltas.length > 0) remember(at, object);
      }
    }
    for (let at = deltas.pop(); at; at = deltas.pop()) {
      const delta = await contentOf(at);
      refuseLarge(resultBytesOfDelta(delta));
      object = { type: object.type, content: applyDelta(object.content, delta) };
      bytesSinceTurn += object.content.length;
      if (deltas.length > 0) remember(at, object);
    }
    last = object.content.length > maxLastBytes ? undefined : { ...place, object };
    return object;
  }

  function baseOf({ pack, offset }: EntryAddress, { baseOid, baseDistance = 0 }: EntryHead): EntryAddress {
    if (baseOid !== undefined) {
      const base = find(baseOid);
      if (base) return base;
      throw new MissingBaseError(baseOid);
    }
    const at = offset - baseDistance;
    if (at <= 0 || baseDistance === 0) throw new Error('a delta has a base outside of the pack');
    return { pack, offset: at };
  }

  async function contentOf(at: EntryAddress): Promise<Buffer> {
    if (bytesSinceTurn > bytesPerTurn) {
      bytesSinceTurn = 0;
      await turn();
    }
    const content = await readContent(at);
    bytesSinceTurn += bytesPerEntry + content.length;
    return content;
  }

  function known({ pack, offset }: EntryAddress): GitObject | undefined {
    if (last?.offset === offset && last.pack === pack) return last.object;
    const kept = bases.get(`${pack.name} ${offset}`);
    return kept && typed(kept);
  }

  function remember({ pack, offset }: EntryAddress, { type, content }: GitObject): void {
    if (content.length > maxBaseBytes) return;
    bases.set(`${pack.name} ${offset}`, Buffer.concat([Buffer.from([typeNames.indexOf(type)]), content]));
  }

  return { read, readAt };
}

const typeNames: readonly ObjectType[] = ['commit', 'tree', 'blob', 'tag'];

function typed(known: Uint8Array): GitObject {
  const content = Buffer.from(known.buffer, known.byteOffset + 1, known.byteLength - 1);
  return { type: typeNames[known[0] ?? 0] ?? 'blob', content };
}

/** The base of a delta is in none of the packs (yet). */
export class MissingBaseError extends Error {
  override readonly name = 'MissingBaseError';
  constructor(oid: string) {
    super(`object ${oid}, the base of a delta, is not there`);
  }
}

/** The head of an entry. */
function headOf({ pack, offset }: EntryAddress): EntryHead {
  return parseEntryHead(pack.read(offset, maxHeadBytes));
}

/** Reads an entry and inflates it. */
async function readContent({ pack, offset }: EntryAddress): Promise<Buffer> {
  const place = pack.index.entryAt(offset);
  const end = place?.end ?? pack.sizeBytes - trailerBytes;
  if (!place || end <= offset) throw new Error(`the pack has no entry at ${offset}`);
  refuseLarge(end - offset);
  const bytes = pack.read(offset, end - offset);
  if (crc32(bytes) !== place.crc) throw new Error('an entry of the pack is not what it was');
  const head = parseEntryHead(bytes.subarray(0, maxHeadBytes));
  refuseLarge(head.sizeBytes);
  const compressed = bytes.subarray(head.headBytes);
  const options = inflateOptions(head.sizeBytes);
  const content =
    head.sizeBytes < largeBytes ? inflateSync(compressed, options) : await inflateBeside(compressed, options);
  if (content.length !== head.sizeBytes) {
    throw new Error(`an entry of the pack has ${content.length} bytes, it says ${head.sizeBytes}`);
  }
  return content;
}

/** Makes room for exactly what an entry says it has, so that one that has more is an error and not a larger buffer. */
export function inflateOptions(sizeBytes: number): { chunkSize: number; maxOutputLength: number } {
  return { chunkSize: Math.max(64, sizeBytes + 1), maxOutputLength: Math.max(1, sizeBytes) };
}

/** Fails with GitOperationFailed for an object that would not fit into memory. */
export function refuseLarge(sizeBytes: number): void {
  if (sizeBytes <= maxObjectBytes) return;
  throw failure(
    'GitOperationFailed',
    `the commit has a file of ${sizeBytes} bytes, more than the ${maxObjectBytes} allowed: keep it somewhere else`,
  );
}
