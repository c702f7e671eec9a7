// Makes the index of a pack that was received: the id of every object, found out from its content. What does not resolve
// is damaged, so whatever an index names can be read.
import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { crc32, createInflate, inflateSync } from 'node:zlib';
import { type GitObject, type IndexedEntry, maxHeadBytes, type PackIndex, parseEntryHead } from './pack-format.ts';
import { createPackReader, inflateOptions, MissingBaseError, type OpenPack } from './pack-reader.ts';

const packHeadBytes = 12;
const trailerBytes = 20;
const windowBytes = 4 * 1024 * 1024;
/** Larger contents go through in pieces, so that memory does not grow with them. */
const largeBytes = 1024 * 1024;
const entriesPerTurn = 64;

interface Scanned {
  /** undefined for a delta. */
  oid: string | undefined;
  offset: number;
  end: number;
  crc: number;
}

/**
 * The objects of a pack; `older` has what deltas of a thin pack build on. Throws an `Error` for a pack that is damaged, has
 * a delta without its base, or fewer or more entries than its head says, and the signal's reason when that is aborted:
 * a small pack can be made so that it takes hours.
 */
export async function indexPack(
  file: Pick<OpenPack, 'name' | 'read' | 'sizeBytes'>,
  older: readonly OpenPack[],
  signal: AbortSignal,
): Promise<IndexedEntry[]> {
  const count = file.read(0, packHeadBytes).readUInt32BE(8);
  const entries: Scanned[] = [];
  let offset = packHeadBytes;
  const window = createWindow(file);
  while (offset < file.sizeBytes - trailerBytes) {
    if (entries.length >= count) throw new Error(`the pack has more than the ${count} objects that it says`);
    const entry = await scanEntry(file, window, offset, signal);
    entries.push(entry);
    offset = entry.end;
    if (entries.length % entriesPerTurn === 0) await turn();
    signal.throwIfAborted();
  }
  if (entries.length !== count) throw new Error(`the pack has ${entries.length} objects, it says ${count}`);
  await resolveDeltas(file, entries, older, signal);
  return entries.map(({ oid = '', offset: at, crc }) => ({ oid, offset: at, crc }));
}

/** Finds out the ids of deltas; those whose base is another delta of the same pack by its id come after that one. */
async function resolveDeltas(
  file: Pick<OpenPack, 'name' | 'read' | 'sizeBytes'>,
  entries: Scanned[],
  older: readonly OpenPack[],
  signal: AbortSignal,
): Promise<void> {
  const places = new Map(entries.map((entry) => [entry.offset, entry]));
  const offsets = new Map(entries.flatMap(({ oid, offset }) => (oid === undefined ? [] : [[oid, offset]])));
  const index: PackIndex = { offsetOf: (oid) => offsets.get(oid), entryAt: (offset) => places.get(offset) };
  const pack: OpenPack = { ...file, index, close: () => undefined };
  const packs = [...older, pack];
  const resolving = createPackReader(() => packs);
  let open = entries.filter(({ oid }) => oid === undefined);
  let tried = 0;
  while (open.length > 0) {
    const left: Scanned[] = [];
    let missing: MissingBaseError | undefined;
    for (const entry of open) {
      if (++tried % entriesPerTurn === 0) await turn();
      signal.throwIfAborted();
      try {
        entry.oid = idOf(await resolving.readAt({ pack, offset: entry.offset }));
        offsets.set(entry.oid, entry.offset);
      } catch (error) {
        if (!(error instanceof MissingBaseError)) throw error;
        missing = error;
        left.push(entry);
      }
    }
    if (missing && left.length === open.length) throw missing;
    open = left;
  }
}

/** The id of an object. */
function idOf({ type, content }: GitObject): string {
  return createHash('sha1').update(`${type} ${content.length}\0`).update(content).digest('hex');
}

type Window = ReturnType<typeof createWindow>;

/** Reads ahead, as a pack is gone through from its beginning to its end. */
function createWindow(file: Pick<OpenPack, 'read'>) {
  let start = 0;
  let bytes: Buffer = Buffer.alloc(0);
  return {
    /** At least so many bytes from an offset on, as far as the file has them. */
    from(offset: number, atLeast: number): Buffer {
      if (offset < start || offset + atLeast > start + bytes.length) {
        start = offset;
        bytes = file.read(offset, Math.max(windowBytes, atLeast));
      }
      return bytes.subarray(offset - start);
    },
  };
}

async function scanEntry(
  file: Pick<OpenPack, 'read' | 'sizeBytes'>,
  window: Window,
  offset: number,
  signal: AbortSignal,
): Promise<Scanned> {
  const head = parseEntryHead(window.from(offset, maxHeadBytes).subarray(0, maxHeadBytes));
  if (head.sizeBytes > largeBytes) return await scanLargeEntry(file, offset, signal);
  // Deflate never makes more of it than a few bytes for each block.
  const bytes = window.from(offset, head.headBytes + head.sizeBytes + head.sizeBytes / 1000 + 1024);
  const compressed = bytes.subarray(head.headBytes);
  const { buffer, engine } = inflateSync(compressed, { ...inflateOptions(head.sizeBytes), info: true }) as unknown as {
    buffer: Buffer;
    engine: { bytesWritten: number };
  };
  if (buffer.length !== head.sizeBytes) throw new Error('an entry of the pack has another size than it says');
  const end = offset + head.headBytes + engine.bytesWritten;
  const whole = bytes.subarray(0, end - offset);
  const oid = head.type === 'delta' ? undefined : idOf({ type: head.type, content: buffer });
  return { oid, offset, end, crc: crc32(whole) };
}

/** The same for a large entry, a piece at a time. */
async function scanLargeEntry(
  file: Pick<OpenPack, 'read' | 'sizeBytes'>,
  offset: number,
  signal: AbortSignal,
): Promise<Scanned> {
  const head = parseEntryHead(file.read(offset, maxHeadBytes));
  const sha1 = createHash('sha1').update(`${head.type} ${head.sizeBytes}\0`);
  const inflating = createInflate({ chunkSize: 256 * 1024 });
  let sizeBytes = 0;
  const consumed = (async () => {
    for await (const chunk of inflating) {
      const bytes = chunk as Buffer;
      sizeBytes += bytes.length;
      if (sizeBytes > head.sizeBytes) throw new Error('an entry of the pack has another size than it says');
      sha1.update(bytes);
    }
  })();
  consumed.catch(() => undefined); // awaited below
  let isOver = false;
  inflating.once('end', () => (isOver = true));
  inflating.once('close', () => (isOver = true));
  for (let at = offset + head.headBytes; !isOver && at < file.sizeBytes - trailerBytes; at += windowBytes) {
    const chunk = file.read(at, Math.min(windowBytes, file.sizeBytes - trailerBytes - at));
    await new Promise<void>((resolve) => {
      const done = (): void => {
        inflating.off('close', done);
        resolve();
      };
      inflating.once('close', done);
      inflating.write(chunk, done);
    });
    signal.throwIfAborted();
  }
  if (!isOver) inflating.end();
  await consumed;
  if (sizeBytes !== head.sizeBytes) throw new Error('an entry of the pack has another size than it says');
  const end = offset + head.headBytes + inflating.bytesWritten;
  let crc = 0;
  for (let at = offset; at < end; at += windowBytes) crc = crc32(file.read(at, Math.min(windowBytes, end - at)), crc);
  return { oid: head.type === 'delta' ? undefined : sha1.digest('hex'), offset, end, crc };
}
