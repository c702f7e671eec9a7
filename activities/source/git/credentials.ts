// From the Secret of spec.secretRef to what the transports need (contract 1.1, secretRef).
import type { ParsedKey } from 'ssh2';
import { failure, messageOf } from '../../errors.ts';
import { type ProxySettings, secretText, type TlsSettings, tlsFromSecret } from '../http/tls-secret.ts';
import { type KnownHost, parseKnownHosts } from './ssh/known-hosts.ts';
import { parsePrivateKey } from './ssh/private-key.ts';
import type { SshAlgorithms } from './ssh/ssh-algorithms.ts';

/** How to log in and whom to trust. */
export interface GitCredentials {
  /** Value of the Authorization header. */
  authorization?: string;
  tls?: TlsSettings;
  ssh?: SshCredentials;
  /** Why there are none, for the message when the server asks for some. */
  whyNone?: string;
  /** Called when the server refuses them, so that what was made from them is not used again. */
  onRefused?(): void;
  proxy?: ProxySettings;
  /** Where they come from, for messages: `Secret "apps/git"`. */
  origin: string;
}

/** How to log in over SSH, and which host keys to trust. */
export interface SshCredentials {
  /** Wins over the user in the URL. */
  username?: string;
  identity: ParsedKey;
  knownHosts: KnownHost[];
  /** What the installation allows. */
  algorithms?: SshAlgorithms;
}

const expectedKeys =
  'expected "username" and "password", or "bearerToken", and for TLS "ca.crt", or "tls.crt" and "tls.key"';

/** The credentials that stand in the URL itself, and the URL without them; over SSH the user belongs to the address. */
export function splitUrlCredentials(url: string): { url: string; credentials: GitCredentials } {
  const parsed = new URL(url);
  const { username, password } = parsed;
  const isSsh = parsed.protocol === 'ssh:';
  if (!isSsh) parsed.username = '';
  parsed.password = '';
  const credentials: GitCredentials = { origin: 'the user and password in spec.url' };
  if (isSsh) return { url: parsed.href.replace(/\/+$/, ''), credentials };
  if (username || password) credentials.authorization = basic(decode(username), decode(password));
  return { url: parsed.href.replace(/\/+$/, ''), credentials };
}

/**
 * The credentials in a Secret's data, `secretName` as `namespace/name`. Fails with AuthenticationFailed when the Secret
 * is missing, has none of the expected keys, only half of a pair, or a certificate that cannot be used.
 */
export function credentialsFromSecret(
  secretName: string,
  data: Record<string, Uint8Array> | undefined,
): GitCredentials {
  const origin = `Secret "${secretName}"`;
  if (!data) throw refuse(`${origin} named by spec.secretRef does not exist`);
  const value = (key: string): string | undefined => secretText(data, key);
  const username = value('username');
  const password = value('password');
  const bearerToken = value('bearerToken')?.trim();
  const tls = tlsFromSecret(origin, data);

  if (bearerToken && (username || password)) {
    throw refuse(`${origin} has both "bearerToken" and "username"/"password": keep one of them`);
  }
  if ((username === undefined) !== (password === undefined)) {
    const [there, missing] = username === undefined ? ['password', 'username'] : ['username', 'password'];
    throw refuse(`${origin} has key "${there}" but no key "${missing}"`);
  }
  if (username === undefined && !bearerToken && Object.keys(tls).length === 0) {
    const keys = Object.keys(data).sort();
    const found = keys.length > 0 ? `has keys ${keys.map((name) => `"${name}"`).join(', ')}` : 'is empty';
    throw refuse(`${origin} ${found}: ${expectedKeys}`);
  }
  if (bearerToken && !/^[\x21-\x7e]+$/.test(bearerToken)) {
    throw refuse(`${origin} has a "bearerToken" with characters that no token may have`);
  }

  const credentials: GitCredentials = { origin };
  if (bearerToken) credentials.authorization = `Bearer ${bearerToken}`;
  else if (username !== undefined && password !== undefined) credentials.authorization = basic(username, password);
  if (Object.keys(tls).length > 0) credentials.tls = tls;
  return credentials;
}

/**
 * The credentials for `ssh://` in a Secret's data. Fails with AuthenticationFailed when the Secret is missing, has no
 * "identity" or no "known_hosts", or one that cannot be read.
 */
export function sshCredentialsFromSecret(
  secretName: string,
  data: Record<string, Uint8Array> | undefined,
): GitCredentials & { ssh: SshCredentials } {
  const origin = `Secret "${secretName}"`;
  if (!data) throw refuse(`${origin} named by spec.secretRef does not exist`);
  const identity = secretText(data, 'identity');
  const knownHosts = secretText(data, 'known_hosts');
  if (!identity) throw refuse(`${origin} has no key "identity": expected the private key for "ssh://"`);
  if (!knownHosts) {
    throw refuse(
      `${origin} has no key "known_hosts": expected the host's keys as "ssh-keyscan" prints them, ` +
        'compared with what its operator publishes',
    );
  }
  const username = secretText(data, 'username')?.trim();
  return {
    origin,
    ssh: {
      ...(username ? { username } : {}),
      identity: readable(origin, 'identity', () => parsePrivateKey(identity, secretText(data, 'password'))),
      knownHosts: readable(origin, 'known_hosts', () => parseKnownHosts(knownHosts)),
    },
  };
}

function readable<T>(origin: string, key: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw refuse(`${origin} has an unusable "${key}": ${messageOf(error)}`);
  }
}

export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function refuse(message: string): ReturnType<typeof failure> {
  return failure('AuthenticationFailed', message);
}
