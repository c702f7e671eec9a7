// A client of OCI registries (distribution API v1.1): manifests, blobs, tags, referrers, and pushing for the CLI. What it
// is given by a registry is checked by digest and bounded in size before anybody sees it.
import { createHash } from 'node:crypto';
import { parseDigest } from '../../artifact/digest.ts';
import type { ConnectionSettings } from '../http/dispatcher.ts';
import type { RegistryCredentials } from './docker-config.ts';
import { isDigest } from './oci-address.ts';
import { nextPage } from './pages.ts';
import { connectionError, RegistryError } from './registry-error.ts';
import { createRegistryHttp, type RegistryRequest } from './registry-http.ts';
import { type Answer, dump, readBody } from './registry-transport.ts';

/** A reference to content, as manifests and indexes hold it. */
export interface Descriptor {
  mediaType: string;
  /** `sha256:<hex>`. */
  digest: string;
  /** Bytes. */
  size: number;
  artifactType?: string;
  annotations?: Record<string, string>;
  platform?: { os?: string; architecture?: string; variant?: string };
}

/** An image manifest, an artifact's manifest or an index, as far as it is read here. */
export interface OciManifest {
  schemaVersion?: number;
  mediaType?: string;
  artifactType?: string;
  config?: Descriptor;
  layers?: Descriptor[];
  /** Of an index. */
  manifests?: Descriptor[];
  subject?: Descriptor;
  annotations?: Record<string, string>;
}

/** A manifest with its very bytes, whose digest is right. */
export interface PulledManifest {
  digest: string;
  mediaType: string;
  bytes: Uint8Array;
  manifest: OciManifest;
}

export interface RegistryClientOptions {
  /** `host[:port]`. */
  host: string;
  /** TLS with any certificate, or HTTP without TLS where the registry speaks no TLS (contract 1.2, insecure). */
  isInsecure: boolean;
  /** Default: anonymous. */
  credentials?: RegistryCredentials;
  /** What to do about a refusal when there are no credentials: a half sentence for messages. */
  loginAdvice?: string;
  connection?: ConnectionSettings;
}

/**
 * One registry. `repository` is the path without the host, `reference` a tag or a digest. All fail with a
 * {@link RegistryError}, whose `problem` says what kind of failure it is, or with the reason of the aborted signal.
 */
export interface RegistryClient {
  readonly host: string;
  /** What a tag or digest leads to: one HEAD, or a GET where the registry does not say it on a HEAD. */
  resolve(repository: string, reference: string, signal: AbortSignal): Promise<Descriptor>;
  /** A manifest of at most 4 MiB, checked against the digest that was asked for or announced. */
  manifest(repository: string, reference: string, signal: AbortSignal): Promise<PulledManifest>;
  /** The bytes of a blob, at most `maxBytes`; throws at the end when they are not those of the digest. */
  blob(repository: string, digest: string, signal: AbortSignal, maxBytes: number): AsyncIterable<Uint8Array>;
  /** All tags, over all pages, in the order of the registry. */
  tags(repository: string, signal: AbortSignal): Promise<string[]>;
  /** The manifests whose subject is `digest`: by the referrers API, else by the tag `sha256-<hex>`; none: empty. */
  referrers(
    repository: string,
    digest: string,
    artifactType: string | undefined,
    signal: AbortSignal,
  ): Promise<Descriptor[]>;
  /** Uploads a blob unless it is there; gives its descriptor. */
  pushBlob(repository: string, mediaType: string, content: Uint8Array, signal: AbortSignal): Promise<Descriptor>;
  /** Uploads a manifest under a tag or its digest. */
  pushManifest(
    repository: string,
    reference: string,
    mediaType: string,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<Descriptor>;
  /** Gives what `reference` leads to another tag. */
  tag(repository: string, reference: string, tag: string, signal: AbortSignal): Promise<Descriptor>;
}

/** What may be behind a tag. */
const manifestMediaTypes = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];
/** The distribution specification asks registries to take manifests up to this size. */
const maxManifestBytes = 4 * 1024 * 1024;
const maxAnnotationBytes = 64 * 1024;
const maxPageBytes = 4 * 1024 * 1024;
const maxPages = 1000;
/** Of all pages of a list together: 200,000 tags of the longest name. */
const maxListBytes = 32 * 1024 * 1024;
const tagsPerPage = 1000;
const maxTags = 200_000;
const maxReferrers = 1000;

export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const { host } = options;
  const http = createRegistryHttp(options);

  /** Sends a request; every status but the expected ones is an error. */
  async function expect(statuses: readonly number[], subject: string, request: RegistryRequest): Promise<Answer> {
    const answer = await http.send(request);
    if (statuses.includes(answer.status)) return answer;
    throw await http.errorOf(answer, subject, request.signal);
  }

  const read = (repository: string) => ({ access: { repository, isPush: false } });
  const write = (repository: string) => ({ access: { repository, isPush: true } });
  const manifestPath = (repository: string, reference: string): string =>
    `/v2/${repository}/manifests/${encodeURIComponent(reference).replaceAll('%3A', ':')}`;
  const accept = { accept: manifestMediaTypes.join(', ') };

  function subjectOf(repository: string, reference: string): string {
    return `"${host}/${repository}${isDigest(reference) ? '@' : ':'}${reference}"`;
  }

  async function manifest(repository: string, reference: string, signal: AbortSignal): Promise<PulledManifest> {
    const subject = subjectOf(repository, reference);
    const path = manifestPath(repository, reference);
    const answer = await expect([200], subject, { method: 'GET', path, headers: accept, signal, ...read(repository) });
    const bytes = await readBody(answer, maxManifestBytes, `manifest ${subject}`, signal);
    const announced = isDigest(reference) ? reference : textOf(answer.headers['docker-content-digest']);
    const digest = announced && isDigest(announced) ? announced : digestOf(bytes, 'sha256');
    checkDigest(bytes, digest, `manifest ${subject}`);
    const parsed = parseManifest(bytes, subject);
    const mediaType = parsed.mediaType ?? textOf(answer.headers['content-type'])?.split(';')[0]?.trim() ?? '';
    return { digest, mediaType, bytes, manifest: parsed };
  }

  async function* pages(repository: string, first: string, subject: string, signal: AbortSignal, headers = {}) {
    const seen = new Set<string>();
    let sizeBytes = 0;
    for (let path: string | undefined = first; path !== undefined && !seen.has(path); ) {
      if (seen.size >= maxPages) throw new RegistryError('content', `${subject} has more than ${maxPages} pages`);
      seen.add(path);
      const request: RegistryRequest = { method: 'GET', path, headers, signal, ...read(repository) };
      const answer = await expect([200], subject, request);
      const body = await readBody(answer, maxPageBytes, subject, signal);
      sizeBytes += body.byteLength;
      if (sizeBytes > maxListBytes) {
        throw new RegistryError('content', `${subject} has more than the ${maxListBytes} bytes allowed`);
      }
      yield parseJson(body, subject);
      path = nextPage(answer.headers['link'], answer.url);
    }
  }

  return {
    host,
    manifest,

    async resolve(repository, reference, signal) {
      const path = manifestPath(repository, reference);
      const answer = await http.send({ method: 'HEAD', path, headers: accept, signal, ...read(repository) });
      await dump(answer.body);
      const digest = textOf(answer.headers['docker-content-digest']);
      if (answer.status === 200 && digest && isDigest(digest) && (!isDigest(reference) || digest === reference)) {
        const mediaType = textOf(answer.headers['content-type'])?.split(';')[0]?.trim() ?? '';
        return { digest, mediaType, size: Number(answer.headers['content-length'] ?? 0) };
      }
      // Some registries say less on a HEAD, and none says on it why it refuses.
      const pulled = await manifest(repository, reference, signal);
      return { digest: pulled.digest, mediaType: pulled.mediaType, size: pulled.bytes.byteLength };
    },

    async *blob(repository, digest, signal, maxBytes) {
      const subject = `blob "${host}/${repository}@${digest}"`;
      const { algorithm, hex } = digestParts(digest, subject);
      const path = `/v2/${repository}/blobs/${digest}`;
      const answer = await expect([200], subject, { method: 'GET', path, signal, ...read(repository) });
      const hash = createHash(algorithm);
      let total = 0;
      try {
        for await (const chunk of answer.body as AsyncIterable<Buffer>) {
          total += chunk.length;
          if (total > maxBytes) {
            throw new RegistryError('content', `${subject} has more than the ${maxBytes} bytes allowed`);
          }
          hash.update(chunk);
          yield chunk;
        }
      } catch (error) {
        signal.throwIfAborted();
        throw error instanceof RegistryError ? error : connectionError(`${subject} cannot be read`, error);
      } finally {
        answer.body.destroy();
      }
      const found = hash.digest('hex');
      if (found !== hex) {
        throw new RegistryError(
          'content',
          `${subject} is not what it is meant to be: expected digest "${digest}", got "${algorithm}:${found}"`,
        );
      }
    },

    async tags(repository, signal) {
      const subject = `list of tags of "${host}/${repository}"`;
      const tags: string[] = [];
      for await (const page of pages(repository, `/v2/${repository}/tags/list?n=${tagsPerPage}`, subject, signal)) {
        const found = (page as { tags?: unknown }).tags ?? [];
        if (!Array.isArray(found) || !found.every((tag) => typeof tag === 'string')) {
          throw new RegistryError('content', `${subject} is not of the form {"tags": [...]}`);
        }
        tags.push(...found);
        if (tags.length > maxTags) throw new RegistryError('content', `${subject} has more than ${maxTags} tags`);
      }
      return tags;
    },

    async referrers(repository, digest, artifactType, signal) {
      const subject = `referrers of "${host}/${repository}@${digest}"`;
      const query = artifactType === undefined ? '' : `?artifactType=${encodeURIComponent(artifactType)}`;
      const found: Descriptor[] = [];
      const isWanted = (one: Descriptor): boolean => artifactType === undefined || one.artifactType === artifactType;
      try {
        const headers = { accept: manifestMediaTypes[1] };
        for await (const page of pages(
          repository,
          `/v2/${repository}/referrers/${digest}${query}`,
          subject,
          signal,
          headers,
        )) {
          found.push(...descriptorsOf(page, subject).filter(isWanted));
          if (found.length >= maxReferrers) break;
        }
        return found.slice(0, maxReferrers);
      } catch (error) {
        // Registries without the API answer 404, and some anything else than a list.
        const isAbsent = error instanceof RegistryError && ['notFound', 'protocol', 'content'].includes(error.problem);
        if (!isAbsent) throw error;
      }
      try {
        const index = await manifest(repository, digest.replace(':', '-'), signal);
        return descriptorsOf(index.manifest, subject).filter(isWanted).slice(0, maxReferrers);
      } catch (error) {
        if (error instanceof RegistryError && error.problem === 'notFound') return [];
        throw error;
      }
    },

    async pushBlob(repository, mediaType, content, signal) {
      const digest = digestOf(content, 'sha256');
      const descriptor = { mediaType, digest, size: content.byteLength };
      const subject = `blob "${host}/${repository}@${digest}"`;
      const known = await http.send({
        method: 'HEAD',
        path: `/v2/${repository}/blobs/${digest}`,
        signal,
        ...write(repository),
      });
      await dump(known.body);
      if (known.status === 200) return descriptor;
      const start = { method: 'POST', path: `/v2/${repository}/blobs/uploads/`, signal, ...write(repository) } as const;
      const started = await expect([202], subject, start);
      await dump(started.body);
      const location = textOf(started.headers['location']);
      if (!location || !URL.canParse(location, started.url)) {
        throw new RegistryError('protocol', `registry "${host}" does not say where ${subject} is to be uploaded`);
      }
      const target = new URL(location, started.url);
      target.searchParams.set('digest', digest);
      const headers = { 'content-type': 'application/octet-stream' };
      const upload = {
        method: 'PUT',
        path: target.href,
        headers,
        body: content,
        signal,
        ...write(repository),
      } as const;
      await dump((await expect([201], subject, upload)).body);
      return descriptor;
    },

    async pushManifest(repository, reference, mediaType, bytes, signal) {
      const headers = { 'content-type': mediaType };
      const path = manifestPath(repository, reference);
      const request = { method: 'PUT', path, headers, body: bytes, signal, ...write(repository) } as const;
      await dump((await expect([200, 201], subjectOf(repository, reference), request)).body);
      return { mediaType, digest: digestOf(bytes, 'sha256'), size: bytes.byteLength };
    },

    async tag(repository, reference, tag, signal) {
      const { mediaType, bytes } = await manifest(repository, reference, signal);
      return await this.pushManifest(repository, tag, mediaType, bytes, signal);
    },
  };
}

function textOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

/** `<algorithm>:<hex>` of bytes. */
export function digestOf(bytes: Uint8Array, algorithm: 'sha256' | 'sha384' | 'sha512'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

function digestParts(digest: string, subject: string): ReturnType<typeof parseDigest> {
  try {
    return parseDigest(digest);
  } catch (error) {
    throw new RegistryError('content', `${subject}: ${(error as Error).message}`, { cause: error });
  }
}

function checkDigest(bytes: Uint8Array, digest: string, subject: string): void {
  const { algorithm, hex } = digestParts(digest, subject);
  const found = digestOf(bytes, algorithm);
  if (found === `${algorithm}:${hex}`) return;
  throw new RegistryError(
    'content',
    `${subject} is not what it is meant to be: expected digest "${digest}", got "${found}"`,
  );
}

function parseJson(bytes: Uint8Array, subject: string): unknown {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (typeof parsed === 'object' && parsed !== null) return parsed;
  } catch {
    // told below
  }
  throw new RegistryError('content', `${subject} is no JSON document`);
}

function parseManifest(bytes: Uint8Array, subject: string): OciManifest {
  const parsed = parseJson(bytes, subject) as OciManifest;
  for (const part of ['layers', 'manifests'] as const) {
    if (parsed[part] !== undefined) descriptorsIn(parsed[part], `${subject}: "${part}"`);
  }
  const { annotations } = parsed;
  if (annotations !== undefined && !isAnnotations(annotations)) {
    throw new RegistryError(
      'content',
      `${subject}: "annotations" are not texts by name of at most ${maxAnnotationBytes} bytes`,
    );
  }
  if (parsed.config !== undefined) descriptorsIn([parsed.config], `${subject}: "config"`);
  return parsed;
}

/** They become part of a status, and so of histories. */
function isAnnotations(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const isText = Object.values(value).every((text) => typeof text === 'string');
  return isText && Buffer.byteLength(JSON.stringify(value)) <= maxAnnotationBytes;
}

function descriptorsOf(index: unknown, subject: string): Descriptor[] {
  return descriptorsIn((index as OciManifest).manifests ?? [], subject);
}

function descriptorsIn(list: unknown, subject: string): Descriptor[] {
  const isDescriptor = (one: unknown): one is Descriptor => {
    const { mediaType, digest, size } = (one ?? {}) as Partial<Descriptor>;
    return (
      typeof mediaType === 'string' && typeof digest === 'string' && isDigest(digest) && Number.isSafeInteger(size)
    );
  };
  if (Array.isArray(list) && list.every(isDescriptor)) return list;
  throw new RegistryError('content', `${subject} is no list of descriptors (media type, digest and size each)`);
}
