// One download from the server of a Helm repository: credentials, TLS, redirects, limits. Credentials and the client
// certificate go to the origin (scheme, host, port) of spec.url, and to that of a chart's address only with
// spec.passCredentials; a redirect never carries them to another origin.
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { request } from 'undici';
import { failure, type Reason } from '../../errors.ts';
import { certificateHint, describeRemoteError, displayUrl } from '../git/remote-error.ts';
import { dispatcherFor } from '../http/dispatcher.ts';
import type { RepositoryAccess } from './repository-access.ts';

/** What a server says of the version of a file. */
export interface Validators {
  etag?: string;
  lastModified?: string;
}

export interface DownloadRequest {
  url: string;
  /** What is downloaded, for messages: `index of Helm repository "https://…"`. */
  what: string;
  /** Of the content, unpacked. */
  maxBytes: number;
  /** What messages say of one that has more: `larger than …`. */
  tooLarge: string;
  /** For every failure but refused credentials. */
  reason: Reason;
  signal: AbortSignal;
  /** Nothing is sent when the file is still of this version. */
  known?: Validators;
  /** A file that is not there (404) is undefined, and no failure. */
  mayBeMissing?: boolean;
}

export interface Downloaded extends Validators {
  bytes: Uint8Array<ArrayBuffer>;
}

const maxRedirects = 5;

/**
 * Downloads a file; undefined when it is as `known`. Fails with AuthenticationFailed for 401 and 403, with the given
 * reason for everything else, and with the reason of the signal when that is aborted.
 */
export async function download(access: RepositoryAccess, asked: DownloadRequest): Promise<Downloaded | undefined> {
  const timeout = AbortSignal.timeout(access.timeoutMs);
  const signal = AbortSignal.any([asked.signal, timeout]);
  try {
    return await follow(access, asked, signal);
  } catch (error) {
    asked.signal.throwIfAborted();
    if (error instanceof Error && error.name === 'ApplicationFailure') throw error;
    if (error instanceof Refused) throw failure(asked.reason, `${asked.what} ${error.message}`);
    const hint = certificateHint(asked.url, access.tls?.certificate !== undefined);
    const told = timeout.aborted
      ? `: no complete answer within ${access.timeoutMs / 1000} s; check the server, or raise spec.timeout`
      : ` ${describeRemoteError(error, hint)}`.replace(' : ', ': ');
    throw failure(asked.reason, `${asked.what} cannot be downloaded${told}`, { cause: error });
  }
}

/** The server's answer cannot be used; the message goes on from what was asked for. */
class Refused extends Error {}

async function follow(
  access: RepositoryAccess,
  { url: first, what, maxBytes, tooLarge, known, mayBeMissing }: DownloadRequest,
  signal: AbortSignal,
): Promise<Downloaded | undefined> {
  const homes = new Set([new URL(access.url).origin]);
  if (access.isPassingCredentials) homes.add(new URL(first).origin);
  let url = first;
  for (let redirects = 0; ; redirects++) {
    const isHome = homes.has(new URL(url).origin);
    const response = await request(url, {
      headers: {
        'user-agent': 'continuo',
        'accept-encoding': 'gzip',
        ...(isHome && access.authorization ? { authorization: access.authorization } : {}),
        ...(known?.etag ? { 'if-none-match': known.etag } : {}),
        ...(known?.lastModified ? { 'if-modified-since': known.lastModified } : {}),
      },
      signal,
      dispatcher: dispatcherFor({ tls: isHome ? access.tls : { ca: access.tls?.ca } }),
      // The signal carries spec.timeout.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    const { statusCode, headers, body } = response;
    if (statusCode === 200) {
      const isGzip = headers['content-encoding'] === 'gzip' || headers['content-encoding'] === 'x-gzip';
      const bytes = await readAll(isGzip ? gunzipped(body) : body, maxBytes, tooLarge);
      return { bytes, ...validatorsOf(headers) };
    }
    await body.dump({ limit: 64 * 1024 }).catch(() => undefined);
    if ((statusCode === 304 && known) || (statusCode === 404 && mayBeMissing)) return undefined;
    const { location } = headers;
    if ([301, 302, 303, 307, 308].includes(statusCode) && typeof location === 'string') {
      if (redirects >= maxRedirects) throw new Refused(`leads to more than ${maxRedirects} redirects`);
      url = redirectTarget(url, location);
      continue;
    }
    throw refusal(statusCode, what, access, isHome, url);
  }
}

function validatorsOf({
  etag,
  'last-modified': lastModified,
}: Record<string, string | string[] | undefined>): Validators {
  return {
    ...(typeof etag === 'string' ? { etag } : {}),
    ...(typeof lastModified === 'string' ? { lastModified } : {}),
  };
}

async function* gunzipped(body: Readable): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip();
  const feeding = pipeline(body, gunzip);
  feeding.catch(() => undefined); // reading from gunzip throws the same error
  try {
    for await (const chunk of gunzip) yield chunk as Uint8Array;
  } finally {
    gunzip.destroy();
  }
}

async function readAll(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
  tooLarge: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > maxBytes) throw new Refused(`is ${tooLarge}`);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(sizeBytes);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

function redirectTarget(from: string, location: string): string {
  const target = URL.canParse(location, from) ? new URL(location, from) : undefined;
  if (!target || !['http:', 'https:'].includes(target.protocol)) {
    throw new Refused('leads to a redirect to something that is no http(s) address');
  }
  target.username = '';
  target.password = '';
  return target.href;
}

function refusal(status: number, what: string, access: RepositoryAccess, isHome: boolean, url: string): Error {
  if (status === 401 || status === 403) {
    const elsewhere = `it is on ${displayUrl(new URL('/', url).href)}, where credentials are not sent`;
    const next = !isHome
      ? `${elsewhere}; set spec.passCredentials if that host may have them`
      : access.authorization
        ? `check ${access.origin}`
        : 'it needs credentials: name a Secret in spec.secretRef with keys "username" and "password"';
    return failure('AuthenticationFailed', `${what}: access was refused (HTTP ${status}): ${next}`);
  }
  if (status === 404) return new Refused(`was not found (HTTP 404) at ${displayUrl(url)}`);
  return new Refused(`cannot be downloaded (HTTP ${status}): expected 200`);
}
