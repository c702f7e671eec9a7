// The files of a chart out of a packaged archive of unknown origin, within limits.
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { Parser } from 'tar';
import { messageOf } from '../../errors.ts';
import { defaultHelmLimits, type HelmLimits, overLimit } from './helm-limits.ts';

/** Path below the chart's directory → content. */
export type ChartFiles = Map<string, Uint8Array>;

/** Helm's own limits. */
const maxUnpackedBytes = 100 * 1024 * 1024;
const maxFiles = 10_000;

/**
 * Unpacks a packaged chart in memory. Links and devices are passed over, as Helm does. Throws an `Error` for what is no
 * tar.gz, over the limits, leaves its directory, or is not below exactly one directory.
 */
export async function readChartArchive(archive: Uint8Array, limits = defaultHelmLimits): Promise<ChartFiles> {
  if (archive.byteLength > limits.chartBytes) throw new Error(`it is ${overLimit(limits, 'chartBytes')}`);
  const files = readTar(await unzip(archive), limits);
  if (files.size === 0) throw new Error('it has no files');
  return files;
}

async function unzip(archive: Uint8Array): Promise<Buffer> {
  try {
    return await promisify(gunzip)(archive, { maxOutputLength: maxUnpackedBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new Error(`it unpacks to more than the ${mebibytes(maxUnpackedBytes)} allowed`, { cause: error });
    }
    throw new Error(`it is no tar.gz (${messageOf(error)})`, { cause: error });
  }
}

function readTar(tarball: Buffer, limits: HelmLimits): ChartFiles {
  const files: ChartFiles = new Map();
  let problem: string | undefined;
  const parser = new Parser({
    strict: true,
    onReadEntry(entry) {
      const path = entry.path.replaceAll('\\', '/');
      if (!['File', 'OldFile', 'ContiguousFile'].includes(entry.type)) return entry.resume();
      problem ??= problemOf(path, entry.size, files.size, limits);
      if (problem !== undefined) return entry.resume();
      const chunks: Buffer[] = [];
      entry.on('data', (chunk: Buffer) => chunks.push(chunk));
      entry.on('end', () => files.set(path.slice(path.indexOf('/') + 1), withoutByteOrderMark(Buffer.concat(chunks))));
    },
  });
  parser.on('error', (error: unknown) => {
    problem ??= `its tar stream is broken (${messageOf(error)})`;
  });
  parser.end(tarball);
  if (problem !== undefined) throw new Error(problem);
  return files;
}

function problemOf(path: string, sizeBytes: number, count: number, limits: HelmLimits): string | undefined {
  const shown = `"${path.slice(0, 200).replaceAll('\0', String.raw`\0`)}"`;
  const segments = path.split('/');
  if (segments.length < 2) return `entry ${shown} is not below the directory of the chart`;
  if (path.startsWith('/') || path.includes('\0') || /^[A-Za-z]:/.test(path) || segments.includes('..')) {
    return `entry ${shown} leads out of the chart`;
  }
  if (segments.some((segment) => segment === '' || segment === '.')) return `entry ${shown} is no normal path`;
  if (sizeBytes > limits.chartFileBytes) return `file ${shown} is ${overLimit(limits, 'chartFileBytes')}`;
  return count >= maxFiles ? `it has more than the ${maxFiles} files allowed` : undefined;
}

/** Throws an `Error` when a chart, with all the charts in it, has more than a package may unpack to. */
export function checkUnpacked(sizeBytes: number, fileCount = 0): void {
  if (sizeBytes > maxUnpackedBytes)
    throw new Error(`it unpacks to more than the ${mebibytes(maxUnpackedBytes)} allowed`);
  if (fileCount > maxFiles) throw new Error(`it has more than the ${maxFiles} files allowed`);
}

export function withoutByteOrderMark(content: Buffer): Buffer {
  return content[0] === 0xef && content[1] === 0xbb && content[2] === 0xbf ? content.subarray(3) : content;
}

function mebibytes(bytes: number): string {
  return `${bytes / 1024 / 1024} MiB`;
}
