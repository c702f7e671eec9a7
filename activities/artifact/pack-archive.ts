// Packs files into a reproducible tar.gz, in parts that depend on nothing but their own files: parts are compressed side by
// side, and those that are as they were in the last archive of the same owner are copied from it. The bytes are the same
// either way. They are also the same wherever the same zlib runs; another zlib costs one new digest, never correctness.
import { createHash, hash, type Hash } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, crc32, deflateRaw } from 'node:zlib';
import type { ArchiveFile } from './artifact.ts';
import { combineCrc32 } from './crc32-combine.ts';
import { endOfTar, type PlannedEntry, planTar, tarOf } from './tar-writer.ts';

/** A part of an archive that was written, as the next archive finds it again. */
export interface PackedPart {
  /** Digest of its paths, modes and content ids. */
  key: string;
  /** Where its compressed bytes are in the archive. */
  offset: number;
  sizeBytes: number;
  /** Digest of the compressed bytes. */
  digest: string;
  /** Size and CRC-32 of what they unpack to. */
  tarBytes: number;
  crc: number;
}

/** The archive from before. */
export interface PackReuse {
  parts: readonly PackedPart[];
  /** Reads compressed bytes of it; fails or gives fewer where they are gone. */
  read(offset: number, sizeBytes: number): Promise<Uint8Array>;
}

export interface PackOptions {
  /** @default everything is packed anew */
  reuse?: PackReuse;
  /** Largest tar stream, as no consumer would unpack more. @default 1 GiB */
  maxBytes?: number;
  /** Called once, at the end. */
  onPacked?(parts: PackedPart[]): void;
}

/** Changes whenever the same files would give other bytes, so that nothing older is taken over. */
const packFormat = 1;
/** A part ends behind a path that says so: one in so many does, so a file that comes or goes moves few ends. */
const meanFiles = 16;
const maxFiles = 64;
/** What is compressed at a time. Each piece starts anew, so that pieces need not wait for each other. */
const pieceBytes = 1024 * 1024;
/** Pieces in memory, waiting for a processor or for their turn. */
const maxPieces = 8;

const gzipHead = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
/** An empty last block of deflate: everything before it ends on a byte without one. */
const lastBlock = Buffer.from([3, 0]);

const deflate = promisify<Uint8Array, object, Buffer>(deflateRaw);
/** Level 4 packs manifests about as small as the default at twice its speed. */
const deflateOptions = {
  level: 4,
  memLevel: 8,
  windowBits: 15,
  strategy: constants.Z_DEFAULT_STRATEGY,
  finishFlush: constants.Z_SYNC_FLUSH,
};

interface Piece {
  compressed: Promise<Buffer>;
  tarBytes: number;
  crc: number;
}

/** A piece of a part, or a whole part from before. */
type Step = { key: string | undefined; piece: Piece } | { reused: PackedPart; bytes: Buffer };

/**
 * The archive's bytes. Throws an `Error` for paths that no archive may hold, and passes on what `content()` throws.
 */
export async function* packArchive(
  files: Iterable<ArchiveFile>,
  { reuse, maxBytes = 1024 ** 3, onPacked }: PackOptions = {},
): AsyncGenerator<Buffer> {
  const parts: PackedPart[] = [];
  const known = new Map(reuse?.parts.map((part) => [part.key, part]));
  let offset = gzipHead.length;
  let crc = 0;
  let tarBytes = 0;
  /** The part that is being written. */
  let open: (Omit<PackedPart, 'digest'> & { seen: Hash }) | undefined;

  const note = (part: Pick<PackedPart, 'sizeBytes' | 'tarBytes' | 'crc'>): void => {
    crc = combineCrc32(crc, part.crc, part.tarBytes);
    tarBytes += part.tarBytes;
    offset += part.sizeBytes;
    if (tarBytes > maxBytes) throw new Error(`its files have more than the ${maxBytes} bytes allowed together`);
  };
  const close = (): void => {
    if (!open) return;
    const { seen, ...part } = open;
    parts.push({ ...part, digest: seen.digest('base64url') });
    open = undefined;
  };

  yield gzipHead;
  for await (const step of inOrder(stepsOf(planTar(files), known, reuse))) {
    if ('reused' in step) {
      close();
      parts.push({ ...step.reused, offset });
      note(step.reused);
      yield step.bytes;
      continue;
    }
    const { key, piece } = step;
    const bytes = await piece.compressed;
    if (open?.key !== key) close();
    const told = { sizeBytes: bytes.length, tarBytes: piece.tarBytes, crc: piece.crc };
    if (key !== undefined) {
      open ??= { key, offset, sizeBytes: 0, tarBytes: 0, crc: 0, seen: createHash('sha256') };
      open.crc = combineCrc32(open.crc, piece.crc, piece.tarBytes);
      open.tarBytes += piece.tarBytes;
      open.sizeBytes += bytes.length;
      open.seen.update(bytes);
    }
    note(told);
    yield bytes;
  }
  close();
  onPacked?.(parts);
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc, 0);
  trailer.writeUInt32LE(tarBytes % 2 ** 32, 4);
  yield Buffer.concat([lastBlock, trailer]);
}

/** Starts to compress what comes next while earlier pieces are waited for, as far as memory is to be had. */
async function* inOrder(steps: AsyncGenerator<Step>): AsyncGenerator<Step> {
  const waiting: Step[] = [];
  try {
    for await (const step of steps) {
      if ('piece' in step) step.piece.compressed.catch(() => undefined); // whoever awaits it sees the error
      waiting.push(step);
      if (waiting.length >= maxPieces) yield waiting.shift() as Step;
    }
    yield* waiting.splice(0);
  } finally {
    await steps.return(undefined);
  }
}

async function* stepsOf(
  entries: readonly PlannedEntry[],
  known: ReadonlyMap<string, PackedPart>,
  reuse: PackReuse | undefined,
): AsyncGenerator<Step> {
  for (const part of partsOf(entries)) {
    const key = keyOf(part);
    const before = key === undefined ? undefined : known.get(key);
    const bytes = before && reuse && (await readBefore(before, reuse));
    if (before && bytes) yield { reused: before, bytes };
    else for await (const tar of piecesOf(part)) yield { key, piece: compress(tar) };
  }
  yield { key: undefined, piece: compress([endOfTar]) };
}

function compress(tar: readonly Buffer[]): Piece {
  const whole = Buffer.concat(tar);
  return { compressed: deflate(whole, deflateOptions), tarBytes: whole.length, crc: crc32(whole) };
}

/** The compressed bytes of a part in the archive from before; undefined where they are not what they were. */
async function readBefore({ offset, sizeBytes, digest }: PackedPart, reuse: PackReuse): Promise<Buffer | undefined> {
  try {
    const read = await reuse.read(offset, sizeBytes);
    const bytes = Buffer.from(read.buffer, read.byteOffset, read.byteLength);
    return bytes.length === sizeBytes && hash('sha256', bytes, 'base64url') === digest ? bytes : undefined;
  } catch {
    return undefined; // it is packed anew
  }
}

/** The tar bytes of a part, in pieces of about the same size. */
async function* piecesOf(part: readonly PlannedEntry[]): AsyncGenerator<Buffer[]> {
  let piece: Buffer[] = [];
  let sizeBytes = 0;
  for (const entry of part) {
    for (const bytes of tarOf(entry, await entry.file.content())) {
      for (let at = 0; at < bytes.length; ) {
        const cut = bytes.subarray(at, at + pieceBytes - sizeBytes);
        piece.push(cut);
        at += cut.length;
        sizeBytes += cut.length;
        if (sizeBytes < pieceBytes) continue;
        yield piece;
        piece = [];
        sizeBytes = 0;
      }
    }
  }
  if (sizeBytes > 0) yield piece;
}

/** Splits the sorted files by their paths alone. */
export function partsOf(entries: readonly PlannedEntry[]): PlannedEntry[][] {
  const parts: PlannedEntry[][] = [];
  let part: PlannedEntry[] = [];
  for (const entry of entries) {
    part.push(entry);
    if (part.length < maxFiles && crc32(entry.file.path) % meanFiles !== 0) continue;
    parts.push(part);
    part = [];
  }
  return part.length > 0 ? [...parts, part] : parts;
}

/** Names what a part is made of; undefined when the content of a file has no name. */
function keyOf(part: readonly PlannedEntry[]): string | undefined {
  if (part.some(({ file }) => file.contentId === undefined)) return undefined;
  const lines = part.map(({ directories, file: { path, isExecutable, contentId } }) =>
    JSON.stringify([directories, path, isExecutable, contentId]),
  );
  return hash('sha256', [packFormat, ...lines].join('\n'), 'base64url');
}
