// The trusted root of the public Sigstore instance, or of the one that the installation names, for keyless signatures
// (contract 1.2, verify without secretRef): fetched by The Update Framework, so that a mirror cannot forge it, nor hold back
// a newer one for long. What was fetched is kept on disk, and is used while the repository is away and it has not expired.
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TrustedRoot } from '@sigstore/protobuf-specs';
import type { TUFOptions } from '@sigstore/tuf';
import { untilAborted } from '../../until-aborted.ts';

/** Gives the trusted root. Fails with an `Error` that names the repository when there is none to be had. */
export type PublicRoot = (signal: AbortSignal) => Promise<TrustedRoot>;

export interface PublicRootOptions {
  /** Address of the TUF repository. */
  repositoryUrl: string;
  /** File with the root metadata that the trust begins with; '' for the one that comes with the library, of the public instance. */
  rootFile: string;
  /** What was fetched lies in a folder of it. */
  cacheDirectory: string;
  /** How long a root is used before it is asked for again. @default a day */
  refreshMs?: number;
}

export const publicRepositoryUrl = 'https://tuf-repo-cdn.sigstore.dev';
const requestTimeoutMs = 5_000;
/** After a failure. */
const retryMs = 300_000;

/** Nothing is loaded, read or fetched before the first root is asked for. */
export function createPublicRoot(options: PublicRootOptions): PublicRoot {
  const { repositoryUrl, refreshMs = 86_400_000 } = options;
  let known: { root: TrustedRoot; renewAtMs: number } | undefined;
  let fetching: Promise<TrustedRoot> | undefined;

  async function fetchRoot(): Promise<TrustedRoot> {
    const { getTrustedRoot } = await import('@sigstore/tuf');
    const from = repositoryOf(options);
    try {
      const root = await getTrustedRoot(from);
      known = { root, renewAtMs: Date.now() + refreshMs };
      return root;
    } catch (error) {
      // The timestamp of what is on disk says whether it still holds.
      const root = await getTrustedRoot({ ...from, forceCache: true }).catch(() => undefined);
      if (!root) throw unavailable(repositoryUrl, error);
      known = { root, renewAtMs: Date.now() + retryMs };
      return root;
    }
  }

  return async (signal) => {
    if (known && known.renewAtMs > Date.now()) return known.root;
    fetching ??= fetchRoot().finally(() => (fetching = undefined));
    return await untilAborted(fetching, signal);
  };
}

/** Each beginning of trust has a folder of its own: what another one led to is not taken over. */
function repositoryOf({ repositoryUrl, rootFile, cacheDirectory }: PublicRootOptions): TUFOptions {
  const start =
    rootFile === '' ? 'public' : createHash('sha256').update(readFileSync(rootFile)).digest('hex').slice(0, 16);
  const cachePath = join(cacheDirectory, start);
  removeTorn(cachePath, repositoryUrl);
  return {
    mirrorURL: repositoryUrl,
    cachePath,
    ...(rootFile === '' ? {} : { rootPath: rootFile }),
    timeout: requestTimeoutMs,
    retry: { retries: 1 },
  };
}

/** A worker that died while it wrote may have left half a root, which nothing could be checked with. */
function removeTorn(cachePath: string, repositoryUrl: string): void {
  const { host, pathname } = new URL(repositoryUrl);
  const directory = join(cachePath, encodeURIComponent(host + pathname.replace(/\/$/, '')));
  let text: string;
  try {
    text = readFileSync(join(directory, 'root.json'), 'utf8');
  } catch {
    return; // nothing was fetched yet
  }
  try {
    JSON.parse(text);
  } catch {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** With the innermost cause: the library's own words say only that it failed. */
function unavailable(repositoryUrl: string, error: unknown): Error {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  const { statusCode, code } = cause as { statusCode?: number; code?: string };
  const server = statusCode ? ` (HTTP ${statusCode})` : code ? ` (${code})` : '';
  const why = cause instanceof Error ? cause.message : String(cause);
  return new Error(`the TUF repository "${repositoryUrl}" gave no trusted root${server}: ${why}`, { cause });
}
