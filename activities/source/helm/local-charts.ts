// Charts in the unpacked artifact of a GitRepository or a Bucket: a directory, or a packaged chart among the files.
import { readFile, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { UnpackedArtifact } from '../../artifact/artifact.ts';
import { type ChartFiles, checkUnpacked, readChartArchive, withoutByteOrderMark } from './chart-files.ts';
import { type HelmLimits, overLimit } from './helm-limits.ts';
import { compileHelmIgnore, withoutIgnored } from './helm-ignore.ts';

/** What `spec.chart` leads to. */
export interface LocalChart {
  files: ChartFiles;
  /** The package itself; undefined for a directory. */
  archive?: Uint8Array;
}

/** A path below the root of the source, whatever somebody has written; '' is the root itself. */
export function pathInSource(...parts: string[]): string {
  return posix.resolve('/', ...parts.map((part) => part.replace(/^\/+/, ''))).slice(1);
}

/** The chart at a path; undefined when nothing is there. Throws an `Error` for one over the limits. */
export async function readLocalChart(
  source: UnpackedArtifact,
  path: string,
  limits: HelmLimits,
): Promise<LocalChart | undefined> {
  if (path !== '' && source.files.has(path)) {
    const archive = await readWithin(source, path, limits, 'chartBytes');
    return { archive, files: await readChartArchive(archive, limits) };
  }
  const prefix = path === '' ? '' : `${path}/`;
  const below = [...source.files.keys()]
    .filter((file) => file.startsWith(prefix))
    .map((file) => file.slice(prefix.length));
  if (below.length === 0) return undefined;
  const rules = below.includes('.helmignore')
    ? (await readWithin(source, `${prefix}.helmignore`, limits)).toString('utf8')
    : '';
  const files: ChartFiles = new Map();
  let sizeBytes = 0;
  for (const file of withoutIgnored(below, compileHelmIgnore(rules)).sort()) {
    const isPackage = /^charts\/[^/]+\.tgz$/.test(file);
    const content = await readWithin(source, prefix + file, limits, isPackage ? 'chartBytes' : 'chartFileBytes');
    files.set(file, withoutByteOrderMark(content));
    sizeBytes += content.byteLength;
    checkUnpacked(sizeBytes, files.size);
  }
  return { files };
}

/** A file of the source; undefined when it is not there. Throws an `Error` when it is over the limit. */
export async function readSourceFile(
  source: UnpackedArtifact,
  path: string,
  limits: HelmLimits,
): Promise<Uint8Array | undefined> {
  return source.files.has(path) ? await readWithin(source, path, limits) : undefined;
}

async function readWithin(
  { directory }: UnpackedArtifact,
  path: string,
  limits: HelmLimits,
  which: keyof HelmLimits = 'chartFileBytes',
): Promise<Buffer> {
  const { size } = await stat(join(directory, path));
  if (size > limits[which]) throw new Error(`file "${path}" is ${overLimit(limits, which)}`);
  return await readFile(join(directory, path));
}
