// A Bucket on Azure Blob Storage: a container, by its REST API.
import { createHmac } from 'node:crypto';
import type { Dispatcher } from 'undici';
import { encodeKey } from '../../s3-client.ts';
import { childOf, childrenOf, parseXml, textOf, type XmlElement } from '../../xml.ts';
import { HttpRefusal } from '../../http-refusal.ts';
import { openRequest, requestText } from '../http/bounded-request.ts';
import { type BucketStorage, ObjectChanged, type StoredObject } from './bucket-storage.ts';

/** How requests prove who asks. */
export type AzureAuthorization =
  | { type: 'sharedKey'; account: string; key: Uint8Array }
  /** The query of a shared access signature, without `?`. */
  | { type: 'sas'; query: string }
  | { type: 'token'; token(signal: AbortSignal): Promise<string> }
  | { type: 'anonymous' };

export interface AzureConnection {
  /** `https://<account>.blob.core.windows.net` */
  endpoint: string;
  container: string;
  authorization: AzureAuthorization;
  dispatcher: Dispatcher;
}

const apiVersion = '2023-11-03';

export function createAzureStorage(connection: AzureConnection, prefix: string): BucketStorage {
  const { endpoint, container, authorization, dispatcher } = connection;
  const root = `${endpoint}/${encodeKey(container)}`;

  async function prepare(
    url: URL,
    more: Record<string, string>,
    signal: AbortSignal,
  ): Promise<{ url: URL; headers: Record<string, string> }> {
    const headers = { ...more, 'x-ms-date': new Date().toUTCString(), 'x-ms-version': apiVersion };
    switch (authorization.type) {
      case 'sharedKey':
        return { url, headers: { ...headers, authorization: sharedKey(authorization, 'GET', url, headers) } };
      case 'token':
        return { url, headers: { ...headers, authorization: `Bearer ${await authorization.token(signal)}` } };
      case 'sas':
        url.search = [url.search.replace(/^\?/, ''), authorization.query].filter(Boolean).join('&');
        return { url, headers };
      case 'anonymous':
        return { url, headers };
    }
  }

  async function read(key: string, etag: string | undefined, signal: AbortSignal) {
    const match: Record<string, string> = etag === undefined ? {} : { 'if-match': `"${etag}"` };
    const { url, headers } = await prepare(new URL(`${root}/${encodeKey(key)}`), match, signal);
    try {
      return (await openRequest(url, { headers }, dispatcher, signal)).body;
    } catch (error) {
      if (!(error instanceof HttpRefusal)) throw error;
      if (error.status === 404 && error.code !== 'ContainerNotFound') return undefined;
      if (error.status === 412) throw new ObjectChanged(`"${key}" was changed meanwhile`);
      throw error;
    }
  }

  return {
    name: `container "${container}" at "${new URL(endpoint).host}"`,

    async *list(signal) {
      for (let marker = '', isFirst = true; isFirst || marker; isFirst = false) {
        const page = new URL(root);
        for (const [name, value] of Object.entries({ restype: 'container', comp: 'list', prefix, marker })) {
          if (value) page.searchParams.set(name, value);
        }
        const { url, headers } = await prepare(page, {}, signal);
        const answer = parseXml(await requestText(url, { headers }, dispatcher, signal));
        if (answer.name !== 'EnumerationResults')
          throw new Error(`expected "EnumerationResults", got "${answer.name}"`);
        const next = textOf(answer, 'NextMarker') ?? '';
        if (next && next === marker) throw new Error('the listing goes round in a circle');
        marker = next;
        yield childrenOf(childOf(answer, 'Blobs'), 'Blob').map(objectOf);
      }
    },

    async read(key, object, signal) {
      const content = await read(key, object.etag, signal);
      if (!content) throw new ObjectChanged(`"${key}" was removed meanwhile`);
      return content;
    },

    readAny: (key, signal) => read(key, undefined, signal),
  };
}

function objectOf(blob: XmlElement): StoredObject {
  const properties = childOf(blob, 'Properties');
  const name = textOf(blob, 'Name');
  const sizeBytes = Number(textOf(properties, 'Content-Length'));
  if (name === undefined || !Number.isSafeInteger(sizeBytes)) {
    throw new Error('the listing holds a blob without a name or a size');
  }
  const md5 = textOf(properties, 'Content-MD5');
  return {
    keyBytes: Buffer.from(name),
    etag: (textOf(properties, 'Etag') ?? '').replaceAll('"', ''),
    sizeBytes,
    ...(md5 ? { md5 } : {}),
  };
}

/** The Authorization header of a request that is signed with an account's key. */
export function sharedKey(
  { account, key }: { account: string; key: Uint8Array },
  method: string,
  url: URL,
  headers: Readonly<Record<string, string>>,
): string {
  const lower = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value.trim()]));
  const standard = [
    ...['content-encoding', 'content-language', 'content-length', 'content-md5', 'content-type', 'date'],
    ...['if-modified-since', 'if-match', 'if-none-match', 'if-unmodified-since', 'range'],
  ].map((name) => lower.get(name) ?? '');
  const own = [...lower]
    .filter(([name]) => name.startsWith('x-ms-'))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}:${value}`);
  const query = [...url.searchParams].map(([name, value]) => `${name.toLowerCase()}:${value}`).sort();
  const text = [method, ...standard, ...own, `/${account}${url.pathname}`, ...query].join('\n');
  return `SharedKey ${account}:${createHmac('sha256', key).update(text, 'utf8').digest('base64')}`;
}

/** The account of an endpoint: the first label of its host, or of its path where the host is an address. */
export function accountOf(endpoint: string): string {
  const { hostname, pathname } = new URL(endpoint);
  const isPlain = /^[0-9.]+$/.test(hostname) || hostname.startsWith('[') || !hostname.includes('.');
  return (isPlain ? pathname.split('/')[1] : hostname.split('.')[0]) ?? '';
}
