// Downloads the index of a Helm repository.
import type { Reason } from '../../errors.ts';
import { displayUrl } from '../git/remote-error.ts';
import { type HelmLimits, overLimit } from './helm-limits.ts';
import type { RepositoryAccess } from './repository-access.ts';
import { download, type Downloaded, type Validators } from './repository-download.ts';
import { chartUrl } from './repository-url.ts';

export interface DownloadedIndex extends Downloaded {
  /** For messages. */
  sourceName: string;
}

/** How messages call an index. */
export function nameOfIndex({ url }: RepositoryAccess): string {
  return `index of Helm repository ${displayUrl(url)}`;
}

/** Fails as `download` does. */
export async function downloadIndex(
  access: RepositoryAccess,
  limits: HelmLimits,
  signal: AbortSignal,
  reason: Reason,
): Promise<DownloadedIndex> {
  const downloaded = await downloadChangedIndex(access, limits, signal, reason, undefined);
  return { bytes: new Uint8Array(), ...downloaded, sourceName: nameOfIndex(access) };
}

/** The same, unless it is still of the version that is known: then undefined. */
export async function downloadChangedIndex(
  access: RepositoryAccess,
  limits: HelmLimits,
  signal: AbortSignal,
  reason: Reason,
  known: Validators | undefined,
): Promise<Downloaded | undefined> {
  const url = chartUrl(access.url, 'index.yaml');
  const [what, maxBytes] = [nameOfIndex(access), limits.indexBytes];
  const tooLarge = overLimit(limits, 'indexBytes');
  return await download(access, { url, what, maxBytes, tooLarge, reason, signal, known });
}
