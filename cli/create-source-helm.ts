// `continuo create source helm`: a HelmRepository, and the Secret for it, out of flags.
import { type Command, Option } from 'commander';
import type { KindDefinition } from '../k8s/api/definition.ts';
import type { HelmRepositorySpec } from '../k8s/api/helm-repository.ts';
import { kinds } from '../k8s/api/index.ts';
import type { KubeObject } from '../k8s/object.ts';
import { addCreateFlags, addFetchTimeoutFlag, type CreateFlags, type FetchFlags, objectOf } from './create-flags.ts';
import { usageError } from './exit.ts';
import { readFlagFile } from './flag-file.ts';
import { checkNames } from './kinds.ts';

export interface SourceHelmFlags extends CreateFlags, FetchFlags {
  url?: string;
  secretRef?: string;
  ociProvider?: HelmRepositorySpec['provider'];
  passCredentials?: boolean;
  insecure?: boolean;
  username?: string;
  password?: string;
  /** The text of files in PEM. */
  caFile?: string;
  certFile?: string;
  keyFile?: string;
}

/** Applies objects and waits for the last one, or prints them. */
export type CreateObjects = (definition: KindDefinition, objects: KubeObject[], flags: CreateFlags) => Promise<void>;

/** Adds the command. */
export function registerCreateSourceHelm(source: Command, createObjects: CreateObjects): void {
  const command = source
    .command('helm')
    .description('make or change a HelmRepository, and wait until its index is stored')
    .argument('<name>', 'its name')
    .option('--url <address>', 'address of the repository, https:// or oci://')
    .option('--secret-ref <name>', 'Secret with the credentials')
    .addOption(
      new Option('--oci-provider <name>', 'how to log in to a registry').choices(['generic', 'aws', 'azure', 'gcp']),
    )
    .option('--pass-credentials', 'send the credentials also to other hosts that the index names')
    .option('--insecure', 'speak HTTP with a registry')
    .option('-u, --username <name>', 'make a Secret with this user name')
    .option('-p, --password <text>', 'and this password')
    .option('--ca-file <path>', 'and these certificates to trust')
    .option('--cert-file <path>', 'and this client certificate')
    .option('--key-file <path>', 'and its key')
    .action(async (name: string, given: SourceHelmFlags) => {
      checkNames(kinds.HelmRepository, [name]);
      const flags = { ...given, ...(await readFiles(given)) };
      const objects = helmRepositoryFromFlags(name, flags);
      if (objects.length > 1 && flags.export) {
        throw usageError('--export prints no credentials: name a Secret that exists with --secret-ref');
      }
      await createObjects(kinds.HelmRepository, objects, flags);
    });
  addFetchTimeoutFlag(command);
  addCreateFlags(command);
}

/** The Secrets, where there are credentials in flags, and the HelmRepository. Throws a usage error. */
export function helmRepositoryFromFlags(name: string, flags: SourceHelmFlags): KubeObject[] {
  const { url, secretRef, username, password, ociProvider } = flags;
  const parsed = url !== undefined && URL.canParse(url) ? new URL(url) : undefined;
  if (!url) throw usageError('--url is missing: expected for example "https://host/charts" or "oci://host/charts"');
  if (!parsed || !['http:', 'https:', 'oci:'].includes(parsed.protocol)) {
    throw usageError('--url has to be an address such as "https://host/charts" or "oci://host/charts"');
  }
  if (parsed.password) throw usageError('--url must hold no password: give --username and --password, or --secret-ref');
  if ((username === undefined) !== (password === undefined)) {
    throw usageError('expected both of --username and --password');
  }
  const isRegistry = parsed.protocol === 'oci:';
  const login = username === undefined || password === undefined ? undefined : { username, password };
  const tls = tlsOf(flags);
  if (secretRef && (login || tls)) throw usageError('expected --secret-ref or credentials in flags, got both');
  const ownName = `helm-${name}`;
  const loginName = secretRef ?? (login && ownName);
  const tlsName = tls && `${ownName}${login ? '-tls' : ''}`;
  const spec: Partial<HelmRepositorySpec> = {
    ...(isRegistry ? { type: 'oci' } : {}),
    interval: flags.interval,
    ...(flags.fetchTimeout && { timeout: flags.fetchTimeout }),
    url,
    ...(loginName && { secretRef: { name: loginName } }),
    ...(tlsName && { certSecretRef: { name: tlsName } }),
    ...(flags.passCredentials && { passCredentials: true }),
    ...(flags.insecure && { insecure: true }),
    ...(ociProvider && { provider: ociProvider }),
  };
  return [
    ...(login
      ? [secretOf(ownName, flags, isRegistry ? dockerConfigOf(parsed.host, login) : { stringData: login })]
      : []),
    ...(tls && tlsName ? [secretOf(tlsName, flags, { stringData: tls })] : []),
    objectOf(kinds.HelmRepository, name, flags, spec),
  ];
}

function secretOf(name: string, { namespace }: CreateFlags, content: object): KubeObject {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, ...content };
}

function dockerConfigOf(host: string, { username, password }: { username: string; password: string }): object {
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  const config = JSON.stringify({ auths: { [host]: { username, password, auth } } });
  return { type: 'kubernetes.io/dockerconfigjson', stringData: { '.dockerconfigjson': config } };
}

function tlsOf({ caFile, certFile, keyFile }: SourceHelmFlags): Record<string, string> | undefined {
  if ((certFile === undefined) !== (keyFile === undefined))
    throw usageError('expected both of --cert-file and --key-file');
  if (caFile === undefined && certFile === undefined) return undefined;
  return {
    ...(caFile && { 'ca.crt': caFile }),
    ...(certFile && keyFile ? { 'tls.crt': certFile, 'tls.key': keyFile } : {}),
  };
}

async function readFiles({ caFile, certFile, keyFile }: SourceHelmFlags): Promise<Partial<SourceHelmFlags>> {
  const [ca, cert, key] = await Promise.all([
    readFlagFile('--ca-file', caFile),
    readFlagFile('--cert-file', certFile),
    readFlagFile('--key-file', keyFile),
  ]);
  return { ...(ca && { caFile: ca }), ...(cert && { certFile: cert }), ...(key && { keyFile: key }) };
}
