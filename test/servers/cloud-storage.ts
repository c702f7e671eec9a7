// Google Cloud Storage, Azure Blob Storage and their token services, as far as a Bucket asks for them: it checks every
// signature and token with its own reading of the protocols.
import { createHash, createHmac, createPublicKey, createVerify, timingSafeEqual, X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { listenOnLoopback } from './loopback.ts';

export interface CloudStorage {
  url: string;
  host: string;
  /** Path (without query) of every request. */
  requests: string[];
  objects: Map<string, string>;
  /** Objects of a page. */
  pageSize: number;
  close(): Promise<void>;
}

export interface CloudStorageOptions {
  /** PEM of the service account's public key. */
  serviceAccountKey: string;
  /** PEM of the certificate of the Azure application. */
  applicationCertificate: string;
  clientSecret: string;
  accountKey: string;
  sas: string;
  ldap: { username: string; password: string };
  /** What the LDAP token service gives. */
  s3: { accessKeyId: string; secretAccessKey: string };
}

const gcsToken = 'token-of-google';
const azureToken = 'token-of-entra';

interface Answer {
  status: number;
  body?: string | Buffer;
  headers?: Record<string, string>;
}

export async function startCloudStorage(options: CloudStorageOptions): Promise<CloudStorage> {
  const requests: string[] = [];
  const objects = new Map<string, string>();
  const storage = { pageSize: 2 };
  let base = '';

  function answerTo(incoming: IncomingMessage, body: string): Answer {
    const url = new URL(incoming.url ?? '/', base);
    requests.push(`${incoming.method} ${url.pathname}`);
    const form = new URLSearchParams(body);
    if (url.pathname === '/token') return googleToken(form);
    if (url.pathname === '/tenant-1/oauth2/v2.0/token') return entraToken(form);
    if (url.pathname === '/sts') return ldapCredentials(form);
    if (url.pathname.startsWith('/storage/v1/b/apps/o')) return google(incoming, url);
    if (url.pathname.startsWith('/account1/apps')) return azure(incoming, url);
    return { status: 404, body: JSON.stringify({ error: { message: 'The specified bucket does not exist.' } }) };
  }

  function googleToken(form: URLSearchParams): Answer {
    const [head = '', claims = '', signature = ''] = (form.get('assertion') ?? '').split('.');
    const verify = createVerify('RSA-SHA256').update(`${head}.${claims}`);
    const isSigned = verify.verify(createPublicKey(options.serviceAccountKey), signature, 'base64url');
    const { iss, aud, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>;
    const isRight =
      isSigned && iss === 'reader@project.test' && aud === `${base}/token` && Number(exp) > Date.now() / 1000;
    if (!isRight)
      return { status: 400, body: '{"error":"invalid_grant","error_description":"Invalid JWT Signature."}' };
    return { status: 200, body: JSON.stringify({ access_token: gcsToken, expires_in: 3600 }) };
  }

  function entraToken(form: URLSearchParams): Answer {
    const isSecret = form.get('client_secret') === options.clientSecret;
    const isRight = form.get('client_id') === 'client-1' && (isSecret || isSignedByCertificate(form));
    if (!isRight) return { status: 401, body: '{"error":"invalid_client","error_description":"AADSTS7000215: wrong"}' };
    return { status: 200, body: JSON.stringify({ access_token: azureToken, expires_in: 3600 }) };
  }

  function isSignedByCertificate(form: URLSearchParams): boolean {
    const [head = '', claims = '', signature = ''] = (form.get('client_assertion') ?? '').split('.');
    if (signature === '') return false;
    const certificate = new X509Certificate(options.applicationCertificate);
    const { x5t } = JSON.parse(Buffer.from(head, 'base64url').toString()) as { x5t: string };
    const verify = createVerify('RSA-SHA256').update(`${head}.${claims}`);
    const isSigned = verify.verify(certificate.publicKey, signature, 'base64url');
    return isSigned && x5t === createHash('sha1').update(certificate.raw).digest('base64url');
  }

  function ldapCredentials(form: URLSearchParams): Answer {
    const { username, password } = options.ldap;
    if (form.get('LDAPUsername') !== username || form.get('LDAPPassword') !== password) {
      return {
        status: 403,
        body: '<ErrorResponse><Error><Code>AccessDenied</Code><Message>No.</Message></Error></ErrorResponse>',
      };
    }
    const { accessKeyId, secretAccessKey } = options.s3;
    const credentials = `<AccessKeyId>${accessKeyId}</AccessKeyId><SecretAccessKey>${secretAccessKey}</SecretAccessKey>`;
    const inner = `<Credentials>${credentials}<Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>`;
    const result = `<AssumeRoleWithLDAPIdentityResult>${inner}</AssumeRoleWithLDAPIdentityResult>`;
    return { status: 200, body: `<AssumeRoleWithLDAPIdentityResponse>${result}</AssumeRoleWithLDAPIdentityResponse>` };
  }

  function google(incoming: IncomingMessage, url: URL): Answer {
    if (incoming.headers.authorization !== `Bearer ${gcsToken}`) {
      return { status: 401, body: '{"error":{"status":"UNAUTHENTICATED","message":"Invalid Credentials"}}' };
    }
    const key = decodeURIComponent(url.pathname.slice('/storage/v1/b/apps/o/'.length));
    if (url.searchParams.get('alt') === 'media') {
      const content = objects.get(key);
      if (content === undefined) return { status: 404 };
      const generation = url.searchParams.get('ifGenerationMatch');
      return generation !== null && generation !== generationOf(content)
        ? { status: 412 }
        : { status: 200, body: content };
    }
    const { page, next } = pageOf(url.searchParams.get('prefix') ?? '', url.searchParams.get('pageToken'));
    const items = page.map(([name, content]) => ({
      name,
      etag: `etag-${generationOf(content)}`,
      size: String(Buffer.byteLength(content)),
      generation: generationOf(content),
      md5Hash: md5(content),
    }));
    return { status: 200, body: JSON.stringify({ items, ...(next ? { nextPageToken: next } : {}) }) };
  }

  function azure(incoming: IncomingMessage, url: URL): Answer {
    const { authorization = '' } = incoming.headers;
    const isAllowed =
      authorization === `Bearer ${azureToken}` ||
      url.search.includes(options.sas) ||
      (authorization.startsWith('SharedKey ') && isSharedKey(incoming, url, authorization));
    if (!isAllowed) {
      return {
        status: 403,
        body: '<Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate.</Message></Error>',
      };
    }
    if (url.searchParams.get('comp') !== 'list') {
      const content = objects.get(decodeURIComponent(url.pathname.slice('/account1/apps/'.length)));
      if (content === undefined) return { status: 404, headers: { 'x-ms-error-code': 'BlobNotFound' } };
      const match = incoming.headers['if-match'];
      return match !== undefined && match !== `"0x${generationOf(content)}"`
        ? { status: 412 }
        : { status: 200, body: content };
    }
    const { page, next } = pageOf(url.searchParams.get('prefix') ?? '', url.searchParams.get('marker'));
    const blobs = page.map(([name, content]) => {
      const facts = `<Etag>0x${generationOf(content)}</Etag><Content-Length>${Buffer.byteLength(content)}</Content-Length>`;
      return `<Blob><Name>${name}</Name><Properties>${facts}<Content-MD5>${md5(content)}</Content-MD5></Properties></Blob>`;
    });
    const body = `<EnumerationResults><Blobs>${blobs.join('')}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`;
    return { status: 200, body: `\uFEFF<?xml version="1.0" encoding="utf-8"?>${body}` };
  }

  /** Shared Key as Microsoft's page on authorization describes it, for requests without a body. */
  function isSharedKey({ headers, method }: IncomingMessage, url: URL, authorization: string): boolean {
    const lines = [method, '', '', '', '', '', '', '', headers['if-match'] ?? '', '', '', ''];
    lines.push(`x-ms-date:${String(headers['x-ms-date'])}`, `x-ms-version:${String(headers['x-ms-version'])}`);
    lines.push(`/account1${url.pathname}`);
    for (const name of [...url.searchParams.keys()].sort()) lines.push(`${name}:${url.searchParams.get(name)}`);
    const key = Buffer.from(options.accountKey, 'base64');
    const wanted = `SharedKey account1:${createHmac('sha256', key).update(lines.join('\n')).digest('base64')}`;
    return wanted.length === authorization.length && timingSafeEqual(Buffer.from(wanted), Buffer.from(authorization));
  }

  function pageOf(prefix: string, token: string | null): { page: [string, string][]; next: string } {
    const all = [...objects].filter(([name]) => name.startsWith(prefix)).sort();
    const start = token ? Number(token) : 0;
    const end = start + storage.pageSize;
    return { page: all.slice(start, end), next: end < all.length ? String(end) : '' };
  }

  const server = await listenOnLoopback((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { status, body, headers } = answerTo(incoming, Buffer.concat(chunks).toString());
      response.writeHead(status, headers).end(body);
    });
  });
  base = server.url;
  return Object.assign(storage, {
    url: base,
    host: server.host,
    requests,
    objects,
    close: server.close,
  });
}

/** A number that changes with the content. */
function generationOf(content: string): string {
  return String(Number.parseInt(createHash('sha256').update(content).digest('hex').slice(0, 8), 16));
}

function md5(content: string): string {
  return createHash('md5').update(content).digest('base64');
}
