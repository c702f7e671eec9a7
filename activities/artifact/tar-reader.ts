// Reads a tar stream of unknown origin entry by entry; says what each entry is and decides nothing about it.
import { isUtf8 } from 'node:buffer';
import { Header, Pax } from 'tar';

/** One entry. Its content must be read, or is skipped when the next entry is asked for. */
export interface TarReaderEntry {
  /** As it stands in the archive: may be absolute, hold `..` or end in `/`. */
  path: string;
  kind: 'file' | 'directory' | 'symlink' | 'hardlink' | 'device' | 'other';
  sizeBytes: number;
  isExecutable: boolean;
  content(): AsyncGenerator<Buffer>;
}

const blockSize = 512;
/** Extended headers hold paths and a few numbers: 1 MiB is far beyond an honest one. */
const maxExtendedHeaderBytes = 1024 * 1024;

const kinds: Record<string, TarReaderEntry['kind']> = {
  File: 'file',
  OldFile: 'file',
  ContiguousFile: 'file',
  Directory: 'directory',
  GNUDumpDir: 'directory',
  SymbolicLink: 'symlink',
  Link: 'hardlink',
  CharacterDevice: 'device',
  BlockDevice: 'device',
  FIFO: 'device',
};

/** Reads the entries of a tar stream. Throws an `Error` for a broken or truncated archive. */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarReaderEntry> {
  const reader = createBlockReader(source);
  let global: Pax | undefined;
  let local: Pax | undefined;
  let longPath: string | undefined;
  for (;;) {
    const block = await reader.read(blockSize);
    if (!block) throw new Error('the archive ends without its end marker (truncated)');
    const header = new Header(block, 0, local, global);
    if (header.nullBlock) return;
    if (!header.cksumValid) throw new Error('a tar header has a wrong checksum (damaged or no tar archive)');
    const sizeBytes = header.size ?? 0;
    if (!Number.isSafeInteger(sizeBytes)) throw new Error('a tar header has an impossible size');
    switch (header.type) {
      case 'GlobalExtendedHeader':
        global = Pax.parse(await readText(reader, sizeBytes), global, true);
        continue;
      case 'ExtendedHeader':
      case 'OldExtendedHeader':
        local = Pax.parse(await readText(reader, sizeBytes), local, false);
        continue;
      case 'NextFileHasLongPath':
      case 'OldGnuLongPath':
        longPath = (await readText(reader, sizeBytes)).replace(/\0.*$/s, '');
        continue;
      case 'NextFileHasLongLinkpath':
        await readText(reader, sizeBytes);
        continue;
      default:
    }
    if (longPath === undefined && local?.path === undefined && !hasUtf8Name(block)) {
      throw new Error(`entry "${shown(block.subarray(0, 100))}" has a name that is not UTF-8`);
    }
    let left = sizeBytes;
    async function* content(): AsyncGenerator<Buffer> {
      while (left > 0) {
        const chunk = await reader.readSome(left);
        if (!chunk) throw new Error('the archive ends inside a file (truncated)');
        left -= chunk.length;
        yield chunk;
      }
    }
    yield {
      path: longPath ?? local?.path ?? header.path ?? '',
      kind: kinds[header.type] ?? 'other',
      sizeBytes,
      isExecutable: ((header.mode ?? 0) & 0o111) !== 0,
      content,
    };
    for await (const skipped of content()) void skipped;
    if (!(await reader.skip((blockSize - (sizeBytes % blockSize)) % blockSize))) {
      throw new Error('the archive ends inside a file (truncated)');
    }
    local = undefined;
    longPath = undefined;
  }
}

type BlockReader = ReturnType<typeof createBlockReader>;

async function readText(reader: BlockReader, sizeBytes: number): Promise<string> {
  if (sizeBytes > maxExtendedHeaderBytes) {
    throw new Error(`an extended tar header has ${sizeBytes} bytes, more than ${maxExtendedHeaderBytes}`);
  }
  const body = await reader.read(sizeBytes);
  if (!body || !(await reader.skip((blockSize - (sizeBytes % blockSize)) % blockSize))) {
    throw new Error('the archive ends inside an extended header (truncated)');
  }
  if (!isUtf8(body)) throw new Error(`an extended tar header holds a name that is not UTF-8: "${shown(body)}"`);
  return body.toString('utf8');
}

/** Looks at the fields `name` and `prefix`; elsewhere numbers may stand in binary. */
function hasUtf8Name(block: Buffer): boolean {
  return [block.subarray(0, 100), block.subarray(345, 500)].every((field) => {
    const end = field.indexOf(0);
    return isUtf8(end < 0 ? field : field.subarray(0, end));
  });
}

/** Bytes of unknown origin for a message. */
function shown(bytes: Buffer): string {
  const text = bytes.toString('latin1').replace(/\0.*$/s, '').slice(0, 200);
  return text.replaceAll(/[^\x20-\x7e]/g, (character) => `\\x${character.charCodeAt(0).toString(16)}`);
}

/** Exact and partial reads over a stream of chunks; undefined or false when the stream ends too early. */
function createBlockReader(source: AsyncIterable<Uint8Array>) {
  const iterator = source[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  async function readSome(maxBytes: number): Promise<Buffer | undefined> {
    while (rest.length === 0) {
      const next = await iterator.next();
      if (next.done) return undefined;
      rest = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
    }
    const chunk = rest.subarray(0, maxBytes);
    rest = rest.subarray(chunk.length);
    return chunk;
  }
  async function read(sizeBytes: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    for (let left = sizeBytes; left > 0; ) {
      const chunk = await readSome(left);
      if (!chunk) return undefined;
      parts.push(chunk);
      left -= chunk.length;
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }
  return {
    read,
    readSome,
    async skip(sizeBytes: number): Promise<boolean> {
      return (await read(sizeBytes)) !== undefined;
    },
  };
}
