// `continuo create source git`: a GitRepository, and the Secret for it, out of flags.
import { type Command, Option } from 'commander';
import type { GitRepositorySpec } from '../k8s/api/git-repository.ts';
import { kinds } from '../k8s/api/index.ts';
import type { KubeObject } from '../k8s/object.ts';
import { refOf } from '../k8s/object.ts';
import { confirm, demandTerminal } from './confirm.ts';
import { withCluster } from './connect.ts';
import {
  addCreateFlags,
  addFetchTimeoutFlag,
  collect,
  type CreateFlags,
  type FetchFlags,
  objectOf,
} from './create-flags.ts';
import { gitSshSecret } from './create-secret-objects.ts';
import type { CreateObjects } from './create-source-helm.ts';
import { usageError } from './exit.ts';
import { readFlagFile } from './flag-file.ts';
import { checkNames } from './kinds.ts';
import { subjectOfObject } from './objects.ts';
import { printLine } from './output.ts';
import { addKeyFlags, collectSshKeys, type KeyFlags } from './ssh-key-flags.ts';
import { onInterrupt } from './watch-objects.ts';

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

/** Adds the command. */
export function registerCreateSourceGit(source: Command, createObjects: CreateObjects): void {
  const command = source
    .command('git')
    .description(
      'make or change a GitRepository, and wait until it is ready; for SSH, keys are made or taken from a file',
    )
    .argument('<name>', 'its name')
    .option('--url <address>', 'address of the repository')
    .option('--branch <name>', 'branch to take')
    .option('--tag <name>', 'tag to take')
    .option('--tag-semver <range>', 'take the newest tag of a range of versions')
    .option('--ref-name <name>', 'reference to take, such as refs/pull/7/head')
    .option('--commit <id>', 'commit to take')
    .option('--secret-ref <name>', 'Secret with the credentials')
    .option('--proxy-secret-ref <name>', 'Secret with the address of a proxy')
    .addOption(new Option('--provider <name>', 'how to log in').choices(['generic', 'github', 'aws', 'azure']))
    .option('--ignore-paths <patterns>', 'files to leave out; several, or separated by commas', collect)
    .option('--sparse-checkout-paths <directories>', 'directories to take; several, or separated by commas', collect)
    .option('--recurse-submodules', 'fetch submodules too')
    .option('-u, --username <name>', 'make a Secret with this user name')
    .option('-p, --password <text>', 'and this password or token')
    .option('--ca-file <path>', 'and these certificates to trust')
    .option('-s, --silent', 'for SSH, do not ask whether the server has the new deploy key')
    .action(async (name: string, given: SourceGitFlags & KeyFlags & { silent?: boolean }) => {
      checkNames(kinds.GitRepository, [name]);
      const caFile = await readFlagFile('--ca-file', given.caFile);
      const flags = { ...given, ...(caFile !== undefined && { caFile }) };
      const isSshWithoutSecret = flags.url?.startsWith('ssh://') === true && !flags.secretRef && !flags.export;
      if (isSshWithoutSecret) {
        const object = gitRepositoryFromFlags(name, { ...flags, secretRef: name });
        const secret = await sshSecret(name, flags);
        return await createObjects(kinds.GitRepository, [...(secret ? [secret] : []), object], flags);
      }
      const secret = credentialsSecret(name, flags);
      if (secret && flags.export) {
        throw usageError('--export prints no credentials: name a Secret that exists with --secret-ref');
      }
      const object = gitRepositoryFromFlags(name, flags);
      await createObjects(kinds.GitRepository, [...(secret ? [secret] : []), object], flags);
    });
  addKeyFlags(command);
  addFetchTimeoutFlag(command);
  addCreateFlags(command);
}

/**
 * The Secret for SSH, once the person says that the server knows its key. Undefined where there is one of this name and no
 * key is given: a new one would lock out the repository.
 */
async function sshSecret(
  name: string,
  flags: SourceGitFlags & KeyFlags & { silent?: boolean },
): Promise<KubeObject | undefined> {
  if (flags.username !== undefined || flags.caFile !== undefined) {
    throw usageError('an ssh:// address takes no --username and no --ca-file: its user stands before the "@"');
  }
  const secret = gitSshSecret(name, flags, { identity: '', identityPub: '', knownHosts: '' });
  const isThere = await withCluster(flags, (kube) => kube.get(refOf(secret), { metadataOnly: true }));
  if (isThere && !flags.privateKeyFile) {
    printLine(`► ${subjectOfObject(secret)} is there and stays as it is`);
    return undefined;
  }
  const question = flags.silent || flags.privateKeyFile ? undefined : 'Has the server got this deploy key?';
  if (question) demandTerminal(question);
  const keys = await collectSshKeys(new URL(flags.url ?? ''), flags);
  printLine(`► keys of the host, to be compared with what its operator publishes:\n${keys.knownHosts}`);
  printLine(`► deploy key: ${keys.identityPub.trim()}`);
  if (question) await confirm(question, onInterrupt().signal, 'nothing was created');
  return gitSshSecret(name, flags, keys);
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
