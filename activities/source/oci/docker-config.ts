// Credentials of registries as `docker login` stores them, and as Secrets of type `kubernetes.io/dockerconfigjson` (or the
// older `kubernetes.io/dockercfg`) hold them. Pure.
import { type SecretData, secretText } from '../http/tls-secret.ts';
import { dockerHub } from './oci-address.ts';

/** How to log in to one registry. */
export interface RegistryCredentials {
  username: string;
  password: string;
  /** An OAuth2 refresh token, which takes the place of the password at the token server. */
  identityToken?: string;
  /** A bearer token that is presented as it is. */
  registryToken?: string;
  /** Where they come from, for messages: `Secret "apps/registry"`. */
  origin: string;
}

/** One entry of `auths`. */
export interface DockerAuth {
  auth?: unknown;
  username?: unknown;
  password?: unknown;
  identitytoken?: unknown;
  registrytoken?: unknown;
}

/** Registry (with or without scheme, path and wildcard) → how to log in. */
export type DockerAuths = Readonly<Record<string, DockerAuth>>;

/**
 * The `auths` in a Secret's data; undefined when it has none of the keys for them. Throws an `Error` that says what is
 * wrong, without any of the content.
 */
export function authsOfSecret(data: NonNullable<SecretData>): DockerAuths | undefined {
  const modern = secretText(data, '.dockerconfigjson');
  const legacy = secretText(data, '.dockercfg');
  if (modern !== undefined) return parseAuths(modern, '.dockerconfigjson', true);
  if (legacy !== undefined) return parseAuths(legacy, '.dockercfg', false);
  return undefined;
}

function parseAuths(text: string, key: string, isNested: boolean): DockerAuths {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error(`has a key "${key}" that is no JSON`); // the parser would quote the text
  }
  const auths = isNested ? (parsed as { auths?: unknown } | null)?.auths : parsed;
  if (typeof auths !== 'object' || auths === null || Array.isArray(auths)) {
    throw new Error(`has a key "${key}" without ${isNested ? '"auths"' : 'entries'}`);
  }
  return auths as DockerAuths;
}

/**
 * The credentials for a repository: the entry with the longest path that fits wins, as Kubernetes chooses pull secrets.
 * Undefined when no entry fits. Throws an `Error` when the one that fits holds no credentials.
 */
export function credentialsFor(
  auths: DockerAuths,
  { host, repository }: { host: string; repository: string },
  origin: string,
): RegistryCredentials | undefined {
  let best: { auth: DockerAuth; name: string; rank: number } | undefined;
  for (const [name, auth] of Object.entries(auths)) {
    const rank = rankOf(name, host, repository);
    if (rank !== undefined && (!best || rank > best.rank)) best = { auth, name, rank };
  }
  if (!best) return undefined;
  const credentials = readAuth(best.auth, origin);
  if (credentials) return credentials;
  throw new Error(`has an entry for "${best.name}" without "auth", or "username" and "password"`);
}

/** How well an entry fits: the length of its path, exact hosts before wildcards; undefined: not at all. */
function rankOf(name: string, host: string, repository: string): number | undefined {
  const [entryHost = '', ...segments] = name.replace(/^https?:\/\//, '').split('/');
  const path = segments.join('/').replace(/\/+$/, '');
  const isHub = hubNames.has(entryHost) && hubNames.has(host);
  if (!isHub && !isSameHost(entryHost, host)) return undefined;
  const isVersion = path === '' || path === 'v1' || path === 'v2';
  if (!isVersion && path !== repository && !repository.startsWith(`${path}/`)) return undefined;
  return (isVersion ? 0 : path.length * 2) + (entryHost.includes('*') ? 0 : 1);
}

const hubNames = new Set([dockerHub, 'docker.io', 'registry-1.docker.io', 'registry.hub.docker.com']);

/** `*` in an entry stands for one part of a host's name. */
function isSameHost(entry: string, host: string): boolean {
  const [entryName = '', entryPort = ''] = splitPort(entry);
  const [name = '', port = ''] = splitPort(host);
  if (entryPort !== port) return false;
  const wanted = entryName.toLowerCase().split('.');
  const parts = name.toLowerCase().split('.');
  return wanted.length === parts.length && wanted.every((part, index) => part === '*' || part === parts[index]);
}

function splitPort(host: string): string[] {
  const match = /^(.*?)(?::(\d+))?$/.exec(host);
  return [match?.[1] ?? host, match?.[2] ?? ''];
}

function readAuth(entry: DockerAuth, origin: string): RegistryCredentials | undefined {
  const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
  const identityToken = text(entry?.identitytoken);
  const registryToken = text(entry?.registrytoken);
  let username = text(entry?.username);
  let password = text(entry?.password);
  const encoded = text(entry?.auth);
  if (encoded && (username === undefined || password === undefined)) {
    const decoded = Buffer.from(encoded.trim(), 'base64').toString('utf8');
    const colon = decoded.indexOf(':');
    if (colon > 0) {
      username = decoded.slice(0, colon);
      // Docker writes a NUL at the end of some.
      password = decoded.slice(colon + 1).replace(/\0+$/, '');
    }
  }
  const hasLogin = username !== undefined && password !== undefined;
  if (!hasLogin && !identityToken && !registryToken) return undefined;
  return {
    username: username ?? '',
    password: password ?? '',
    ...(identityToken && { identityToken }),
    ...(registryToken && { registryToken }),
    origin,
  };
}
