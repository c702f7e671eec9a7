// Connections by their settings: one undici dispatcher for each combination of TLS and proxy, so that a poll reuses the
// connection of the last one.
import { createHash } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { Agent, type Dispatcher, ProxyAgent } from 'undici';
import type { ProxySettings, TlsSettings } from './tls-secret.ts';

/** How a server is reached. */
export interface ConnectionSettings {
  tls?: TlsSettings;
  proxy?: ProxySettings;
}

/** Largest number of settings for which connections are kept open. */
const maxDispatchers = 64;
const connectTimeoutMs = 30_000;
const dispatchers = new Map<string, Dispatcher>();

/**
 * The dispatcher for connections with these settings, with headersTimeout and bodyTimeout off by default: the caller's
 * signal carries spec.timeout.
 */
export function dispatcherFor(settings: ConnectionSettings): Dispatcher {
  const { tls = {}, proxy } = settings;
  const id = createHash('sha256')
    .update(
      JSON.stringify([
        tls.ca,
        tls.certificate,
        tls.key,
        tls.isUnverified,
        proxy?.address,
        proxy?.username,
        proxy?.password,
      ]),
    )
    .digest('hex');
  const known = dispatchers.get(id);
  if (known) {
    dispatchers.delete(id);
    dispatchers.set(id, known);
    return known;
  }
  const dispatcher = open(tls, proxy);
  dispatchers.set(id, dispatcher);
  for (const [oldest, old] of dispatchers) {
    if (dispatchers.size <= maxDispatchers) break;
    dispatchers.delete(oldest);
    void old.close();
  }
  return dispatcher;
}

function open({ ca, certificate, key, isUnverified }: TlsSettings, proxy: ProxySettings | undefined): Dispatcher {
  const tls = {
    ...(ca ? { ca: [...rootCertificates, ca] } : {}),
    ...(certificate && key ? { cert: certificate, key } : {}),
    ...(isUnverified ? { rejectUnauthorized: false } : {}),
  };
  const options = { keepAliveTimeout: 30_000, allowH2: false, headersTimeout: 0, bodyTimeout: 0 };
  if (!proxy) return new Agent({ ...options, connect: { ...tls, timeout: connectTimeoutMs } });
  const { address, username, password } = proxy;
  const token =
    username === undefined ? undefined : `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}`;
  return new ProxyAgent({ ...options, uri: address, requestTls: { ...tls, timeout: connectTimeoutMs }, token });
}
