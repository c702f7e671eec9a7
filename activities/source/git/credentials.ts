// From the Secret of spec.secretRef to what the HTTP transport needs (contract 1.1, secretRef).
import { createSecureContext } from 'node:tls';
import { failure } from '../../errors.ts';

/** How to log in and whom to trust. */
export interface GitCredentials {
  /** Value of the Authorization header. */
  authorization?: string;
  /** PEM of additional trusted CAs. */
  ca?: string;
  /** PEM of the client certificate, together with `key`. */
  certificate?: string;
  key?: string;
  /** Where they come from, for messages: `Secret "apps/git"`. */
  origin: string;
}

const expectedKeys =
  'expected "username" and "password", or "bearerToken", and for TLS "ca.crt", or "tls.crt" and "tls.key"';

/** The credentials that stand in the URL itself, and the URL without them. */
export function splitUrlCredentials(url: string): { url: string; credentials: GitCredentials } {
  const parsed = new URL(url);
  const { username, password } = parsed;
  parsed.username = '';
  parsed.password = '';
  const credentials: GitCredentials = { origin: 'the user and password in spec.url' };
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
  const value = (key: string): string | undefined => {
    const bytes = data[key];
    return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8');
  };
  const username = value('username');
  const password = value('password');
  const bearerToken = value('bearerToken')?.trim();
  const ca = value('ca.crt') ?? value('caFile');
  const certificate = value('tls.crt') ?? value('certFile');
  const key = value('tls.key') ?? value('keyFile');

  if (bearerToken && (username || password)) {
    throw refuse(`${origin} has both "bearerToken" and "username"/"password": keep one of them`);
  }
  if ((username === undefined) !== (password === undefined)) {
    const [there, missing] = username === undefined ? ['password', 'username'] : ['username', 'password'];
    throw refuse(`${origin} has key "${there}" but no key "${missing}"`);
  }
  if ((certificate === undefined) !== (key === undefined)) {
    const [there, missing] = certificate === undefined ? ['tls.key', 'tls.crt'] : ['tls.crt', 'tls.key'];
    throw refuse(`${origin} has key "${there}" but no key "${missing}"`);
  }
  if (username === undefined && !bearerToken && ca === undefined && certificate === undefined) {
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
  if (ca !== undefined) credentials.ca = ca;
  if (certificate !== undefined) credentials.certificate = certificate;
  if (key !== undefined) credentials.key = key;
  checkTls(credentials);
  return credentials;
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** OpenSSL's messages may quote what they could not read, so only its code is passed on. */
function checkTls({ ca, certificate, key, origin }: GitCredentials): void {
  if (ca !== undefined && !ca.includes('-----BEGIN CERTIFICATE-----')) {
    throw refuse(`${origin} has a "ca.crt" without a PEM certificate`);
  }
  try {
    createSecureContext({ ca, cert: certificate, key });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    throw refuse(`${origin} has TLS keys that cannot be used${code}: expected PEM in "ca.crt", "tls.crt", "tls.key"`);
  }
}

function refuse(message: string): ReturnType<typeof failure> {
  return failure('AuthenticationFailed', message);
}
