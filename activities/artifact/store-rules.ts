// What every driver of the artifact store keeps to: where things lie, what an artifact says of itself, and what may go. No
// file is touched and no request is sent here.
import { createHash } from 'node:crypto';
import { failure } from '../errors.ts';
import { type Artifact, type ArtifactOwner, sweptFamilies } from './artifact.ts';
import { type DigestAlgorithm, formatDigest } from './digest.ts';

/** What every driver may be told, besides where it keeps things. */
export interface StoreOptions {
  /**
   * `host[:port]` under which consumers reach the artifact server, e.g. `source-controller.flux-system.svc.cluster.local.`,
   * the same for all workers of a store.
   */
  advertisedAddress: string;
  /** How many of an owner's newest artifacts outlive their TTL. @default 2 */
  retentionRecords?: number;
  /** Nothing younger than this is collected. @default 60000 */
  retentionTtlMs?: number;
  /** @default 'sha256' */
  digestAlgorithm?: DigestAlgorithm;
}

/** Beginning of the names of files that are being written. */
export const temporaryPrefix = '.tmp-';
/** A temporary file this old belongs to a process that died. */
export const temporaryMaxAgeMs = 3_600_000;

/** The name of a blob within its family: the part of its key that is a digest, else the digest of the whole key. */
export function blobName(key: string): string {
  const [, digest] = /^[a-z]+\/([0-9a-f]{64})$/.exec(key) ?? [];
  return digest ?? createHash('sha256').update(key).digest('hex');
}

/** Where a blob lies, for every driver: hidden, so that the artifact server never serves it. */
export function blobPathOf(key: string): string {
  const name = blobName(key);
  const family = sweptFamilies.find((one) => key.startsWith(`${one}/`));
  return ['.blobs', ...(family ? [family] : []), name.slice(0, 2), name.slice(2)].join('/');
}

/** A file of an owner's directory, as retention sees it. */
export interface StoredFile {
  name: string;
  modifiedMs: number;
}

/**
 * Which files of an owner's directory may go: neither the current one, nor among the newest records (the current one
 * counts), nor younger than the TTL; `.lock` files are never touched, temporary ones go when their writer must be dead.
 */
export function garbageOf(
  files: StoredFile[],
  currentName: string | undefined,
  nowMs: number,
  retentionRecords: number,
  retentionTtlMs: number,
): string[] {
  const isTemporary = (file: StoredFile): boolean => file.name.startsWith(temporaryPrefix);
  const dead = files.filter((file) => isTemporary(file) && nowMs - file.modifiedMs > temporaryMaxAgeMs);
  const artifacts = files
    .filter((file) => !isTemporary(file) && !file.name.endsWith('.lock'))
    .sort((a, b) => rank(b) - rank(a) || (a.name < b.name ? -1 : 1));
  function rank(file: StoredFile): number {
    return file.name === currentName ? Number.POSITIVE_INFINITY : file.modifiedMs;
  }
  const expired = artifacts
    .slice(Math.max(retentionRecords, currentName === undefined ? 0 : 1))
    .filter((file) => file.name !== currentName && nowMs - file.modifiedMs > retentionTtlMs);
  return [...dead, ...expired].map((file) => file.name);
}

/** `<lowercase kind>/<namespace>/<name>` of an owner. Fails with StorageOperationFailed when a part is not safe as a path. */
export function ownerPath(owner: ArtifactOwner): string {
  return [owner.kind.toLowerCase(), owner.namespace, owner.name].map(safeSegment).join('/');
}

/** A part of a path that is safe as a file name. Fails with StorageOperationFailed. */
export function safeSegment(segment: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._+-]*$/.test(segment) && segment.length <= 253) return segment;
  throw failure('StorageOperationFailed', `"${segment.slice(0, 100)}" cannot be part of an artifact's path`);
}

/** Where consumers get a file of the store. */
export function urlOf({ advertisedAddress }: StoreOptions, path: string): string {
  return `http://${advertisedAddress.replace(/\/+$/, '')}/${path}`;
}

/** The content of an artifact on its way into the store. */
export interface MeasuredContent {
  content: AsyncIterable<Uint8Array>;
  /** What went by, as an artifact that was stored just now; to be called once, at the end. */
  toArtifact(): Artifact;
}

/** Measures content while a driver writes it. */
export function measureContent(
  path: string,
  revision: string,
  content: AsyncIterable<Uint8Array>,
  options: StoreOptions,
): MeasuredContent {
  const algorithm = options.digestAlgorithm ?? 'sha256';
  const hash = createHash(algorithm);
  let size = 0;
  async function* measured(): AsyncGenerator<Uint8Array> {
    for await (const chunk of content) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  }
  return {
    content: measured(),
    toArtifact() {
      const lastUpdateTime = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
      return { digest: formatDigest(algorithm, hash), path, url: urlOf(options, path), revision, lastUpdateTime, size };
    },
  };
}

/** True for what a driver hands on as it is: a failure with a reason, or a cancellation. */
export function isFailure(error: unknown): error is Error {
  return error instanceof Error && ['ApplicationFailure', 'CancelledFailure'].includes(error.name);
}
