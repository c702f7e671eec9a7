// What the artifact server serves: the files of a store, by their paths.
import { open, realpath, type FileHandle } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { pathProblem } from './tar-path.ts';

/** First and last byte. */
export interface ByteRange {
  first: number;
  last: number;
}

/** A file that is open; closing it twice is harmless. */
export interface ServedFile {
  sizeBytes: number;
  modifiedMs: number;
  /** Without quotes. */
  etag: string;
  /** The content, or a part of it. At its end the file is closed. */
  content(range?: ByteRange): Promise<AsyncIterable<Uint8Array>>;
  close(): Promise<void>;
}

/** Opens the file of a path that {@link servedPath} has let through; undefined when there is none. */
export type ServedFiles = (path: string) => Promise<ServedFile | undefined>;

const chunkBytes = 256 * 1024;

/** The files of the file driver's directory. */
export function servedDirectory(directory: string): ServedFiles {
  return async (path) => {
    let handle: FileHandle | undefined;
    try {
      // A symbolic link may name another file of the store (`latest.tar.gz`), never anything outside or hidden.
      const root = await realpath(directory);
      const target = await realpath(join(root, path));
      if (!target.startsWith(root + sep) || isHidden(target.slice(root.length + 1).split(sep))) return undefined;
      handle = await open(target, 'r');
      const info = await handle.stat();
      if (info.isFile()) return servedFile(handle, info.size, info.mtimeMs);
    } catch {
      // missing or unreadable: the same answer as for a name that may not be served
    }
    await handle?.close();
    return undefined;
  };
}

/** A file of the disk. */
export function servedFile(handle: FileHandle, sizeBytes: number, modifiedMs: number, etag?: string): ServedFile {
  return {
    sizeBytes,
    modifiedMs,
    etag: etag ?? `${sizeBytes.toString(16)}-${Math.round(modifiedMs).toString(16)}`,
    content: async (range) =>
      handle.createReadStream({ highWaterMark: chunkBytes, ...(range && { start: range.first, end: range.last }) }),
    close: () => handle.close(),
  };
}

/** The path that a URL's path names; undefined when it may not be served, whatever is there. */
export function servedPath(urlPath: string): string | undefined {
  let path: string;
  try {
    path = decodeURIComponent(urlPath.replace(/^\//, ''));
  } catch {
    return undefined;
  }
  if (pathProblem(path) || path.includes('\\') || isHidden(path.split('/'))) return undefined;
  return path;
}

function isHidden(segments: string[]): boolean {
  return segments.some((segment) => segment.startsWith('.') || segment.endsWith('.lock'));
}
