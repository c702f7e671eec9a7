// The Secrets that `continuo create secret` makes of its flags, with the keys that Flux's objects expect in them
// (contract 1.1 to 1.5). Pure: files are read and keys are made before.
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { parseTrustPolicy } from '../activities/source/oci/verify/notation/trust-policy.ts';
import { receiverTypes as allReceiverTypes } from '../k8s/api/receiver.ts';
import type { KubeObject } from '../k8s/object.ts';
import { parseLabels } from './create-flags.ts';
import { usageError } from './exit.ts';

export interface SecretFlags {
  namespace: string;
  label?: string[];
}

/** A file that a flag names. */
export interface GivenFile {
  /** Without its directory. */
  name: string;
  text: string;
}

export interface Login {
  username?: string;
  password?: string;
}

export interface TlsFiles {
  caCrtFile?: string;
  tlsCrtFile?: string;
  tlsKeyFile?: string;
}

export interface GitFlags extends Login {
  url?: string;
  bearerToken?: string;
  caCrtFile?: string;
}

/** The keys of a Secret for Git over SSH. */
export interface SshIdentity {
  identity: string;
  identityPub: string;
  knownHosts: string;
  password?: string;
}

type Data = Record<string, string | undefined>;

/** A Secret with what is given; empty values are left out. */
function secretOf(name: string, flags: SecretFlags, data: Data, type?: string, annotations?: Record<string, string>) {
  const labels = parseLabels(flags.label);
  const given = Object.entries(data).filter(([, value]) => value !== undefined && value !== '');
  const object: KubeObject = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      namespace: flags.namespace,
      ...(Object.keys(labels).length > 0 && { labels }),
      ...(annotations && { annotations }),
    },
    stringData: Object.fromEntries(given.sort(([one], [other]) => (one < other ? -1 : 1))),
    ...(type && { type }),
  };
  return object;
}

/** The scheme of a Git address: which kind of credentials it needs. */
export function parseGitUrl(url: string | undefined): URL {
  if (!url) throw usageError('--url is missing: expected for example "ssh://git@host/org/repository"');
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed && ['ssh:', 'https:', 'http:'].includes(parsed.protocol)) return parsed;
  throw usageError('--url has to begin with "ssh://", "https://" or "http://"');
}

/** For Git over HTTP: a user with a password, or a token. */
export function gitSecret(name: string, flags: SecretFlags & GitFlags): KubeObject {
  const { username, password, bearerToken, caCrtFile } = flags;
  if (bearerToken && (username || password))
    throw usageError('expected --username and --password, or --bearer-token, got both');
  if (!bearerToken && !(username && password)) {
    throw usageError('credentials are missing: give --username and --password, or --bearer-token');
  }
  return secretOf(name, flags, { username, password, bearerToken, 'ca.crt': certificates('--ca-crt-file', caCrtFile) });
}

/** For Git over SSH. */
export function gitSshSecret(name: string, flags: SecretFlags, keys: SshIdentity): KubeObject {
  const { identity, identityPub, knownHosts, password } = keys;
  return secretOf(name, flags, { identity, 'identity.pub': identityPub, known_hosts: knownHosts, password });
}

/** A pull secret for a registry. */
export function ociSecret(name: string, flags: SecretFlags & Login & { url?: string }): KubeObject {
  const { url, username, password } = flags;
  if (!url) throw usageError('--url is missing: expected for example "ghcr.io/org"');
  if (!username || !password) throw usageError('credentials are missing: give --username and --password');
  // Pull secrets name a registry without a scheme; with one, nothing finds it.
  const registry = url.replace(/^oci:\/\//, '');
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  const config = { auths: { [registry]: { username, password, auth } } };
  return secretOf(
    name,
    flags,
    { '.dockerconfigjson': JSON.stringify(config, null, 2) },
    'kubernetes.io/dockerconfigjson',
  );
}

/** For a Helm repository: a user with a password, certificates, or both. */
export function helmSecret(name: string, flags: SecretFlags & Login & TlsFiles): KubeObject {
  const { username, password } = flags;
  if (Boolean(username) !== Boolean(password)) throw usageError('expected both of --username and --password');
  const tls = tlsData(flags);
  const data = { username, password, ...tls.data };
  if (Object.values(data).every((value) => !value)) {
    throw usageError(
      'credentials are missing: give --username and --password, --ca-crt-file, or --tls-crt-file and --tls-key-file',
    );
  }
  const type = tls.hasPair ? 'kubernetes.io/tls' : username ? 'kubernetes.io/basic-auth' : 'Opaque';
  return secretOf(name, flags, data, type);
}

/** Certificates: to trust a server, to be trusted by it, or both. */
export function tlsSecret(name: string, flags: SecretFlags & TlsFiles): KubeObject {
  const tls = tlsData(flags);
  if (Object.values(tls.data).every((value) => !value)) {
    throw usageError('certificates are missing: give --ca-crt-file, or --tls-crt-file and --tls-key-file');
  }
  return secretOf(name, flags, tls.data, tls.hasPair ? 'kubernetes.io/tls' : 'Opaque');
}

/** The address of a proxy and the login for it. */
export function proxySecret(name: string, flags: SecretFlags & Login & { address?: string }): KubeObject {
  const { address, username, password } = flags;
  if (!address) throw usageError('--address is missing: expected for example "http://proxy.example:3128"');
  if (!URL.canParse(address) || !['http:', 'https:'].includes(new URL(address).protocol)) {
    throw usageError(`--address has to begin with "http://" or "https://"`);
  }
  if (new URL(address).password) throw usageError('--address must hold no password: give --username and --password');
  return secretOf(name, flags, { address, username, password }, 'Opaque');
}

export interface GithubAppFlags {
  appId?: string;
  appInstallationId?: string;
  appInstallationOwner?: string;
  appBaseUrl?: string;
  /** The text of the file. */
  appPrivateKey?: string;
}

/** The credentials of a GitHub App. */
export function githubAppSecret(name: string, flags: SecretFlags & GithubAppFlags): KubeObject {
  const { appId, appInstallationId, appInstallationOwner, appBaseUrl, appPrivateKey } = flags;
  if (!appId) throw usageError('--app-id is missing');
  if (!appPrivateKey) throw usageError('--app-private-key is missing: expected the file that GitHub made for the app');
  if (Boolean(appInstallationId) === Boolean(appInstallationOwner)) {
    throw usageError('expected one of --app-installation-id and --app-installation-owner');
  }
  checkPrivateKey('--app-private-key', appPrivateKey);
  const data = {
    githubAppID: appId,
    githubAppInstallationID: appInstallationId,
    githubAppInstallationOwner: appInstallationOwner,
    githubAppPrivateKey: appPrivateKey,
    githubAppBaseURL: appBaseUrl,
  };
  return secretOf(name, flags, data, 'Opaque');
}

/** A trust policy of the Notary Project and the certificates that it trusts. */
export function notationSecret(
  name: string,
  flags: SecretFlags,
  trustPolicy: string | undefined,
  files: readonly GivenFile[],
): KubeObject {
  if (files.length === 0) throw usageError('--ca-cert-file is missing: expected the certificate of an authority');
  if (trustPolicy === undefined) throw usageError('--trust-policy-file is missing: expected a "trustpolicy.json"');
  try {
    parseTrustPolicy(trustPolicy);
  } catch (error) {
    throw usageError(`--trust-policy-file is not valid: ${error instanceof Error ? error.message : ''}`);
  }
  const data: Data = { 'trustpolicy.json': trustPolicy };
  for (const file of files) {
    if (!/\.(crt|pem)$/.test(file.name))
      throw usageError(`--ca-cert-file "${file.name}" has to end in ".crt" or ".pem"`);
    if (data[file.name] !== undefined) throw usageError(`--ca-cert-file "${file.name}" is given twice`);
    data[file.name] = certificates(`--ca-cert-file "${file.name}"`, file.text);
  }
  return secretOf(name, flags, data);
}

/** The types whose senders know a token. */
export const receiverTypes = allReceiverTypes.filter((type) => type !== 'generic-oidc');

export interface ReceiverFlags {
  type?: (typeof receiverTypes)[number];
  hostname?: string;
  token: string;
  emailClaim?: string;
  audienceClaim?: string;
}

/** The token of a Receiver; an annotation says where senders reach it (contract 5). */
export function receiverSecret(name: string, flags: SecretFlags & ReceiverFlags): KubeObject {
  const { type, hostname, token, emailClaim, audienceClaim } = flags;
  if (!type) throw usageError(`--type is missing: expected one of ${receiverTypes.join(', ')}`);
  if (!hostname) throw usageError('--hostname is missing: expected for example "flux.example.com"');
  const isGcr = type === 'gcr';
  if (isGcr && !emailClaim)
    throw usageError('--email-claim is missing: type "gcr" needs the service account that sends');
  if (!isGcr && (emailClaim || audienceClaim))
    throw usageError('--email-claim and --audience-claim are for type "gcr"');
  const path = createHash('sha256').update(`${token}${name}${flags.namespace}`).digest('hex');
  const webhook = `https://${hostname}/hook/${path}`;
  const claims = isGcr ? { email: emailClaim, audience: audienceClaim || webhook } : {};
  const annotations = { 'notification.toolkit.fluxcd.io/webhook': webhook };
  return secretOf(name, flags, { token, ...claims }, undefined, annotations);
}

function tlsData({ caCrtFile, tlsCrtFile, tlsKeyFile }: TlsFiles): { data: Data; hasPair: boolean } {
  if (Boolean(tlsCrtFile) !== Boolean(tlsKeyFile))
    throw usageError('expected both of --tls-crt-file and --tls-key-file');
  const certificate = certificates('--tls-crt-file', tlsCrtFile);
  if (certificate !== undefined && tlsKeyFile !== undefined) {
    const key = checkPrivateKey('--tls-key-file', tlsKeyFile);
    if (!new X509Certificate(certificate).checkPrivateKey(key)) {
      throw usageError('--tls-key-file is not the key of the certificate in --tls-crt-file');
    }
  }
  const data = { 'ca.crt': certificates('--ca-crt-file', caCrtFile), 'tls.crt': certificate, 'tls.key': tlsKeyFile };
  return { data, hasPair: certificate !== undefined };
}

/** The text, once it is known to be PEM with a certificate. */
function certificates(flag: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    void new X509Certificate(text);
    return text;
  } catch {
    throw usageError(`${flag} holds no PEM certificate`);
  }
}

/** OpenSSL's messages may quote what they could not read. */
function checkPrivateKey(flag: string, text: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(text);
  } catch {
    throw usageError(`${flag} holds no PEM private key without a password`);
  }
}
