// Brings an artifact's tarball into a local file and proves its digest; never looks inside it.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { failure, messageOf } from '../errors.ts';
import type { Artifact } from './artifact.ts';
import { formatDigest, parseDigest } from './digest.ts';
import type { ServedFiles } from './served-files.ts';
import { pathProblem } from './tar-path.ts';

/** Where artifacts come from and how hard to try. */
export interface DownloadOptions {
  /** Our own store: URLs below `baseUrl` are read from `directory`, or as `open` gives them, without HTTP. */
  localStore?: { baseUrl: string } & ({ directory: string } | { open: ServedFiles });
  /** `host[:port]` that replaces the host of every other artifact URL, for a worker outside of the cluster. */
  hostRewrite?: string;
  /** Told the URL of an artifact that is not there, or is not what its digest says. */
  onLost?: (url: string) => void;
  /** Largest tarball. @default 512 MiB */
  maxDownloadBytes?: number;
  /** Time for one attempt. @default 60000 */
  timeoutMs?: number;
  /** Attempts after the first one, for what may pass by itself (contract: `--http-retry`). @default 9 */
  retries?: number;
  /** Wait before the first retry; doubles up to 5 s. @default 100 */
  retryDelayMs?: number;
}

export const defaultDownloadOptions = {
  maxDownloadBytes: 512 * 1024 * 1024,
  timeoutMs: 60_000,
  retries: 9,
  retryDelayMs: 100,
};

/**
 * Copies the artifact's tarball to `target`. Fails with ArtifactFailed: not found, refused, over the size limit,
 * digest mismatch, or unreachable after all retries. Stops at once when `signal` aborts, with the signal's reason.
 */
export async function downloadArtifact(
  artifact: Pick<Artifact, 'digest' | 'url' | 'revision'>,
  target: string,
  options: DownloadOptions,
  signal: AbortSignal,
): Promise<void> {
  const { maxDownloadBytes, timeoutMs, retries, retryDelayMs } = { ...defaultDownloadOptions, ...options };
  const digest = parseDigestOf(artifact);
  const local = localContentOf(artifact.url, options.localStore);
  const isOnDisk = local !== undefined && options.localStore !== undefined && 'directory' in options.localStore;
  for (let attempt = 0; ; attempt++) {
    const attemptSignal = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    try {
      const hash = createHash(digest.algorithm);
      const body = local ? await local() : await openRemote(artifact.url, options.hostRewrite, attemptSignal);
      await pipeline(limited(body, maxDownloadBytes, hash), createWriteStream(target), { signal: attemptSignal });
      const actual = formatDigest(digest.algorithm, hash);
      if (actual === `${digest.algorithm}:${digest.hex}`) return;
      throw new DownloadProblem(
        `its digest does not match: expected "${artifact.digest}", got "${actual}"`,
        false,
        true,
      );
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof DownloadProblem && error.isLost) options.onLost?.(artifact.url);
      const cause = attemptSignal.aborted ? new Error(`no answer within ${timeoutMs / 1000} s`) : error;
      if (attempt < retries && !(error instanceof DownloadProblem && !error.isTransient) && !isOnDisk) {
        await sleep(Math.min(retryDelayMs * 2 ** attempt, 5_000), undefined, { signal }).catch(() => undefined);
        signal.throwIfAborted();
        continue;
      }
      throw artifactFailure(artifact, describe(cause), cause);
    }
  }
}

/** The failure of an artifact: names its revision and where it is, never the query or credentials of its URL. */
export function artifactFailure(
  artifact: Pick<Artifact, 'url' | 'revision'>,
  what: string,
  cause?: unknown,
): ReturnType<typeof failure> {
  const where = URL.canParse(artifact.url) ? displayUrl(new URL(artifact.url)) : 'an invalid URL';
  return failure('ArtifactFailed', `artifact "${artifact.revision}" at ${where}: ${what}`, { cause });
}

function displayUrl(url: URL): string {
  return `"${url.protocol}//${url.host}${url.pathname}"`;
}

/** A refusal that says itself whether trying again may help. */
class DownloadProblem extends Error {
  readonly isTransient: boolean;
  readonly isLost: boolean;
  constructor(message: string, isTransient: boolean, isLost = false) {
    super(message);
    this.isTransient = isTransient;
    this.isLost = isLost;
  }
}

function parseDigestOf(artifact: Pick<Artifact, 'digest' | 'url' | 'revision'>): ReturnType<typeof parseDigest> {
  try {
    return parseDigest(artifact.digest);
  } catch (error) {
    throw artifactFailure(artifact, messageOf(error), error);
  }
}

/** How the artifact of a URL is read from our own store; undefined for every other URL. */
function localContentOf(
  url: string,
  store: DownloadOptions['localStore'],
): (() => Promise<AsyncIterable<Uint8Array>>) | undefined {
  if (!store) return undefined;
  const base = `${store.baseUrl.replace(/\/+$/, '')}/`;
  if (!url.startsWith(base)) return undefined;
  const path = url.slice(base.length);
  if (pathProblem(path) || path.startsWith('.')) return undefined;
  return 'open' in store ? () => openStored(store.open, path) : () => openLocal(join(store.directory, path));
}

async function openStored(open: ServedFiles, path: string): Promise<AsyncIterable<Uint8Array>> {
  const file = await open(path);
  if (file) return await file.content();
  throw new DownloadProblem(notFoundMessage, false, true);
}

async function openLocal(path: string): Promise<AsyncIterable<Uint8Array>> {
  const info = await stat(path).catch(() => undefined);
  if (!info?.isFile()) throw new DownloadProblem(notFoundMessage, false, true);
  return createReadStream(path, { highWaterMark: 256 * 1024 });
}

const notFoundMessage = 'not found; the source stores it again when it reconciles';

async function openRemote(
  url: string,
  hostRewrite: string | undefined,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const target = URL.canParse(url) ? new URL(url) : undefined;
  if (!target || !['http:', 'https:'].includes(target.protocol)) {
    throw new DownloadProblem('its URL is not an http or https address', false);
  }
  if (hostRewrite) {
    target.port = '';
    target.host = hostRewrite;
  }
  const response = await fetch(target, { signal, headers: { 'accept-encoding': 'identity' } });
  if (response.ok && response.body) return response.body;
  await response.body?.cancel();
  if (response.status === 404) throw new DownloadProblem(notFoundMessage, false, true);
  const isTransient = response.status === 408 || response.status === 429 || response.status >= 500;
  throw new DownloadProblem(`the server refused the download (HTTP ${response.status})`, isTransient);
}

async function* limited(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
  hash: { update(chunk: Uint8Array): unknown },
): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes)
      throw new DownloadProblem(`the tarball has more than the ${maxBytes} bytes allowed`, false);
    hash.update(chunk);
    yield chunk;
  }
}

function describe(error: unknown): string {
  return error instanceof DownloadProblem ? error.message : `the download failed: ${messageOf(error)}`;
}
