// HTTP to one API server: connections kept alive, credentials, bounded retries, and every refusal as KubeApiError.
// Objects are not known here; kube-client.ts says what is asked.
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Dispatcher, Pool, ProxyAgent } from 'undici';
import { KubeApiError } from './client.ts';
import { readLines } from './json-lines.ts';
import type { ClusterAccess, Credentials } from './kubeconfig.ts';

export interface RestOptions {
  userAgent?: string;
  /** Connections for everything but watches; a watch has its own. Default 32. */
  maxConnections?: number;
  /** How long an answer (and each further piece of it) may take. Default 30 s. */
  requestTimeoutMs?: number;
  /** Most bytes of one answer, and of one watch event. Default 256 MiB and 32 MiB. */
  maxBodyBytes?: number;
  maxEventBytes?: number;
}

export interface RestRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path below the server's base URL. */
  path: string;
  query?: Record<string, string | undefined>;
  headers?: Record<string, string | string[]>;
  accept?: string;
  contentType?: string;
  body?: unknown;
  /** True when sending it twice does no harm: it is sent again after a broken connection. */
  isIdempotent?: boolean;
  signal?: AbortSignal;
}

/** A request that another client has made; its own credentials must have been removed. */
export interface ForwardedRequest {
  method: string;
  /** Path below the server's base URL, with its query. */
  path: string;
  headers: Record<string, string | string[]>;
  body?: Uint8Array;
  signal?: AbortSignal;
}

export interface ForwardedAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** Must be read to its end, or destroyed. */
  body: Readable;
}

/** Requests to one server. All methods throw {@link KubeApiError}, or the signal's reason when it aborts. */
export interface Rest {
  json(request: RestRequest): Promise<unknown>;
  /** A request of somebody else, passed on as it is with our credentials; every answer is an answer. */
  forward(request: ForwardedRequest): Promise<ForwardedAnswer>;
  /** The lines of a streamed answer, until the server ends it. */
  lines(request: RestRequest): AsyncGenerator<string, void, undefined>;
  close(): Promise<void>;
}

const maxAttempts = 4;
const maxRetryWaitMs = 10_000;
const credentialsMaxAgeMs = 30_000;
/** A bookmark comes about once a minute; a watch that is silent for longer than this is dead. */
const watchSilenceMs = 180_000;

interface Connections {
  credentials: Credentials;
  readAt: number;
  requests: Dispatcher;
  watches: Dispatcher;
}

/** Opens the way to a server; no connection is made before the first request. */
export function createRest(access: ClusterAccess, options: RestOptions = {}): Rest {
  const { requestTimeoutMs = 30_000, maxBodyBytes = 256 * 1024 ** 2, maxEventBytes = 32 * 1024 ** 2 } = options;
  const base = new URL(access.server);
  const basePath = base.pathname.replace(/\/$/, '');
  let current: Promise<Connections> | undefined;

  function connect(credentials: Credentials): Connections {
    const connection = {
      connect: { ...credentials.tls, keepAlive: true, keepAliveInitialDelay: 30_000, timeout: 10_000 },
      allowH2: false,
      keepAliveTimeout: 60_000,
      maxHeaderSize: 64 * 1024,
    };
    const open = (connections: number | null): Dispatcher =>
      access.proxyUrl
        ? new ProxyAgent({ uri: access.proxyUrl, requestTls: credentials.tls, connections, allowH2: false })
        : new Pool(base.origin, { ...connection, connections });
    return { credentials, readAt: Date.now(), requests: open(options.maxConnections ?? 32), watches: open(null) };
  }

  async function refresh(old: Connections | undefined): Promise<Connections> {
    const credentials = await access.credentials();
    if (old && isSameTls(old.credentials, credentials)) return { ...old, credentials, readAt: Date.now() };
    if (old) {
      void old.requests.close().catch(() => {});
      void old.watches.close().catch(() => {});
    }
    return connect(credentials);
  }

  async function connections(mustRenew = false): Promise<Connections> {
    const known = await current;
    const isStale = known && access.isRenewable && (mustRenew || Date.now() - known.readAt > credentialsMaxAgeMs);
    if (known && !isStale) return known;
    const next = refresh(known).catch((cause: Error) => {
      current = undefined;
      throw new KubeApiError(`credentials for ${access.server} cannot be had: ${cause.message}`, 0, '');
    });
    current = next;
    return next;
  }

  async function send(request: RestRequest, isWatch: boolean): Promise<Dispatcher.ResponseData> {
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    let mustRenew = false;
    for (let attempt = 1; ; attempt++) {
      request.signal?.throwIfAborted();
      let error: KubeApiError;
      try {
        const { requests, watches, credentials } = await connections(mustRenew);
        const response = await (isWatch ? watches : requests).request({
          origin: base.origin,
          path: pathOf(basePath, request),
          method: request.method,
          headers: headersOf(request, credentials, options.userAgent, body !== undefined),
          body,
          headersTimeout: requestTimeoutMs,
          bodyTimeout: isWatch ? watchSilenceMs : requestTimeoutMs,
          signal: request.signal,
        });
        if (response.statusCode < 300) return response;
        error = refusal(request, response, await readText(response.body, 1024 * 1024));
        mustRenew = error.status === 401 && !mustRenew && access.isRenewable;
        if (attempt < maxAttempts && mustRenew) continue;
      } catch (cause) {
        request.signal?.throwIfAborted();
        error = networkError(access.server, cause);
        // Nothing was sent when there was no connection, so that is safe for every verb.
        const isSafe = request.isIdempotent || error.reason === 'ECONNREFUSED' || error.reason === 'ENOTFOUND';
        if (!isSafe || error.reason === 'TimedOut') throw error;
      }
      const waitMs = retryWaitMs(error, attempt);
      if (attempt >= maxAttempts || waitMs === undefined) throw error;
      await sleep(waitMs, undefined, { signal: request.signal }).catch(() => request.signal?.throwIfAborted());
    }
  }

  return {
    async json(request) {
      const response = await send(request, false);
      try {
        return JSON.parse(await readText(response.body, maxBodyBytes));
      } catch (cause) {
        request.signal?.throwIfAborted();
        if (cause instanceof SyntaxError) {
          throw new KubeApiError(`${request.method} ${request.path}: the answer is not JSON`, response.statusCode, '');
        }
        throw networkError(access.server, cause);
      }
    },
    async forward({ method, path, headers, body, signal }) {
      const { watches, credentials } = await connections();
      try {
        const response = await watches.request({
          origin: base.origin,
          path: `${basePath}${path}`,
          method: method,
          headers: { ...headers, ...credentials.headers },
          body,
          headersTimeout: requestTimeoutMs,
          bodyTimeout: watchSilenceMs,
          signal,
        });
        return { status: response.statusCode, headers: response.headers, body: response.body };
      } catch (cause) {
        signal?.throwIfAborted();
        throw networkError(access.server, cause);
      }
    },
    async *lines(request) {
      const response = await send(request, true);
      try {
        yield* readLines(response.body, maxEventBytes);
      } catch (cause) {
        request.signal?.throwIfAborted();
        throw networkError(access.server, cause);
      } finally {
        response.body.destroy();
      }
    },
    async close() {
      const known = await current?.catch(() => undefined);
      current = undefined;
      await known?.watches.destroy();
      await known?.requests.destroy();
    },
  };
}

/**
 * How long to wait before the next try, or undefined when there is to be none: a refusal is tried again only when the
 * server asks for it (Retry-After) or is overloaded, a broken connection soon.
 */
export function retryWaitMs(error: KubeApiError, attempt: number): number | undefined {
  if (error.retryAfterSeconds !== undefined && (error.status === 429 || error.status >= 500)) {
    return Math.min(error.retryAfterSeconds * 1000, maxRetryWaitMs);
  }
  if (error.status !== 0 && error.status !== 429) return undefined;
  return 100 * 2 ** (attempt - 1) * (0.75 + Math.random() / 2);
}

/** The error of a Status object, as answers and watch streams carry it. */
export function errorOfStatus(status: unknown, httpStatus: number, fallback: string): KubeApiError {
  const body = (typeof status === 'object' && status !== null ? status : {}) as {
    kind?: string;
    message?: string;
    reason?: string;
    code?: number;
    details?: { retryAfterSeconds?: number };
  };
  if (body.kind !== 'Status') return new KubeApiError(fallback, httpStatus, '');
  return new KubeApiError(
    body.message || fallback,
    body.code ?? httpStatus,
    body.reason ?? '',
    body.details?.retryAfterSeconds || undefined,
  );
}

function refusal(request: RestRequest, response: Dispatcher.ResponseData, text: string): KubeApiError {
  let status: unknown;
  try {
    status = JSON.parse(text);
  } catch {
    status = undefined;
  }
  const fallback = `${request.method} ${request.path}: ${response.statusCode} ${text.slice(0, 200).trim()}`.trim();
  const error = errorOfStatus(status, response.statusCode, fallback);
  const header = Number(response.headers['retry-after']);
  if (error.retryAfterSeconds !== undefined || !(header > 0)) return error;
  return new KubeApiError(error.message, error.status, error.reason, header);
}

function networkError(server: string, cause: unknown): KubeApiError {
  if (cause instanceof KubeApiError) return cause;
  const code = (cause as { code?: string }).code ?? '';
  const isTimeout = code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT';
  const text = cause instanceof Error ? cause.message || code : String(cause);
  return new KubeApiError(`the API server at ${server} did not answer: ${text}`, 0, isTimeout ? 'TimedOut' : code);
}

function pathOf(basePath: string, request: RestRequest): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(request.query ?? {})) if (value !== undefined) query.set(name, value);
  const text = query.toString();
  return `${basePath}${request.path}${text ? `?${text}` : ''}`;
}

function headersOf(
  request: RestRequest,
  credentials: Credentials,
  userAgent: string | undefined,
  hasBody: boolean,
): Record<string, string | string[]> {
  return {
    'user-agent': userAgent ?? 'continuo',
    accept: request.accept ?? 'application/json',
    ...(hasBody && { 'content-type': request.contentType ?? 'application/json' }),
    ...credentials.headers,
    ...request.headers,
  };
}

async function readText(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) throw new RangeError(`the answer is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function isSameTls(a: Credentials, b: Credentials): boolean {
  return String(a.tls.cert) === String(b.tls.cert) && String(a.tls.key) === String(b.tls.key);
}
