// Single HTTP exchanges with registries, their token servers and where they redirect to: redirects, TLS, and trying again
// what may pass. Authorization and the client certificate go to the origin that was asked, and never on by a redirect.
import { setTimeout as delay } from 'node:timers/promises';
import { type Dispatcher, request } from 'undici';
import { type ConnectionSettings, dispatcherFor } from '../http/dispatcher.ts';
import { retryAfterMs } from './retry-after.ts';
import { connectionError, RegistryError } from './registry-error.ts';

/** What is asked. */
export interface Exchange {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT';
  url: string;
  headers?: Readonly<Record<string, string>>;
  /** Value of the Authorization header. */
  authorization?: string;
  body?: Uint8Array | string;
  signal: AbortSignal;
}

/** What came, whatever its status; the body must be read or dumped. */
export interface Answer {
  status: number;
  headers: Dispatcher.ResponseData['headers'];
  /** Where it came from, after redirects. */
  url: string;
  body: Dispatcher.ResponseData['body'];
}

export type Transport = (exchange: Exchange) => Promise<Answer>;

export interface TransportOptions {
  /** What is spoken to, for messages: `registry "ghcr.io"`. */
  what: string;
  connection: ConnectionSettings;
  /** Any certificate is accepted where no CA is named, and redirects from https to http are followed. */
  isInsecure: boolean;
}

const maxRedirects = 5;
const maxAttempts = 3;
const firstDelayMs = 250;
/** A server that wants to be left alone for longer is not waited for inside of a stage. */
const maxWaitMs = 30_000;
/** No server can put off a retry for longer. */
const maxRetryAfterMs = 900_000;
const passingStatuses = new Set([408, 500, 502, 503, 504]);

/**
 * Exchanges of one registry. GET and HEAD are tried again after network errors and 5xx, everything after 429 and 503, as
 * the server's `Retry-After` says. Fails with a {@link RegistryError} `unavailable` or `rateLimited`.
 */
export function createTransport(options: TransportOptions): Transport {
  const { what, connection, isInsecure } = options;
  const tls = isInsecure && !connection.tls?.ca ? { ...connection.tls, isUnverified: true } : connection.tls;

  // With TLS 1.3 a server that misses the certificate of the client says so only by hanging up.
  const hint = connection.tls?.certificate
    ? ''
    : 'if it demands a client certificate, name a Secret with "tls.crt" and "tls.key" in spec.certSecretRef';

  async function follow(exchange: Exchange): Promise<Answer> {
    const home = new URL(exchange.url).origin;
    let url = exchange.url;
    for (let redirects = 0; ; redirects++) {
      const isHome = new URL(url).origin === home;
      const response = await request(url, {
        method: exchange.method,
        headers: {
          ...exchange.headers,
          'user-agent': 'continuo',
          ...(isHome && exchange.authorization ? { authorization: exchange.authorization } : {}),
        },
        body: exchange.body ?? null,
        signal: exchange.signal,
        dispatcher: dispatcherFor({
          tls: isHome ? tls : { ca: tls?.ca, isUnverified: tls?.isUnverified },
          proxy: connection.proxy,
        }),
        // The caller's signal carries spec.timeout.
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      const { statusCode: status, headers, body } = response;
      const { location } = headers;
      const isRead = exchange.method === 'GET' || exchange.method === 'HEAD';
      if (!isRead || !isRedirect(status) || typeof location !== 'string') return { status, headers, url, body };
      await dump(body);
      if (redirects >= maxRedirects) {
        throw new RegistryError('protocol', `${what} redirects more than ${maxRedirects} times`);
      }
      url = redirectTarget(url, location);
    }
  }

  function redirectTarget(from: string, location: string): string {
    const target = URL.canParse(location, from) ? new URL(location, from) : undefined;
    if (!target || !['http:', 'https:'].includes(target.protocol)) {
      throw new RegistryError('protocol', `${what} redirects to something that is no http(s) address`);
    }
    if (target.protocol === 'http:' && from.startsWith('https:') && !isInsecure) {
      throw new RegistryError(
        'protocol',
        `${what} redirects to "http://${target.host}", which is not followed: it would leave TLS`,
      );
    }
    target.username = '';
    target.password = '';
    return target.href;
  }

  return async (exchange) => {
    const mayRepeat = exchange.method === 'GET' || exchange.method === 'HEAD';
    for (let attempt = 1; ; attempt++) {
      let waitMs = firstDelayMs * 2 ** (attempt - 1);
      try {
        const answer = await follow(exchange);
        const { status, headers } = answer;
        if (status === 407 && connection.proxy) {
          await dump(answer.body);
          throw proxyRefusal(what, status);
        }
        const askedMs = retryAfterMs(headers['retry-after'], Date.now());
        const isPassing = status === 429 || (status === 503 && askedMs !== undefined);
        if (!isPassing && !(mayRepeat && passingStatuses.has(status))) return answer;
        waitMs = askedMs ?? waitMs;
        if (attempt >= maxAttempts || waitMs > maxWaitMs) {
          await dump(answer.body);
          throw refusedForNow(what, status, askedMs);
        }
        await dump(answer.body);
      } catch (error) {
        exchange.signal.throwIfAborted();
        if (error instanceof RegistryError) throw error;
        const status = connection.proxy && proxyStatus(error);
        if (status) throw proxyRefusal(what, status);
        if (!mayRepeat || attempt >= maxAttempts || !isPassingError(error)) {
          throw connectionError(`${what} cannot be reached`, error, hint);
        }
      }
      await delay(waitMs, undefined, { signal: exchange.signal }).catch(() => exchange.signal.throwIfAborted());
    }
  };
}

/** The status with which a proxy refused; undici tells it in the text alone. */
function proxyStatus(error: unknown): number | undefined {
  const text = error instanceof Error ? error.message : '';
  const status = /^Proxy (?:response|Authentication Required) \((\d{3})\)/.exec(text)?.[1];
  return status === undefined ? undefined : Number(status);
}

function proxyRefusal(what: string, status: number): RegistryError {
  const [problem, next] =
    status === 407
      ? (['authentication', 'check "username" and "password" of the Secret named by spec.proxySecretRef'] as const)
      : (['unavailable', 'ask who runs it'] as const);
  return new RegistryError(problem, `the proxy refused the connection to ${what} (HTTP ${status}): ${next}`);
}

function refusedForNow(what: string, status: number, askedMs: number | undefined): RegistryError {
  const wish = askedMs === undefined ? '' : ` and asks to be left alone for ${Math.ceil(askedMs / 1000)} s`;
  const retryAfter = askedMs === undefined ? undefined : Math.min(askedMs, maxRetryAfterMs);
  if (status === 429) {
    return new RegistryError(
      'rateLimited',
      `${what} limits the rate of requests (HTTP 429)${wish}: log in with a Secret in spec.secretRef for a higher limit, or ask less often with a longer spec.interval`,
      { retryAfterMs: retryAfter },
    );
  }
  return new RegistryError('unavailable', `${what} is not available (HTTP ${status})${wish}`, {
    retryAfterMs: retryAfter,
  });
}

/** What cannot come right by itself within a second is not tried again: it costs only time. */
function isPassingError(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'EAI_AGAIN'].includes(code);
}

function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

/** Reads a body that nobody wants, so that its connection can be used again. */
export async function dump(body: Answer['body']): Promise<void> {
  await body.dump({ limit: 64 * 1024 }).catch(() => undefined);
}

/** A body of at most `maxBytes`, whole. Fails with `content` beyond it, and with `unavailable` when it breaks off. */
export async function readBody(
  { body, headers }: Answer,
  maxBytes: number,
  what: string,
  signal: AbortSignal,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let total = 0;
  const isTooLong = Number(headers['content-length'] ?? 0) > maxBytes;
  try {
    for await (const chunk of body) {
      total += (chunk as Buffer).length;
      if (isTooLong || total > maxBytes) {
        body.destroy();
        throw new RegistryError('content', `${what} has more than the ${maxBytes} bytes allowed`);
      }
      parts.push(chunk as Buffer);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RegistryError) throw error;
    throw connectionError(`${what} cannot be read`, error);
  }
  return Buffer.concat(parts);
}
