// The formats of Git's packs and their indexes (gitformat-pack): pure functions over bytes.
import { hash } from 'node:crypto';
import { failure } from '../../errors.ts';

export type ObjectType = 'commit' | 'tree' | 'blob' | 'tag';

export interface GitObject {
  type: ObjectType;
  content: Buffer;
}

/** The head of an entry: what it is and where its compressed bytes begin. */
export interface EntryHead {
  type: ObjectType | 'delta';
  /** Of the unpacked content, or of the unpacked delta. */
  sizeBytes: number;
  /** Bytes before the compressed ones. */
  headBytes: number;
  /** Of a delta: how far before this entry its base is, … */
  baseDistance?: number;
  /** … or the base's id. */
  baseOid?: string;
}

/** One object of a tree. */
export interface TreeEntry {
  name: string;
  /** Octal, e.g. `100644`. */
  mode: string;
  oid: string;
  type: 'blob' | 'tree' | 'commit';
}

export interface IndexedEntry {
  oid: string;
  offset: number;
  /** Of the entry as it stands in the pack. */
  crc: number;
}

const types: Readonly<Record<number, ObjectType>> = { 1: 'commit', 2: 'tree', 3: 'blob', 4: 'tag' };
const baseByDistance = 6;
const baseByOid = 7;
const oidBytes = 20;
/** Longest head: a size of ten bytes and an id. */
export const maxHeadBytes = 32;

/** Reads the head of an entry. Throws an `Error` for what is none. */
export function parseEntryHead(bytes: Buffer): EntryHead {
  let at = 0;
  const next = (): number => {
    const byte = bytes[at++];
    if (byte === undefined) throw new Error('an entry of the pack ends in its head');
    return byte;
  };
  let byte = next();
  const kind = (byte >> 4) & 7;
  let sizeBytes = byte & 15;
  for (let factor = 16; byte & 0x80; factor *= 128) {
    byte = next();
    sizeBytes += (byte & 0x7f) * factor;
    if (!Number.isSafeInteger(sizeBytes)) throw new Error('an entry of the pack has an impossible size');
  }
  const type = types[kind];
  if (type) return { type, sizeBytes, headBytes: at };
  if (kind === baseByOid) {
    const baseOid = bytes.toString('hex', at, at + oidBytes);
    if (baseOid.length < 2 * oidBytes) throw new Error('an entry of the pack ends in its head');
    return { type: 'delta', sizeBytes, headBytes: at + oidBytes, baseOid };
  }
  if (kind !== baseByDistance) throw new Error(`the pack has an entry of unknown type ${kind}`);
  byte = next();
  let baseDistance = byte & 0x7f;
  while (byte & 0x80) {
    byte = next();
    baseDistance = (baseDistance + 1) * 128 + (byte & 0x7f);
  }
  return { type: 'delta', sizeBytes, headBytes: at, baseDistance };
}

/** The size that a delta says its result has. Throws an `Error` for a delta that is cut off. */
export function resultBytesOfDelta(delta: Buffer): number {
  const base = readSize(delta, 0);
  return readSize(delta, base.at).size;
}

/** Applies a delta. Throws an `Error` for one that does not fit its base. */
export function applyDelta(base: Buffer, delta: Buffer): Buffer {
  const source = readSize(delta, 0);
  const target = readSize(delta, source.at);
  if (source.size !== base.length) throw new Error(`a delta is for ${source.size} bytes, its base has ${base.length}`);
  const result = Buffer.allocUnsafe(target.size);
  let filled = 0;
  for (let at = target.at; at < delta.length; ) {
    const command = delta[at++] ?? 0;
    if (command & 0x80) {
      let offset = 0;
      let size = 0;
      for (let bit = 0; bit < 4; bit++) if (command & (1 << bit)) offset += (delta[at++] ?? 0) * 2 ** (8 * bit);
      for (let bit = 0; bit < 3; bit++) if (command & (0x10 << bit)) size += (delta[at++] ?? 0) * 2 ** (8 * bit);
      if (size === 0) size = 0x10000;
      if (offset + size > base.length || filled + size > result.length) throw new Error('a delta copies too much');
      base.copy(result, filled, offset, offset + size);
      filled += size;
    } else {
      if (command === 0 || at + command > delta.length || filled + command > result.length) {
        throw new Error('a delta inserts what it does not have');
      }
      delta.copy(result, filled, at, at + command);
      at += command;
      filled += command;
    }
  }
  if (filled !== result.length) throw new Error(`a delta gives ${filled} bytes, it says ${result.length}`);
  return result;
}

function readSize(delta: Buffer, start: number): { size: number; at: number } {
  let size = 0;
  let at = start;
  for (let factor = 1; ; factor *= 128) {
    const byte = delta[at++];
    if (byte === undefined || !Number.isSafeInteger(factor)) throw new Error('a delta is cut off');
    size += (byte & 0x7f) * factor;
    if ((byte & 0x80) === 0) return { size, at };
  }
}

/** The tree and the message of a commit. Throws an `Error` for what is no commit. */
export function parseCommit(content: Buffer): { tree: string; message: string } {
  const [, tree] = /^tree ([0-9a-f]{40})\n/.exec(content.toString('latin1', 0, 46)) ?? [];
  if (!tree) throw new Error('the commit names no tree');
  const end = content.indexOf('\n\n');
  return { tree, message: end < 0 ? '' : content.toString('utf8', end + 2) };
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The entries of a tree. Throws an `Error` for what is no tree; fails with GitOperationFailed for a name that is not UTF-8,
 * which no consumer could ask for.
 */
export function parseTree(content: Buffer): TreeEntry[] {
  const entries: TreeEntry[] = [];
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at);
    const end = content.indexOf(0, at);
    if (space < 0 || end < space || end + 1 + oidBytes > content.length) throw new Error('a tree is cut off');
    const mode = content.toString('latin1', at, space).padStart(6, '0');
    const name = nameOf(content.subarray(space + 1, end));
    const oid = content.toString('hex', end + 1, end + 1 + oidBytes);
    entries.push({ name, mode, oid, type: typeOf(mode) });
    at = end + 1 + oidBytes;
  }
  return entries;
}

function nameOf(bytes: Buffer): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    const shown = bytes.toString('latin1').replaceAll(/[^\x20-\x7e]/g, (c) => `\\x${c.charCodeAt(0).toString(16)}`);
    throw failure(
      'GitOperationFailed',
      `the commit has a file "${shown.slice(0, 200)}" whose name is not UTF-8: rename it ("git mv")`,
    );
  }
}

function typeOf(mode: string): TreeEntry['type'] {
  if (mode === '040000') return 'tree';
  return mode === '160000' ? 'commit' : 'blob';
}

const indexMagic = 0xff744f63;
const indexVersion = 2;
const indexHeadBytes = 8;
const fanoutBytes = 256 * 4;
/** Offsets from here on would need the index's second table. */
const maxOffset = 2 ** 31;

/** The index of a pack, version 2, as Git reads it too. Throws an `Error` for a pack that is too large for it. */
export function formatIndex(entries: readonly IndexedEntry[], packChecksum: Buffer): Buffer {
  const sorted = [...entries].sort((a, b) => (a.oid < b.oid ? -1 : a.oid > b.oid ? 1 : 0));
  const count = sorted.length;
  const index = Buffer.alloc(indexHeadBytes + fanoutBytes + count * (oidBytes + 8));
  index.writeUInt32BE(indexMagic, 0);
  index.writeUInt32BE(indexVersion, 4);
  const oids = indexHeadBytes + fanoutBytes;
  for (const [position, { oid, offset, crc }] of sorted.entries()) {
    if (offset >= maxOffset) throw new Error('the pack is larger than 2 GiB');
    index.write(oid, oids + position * oidBytes, 'hex');
    index.writeUInt32BE(crc, oids + count * oidBytes + position * 4);
    index.writeUInt32BE(offset, oids + count * (oidBytes + 4) + position * 4);
    const first = Number.parseInt(oid.slice(0, 2), 16);
    index.writeUInt32BE(position + 1, indexHeadBytes + first * 4);
  }
  let total = 0;
  for (let first = 0; first < 256; first++) {
    total = Math.max(total, index.readUInt32BE(indexHeadBytes + first * 4));
    index.writeUInt32BE(total, indexHeadBytes + first * 4);
  }
  const body = Buffer.concat([index, packChecksum]);
  return Buffer.concat([body, hash('sha1', body, 'buffer')]);
}

/** Where an entry ends in its pack, and the CRC-32 of its bytes. */
export interface EntryPlace {
  /** Where the next one begins; undefined for the last one. */
  end: number | undefined;
  crc: number;
}

export interface PackIndex {
  /** Where an object's entry begins; undefined when the pack does not have it. */
  offsetOf(oid: string): number | undefined;
  /** The entry that begins at an offset; undefined when none does. */
  entryAt(offset: number): EntryPlace | undefined;
}

/** Reads an index. Throws an `Error` for what is none. */
export function parseIndex(index: Buffer): PackIndex {
  if (index.length < indexHeadBytes + fanoutBytes || index.readUInt32BE(0) !== indexMagic) {
    throw new Error('the index of a pack is damaged');
  }
  const count = index.readUInt32BE(indexHeadBytes + fanoutBytes - 4);
  const oids = indexHeadBytes + fanoutBytes;
  const offsets = oids + count * (oidBytes + 4);
  if (index.readUInt32BE(4) !== indexVersion || index.length < offsets + count * 4) {
    throw new Error('the index of a pack is damaged');
  }
  const offsetAt = (position: number): number => index.readUInt32BE(offsets + position * 4);
  const inOrder = Uint32Array.from({ length: count }, (_, position) => position);
  inOrder.sort((a, b) => offsetAt(a) - offsetAt(b));
  return {
    offsetOf(oid) {
      const wanted = Buffer.from(oid, 'hex');
      const first = wanted[0];
      if (first === undefined || wanted.length !== oidBytes) return undefined;
      let low = first === 0 ? 0 : index.readUInt32BE(indexHeadBytes + (first - 1) * 4);
      let high = index.readUInt32BE(indexHeadBytes + first * 4);
      while (low < high) {
        const middle = (low + high) >>> 1;
        const at = oids + middle * oidBytes;
        const order = wanted.compare(index, at, at + oidBytes);
        if (order === 0) return index.readUInt32BE(offsets + middle * 4);
        if (order < 0) high = middle;
        else low = middle + 1;
      }
      return undefined;
    },
    entryAt(offset) {
      let low = 0;
      let high = count;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (offsetAt(inOrder[middle] ?? 0) < offset) low = middle + 1;
        else high = middle;
      }
      const position = inOrder[low];
      if (position === undefined || offsetAt(position) !== offset) return undefined;
      const next = inOrder[low + 1];
      const crc = index.readUInt32BE(oids + count * oidBytes + position * 4);
      return { end: next === undefined ? undefined : offsetAt(next), crc };
    },
  };
}
