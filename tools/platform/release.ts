// Downloads one binary of an official release, verifies it against a SHA-256 digest and puts it in place atomically.
// Nothing that could not be verified is ever written to the target path.
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { x as extract } from 'tar';

/** A platform that releases are made for, in Go's words. */
export interface ReleaseTarget {
  /** `linux`, `darwin`. */
  os: string;
  /** `amd64`, `arm64`. */
  arch: string;
}

/** Where a release is and how it is verified. */
export interface Release {
  url: string;
  /** The digest of the file at `url`, when it is known. Wins over `checksumUrl`. */
  sha256?: string;
  /** The file of digests that the project publishes: lines of `<digest>  <file name>`, or a single digest. */
  checksumUrl?: string;
  /** Path of the binary inside a `.tar.gz`. Without it the file at `url` is the binary. */
  member?: string;
}

/** What came of a download. */
export type ReleaseOutcome = { ok: true } | { ok: false; cause: string };

const connectTimeoutMs = 3_000;
const downloadTimeoutMs = 600_000;

/** Downloads, verifies and installs the binary at `target`. Never throws: a failure is an outcome, the caller has other ways. */
export async function downloadRelease(
  release: Release,
  target: string,
  signal?: AbortSignal,
  request: typeof fetch = fetch,
): Promise<ReleaseOutcome> {
  const isReachable = request === fetch ? await canConnect(new URL(release.url)) : true;
  if (!isReachable) return { ok: false, cause: `no connection to "${new URL(release.url).host}"` };
  const get = async (url: string): Promise<Response> => {
    const timeout = AbortSignal.timeout(downloadTimeoutMs);
    const response = await request(url, { signal: signal ? AbortSignal.any([signal, timeout]) : timeout });
    if (!response.ok) throw new Error(`"${url}" answered ${response.status}`);
    return response;
  };
  await mkdir(dirname(target), { recursive: true });
  const work = await mkdtemp(join(dirname(target), '.release-'));
  try {
    const wanted = release.sha256 ?? (await publishedDigest(release, get));
    const content = Buffer.from(await (await get(release.url)).arrayBuffer());
    const digest = createHash('sha256').update(content).digest('hex');
    if (digest !== wanted) throw new Error(`sha256 of "${release.url}" is "${digest}", expected "${wanted}"`);
    let binary = join(work, basename(target));
    if (release.member) {
      const archive = join(work, 'archive.tar.gz');
      await writeFile(archive, content);
      await extract({ file: archive, cwd: work }, [release.member]);
      binary = join(work, release.member);
    } else {
      await writeFile(binary, content);
    }
    await chmod(binary, 0o755);
    await rename(binary, target);
    return { ok: true };
  } catch (error) {
    return { ok: false, cause: (error as Error).message };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The digest for `fileName` in a published list of digests; a list of one bare digest is for whatever file. */
export function findDigest(list: string, fileName: string): string | undefined {
  for (const line of list.split('\n')) {
    const [digest, name] = line.trim().split(/\s+\*?/);
    if (digest && /^[0-9a-f]{64}$/.test(digest) && (!name || basename(name) === fileName)) return digest;
  }
  return undefined;
}

async function publishedDigest(release: Release, get: (url: string) => Promise<Response>): Promise<string> {
  if (!release.checksumUrl) throw new Error(`no checksum is known for "${release.url}"`);
  const list = await (await get(release.checksumUrl)).text();
  const digest = findDigest(list, basename(new URL(release.url).pathname));
  if (!digest) throw new Error(`"${release.checksumUrl}" has no digest for "${release.url}"`);
  return digest;
}

/** `fetch` has no connect timeout of its own that is short enough, so the connection is tried first. */
function canConnect(url: URL): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: url.hostname, port: Number(url.port || 443), timeout: connectTimeoutMs });
    const settle = (isReachable: boolean): void => {
      socket.destroy();
      resolve(isReachable);
    };
    socket.once('connect', () => settle(true));
    socket.once('timeout', () => settle(false));
    socket.once('error', () => settle(false));
  });
}
