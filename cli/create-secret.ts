// `continuo create secret`: the Secrets that sources refer to, made in the cluster or printed.
import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { type Command, Option } from 'commander';
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
import { usageError } from './exit.ts';
import { readFlagFile } from './flag-file.ts';
import { addClusterFlags, type ClusterFlags } from './flags.ts';
import { cliFieldManager, subjectOfObject } from './objects.ts';
import { formatDocuments, printLine } from './output.ts';
import { addKeyFlags, collectSshKeys, type KeyFlags } from './ssh-key-flags.ts';

interface CreateSecretFlags extends ClusterFlags {
  namespace: string;
  label?: string[];
  export?: boolean;
}

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

  const git = withLogin(
    add(
      'git',
      'make or change a Secret for Git over HTTP or SSH; keys for SSH are made, and the host is asked for its own',
    ),
  )
    .option('--url <address>', 'address of the repository')
    .option('--bearer-token <token>', 'token to log in with')
    .option('--ca-crt-file <path>', 'certificates to trust, in PEM')
    .action(createGitSecret);
  addKeyFlags(git);
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
      const appPrivateKey = await readFlagFile('--app-private-key', flags.appPrivateKey);
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

async function createGitSecret(name: string, flags: CreateSecretFlags & GitFlags & KeyFlags): Promise<void> {
  const url = parseGitUrl(flags.url);
  if (url.protocol !== 'ssh:') {
    const caCrtFile = await readFlagFile('--ca-crt-file', flags.caCrtFile);
    await writeSecret(gitSecret(name, { ...flags, caCrtFile }), flags);
    return;
  }
  const keys = await collectSshKeys(url, flags);
  if (!flags.export) printLine(`► deploy key: ${keys.identityPub.trim()}`);
  await writeSecret(gitSshSecret(name, flags, keys), flags);
}

async function createNotationSecret(
  name: string,
  flags: CreateSecretFlags & { trustPolicyFile?: string; caCertFile?: string[] },
): Promise<void> {
  const files = [];
  for (const path of flags.caCertFile ?? []) {
    files.push({ name: basename(path), text: (await readFlagFile('--ca-cert-file', path)) ?? '' });
  }
  const policy = await readFlagFile('--trust-policy-file', flags.trustPolicyFile);
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
    caCrtFile: await readFlagFile('--ca-crt-file', caCrtFile),
    tlsCrtFile: await readFlagFile('--tls-crt-file', tlsCrtFile),
    tlsKeyFile: await readFlagFile('--tls-key-file', tlsKeyFile),
  };
}
