// Packs as no Git would write them.
import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';

/** Types of entries, as packs number them. */
export const packTypes = { commit: 1, tree: 2, blob: 3, deltaByOid: 7 } as const;

/** An entry; the size is as it is told, which need not be true. A delta by the id of its base is given that. */
export function packEntry(type: number, content: Buffer, options: { sizeBytes?: number; base?: string } = {}): Buffer {
  const { sizeBytes = content.length, base = '' } = options;
  const head = [];
  let left = Math.floor(sizeBytes / 16);
  head.push((left > 0 ? 0x80 : 0) | (type << 4) | (sizeBytes % 16));
  while (left > 0) {
    head.push((left > 127 ? 0x80 : 0) | (left % 128));
    left = Math.floor(left / 128);
  }
  return Buffer.concat([Buffer.from(head), Buffer.from(base, 'hex'), deflateSync(content)]);
}

/** A pack of entries, with a right checksum and a number of entries that need not be true. */
export function packOf(entries: readonly Buffer[], count = entries.length): Buffer {
  const head = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1');
  head.writeUInt32BE(count, 8);
  const body = Buffer.concat([head, ...entries]);
  return Buffer.concat([body, createHash('sha1').update(body).digest()]);
}

/** The id of an object. */
export function objectId(type: 'commit' | 'tree' | 'blob', content: Buffer): string {
  return createHash('sha1').update(`${type} ${content.length}\0`).update(content).digest('hex');
}

/** A commit of a tree. */
export function commitOf(tree: string, message = 'hostile\n'): Buffer {
  const who = 'Mallory <m@example.test> 1793534400 +0000';
  return Buffer.from(`tree ${tree}\nauthor ${who}\ncommitter ${who}\n\n${message}`);
}

/** A delta that inserts so many zeros and copies nothing. */
export function insertingDelta(baseBytes: number, sizeBytes: number): Buffer {
  const inserts: Buffer[] = [];
  for (let left = sizeBytes; left > 0; left -= 127) {
    const bytes = Math.min(left, 127);
    inserts.push(Buffer.from([bytes]), Buffer.alloc(bytes));
  }
  return Buffer.concat([deltaSize(baseBytes), deltaSize(sizeBytes), ...inserts]);
}

/** A size as deltas write it. */
export function deltaSize(bytes: number): Buffer {
  const digits = [];
  let left = bytes;
  do {
    digits.push((left > 127 ? 0x80 : 0) | (left % 128));
    left = Math.floor(left / 128);
  } while (left > 0);
  return Buffer.from(digits);
}
