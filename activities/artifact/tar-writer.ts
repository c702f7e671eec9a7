// Writes reproducible tar and gzip streams: the bytes depend on paths, contents and executable bits alone (contract 1.0).
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, crc32, createDeflateRaw } from 'node:zlib';
import type { ArchiveFile } from './artifact.ts';
import { pathProblem } from './tar-path.ts';

const blockSize = 512;
const directoryMode = 0o750;
const fileMode = 0o600;
const executableMode = 0o700;

/**
 * The tar stream of files and of the directories that they need, sorted by path: uid and gid 0, no names, no times.
 * Throws an `Error` for a path that is unsafe or there twice, and passes on what `content()` throws.
 */
export async function* writeTar(files: Iterable<ArchiveFile>): AsyncGenerator<Buffer> {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const directories = new Set<string>();
  let previous = '';
  for (const file of sorted) {
    const problem = pathProblem(file.path);
    if (problem) throw new Error(`path "${file.path.slice(0, 200)}" ${problem}`);
    if (file.path === previous) throw new Error(`path "${file.path}" is there twice`);
    previous = file.path;
    for (let slash = file.path.indexOf('/'); slash > 0; slash = file.path.indexOf('/', slash + 1)) {
      const directory = `${file.path.slice(0, slash)}/`;
      if (directories.has(directory)) continue;
      directories.add(directory);
      yield entryHead(directory, '5', directoryMode, 0);
    }
    const content = await file.content();
    yield entryHead(file.path, '0', file.isExecutable ? executableMode : fileMode, content.length);
    if (content.length > 0) yield Buffer.from(content.buffer, content.byteOffset, content.byteLength);
    const padding = paddingOf(content.length);
    if (padding > 0) yield Buffer.alloc(padding);
  }
  yield Buffer.alloc(2 * blockSize);
}

function paddingOf(sizeBytes: number): number {
  return (blockSize - (sizeBytes % blockSize)) % blockSize;
}

/** The header block of an entry, after a pax header when its path does not fit into the plain one. */
function entryHead(path: string, type: '0' | '5', mode: number, sizeBytes: number): Buffer {
  const name = splitName(path);
  if (name) return header(name.name, name.prefix, type, mode, sizeBytes);
  const record = paxRecord('path', path);
  return Buffer.concat([
    header('PaxHeader', '', 'x', fileMode, record.length),
    record,
    Buffer.alloc(paddingOf(record.length)),
    header('file', '', type, mode, sizeBytes),
  ]);
}

/** Splits a plain ASCII path over the name (100) and prefix (155) fields; undefined when it does not fit. */
function splitName(path: string): { name: string; prefix: string } | undefined {
  if (!/^[\x20-\x7e]+$/.test(path)) return undefined;
  if (path.length <= 100) return { name: path, prefix: '' };
  for (let slash = path.indexOf('/'); slash > 0 && slash <= 155; slash = path.indexOf('/', slash + 1)) {
    const name = path.slice(slash + 1);
    if (name.length > 0 && name.length <= 100) return { name, prefix: path.slice(0, slash) };
  }
  return undefined;
}

/** A pax record counts its own length. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return Buffer.from(`${length} ${key}=${value}\n`);
}

function header(name: string, prefix: string, type: '0' | '5' | 'x', mode: number, sizeBytes: number): Buffer {
  const block = Buffer.alloc(blockSize);
  const octal = (value: number, offset: number, width: number): void => {
    block.write(`${value.toString(8).padStart(width - 1, '0')}\0`, offset, 'latin1');
  };
  block.write(name, 0, 'latin1');
  octal(mode, 100, 8);
  octal(0, 108, 8); // uid
  octal(0, 116, 8); // gid
  octal(sizeBytes, 124, 12);
  octal(0, 136, 12); // mtime
  block.write('        ', 148, 'latin1');
  block.write(type, 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  block.write(prefix, 345, 'latin1');
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/**
 * Compresses with a constant gzip header (no time, operating system "unknown"). The deflate settings are pinned; bytes
 * are the same wherever the same zlib runs, and another zlib costs one new digest, never correctness.
 * Level 4 packs manifests about as small as the default at twice its speed.
 */
export async function* gzip(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let crc = 0;
  let sizeBytes = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      crc = crc32(chunk, crc);
      sizeBytes += chunk.length;
      yield chunk;
    }
  }
  yield Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
  const deflate = createDeflateRaw({ level: 4, memLevel: 8, windowBits: 15, strategy: constants.Z_DEFAULT_STRATEGY });
  const done = pipeline(Readable.from(counted(), { objectMode: true }), deflate);
  done.catch(() => undefined); // the loop below throws the same error
  for await (const chunk of deflate) yield chunk as Buffer;
  await done;
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc, 0);
  trailer.writeUInt32LE(sizeBytes % 2 ** 32, 4);
  yield trailer;
}
