// The file driver of the artifact store: artifacts under `<directory>/<kind>/<namespace>/<name>/`, blobs beside them
// under `.blobs`, which the artifact server never serves. Writes are atomic (temporary file, then rename).
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream, type Stats } from 'node:fs';
import { lstat, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { failure, messageOf } from '../errors.ts';
import {
  type Artifact,
  type ArtifactOwner,
  type ArtifactStore,
  sweptFamilies,
  type SweepOptions,
  type SweepResult,
  type SweptFamily,
} from './artifact.ts';
import { type DigestAlgorithm, digestOfFile, formatDigest, parseDigest } from './digest.ts';
import { pathProblem } from './tar-path.ts';
import { gzip, writeTar } from './tar-writer.ts';

/** What `createFileArtifactStore` may be told. */
export interface FileArtifactStoreOptions {
  /** Root of the store; made when it is missing. */
  directory: string;
  /** `host[:port]` under which consumers reach the artifact server, e.g. `source-controller.flux-system.svc.cluster.local.`. */
  advertisedAddress: string;
  /** How many of an owner's newest artifacts outlive their TTL. @default 2 */
  retentionRecords?: number;
  /** Nothing younger than this is collected. @default 60000 */
  retentionTtlMs?: number;
  /** @default 'sha256' */
  digestAlgorithm?: DigestAlgorithm;
}

const temporaryPrefix = '.tmp-';
/** A temporary file this old belongs to a process that died. */
const temporaryMaxAgeMs = 3_600_000;

/** The artifact store on a local or shared directory (contract 1.0, storage layout). */
export function createFileArtifactStore(options: FileArtifactStoreOptions): ArtifactStore {
  const { directory, advertisedAddress, retentionRecords = 2, retentionTtlMs = 60_000 } = options;
  const algorithm = options.digestAlgorithm ?? 'sha256';
  /** Path → digest and identity of a file that was verified, so that an unchanged file is hashed once. */
  const verified = new Map<string, string>();

  function urlOf(path: string): string {
    return `http://${advertisedAddress.replace(/\/+$/, '')}/${path}`;
  }

  async function publishContent(
    owner: ArtifactOwner,
    fileName: string,
    revision: string,
    content: AsyncIterable<Uint8Array>,
  ): Promise<Artifact> {
    const path = `${ownerPath(owner)}/${safeSegment(fileName)}`;
    const target = join(directory, path);
    const temporary = temporaryPathBeside(target);
    const hash = createHash(algorithm);
    let size = 0;
    async function* measured(): AsyncGenerator<Uint8Array> {
      for await (const chunk of content) {
        hash.update(chunk);
        size += chunk.length;
        yield chunk;
      }
    }
    try {
      await mkdir(dirname(target), { recursive: true, mode: 0o750 });
      await pipeline(measured(), createWriteStream(temporary, { mode: 0o600 }));
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      if (isFailure(error)) throw error;
      throw failure('ArchiveOperationFailed', `artifact "${path}" cannot be stored: ${messageOf(error)}`, {
        cause: error,
      });
    }
    const digest = formatDigest(algorithm, hash);
    verified.set(path, `${digest} ${identityOf(await stat(target))}`);
    return { digest, path, url: urlOf(path), revision, lastUpdateTime: timestamp(), size };
  }

  const publish: ArtifactStore['publish'] = (owner, fileName, revision, files) =>
    publishContent(owner, fileName, revision, gzip(writeTar(files)));

  async function link(owner: ArtifactOwner, linkName: string, artifact: Artifact): Promise<string> {
    const path = `${ownerPath(owner)}/${safeSegment(linkName)}`;
    const temporary = temporaryPathBeside(join(directory, path));
    try {
      await symlink(artifact.path.split('/').at(-1) ?? '', temporary);
      await rename(temporary, join(directory, path));
    } catch (error) {
      await rm(temporary, { force: true });
      throw storageFailure(`"${path}" cannot lead to "${artifact.path}"`, error);
    }
    return urlOf(path);
  }

  async function verify(artifact: Artifact): Promise<boolean> {
    if (pathProblem(artifact.path)) return false;
    const file = join(directory, artifact.path);
    try {
      const key = `${artifact.digest} ${identityOf(await stat(file))}`;
      if (verified.get(artifact.path) === key) return true;
      if ((await digestOfFile(file, parseDigest(artifact.digest).algorithm)) === artifact.digest) {
        verified.set(artifact.path, key);
        return true;
      }
    } catch (error) {
      if (isMissing(error)) return false;
      if (isSystemError(error)) throw storageFailure(`artifact "${artifact.path}" cannot be verified`, error);
      return false; // the digest in the status is none that we can compute
    }
    verified.delete(artifact.path);
    await rm(file, { force: true });
    return false;
  }

  async function collectGarbage(owner: ArtifactOwner, current: Artifact | undefined): Promise<string[]> {
    const root = ownerPath(owner);
    const removed: string[] = [];
    try {
      const files = await filesOf(join(directory, root));
      const now = Date.now();
      for (const file of garbageOf(files, current?.path.split('/').at(-1), now, retentionRecords, retentionTtlMs)) {
        await rm(join(directory, root, file), { force: true });
        verified.delete(`${root}/${file}`);
        if (!file.startsWith(temporaryPrefix)) removed.push(`${root}/${file}`);
      }
    } catch (error) {
      throw storageFailure(`old artifacts under "${root}" cannot be collected`, error);
    }
    return removed;
  }

  async function removeAll(owner: ArtifactOwner): Promise<void> {
    const root = ownerPath(owner);
    for (const path of verified.keys()) if (path.startsWith(`${root}/`)) verified.delete(path);
    try {
      await rm(join(directory, root), { recursive: true, force: true });
    } catch (error) {
      throw storageFailure(`artifacts under "${root}" cannot be removed`, error);
    }
  }

  function blobPath(key: string): string {
    const name = blobName(key);
    const family = sweptFamilies.find((one) => key.startsWith(`${one}/`)) ?? '';
    return join(directory, '.blobs', family, name.slice(0, 2), name.slice(2));
  }

  async function readBlob(key: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(blobPath(key));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw storageFailure(`blob "${key}" cannot be read`, error);
    }
  }

  async function writeBlob(key: string, content: Uint8Array): Promise<void> {
    const target = blobPath(key);
    const temporary = temporaryPathBeside(target);
    try {
      await mkdir(dirname(target), { recursive: true, mode: 0o700 });
      await writeFile(temporary, content, { mode: 0o600 });
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      throw storageFailure(`blob "${key}" cannot be written`, error);
    }
  }

  async function removeBlob(key: string): Promise<void> {
    await rm(blobPath(key), { force: true });
  }

  async function sweepBlobs(family: SweptFamily, { olderThanMs, isKept }: SweepOptions): Promise<SweepResult> {
    const root = join(directory, '.blobs', family);
    const kept = new Set<string>();
    let removedCount = 0;
    try {
      for (const part of await namesIn(root)) {
        for (const file of await filesOf(join(root, part))) {
          const name = part + file.name;
          const isTemporary = file.name.startsWith(temporaryPrefix);
          const isOld = Date.now() - file.modifiedMs > (isTemporary ? temporaryMaxAgeMs : olderThanMs);
          if (isOld && (isTemporary || !(await isKept?.(name)))) {
            await rm(join(root, part, file.name), { force: true });
            if (!isTemporary) removedCount++;
          } else if (!isTemporary) kept.add(name);
        }
      }
    } catch (error) {
      throw storageFailure(`old blobs under "${family}" cannot be removed`, error);
    }
    return { removedCount, kept };
  }

  return {
    publish,
    publishContent,
    link,
    verify,
    urlOf,
    collectGarbage,
    removeAll,
    readBlob,
    writeBlob,
    removeBlob,
    sweepBlobs,
  };
}

/** The name of a blob within its family: the part of its key that is a digest, else the digest of the whole key. */
export function blobName(key: string): string {
  const [, digest] = /^[a-z]+\/([0-9a-f]{64})$/.exec(key) ?? [];
  return digest ?? createHash('sha256').update(key).digest('hex');
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

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function filesOf(directory: string): Promise<StoredFile[]> {
  const files: StoredFile[] = [];
  for (const name of await namesIn(directory)) {
    try {
      const info = await lstat(join(directory, name)); // links are no files: they stay
      if (info.isFile()) files.push({ name, modifiedMs: info.mtimeMs });
    } catch (error) {
      if (!isMissing(error)) throw error; // gone meanwhile
    }
  }
  return files;
}

/** `<lowercase kind>/<namespace>/<name>` of an owner. Fails with StorageOperationFailed when a part is not safe as a path. */
export function ownerPath(owner: ArtifactOwner): string {
  return [owner.kind.toLowerCase(), owner.namespace, owner.name].map(safeSegment).join('/');
}

function safeSegment(segment: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(segment) && segment.length <= 253) return segment;
  throw failure('StorageOperationFailed', `"${segment.slice(0, 100)}" cannot be part of an artifact's path`);
}

function temporaryPathBeside(target: string): string {
  return join(dirname(target), `${temporaryPrefix}${process.pid}-${randomBytes(6).toString('hex')}`);
}

function identityOf(info: Stats): string {
  return `${info.ino} ${info.size} ${info.mtimeMs} ${info.ctimeMs}`;
}

function timestamp(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z');
}

function storageFailure(what: string, error: unknown): Error {
  return failure('StorageOperationFailed', `${what}: ${messageOf(error)}`, { cause: error });
}

function isFailure(error: unknown): boolean {
  return error instanceof Error && ['ApplicationFailure', 'CancelledFailure'].includes(error.name);
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
