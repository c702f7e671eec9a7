// A Bucket on Google Cloud Storage, by its JSON API.
import type { Dispatcher } from 'undici';
import { HttpRefusal } from '../../http-refusal.ts';
import { openRequest, requestJson } from '../http/bounded-request.ts';
import { type BucketStorage, ObjectChanged, type StoredObject } from './bucket-storage.ts';

export interface GcsConnection {
  /** `https://storage.googleapis.com` */
  endpoint: string;
  bucket: string;
  /** The access token; undefined: requests are anonymous. */
  token(signal: AbortSignal): Promise<string | undefined>;
  dispatcher: Dispatcher;
}

export function createGcsStorage(connection: GcsConnection, prefix: string): BucketStorage {
  const { endpoint, bucket, dispatcher } = connection;
  const objects = `${endpoint}/storage/v1/b/${encodeURIComponent(bucket)}/o`;

  async function headers(signal: AbortSignal): Promise<Record<string, string>> {
    const token = await connection.token(signal);
    return token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  async function read(key: string, query: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined> {
    const url = `${objects}/${encodeURIComponent(key)}?alt=media${query}`;
    try {
      return (await openRequest(url, { headers: await headers(signal) }, dispatcher, signal)).body;
    } catch (error) {
      if (error instanceof HttpRefusal && error.status === 404) return undefined;
      if (error instanceof HttpRefusal && error.status === 412) {
        throw new ObjectChanged(`"${key}" was changed meanwhile`);
      }
      throw error;
    }
  }

  return {
    name: `bucket "${bucket}" at "${new URL(endpoint).host}"`,

    async *list(signal) {
      for (let pageToken = '', isFirst = true; isFirst || pageToken; isFirst = false) {
        const query = new URLSearchParams({
          maxResults: '1000',
          fields: 'items(name,etag,size,generation,md5Hash),nextPageToken',
          ...(prefix ? { prefix } : {}),
          ...(pageToken ? { pageToken } : {}),
        });
        const page = await requestJson(
          `${objects}?${query.toString()}`,
          { headers: await headers(signal) },
          dispatcher,
          signal,
        );
        const next = typeof page['nextPageToken'] === 'string' ? page['nextPageToken'] : '';
        if (next && next === pageToken) throw new Error('the listing goes round in a circle');
        pageToken = next;
        yield (Array.isArray(page['items']) ? page['items'] : []).map(objectOf);
      }
    },

    async read(key, object, signal) {
      const content = await read(key, `&ifGenerationMatch=${encodeURIComponent(object.version ?? '')}`, signal);
      if (!content) throw new ObjectChanged(`"${key}" was removed meanwhile`);
      return content;
    },

    readAny: (key, signal) => read(key, '', signal),
  };
}

function objectOf(item: unknown): StoredObject {
  const { name, etag, size, generation, md5Hash } = item as Record<string, unknown>;
  const sizeBytes = Number(size);
  if (typeof name !== 'string' || !Number.isSafeInteger(sizeBytes) || !/^[0-9]+$/.test(String(generation))) {
    throw new Error('the listing holds an object without a name, a size or a generation');
  }
  return {
    keyBytes: Buffer.from(name),
    etag: typeof etag === 'string' ? etag.replaceAll('"', '') : '',
    sizeBytes,
    version: String(generation),
    ...(typeof md5Hash === 'string' ? { md5: md5Hash } : {}),
  };
}
