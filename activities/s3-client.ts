// Requests to an object storage that speaks S3: signed (SigV4), tried again where that may help, never redirected.
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { AwsV4Signer } from 'aws4fetch';
import { type Dispatcher, request } from 'undici';
import { HttpRefusal } from './http-refusal.ts';
import { parseS3Page, parseS3Refusal, type S3Object } from './s3-listing.ts';
import { childOf, parseXml, textOf } from './xml.ts';

export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

export interface S3Connection {
  /** `https://host[:port]`. */
  endpoint: string;
  bucket: string;
  /** @default 'us-east-1', and then the one that the server names */
  region?: string;
  /** undefined: requests are anonymous. */
  credentials(signal: AbortSignal): Promise<S3Credentials | undefined>;
  dispatcher: Dispatcher;
  /** Tries of a request that the network or the server failed. @default 3 */
  attempts?: number;
}

/** What a read gives. */
export interface S3Content {
  etag: string;
  /** Bytes of the body, which a range makes fewer than the object has. */
  sizeBytes: number;
  modifiedMs: number;
  body: AsyncIterable<Uint8Array>;
}

/** Parts of a read; a server that has another version of the object answers with status 412. */
export interface S3ReadOptions {
  ifMatch?: string;
  /** First and last byte. */
  range?: { first: number; last: number };
}

export interface S3Client {
  /** All objects, page by page. */
  list(prefix: string, signal: AbortSignal): AsyncGenerator<S3Object[]>;
  /** undefined when the object does not exist. The body has to be read to its end or cancelled. */
  read(key: string, signal: AbortSignal, options?: S3ReadOptions): Promise<S3Content | undefined>;
  head(key: string, signal: AbortSignal): Promise<Omit<S3Content, 'body'> | undefined>;
  /** Writes an object in one piece or in parts; it is there as a whole or not at all. Gives its ETag. */
  write(key: string, content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<string>;
  remove(key: string, signal: AbortSignal): Promise<void>;
}

const maxAnswerBytes = 32 * 1024 * 1024;
const partBytes = 8 * 1024 * 1024;
const firstPauseMs = 100;

interface Call {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  key?: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: Uint8Array;
}

/** A client for one bucket. Its methods fail with an {@link HttpRefusal}, or with the network's error. */
export function createS3Client(connection: S3Connection): S3Client {
  const { attempts = 3, dispatcher } = connection;
  let region = connection.region || undefined;

  async function send(call: Call, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    let isRegionTold = false;
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await sendOnce(call, signal);
        if (answer.statusCode < 300) return answer;
        const { error, toldRegion } = await refusalOf(answer);
        if (toldRegion && toldRegion !== region && !isRegionTold && !connection.region) {
          region = toldRegion;
          isRegionTold = true;
          continue;
        }
        throw error;
      } catch (error) {
        signal.throwIfAborted();
        if (attempt >= attempts || !isTransient(error)) throw error;
        await sleep(firstPauseMs * 2 ** (attempt - 1), undefined, { signal });
      }
    }
  }

  async function sendOnce(call: Call, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const url = urlOf(connection, call);
    const credentials = await connection.credentials(signal);
    let headers: Record<string, string> = { ...call.headers };
    if (credentials) {
      const payload = createHash('sha256')
        .update(call.body ?? '')
        .digest('hex');
      const signer = new AwsV4Signer({
        ...credentials,
        method: call.method,
        url,
        headers: { ...headers, 'x-amz-content-sha256': payload },
        service: 's3',
        region: region ?? 'us-east-1',
      });
      headers = Object.fromEntries((await signer.sign()).headers);
    }
    return await request(url, { method: call.method, headers, body: call.body, dispatcher, signal });
  }

  async function writeParts(
    key: string,
    parts: AsyncIterable<Uint8Array>,
    first: Uint8Array[],
    signal: AbortSignal,
  ): Promise<string> {
    const started = await textOfAnswer(await send({ method: 'POST', key, query: { uploads: '' } }, signal));
    const uploadId = textOf(parseXml(started), 'UploadId');
    if (!uploadId) throw new Error('the server began an upload and gave it no id');
    const etags: string[] = [];
    const writePart = async (body: Uint8Array): Promise<void> => {
      const query = { partNumber: String(etags.length + 1), uploadId };
      const answer = await send({ method: 'PUT', key, query, body }, signal);
      await answer.body.dump();
      etags.push(headerOf(answer, 'etag'));
    };
    try {
      for (const part of first) await writePart(part);
      for await (const part of parts) await writePart(part);
      const listed = etags.map(
        (etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`,
      );
      const body = Buffer.from(`<CompleteMultipartUpload>${listed.join('')}</CompleteMultipartUpload>`);
      const text = await textOfAnswer(await send({ method: 'POST', key, query: { uploadId }, body }, signal));
      const root = parseXml(text);
      // The status of this one request is sent before the work is done: the body says how it ended.
      const error = root.name === 'Error' ? root : childOf(root, 'Error');
      if (error) throw new HttpRefusal(500, textOf(error, 'Code'), textOf(error, 'Message'));
      return withoutQuotes(textOf(root, 'ETag') ?? '');
    } catch (error) {
      const abort = send({ method: 'DELETE', key, query: { uploadId } }, AbortSignal.timeout(10_000));
      await abort.then((answer) => answer.body.dump()).catch(() => undefined);
      throw error;
    }
  }

  return {
    async *list(prefix, signal) {
      for (let token: string | undefined, isFirst = true; isFirst || token; isFirst = false) {
        const query: Record<string, string> = { 'list-type': '2', 'encoding-type': 'url', prefix };
        if (token) query['continuation-token'] = token;
        const page = parseS3Page(await textOfAnswer(await send({ method: 'GET', query }, signal)));
        if (page.nextToken !== undefined && page.nextToken === token) {
          throw new Error('the listing goes round in a circle');
        }
        token = page.nextToken;
        yield page.objects;
      }
    },

    async read(key, signal, { ifMatch, range } = {}) {
      const headers: Record<string, string> = range ? {} : { 'x-amz-checksum-mode': 'ENABLED' };
      if (ifMatch !== undefined) headers['if-match'] = `"${ifMatch}"`;
      if (range) headers['range'] = `bytes=${range.first}-${range.last}`;
      try {
        const answer = await send({ method: 'GET', key, headers }, signal);
        return { ...factsOf(answer), body: range ? answer.body : checkedBody(answer) };
      } catch (error) {
        if (isMissingObject(error)) return undefined;
        throw error;
      }
    },

    async head(key, signal) {
      try {
        const answer = await send({ method: 'HEAD', key }, signal);
        await answer.body.dump();
        return factsOf(answer);
      } catch (error) {
        if (isMissingObject(error)) return undefined;
        throw error;
      }
    },

    async write(key, content, signal) {
      const parts = inParts(content);
      const first = await parts.next();
      const second = first.done ? first : await parts.next();
      if (!first.done && !second.done) return await writeParts(key, parts, [first.value, second.value], signal);
      const body = first.done ? new Uint8Array() : first.value;
      const answer = await send({ method: 'PUT', key, body }, signal);
      await answer.body.dump();
      return withoutQuotes(headerOf(answer, 'etag'));
    },

    async remove(key, signal) {
      try {
        await (await send({ method: 'DELETE', key }, signal)).body.dump();
      } catch (error) {
        if (!isMissingObject(error)) throw error;
      }
    },
  };
}

/** AWS wants the bucket in the host name; everything else understands it in the path. */
/** Whoever gives the credentials says for good that there are none. */
function isTransient(error: unknown): boolean {
  if (error instanceof HttpRefusal) return error.status >= 500 || error.status === 429;
  return !(error instanceof Error && error.name === 'ApplicationFailure');
}

function urlOf({ endpoint, bucket }: S3Connection, { key, query }: Call): string {
  const base = new URL(endpoint);
  const isInHost = /(^|\.)amazonaws\.com(\.cn)?$/.test(base.hostname) && !bucket.includes('.');
  if (isInHost) base.hostname = `${bucket}.${base.hostname}`;
  const path = [...(isInHost ? [] : [bucket]), ...(key === undefined ? [] : [key])].map(encodeKey).join('/');
  const search = Object.entries(query ?? {}).map(([name, value]) => `${name}=${encodePart(value)}`);
  return `${base.origin}/${path}${search.length > 0 ? `?${search.join('&')}` : ''}`;
}

/** A key as the path of a URL. */
export function encodeKey(key: string): string {
  return key.split('/').map(encodePart).join('/');
}

function encodePart(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

async function refusalOf(answer: Dispatcher.ResponseData): Promise<{ error: HttpRefusal; toldRegion?: string }> {
  const { code, message, region } = parseS3Refusal(await textOfAnswer(answer).catch(() => ''));
  const inHeader = headerOf(answer, 'x-amz-bucket-region');
  return { error: new HttpRefusal(answer.statusCode, code, message), toldRegion: region ?? (inHeader || undefined) };
}

async function textOfAnswer({ body }: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += (chunk as Buffer).length;
    if (sizeBytes > maxAnswerBytes) throw new Error(`the answer is longer than ${maxAnswerBytes} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function factsOf(answer: Dispatcher.ResponseData): Omit<S3Content, 'body'> {
  return {
    etag: withoutQuotes(headerOf(answer, 'etag')),
    sizeBytes: Number(headerOf(answer, 'content-length') || Number.NaN),
    modifiedMs: Date.parse(headerOf(answer, 'last-modified')) || 0,
  };
}

/** The body, which fails at its end when it does not have the checksum that the server knows of the whole object. */
function checkedBody(answer: Dispatcher.ResponseData): AsyncIterable<Uint8Array> {
  const sha256 = headerOf(answer, 'x-amz-checksum-sha256');
  const crc = headerOf(answer, 'x-amz-checksum-crc32');
  // `-<n>` is a checksum of the checksums of parts.
  const expected = [sha256, crc].find((checksum) => checksum !== '' && !checksum.includes('-'));
  if (expected === undefined) return answer.body;
  async function* checked(): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256');
    let sum = 0;
    for await (const chunk of answer.body) {
      if (expected === sha256) hash.update(chunk as Buffer);
      else sum = crc32(chunk as Buffer, sum);
      yield chunk as Buffer;
    }
    const sumBytes = Buffer.alloc(4);
    sumBytes.writeUInt32BE(sum);
    const actual = expected === sha256 ? hash.digest('base64') : sumBytes.toString('base64');
    if (actual !== expected) throw new Error('the content of an object does not have its checksum');
  }
  return checked();
}

function headerOf({ headers }: Dispatcher.ResponseData, name: string): string {
  const value = headers[name];
  return (Array.isArray(value) ? value[0] : value) ?? '';
}

function withoutQuotes(etag: string): string {
  return etag.replaceAll('"', '');
}

function isMissingObject(error: unknown): boolean {
  // An answer to HEAD has no body, and so no code.
  return error instanceof HttpRefusal && error.status === 404 && ['NoSuchKey', undefined].includes(error.code);
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Pieces of the size that an upload in parts has, the last one smaller. */
async function* inParts(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, undefined> {
  let pending: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of content) {
    pending.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes < partBytes) continue;
    yield Buffer.concat(pending);
    pending = [];
    sizeBytes = 0;
  }
  if (sizeBytes > 0) yield Buffer.concat(pending);
}
