// One HTTP exchange with a Git server on undici: credentials, TLS and redirects. Credentials and the client certificate
// go to the origin (scheme, host, port) of spec.url and nowhere else.
import { request } from 'undici';
import { failure } from '../../errors.ts';
import { dispatcherFor } from '../http/dispatcher.ts';
import type { GitCredentials } from './credentials.ts';
import { type Packet, readPackets } from './pkt-line.ts';
import { displayUrl } from './remote-error.ts';
import type { GitTransport } from './transport.ts';

/** An answer with status 200. */
export interface GitHttpResponse {
  /** Where the answer came from, after redirects. */
  url: string;
  contentType: string;
  body: AsyncIterable<Uint8Array>;
}

export interface GitHttpRequest {
  method: 'GET' | 'POST';
  url: string;
  headers: Record<string, string>;
  body?: Uint8Array;
  signal: AbortSignal;
}

export type GitHttp = (request: GitHttpRequest) => Promise<GitHttpResponse>;

const service = 'git-upload-pack';
const maxRedirects = 5;
const userAgent = 'git/continuo';

/** Smart HTTP: each request is one of its own. Throws an `Error` for a server that is no Git server. */
export function createHttpTransport(repositoryUrl: string, credentials: GitCredentials): GitTransport {
  const http = createGitHttp(repositoryUrl, credentials);
  const suffix = `/info/refs?service=${service}`;
  return {
    isStateless: true,
    async advertise(signal) {
      const response = await http({
        method: 'GET',
        url: `${repositoryUrl}${suffix}`,
        headers: { 'git-protocol': 'version=2', accept: `application/x-${service}-advertisement, */*` },
        signal,
      });
      if (!response.contentType.startsWith(`application/x-${service}-advertisement`)) {
        await drain(response);
        throw new Error(
          `the server does not answer as a Git server: expected content type "application/x-${service}-advertisement", ` +
            `got "${response.contentType.slice(0, 80)}"; check spec.url`,
        );
      }
      const url = response.url.endsWith(suffix) ? response.url.slice(0, -suffix.length) : repositoryUrl;
      return { url, packets: withoutServiceLine(readPackets(response.body)) };
    },
    async exchange({ url, version, body }, signal) {
      const response = await http({
        method: 'POST',
        url: `${url}/${service}`,
        headers: {
          'content-type': `application/x-${service}-request`,
          accept: `application/x-${service}-result`,
          ...(version === 2 ? { 'git-protocol': 'version=2' } : {}),
        },
        body,
        signal,
      });
      return readPackets(response.body);
    },
    close: () => undefined, // connections are kept for the next poll
  };
}

async function* withoutServiceLine(packets: AsyncIterable<Packet>): AsyncGenerator<Packet> {
  for await (const packet of packets) {
    if (packet.type !== 'data' || !packet.data.subarray(0, 10).equals(Buffer.from('# service='))) yield packet;
  }
}

async function drain(response: GitHttpResponse): Promise<void> {
  let sizeBytes = 0;
  for await (const chunk of response.body) {
    sizeBytes += chunk.length;
    if (sizeBytes > 64 * 1024) return;
  }
}

/**
 * The HTTP side of a repository. Fails with AuthenticationFailed for 401 and 403, with GitOperationFailed for every other
 * status than 200; network errors come as undici throws them.
 */
export function createGitHttp(repositoryUrl: string, credentials: GitCredentials): GitHttp {
  const home = new URL(repositoryUrl).origin;
  return async (asked) => {
    let url = asked.url;
    for (let redirects = 0; ; redirects++) {
      const isHome = new URL(url).origin === home;
      const response = await request(url, {
        method: asked.method,
        headers: {
          ...asked.headers,
          'user-agent': userAgent,
          ...(isHome && credentials.authorization ? { authorization: credentials.authorization } : {}),
        },
        body: asked.body ?? null,
        signal: asked.signal,
        dispatcher: dispatcherFor({
          tls: isHome ? credentials.tls : { ca: credentials.tls?.ca },
          proxy: credentials.proxy,
        }),
        // The caller's signal carries spec.timeout.
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      if (response.statusCode === 200) {
        return { url, contentType: String(response.headers['content-type'] ?? ''), body: response.body };
      }
      await response.body.dump({ limit: 64 * 1024 }).catch(() => undefined);
      const location = response.headers['location'];
      if (isRedirect(response.statusCode) && asked.method === 'GET' && typeof location === 'string') {
        if (redirects >= maxRedirects) {
          throw failure('GitOperationFailed', `${displayUrl(repositoryUrl)} redirects more than ${maxRedirects} times`);
        }
        url = redirectTarget(url, location, repositoryUrl);
        continue;
      }
      throw refusal(response.statusCode, repositoryUrl, isHome, url, credentials);
    }
  };
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

function redirectTarget(from: string, location: string, repositoryUrl: string): string {
  const target = URL.canParse(location, from) ? new URL(location, from) : undefined;
  if (!target || !['http:', 'https:'].includes(target.protocol)) {
    throw failure('GitOperationFailed', `${displayUrl(repositoryUrl)} redirects to something that is no http(s) URL`);
  }
  target.username = '';
  target.password = '';
  return target.href;
}

function refusal(
  status: number,
  repositoryUrl: string,
  isHome: boolean,
  url: string,
  credentials: GitCredentials,
): ReturnType<typeof failure> {
  const repository = displayUrl(repositoryUrl);
  if (status === 401 || status === 403) {
    if (isHome) credentials.onRefused?.();
    const next = !isHome
      ? `it redirects to ${displayUrl(new URL('/', url).href)}, where credentials are not sent; use that address in spec.url`
      : credentials.authorization
        ? `check ${credentials.origin}`
        : (credentials.whyNone ??
          'it needs credentials: name a Secret in spec.secretRef with keys "username" and "password", or "bearerToken"');
    return failure('AuthenticationFailed', `access to ${repository} was refused (HTTP ${status}): ${next}`);
  }
  if (status === 404) {
    return failure(
      'GitOperationFailed',
      `repository ${repository} was not found (HTTP 404): check spec.url; many servers also answer so without credentials`,
    );
  }
  const words = isRedirect(status) ? 'an unexpected redirect' : 'an unexpected answer';
  return failure('GitOperationFailed', `the server of ${repository} gave ${words} (HTTP ${status}), expected 200`);
}
