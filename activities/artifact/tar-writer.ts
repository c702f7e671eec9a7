// Writes reproducible tar entries: the bytes depend on paths, contents and executable bits alone (contract 1.0).
import type { ArchiveFile } from './artifact.ts';
import { pathProblem } from './tar-path.ts';

const blockSize = 512;
const directoryMode = 0o750;
const fileMode = 0o600;
const executableMode = 0o700;

/** A file and the directories that stand before it, because nothing before it is in them. */
export interface PlannedEntry {
  /** Each with a `/` at its end. */
  directories: string[];
  file: ArchiveFile;
}

/** What ends a tar stream. */
export const endOfTar = Buffer.alloc(2 * blockSize);

/**
 * The order of an archive, whatever the order of the files: sorted by path, uid and gid 0, no names, no times. Throws an
 * `Error` for a path that is unsafe, there twice, or a file and a directory.
 */
export function planTar(files: Iterable<ArchiveFile>): PlannedEntry[] {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const known = new Set<string>();
  const paths = new Set<string>();
  return sorted.map((file) => {
    const { path } = file;
    const problem = pathProblem(path);
    if (problem) throw new Error(`path "${path.slice(0, 200)}" ${problem}`);
    if (paths.has(path)) throw new Error(`path "${path}" is there twice`);
    paths.add(path);
    const directories: string[] = [];
    for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
      const directory = path.slice(0, slash);
      if (paths.has(directory)) throw new Error(`path "${directory}" is a file and a directory`);
      if (known.has(directory)) continue;
      known.add(directory);
      directories.push(`${directory}/`);
    }
    return { directories, file };
  });
}

/** The bytes of an entry and of the directories before it. */
export function tarOf({ directories, file }: PlannedEntry, content: Uint8Array): Buffer[] {
  const parts = directories.map((directory) => entryHead(directory, '5', directoryMode, 0));
  parts.push(entryHead(file.path, '0', file.isExecutable ? executableMode : fileMode, content.length));
  if (content.length > 0) parts.push(Buffer.from(content.buffer, content.byteOffset, content.byteLength));
  const padding = paddingOf(content.length);
  if (padding > 0) parts.push(Buffer.alloc(padding));
  return parts;
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
