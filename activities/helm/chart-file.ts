// The chart of a release as a file for helm: downloaded once, checked by its digest, and with the digest in its version
// where the contract wants that (2.2, step 9).
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'semver';
import type { ArchiveFile, Artifact } from '../artifact/artifact.ts';
import { failure } from '../errors.ts';
import {
  type ChartArchive,
  type ReadTar,
  readChartArchive,
  readChartEntries,
  withVersion,
} from './chart-file-archive.ts';

/** A chart that helm can be given. */
export interface LoadedChart {
  /** The packaged chart. It may be removed some hours after it was last asked for. */
  path: string;
  name: string;
  /** With the digest of its artifact as build metadata, for charts from an OCIRepository or ExternalArtifact. */
  version: string;
  appVersion?: string;
  /** `sha256:<hex>` of that artifact, for `lastAttemptedRevisionDigest`. */
  ociDigest?: string;
  /** For the CRDs, which depend on the values. */
  archive: ChartArchive;
}

/** The object whose artifact holds the chart. */
export interface ChartSource {
  kind: string;
  artifact: Pick<Artifact, 'digest' | 'url' | 'revision'>;
}

export interface ChartFiles {
  /**
   * Gives the chart of an artifact. Fails with ArtifactFailed (not to be had, or no chart) or ChartMutateError (its
   * revision does not fit its version); ends with the signal's reason when it is aborted.
   */
  load(source: ChartSource, signal: AbortSignal): Promise<LoadedChart>;
}

export interface ChartFilesOptions {
  /** Where charts are kept; a cache, which may be emptied at any time. */
  directory: string;
  /** Writes the artifact, checked by its digest, to a file; fails with ArtifactFailed. */
  download(artifact: ChartSource['artifact'], target: string, signal: AbortSignal): Promise<void>;
  /** Reads and writes archives, as the artifact store does. */
  readTar: ReadTar;
  packArchive(files: Iterable<ArchiveFile>): AsyncIterable<Uint8Array>;
  /** Put the digest into the version; the gate DisableChartDigestTracking turns it off. @default true */
  isDigestTracked?: boolean;
  /** Largest packaged chart. @default 10 MiB, as in Flux (contract 1.4) */
  maxBytes?: number;
}

const mebibyte = 1024 * 1024;
const digestLength = 12;
const maxRemembered = 200;

/** Opens the cache; nothing is read before the first call. */
export function createChartFiles(options: ChartFilesOptions): ChartFiles {
  const { directory, download, readTar, packArchive, isDigestTracked = true, maxBytes = 10 * mebibyte } = options;
  /** Charts by artifact; what is known of a chart that is on disk costs no reading. */
  const known = new Map<string, LoadedChart>();
  const loading = new Map<string, Promise<LoadedChart>>();

  async function load(source: ChartSource, signal: AbortSignal): Promise<LoadedChart> {
    const { artifact } = source;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const path = join(directory, `${createHash('sha256').update(artifact.digest).digest('hex').slice(0, 40)}.tgz`);
    const packed = await readArtifact(artifact, path, signal);
    let archive: ChartArchive;
    try {
      archive = await readChartArchive(packed, readTar);
    } catch (error) {
      const message = `artifact "${artifact.revision}" holds no usable chart: ${(error as Error).message}`;
      throw failure('ArtifactFailed', message, { cause: error });
    }
    const { name, appVersion } = archive;
    const mutation = mutationOf(source, archive.version);
    const version = mutation && isDigestTracked ? mutation.version : archive.version;
    const common = { name, version, appVersion, archive, ociDigest: mutation?.ociDigest };
    if (version === archive.version) return { ...common, path };
    return { ...common, path: await writeVersion(packed, version, path) };
  }

  async function writeVersion(packed: Uint8Array, version: string, path: string): Promise<string> {
    const target = path.replace(/\.tgz$/, `-${version.slice(version.indexOf('+') + 1)}.tgz`);
    if (await touch(target)) return target;
    const files = (await readChartEntries(packed, readTar)).map(
      ({ root, path: inner, content, isExecutable }): ArchiveFile => {
        const isMetadata = inner === 'Chart.yaml';
        const changed = isMetadata ? Buffer.from(withVersion(content.toString('utf8'), version)) : content;
        return { path: `${root}/${inner}`, isExecutable, content: async () => changed };
      },
    );
    const partial = `${target}.${process.pid}.${Math.random().toString(36).slice(2)}`;
    const chunks: Uint8Array[] = [];
    for await (const chunk of packArchive(files)) chunks.push(chunk);
    await writeFile(partial, Buffer.concat(chunks), { mode: 0o600 });
    await rename(partial, target);
    return target;
  }

  async function readArtifact(artifact: ChartSource['artifact'], path: string, signal: AbortSignal): Promise<Buffer> {
    if (!(await touch(path))) {
      const partial = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
      try {
        await download(artifact, partial, signal);
        await rename(partial, path);
      } finally {
        await rm(partial, { force: true });
      }
    }
    const { size } = await stat(path);
    if (size <= maxBytes) return await readFile(path);
    const limit = `larger than the ${maxBytes / mebibyte} MiB allowed (CONTINUO_HELM_CHART_MAX_MIB)`;
    throw failure('ArtifactFailed', `the chart of artifact "${artifact.revision}" has ${size} bytes, ${limit}`);
  }

  return {
    async load(source, signal) {
      signal.throwIfAborted();
      const key = JSON.stringify([source.kind, source.artifact.digest, source.artifact.revision]);
      const found = known.get(key);
      if (found && (await touch(found.path))) return found;
      // One download for all; who aborts leaves it to the others.
      const work = loading.get(key) ?? load(source, AbortSignal.timeout(10 * 60_000));
      loading.set(key, work);
      try {
        const loaded = await orAborted(work, signal);
        known.delete(key);
        known.set(key, loaded);
        for (const old of known.keys()) if (known.size > maxRemembered) known.delete(old);
        return loaded;
      } finally {
        void work.then(
          () => loading.delete(key),
          () => loading.delete(key),
        );
      }
    },
  };
}

interface Mutation {
  version: string;
  ociDigest: string;
}

/**
 * The version with the digest of the artifact as build metadata; undefined for sources whose revision is no digest.
 * Fails with ChartMutateError.
 */
export function mutationOf({ kind, artifact }: ChartSource, version: string): Mutation | undefined {
  const { revision } = artifact;
  const isDigested = kind === 'OCIRepository' || (kind === 'ExternalArtifact' && revision.includes(':'));
  if (!isDigested) return undefined;
  const chart = parse(version);
  if (!chart) throw failure('ChartMutateError', `chart version "${version}" is no semantic version`);
  const [tag = '', ...rest] = revision.split('@');
  const tagged = parse(tag.replaceAll('_', '+'));
  if (tagged && (rest.length !== 1 || tagged.compare(chart) !== 0)) {
    const message = `artifact revision "${tag}" does not match chart version "${version}": push the chart with its version as tag`;
    throw failure('ChartMutateError', message);
  }
  const ociDigest = tagged ? (rest[0] ?? '') : revision;
  const [, hex = '', ...more] = ociDigest.split(':');
  if (hex.length < digestLength || more.length > 0) {
    throw failure(
      'ChartMutateError',
      `artifact revision "${revision}" is not of the form "<tag>@<algorithm>:<digest>"`,
    );
  }
  return { version: `${chart.version}+${hex.slice(0, digestLength)}`, ociDigest };
}

/** Marks a file as used; false when it is not there. */
async function touch(path: string): Promise<boolean> {
  const now = new Date();
  return await utimes(path, now, now).then(
    () => true,
    () => false,
  );
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
