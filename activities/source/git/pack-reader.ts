// Reads objects by id from the packs of a kept store. Native inflate, one read for each entry, deltas resolved over all
// packs; contents are bounded before they are unpacked.
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
  readAt(pack: OpenPack, offset: number): Promise<GitObject>;
}

/** No file of a repository that is applied to a cluster comes near this. */
export const maxObjectBytes = 256 * 1024 * 1024;
/** Bases of deltas that are kept, as the next delta often has the same. */
const baseCacheBytes = 32 * 1024 * 1024;
/** Larger contents are inflated beside the event loop. */
const largeBytes = 256 * 1024;
/** Everything else gets its turn after so many reads, as small ones never wait for anything. */
const readsPerTurn = 64;
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
 * object that is larger than {@link maxObjectBytes}. `readBase` finds the base of a delta by its id, by default in these packs.
 */
export function createPackReader(
  packs: () => readonly OpenPack[],
  readBase?: (oid: string) => Promise<GitObject | undefined>,
): PackReader {
  const bases = createByteCache(baseCacheBytes);
  let reads = 0;

  async function read(oid: string): Promise<GitObject | undefined> {
    for (const pack of packs()) {
      const offset = pack.index.offsetOf(oid);
      if (offset !== undefined) return await readAt(pack, offset);
    }
    return undefined;
  }

  async function readAt(pack: OpenPack, offset: number): Promise<GitObject> {
    if (++reads % readsPerTurn === 0) await turn();
    const { head, content } = await readEntry(pack, offset);
    if (head.type !== 'delta') return { type: head.type, content };
    refuseLarge(resultBytesOfDelta(content));
    const base = await baseOf(pack, offset, head);
    return { type: base.type, content: applyDelta(base.content, content) };
  }

  async function baseOf(pack: OpenPack, offset: number, { baseOid, baseDistance = 0 }: EntryHead): Promise<GitObject> {
    if (baseOid !== undefined) {
      const base = await (readBase ?? read)(baseOid);
      if (base) return base;
      throw new MissingBaseError(baseOid);
    }
    const at = offset - baseDistance;
    if (at <= 0 || baseDistance === 0) throw new Error('a delta has a base outside of the pack');
    const known = bases.get(`${pack.name} ${at}`);
    if (known) return typed(known);
    const base = await readAt(pack, at);
    bases.set(`${pack.name} ${at}`, Buffer.concat([Buffer.from([typeNames.indexOf(base.type)]), base.content]));
    return base;
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

/** Reads an entry and inflates it. */
async function readEntry(pack: OpenPack, offset: number): Promise<{ head: EntryHead; content: Buffer }> {
  const place = pack.index.entryAt(offset);
  const end = place?.end ?? pack.sizeBytes - trailerBytes;
  if (!place || end <= offset) throw new Error(`the pack has no entry at ${offset}`);
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
  return { head, content };
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
