// The GitRepository, and the Secret for it, that `continuo create source git` makes of its flags. Pure.
import type { GitRepositorySpec } from '../k8s/api/git-repository.ts';
import { kinds } from '../k8s/api/index.ts';
import type { KubeObject } from '../k8s/object.ts';
import { type CreateFlags, type FetchFlags, objectOf } from './create-flags.ts';
import { usageError } from './exit.ts';

export interface SourceGitFlags extends CreateFlags, FetchFlags {
  url?: string;
  branch?: string;
  tag?: string;
  tagSemver?: string;
  refName?: string;
  commit?: string;
  secretRef?: string;
  proxySecretRef?: string;
  provider?: GitRepositorySpec['provider'];
  ignorePaths?: string[];
  sparseCheckoutPaths?: string[];
  recurseSubmodules?: boolean;
  username?: string;
  password?: string;
  /** The text of a file with certificates. */
  caFile?: string;
}

/** Throws a usage error that names the flag that is missing or wrong. */
export function gitRepositoryFromFlags(name: string, flags: SourceGitFlags): KubeObject {
  const { branch, tag, tagSemver: semver, refName, commit } = flags;
  const ref = {
    ...(branch && { branch }),
    ...(tag && { tag }),
    ...(semver && { semver }),
    ...(refName && { name: refName }),
    ...(commit && { commit }),
  };
  if (Object.keys(ref).length === 0) {
    throw usageError('what to take is missing: give --branch, --tag, --tag-semver, --ref-name or --commit');
  }
  const secretRef = flags.secretRef ?? (hasCredentials(flags) ? name : undefined);
  const url = checkUrl(flags.url, secretRef);
  const spec: Partial<GitRepositorySpec> = {
    interval: flags.interval,
    ...(flags.fetchTimeout && { timeout: flags.fetchTimeout }),
    url,
    ref,
    ...(flags.provider && { provider: flags.provider }),
    ...(secretRef && { secretRef: { name: secretRef } }),
    ...(flags.proxySecretRef && { proxySecretRef: { name: flags.proxySecretRef } }),
    ...(flags.ignorePaths && { ignore: flags.ignorePaths.join('\n') }),
    ...(flags.sparseCheckoutPaths && { sparseCheckout: flags.sparseCheckoutPaths }),
    ...(flags.recurseSubmodules && { recurseSubmodules: true }),
  };
  return objectOf(kinds.GitRepository, name, flags, spec);
}

/** The Secret with the credentials that were given as flags; undefined where none were. */
export function credentialsSecret(name: string, flags: SourceGitFlags): KubeObject | undefined {
  if (!hasCredentials(flags)) return undefined;
  const { secretRef, username, password, caFile } = flags;
  if (secretRef) throw usageError('expected --secret-ref or credentials in flags, got both');
  if ((username === undefined) !== (password === undefined))
    throw usageError('expected both of --username and --password');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: flags.namespace },
    stringData: { ...(username && { username }), ...(password && { password }), ...(caFile && { 'ca.crt': caFile }) },
  };
}

function hasCredentials({ username, password, caFile }: SourceGitFlags): boolean {
  return [username, password, caFile].some((value) => value !== undefined);
}

function checkUrl(url: string | undefined, secretRef: string | undefined): string {
  if (!url) throw usageError('--url is missing: expected for example "https://host/org/repository"');
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !['http:', 'https:', 'ssh:'].includes(parsed.protocol)) {
    throw usageError(`--url has to be an address such as "https://host/path" or "ssh://git@host/path"${shown(parsed)}`);
  }
  if (parsed.password) throw usageError('--url must hold no password: give --username and --password, or --secret-ref');
  if (parsed.protocol === 'ssh:' && !secretRef) {
    throw usageError(
      'an ssh:// address needs keys: name the Secret that has "identity" and "known_hosts" with --secret-ref',
    );
  }
  return url;
}

/** What was given, unless it may hold a password. */
function shown(url: URL | undefined): string {
  return url && !url.password ? `, got "${url.href}"` : '';
}
