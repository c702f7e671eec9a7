// `continuo create secret`: the Secrets that sources refer to, made in the cluster or printed.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type KubeObject, refOf } from '../k8s/object.ts';
import { withCluster } from './connect.ts';
import { collect } from './create-flags.ts';
import {
  gitSecret,
  gitSshSecret,
  type GitFlags,
  type GithubAppFlags,
  githubAppSecret,
  helmSecret,
  type Login,
  notationSecret,
  ociSecret,
  parseGitUrl,
  proxySecret,
  type ReceiverFlags,
  receiverSecret,
  receiverTypes,
  type TlsFiles,
  tlsSecret,
} from './create-secret-objects.ts';
import type { KeyFlags } from './create-secret-ssh.ts';
import { usageError } from './exit.ts';
import { addClusterFlags, type ClusterFlags } from './flags.ts';
import { cliFieldManager, subjectOfObject } from './objects.ts';
import { formatDocuments, printLine } from './output.ts';

interface CreateSecretFlags extends ClusterFlags {
  namespace: string;
  label?: string[];
  export?: boolean;
}

/** Kubernetes takes no larger Secret. */
const maxFileBytes = 1024 * 1024;

/** Adds the commands below `create`. */
export function registerCreateSecret(create: Command): void {
  const secret = create.command('secret').description('make or change a Secret for a source');
  const add = (kind: string, description: string): Command =>
    withSecretFlags(secret.command(kind).description(description).argument('<name>', 'its name'));
  const withLogin = (command: Command): Command =>
    command.option('-u, --username <name>', 'user name').option('-p, --password <text>', 'password or token');
  const withTls = (command: Command): Command =>
    command
      .option('--ca-crt-file <path>', 'certificates to trust, in PEM')
      .option('--tls-crt-file <path>', 'certificate to log in with, in PEM')
      .option('--tls-key-file <path>', 'its private key, in PEM');

  withLogin(
    add(
      'git',
      'make or change a Secret for Git over HTTP or SSH; keys for SSH are made, and the host is asked for its own',
    ),
  )
    .option('--url <address>', 'address of the repository')
    .option('--bearer-token <token>', 'token to log in with')
    .option('--ca-crt-file <path>', 'certificates to trust, in PEM')
    .option('--private-key-file <path>', 'private key for SSH, instead of a new one; --password is its passphrase')
    .addOption(
      new Option('--ssh-key-algorithm <name>', 'kind of the new key')
        .choices(['ecdsa', 'ed25519', 'rsa'])
        .default('ecdsa'),
    )
    .addOption(
      new Option('--ssh-ecdsa-curve <name>', 'curve of a new ECDSA key')
        .choices(['p256', 'p384', 'p521'])
        .default('p384'),
    )
    .option('--ssh-rsa-bits <number>', 'length of a new RSA key', parseRsaBits, 2048)
    .action(createGitSecret);
  withLogin(add('oci', 'make or change a pull secret for an OCI registry'))
    .option('--url <address>', 'address of the registry or of a path in it')
    .action((name: string, flags: CreateSecretFlags & Login & { url?: string }) =>
      writeSecret(ociSecret(name, flags), flags),
    );
  withTls(withLogin(add('helm', 'make or change a Secret for a Helm repository'))).action(
    async (name: string, flags: CreateSecretFlags & Login & TlsFiles) =>
      writeSecret(helmSecret(name, { ...flags, ...(await readTlsFiles(flags)) }), flags),
  );
  withTls(add('tls', 'make or change a Secret with certificates')).action(
    async (name: string, flags: CreateSecretFlags & TlsFiles) =>
      writeSecret(tlsSecret(name, { ...flags, ...(await readTlsFiles(flags)) }), flags),
  );
  withLogin(add('proxy', 'make or change a Secret with the address of a proxy'))
    .option('--address <address>', 'address of the proxy')
    .action((name: string, flags: CreateSecretFlags & Login & { address?: string }) =>
      writeSecret(proxySecret(name, flags), flags),
    );
  add('githubapp', 'make or change a Secret for a GitHub App')
    .option('--app-id <id>', 'id of the app')
    .option('--app-installation-id <id>', 'id of its installation')
    .option('--app-installation-owner <name>', 'user or organization that installed it')
    .option('--app-private-key <path>', 'its private key, in PEM')
    .option('--app-base-url <address>', 'address of the API of a GitHub Enterprise server')
    .action(async (name: string, flags: CreateSecretFlags & GithubAppFlags) => {
      const appPrivateKey = await readText('--app-private-key', flags.appPrivateKey);
      await writeSecret(githubAppSecret(name, { ...flags, appPrivateKey }), flags);
    });
  add('notation', 'make or change a Secret to verify signatures of notation with')
    .option('--trust-policy-file <path>', 'trust policy, in JSON')
    .option('--ca-cert-file <paths>', 'certificates to trust, in PEM; several, or separated by commas', collect)
    .action(createNotationSecret);
  add('receiver', 'make or change a Secret for a Receiver; an annotation says the address of its webhook')
    .addOption(new Option('--type <type>', 'type of the Receiver').choices(receiverTypes))
    .option('--hostname <name>', 'host name under which webhooks arrive')
    .option('--token <text>', 'token of the Receiver, instead of a new one')
    .option('--email-claim <address>', 'service account that sends; for type gcr')
    .option('--audience-claim <text>', 'audience of its tokens, instead of the address of the webhook; for type gcr')
    .action((name: string, flags: CreateSecretFlags & Partial<ReceiverFlags>) =>
      writeSecret(receiverSecret(name, { ...flags, token: flags.token ?? randomBytes(32).toString('hex') }), flags),
    );
}

function withSecretFlags(command: Command): Command {
  return addClusterFlags(
    command
      .option('--label <key=value>', 'label of the Secret; several, or separated by commas', collect)
      .option('--export', 'print the Secret as YAML and create nothing'),
  );
}

async function createGitSecret(
  name: string,
  flags: CreateSecretFlags & GitFlags & KeyFlags & { privateKeyFile?: string },
): Promise<void> {
  const url = parseGitUrl(flags.url);
  if (url.protocol !== 'ssh:') {
    const caCrtFile = await readText('--ca-crt-file', flags.caCrtFile);
    await writeSecret(gitSecret(name, { ...flags, caCrtFile }), flags);
    return;
  }
  const { generateSshKeyPair, readSshKeyPair, scanHostKeys } = await import('./create-secret-ssh.ts');
  const file = await readText('--private-key-file', flags.privateKeyFile);
  const pair = file === undefined ? generateSshKeyPair(flags) : readSshKeyPair(file, flags.password);
  const keys = { identity: pair.privateKey, identityPub: pair.publicKey, knownHosts: await scanHostKeys(url) };
  const password = file === undefined ? undefined : flags.password;
  if (!flags.export) printLine(`► deploy key: ${pair.publicKey.trim()}`);
  await writeSecret(gitSshSecret(name, flags, { ...keys, password }), flags);
}

async function createNotationSecret(
  name: string,
  flags: CreateSecretFlags & { trustPolicyFile?: string; caCertFile?: string[] },
): Promise<void> {
  const files = [];
  for (const path of flags.caCertFile ?? []) {
    files.push({ name: basename(path), text: (await readText('--ca-cert-file', path)) ?? '' });
  }
  const policy = await readText('--trust-policy-file', flags.trustPolicyFile);
  await writeSecret(notationSecret(name, flags, policy, files), flags);
}

async function writeSecret(object: KubeObject, flags: CreateSecretFlags): Promise<void> {
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(object.metadata.name)) {
    throw usageError(
      `invalid name of a Secret: expected lower-case letters, digits, "-" and ".", got "${object.metadata.name}"`,
    );
  }
  if (flags.export) {
    console.log(formatDocuments([object]));
    return;
  }
  await withCluster(flags, async (kube) => {
    const isThere = (await kube.get(refOf(object), { metadataOnly: true })) !== undefined;
    await kube.apply(object, { fieldManager: cliFieldManager, force: true });
    printLine(`✔ ${subjectOfObject(object)} ${isThere ? 'configured' : 'created'}`);
  });
}

async function readTlsFiles({ caCrtFile, tlsCrtFile, tlsKeyFile }: TlsFiles): Promise<TlsFiles> {
  return {
    caCrtFile: await readText('--ca-crt-file', caCrtFile),
    tlsCrtFile: await readText('--tls-crt-file', tlsCrtFile),
    tlsKeyFile: await readText('--tls-key-file', tlsKeyFile),
  };
}

async function readText(flag: string, path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const content = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw usageError(`${flag} "${path}" cannot be read (${error.code ?? error.message})`);
  });
  if (content.byteLength <= maxFileBytes) return content.toString('utf8');
  throw usageError(`${flag} "${path}" has ${content.byteLength} bytes: expected ${maxFileBytes} at most`);
}

function parseRsaBits(text: string): number {
  const bits = Number(text);
  if (Number.isInteger(bits) && bits >= 1024 && bits <= 16_384 && bits % 8 === 0) return bits;
  throw new InvalidArgumentError(`expected a multiple of 8 from 1024 to 16384, got "${text}"`);
}
