// The cache of unpacked artifacts: each is downloaded, verified and unpacked once, shared by all builds of a machine,
// and bounded. A directory is complete when it has its final name, so a process that dies leaves nothing half made.
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failure, messageOf } from '../errors.ts';
import type { Artifact, UnpackedArtifact, UnpackedArtifacts } from './artifact.ts';
import { type DownloadOptions, artifactFailure, downloadArtifact } from './download.ts';
import { extractTarball } from './extract.ts';

/** What `createUnpackedArtifacts` may be told, beside the download options. */
export interface UnpackedArtifactsOptions extends DownloadOptions {
  /** Root of the cache; survives restarts. */
  directory: string;
  /** Most files and directories in one artifact. @default 100000 */
  maxFiles?: number;
  /** Most unpacked bytes of one artifact. @default 1 GiB */
  maxBytes?: number;
  /** Unpacked artifacts kept. @default 200 */
  maxCachedArtifacts?: number;
  /** Unpacked bytes kept over all. @default 4 GiB */
  maxCachedBytes?: number;
  /** What was asked for within this time is never evicted: a build may still read it. @default 900000 */
  minKeepMs?: number;
}

export const defaultUnpackedArtifactsOptions = {
  maxFiles: 100_000,
  maxBytes: 1024 ** 3,
  maxCachedArtifacts: 200,
  maxCachedBytes: 4 * 1024 ** 3,
  minKeepMs: 900_000,
};

interface Flight {
  result: Promise<UnpackedArtifact>;
  waiters: number;
  controller: AbortController;
}

interface IndexFile {
  digest: string;
  sizeBytes: number;
  files: Record<string, string>;
}

const temporaryPrefix = '.tmp-';

/** Opens the cache. Nothing is read until the first call. */
export function createUnpackedArtifacts(options: UnpackedArtifactsOptions): UnpackedArtifacts {
  const settings = { ...defaultUnpackedArtifactsOptions, ...options };
  const known = new Map<string, UnpackedArtifact & { usedMs: number; sizeBytes: number }>();
  const flights = new Map<string, Flight>();

  function slotOf(digest: string): string | undefined {
    return /^[a-z0-9]+:[0-9a-fA-F]{64,128}$/.test(digest) ? digest.toLowerCase().replace(':', '-') : undefined;
  }

  function peek(digest: string): UnpackedArtifact | undefined {
    const slot = slotOf(digest);
    if (!slot) return undefined;
    const root = join(settings.directory, slot);
    const entry = known.get(digest);
    if (entry) {
      entry.usedMs = Date.now();
      if (isDirectory(entry.directory)) return entry;
      known.delete(digest);
      return undefined;
    }
    try {
      const index = JSON.parse(readFileSync(join(root, 'index.json'), 'utf8')) as IndexFile;
      if (index.digest !== digest || !isDirectory(join(root, 'files'))) return undefined;
      return remember(digest, root, new Map(Object.entries(index.files)), index.sizeBytes);
    } catch {
      return undefined; // not there, or unreadable: it is fetched again
    }
  }

  function remember(
    digest: string,
    root: string,
    files: ReadonlyMap<string, string>,
    sizeBytes: number,
  ): UnpackedArtifact {
    const entry = { digest, directory: join(root, 'files'), files, usedMs: Date.now(), sizeBytes };
    known.set(digest, entry);
    // The time on disk orders evictions after a restart.
    void utimes(root, new Date(), new Date()).catch(() => undefined);
    return entry;
  }

  async function get(
    artifact: Pick<Artifact, 'digest' | 'url' | 'revision'>,
    signal?: AbortSignal,
  ): Promise<UnpackedArtifact> {
    signal?.throwIfAborted();
    const present = peek(artifact.digest);
    if (present) return present;
    let flight = flights.get(artifact.digest);
    if (!flight || flight.controller.signal.aborted) {
      flight = takeOff(artifact);
      flights.set(artifact.digest, flight);
    }
    return awaitFlight(flight, signal);
  }

  function takeOff(artifact: Pick<Artifact, 'digest' | 'url' | 'revision'>): Flight {
    const controller = new AbortController();
    const flight: Flight = { controller, waiters: 0, result: fetchAndUnpack(artifact, controller.signal) };
    const land = (): void => {
      if (flights.get(artifact.digest) === flight) flights.delete(artifact.digest);
    };
    flight.result.then(land, land);
    return flight;
  }

  async function fetchAndUnpack(
    artifact: Pick<Artifact, 'digest' | 'url' | 'revision'>,
    signal: AbortSignal,
  ): Promise<UnpackedArtifact> {
    const slot = slotOf(artifact.digest);
    const work = join(settings.directory, `${temporaryPrefix}${process.pid}-${randomBytes(6).toString('hex')}`);
    try {
      await mkdir(join(work, 'files'), { recursive: true, mode: 0o750 });
      const tarball = join(work, 'artifact.tar.gz');
      await downloadArtifact(artifact, tarball, settings, signal);
      const extracted = await extract(artifact, tarball, join(work, 'files'), signal);
      await rm(tarball);
      const index: IndexFile = {
        digest: artifact.digest,
        sizeBytes: extracted.sizeBytes,
        files: Object.fromEntries(extracted.files),
      };
      await writeFile(join(work, 'index.json'), JSON.stringify(index));
      const root = join(settings.directory, slot ?? artifact.digest);
      await moveInto(work, root);
      const result = remember(artifact.digest, root, extracted.files, extracted.sizeBytes);
      await evict();
      return result;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Error && error.name === 'ApplicationFailure') throw error;
      throw failure('StorageOperationFailed', `the cache of unpacked artifacts: ${messageOf(error)}`, { cause: error });
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  async function extract(
    artifact: Pick<Artifact, 'url' | 'revision'>,
    tarball: string,
    directory: string,
    signal: AbortSignal,
  ): Promise<Awaited<ReturnType<typeof extractTarball>>> {
    try {
      return await extractTarball(tarball, directory, settings, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw artifactFailure(artifact, `cannot be unpacked: ${messageOf(error)}`, error);
    }
  }

  /** Another process may have been faster: its directory has the same content. One without an index is damaged. */
  async function moveInto(work: string, root: string): Promise<void> {
    if (await exists(join(root, 'index.json'))) {
      if (await exists(join(root, 'files'))) return;
    }
    await rm(root, { recursive: true, force: true });
    try {
      await rename(work, root);
    } catch (error) {
      if (!(await exists(join(root, 'index.json')))) throw error;
    }
  }

  /** Drops what was used longest ago until the cache is within its bounds. */
  async function evict(): Promise<void> {
    const now = Date.now();
    const entries: { name: string; usedMs: number; sizeBytes: number; digest: string }[] = [];
    for (const name of await readdir(settings.directory)) {
      const info = await stat(join(settings.directory, name)).catch(() => undefined);
      if (!info?.isDirectory()) continue;
      if (name.startsWith(temporaryPrefix)) {
        if (now - info.mtimeMs > settings.minKeepMs) {
          await rm(join(settings.directory, name), { recursive: true, force: true });
        }
        continue;
      }
      const digest = name.replace('-', ':');
      const entry = known.get(digest);
      const sizeBytes = entry?.sizeBytes ?? sizeInIndex(join(settings.directory, name));
      entries.push({ name, digest, sizeBytes, usedMs: Math.max(entry?.usedMs ?? 0, info.mtimeMs) });
    }
    entries.sort((a, b) => b.usedMs - a.usedMs);
    let totalBytes = 0;
    for (const [position, entry] of entries.entries()) {
      totalBytes += entry.sizeBytes;
      const isOver = position >= settings.maxCachedArtifacts || totalBytes > settings.maxCachedBytes;
      if (!isOver || now - entry.usedMs < settings.minKeepMs) continue;
      known.delete(entry.digest);
      await rm(join(settings.directory, entry.name), { recursive: true, force: true });
    }
  }

  return { get, peek };
}

/** Waits for a shared download; the last one to give up ends it. */
async function awaitFlight(flight: Flight, signal: AbortSignal | undefined): Promise<UnpackedArtifact> {
  if (!signal) {
    flight.waiters++;
    return flight.result;
  }
  flight.waiters++;
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => {
    if (--flight.waiters === 0) flight.controller.abort(signal.reason);
    aborted.reject(signal.reason);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([flight.result, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function sizeInIndex(root: string): number {
  try {
    return (JSON.parse(readFileSync(join(root, 'index.json'), 'utf8')) as IndexFile).sizeBytes;
  } catch {
    return 0;
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
