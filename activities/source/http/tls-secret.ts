// TLS settings and proxies from Secrets (contract 1.1 secretRef and proxySecretRef, 1.2 certSecretRef).
import { createSecureContext } from 'node:tls';
import { failure } from '../../errors.ts';

/** The decoded data of a Secret; undefined when it does not exist. */
export type SecretData = Record<string, Uint8Array> | undefined;

/** Whom to trust, and who we are. All PEM. */
export interface TlsSettings {
  /** Additional trusted CAs. */
  ca?: string;
  /** The client certificate, together with `key`. */
  certificate?: string;
  key?: string;
  /** Any certificate of the server will do: only for `spec.insecure` of OCI registries. */
  isUnverified?: boolean;
}

/** The text of one key of a Secret. */
export function secretText(data: SecretData, key: string): string | undefined {
  const bytes = data?.[key];
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8');
}

/**
 * The TLS settings in a Secret's data; `origin` names the Secret in messages: `Secret "apps/git"`. The names `ca.crt`,
 * `tls.crt` and `tls.key` win over the older `caFile`, `certFile` and `keyFile`. Fails with AuthenticationFailed when
 * only half of a pair is there or a certificate cannot be used.
 */
export function tlsFromSecret(origin: string, data: Record<string, Uint8Array>): TlsSettings {
  const ca = secretText(data, 'ca.crt') ?? secretText(data, 'caFile');
  const certificate = secretText(data, 'tls.crt') ?? secretText(data, 'certFile');
  const key = secretText(data, 'tls.key') ?? secretText(data, 'keyFile');
  if ((certificate === undefined) !== (key === undefined)) {
    const [there, missing] = certificate === undefined ? ['tls.key', 'tls.crt'] : ['tls.crt', 'tls.key'];
    throw refuse(`${origin} has key "${there}" but no key "${missing}"`);
  }
  const settings: TlsSettings = {};
  if (ca !== undefined) settings.ca = ca;
  if (certificate !== undefined) settings.certificate = certificate;
  if (key !== undefined) settings.key = key;
  check(settings, origin);
  return settings;
}

/**
 * The TLS settings of `spec.certSecretRef`, `secretName` as `namespace/name`. Fails with AuthenticationFailed when the
 * Secret is missing or holds neither a CA nor a client certificate.
 */
export function certSecret(secretName: string, data: SecretData): TlsSettings {
  const origin = `Secret "${secretName}"`;
  if (!data) throw refuse(`${origin} named by spec.certSecretRef does not exist`);
  const settings = tlsFromSecret(origin, data);
  if (settings.ca === undefined && settings.certificate === undefined) {
    throw refuse(`${origin} named by spec.certSecretRef has none of the keys "ca.crt", "tls.crt" and "tls.key"`);
  }
  return settings;
}

/** A forward proxy. */
export interface ProxySettings {
  /** `http://host:port` without credentials. */
  address: string;
  username?: string;
  password?: string;
}

/** The proxy of `spec.proxySecretRef`. Fails with AuthenticationFailed when the Secret or its address is missing or no http(s) URL. */
export function proxySecret(secretName: string, data: SecretData): ProxySettings {
  const origin = `Secret "${secretName}"`;
  if (!data) throw refuse(`${origin} named by spec.proxySecretRef does not exist`);
  const address = secretText(data, 'address')?.trim();
  if (!address) throw refuse(`${origin} named by spec.proxySecretRef has no key "address"`);
  if (!URL.canParse(address) || !['http:', 'https:'].includes(new URL(address).protocol)) {
    throw refuse(`${origin} has an "address" that is no "http://host:port"`);
  }
  const username = secretText(data, 'username');
  const password = secretText(data, 'password');
  return {
    address: address.replace(/\/\/[^/@]*@/, '//'),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
}

/** OpenSSL's messages may quote what they could not read, so only its code is passed on. */
function check({ ca, certificate, key }: TlsSettings, origin: string): void {
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
