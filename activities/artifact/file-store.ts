// The file driver of the artifact store: artifacts under `<directory>/<kind>/<namespace>/<name>/`, blobs beside them
// under `.blobs`, which the artifact server never serves. Writes are atomic (temporary file, then rename).
import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstat, mkdir, open, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { failure, messageOf } from '../errors.ts';
import {
  type Artifact,
  type ArtifactOwner,
  type ArtifactStore,
  type SweepOptions,
  type SweepResult,
  type SweptFamily,
} from './artifact.ts';
import { digestOfFile, parseDigest } from './digest.ts';
import {
  blobPathOf,
  garbageOf,
  isFailure,
  measureContent,
  ownerPath,
  safeSegment,
  type StoredFile,
  type StoreOptions,
  temporaryMaxAgeMs,
  temporaryPrefix,
  urlOf,
} from './store-rules.ts';
import { packArchive, type PackedPart } from './pack-archive.ts';
import { formatPackedParts, openPackedParts, packedPartsKey } from './packed-parts.ts';
import { pathProblem } from './tar-path.ts';

/** What `createFileArtifactStore` may be told. */
export interface FileArtifactStoreOptions extends StoreOptions {
  /** Root of the store; made when it is missing. */
  directory: string;
}

/** The artifact store on a local or shared directory (contract 1.0, storage layout). */
export function createFileArtifactStore(options: FileArtifactStoreOptions): ArtifactStore {
  const { directory, retentionRecords = 2, retentionTtlMs = 60_000 } = options;
  /** Path → digest and identity of a file that was verified, so that an unchanged file is hashed once. */
  const verified = new Map<string, string>();

  async function publishContent(
    owner: ArtifactOwner,
    fileName: string,
    revision: string,
    content: AsyncIterable<Uint8Array>,
  ): Promise<Artifact> {
    const path = `${ownerPath(owner)}/${safeSegment(fileName)}`;
    const target = join(directory, path);
    const temporary = temporaryPathBeside(target);
    const measured = measureContent(path, revision, content, options);
    try {
      await mkdir(dirname(target), { recursive: true, mode: 0o750 });
      // Opened before anything is written: a stream that fails early would make the file after it was removed.
      const file = await open(temporary, 'w', 0o600);
      await pipeline(measured.content, file.createWriteStream());
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      if (isFailure(error)) throw error;
      throw failure('ArchiveOperationFailed', `artifact "${path}" cannot be stored: ${messageOf(error)}`, {
        cause: error,
      });
    }
    const artifact = measured.toArtifact();
    verified.set(path, `${artifact.digest} ${identityOf(await stat(target))}`);
    return artifact;
  }

  const publish: ArtifactStore['publish'] = async (owner, fileName, revision, files) => {
    const key = packedPartsKey(ownerPath(owner));
    const reuse = await openPackedParts(await readBlob(key), (path) => join(directory, path));
    let parts: PackedPart[] = [];
    const onPacked = (packed: PackedPart[]): void => void (parts = packed);
    try {
      const artifact = await publishContent(owner, fileName, revision, packArchive(files, { reuse, onPacked }));
      await writeBlob(key, formatPackedParts({ path: artifact.path, parts }));
      return artifact;
    } finally {
      await reuse?.close();
    }
  };

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
    return urlOf(options, path);
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
      await removeBlob(packedPartsKey(root));
    } catch (error) {
      throw storageFailure(`artifacts under "${root}" cannot be removed`, error);
    }
  }

  function blobPath(key: string): string {
    return join(directory, blobPathOf(key));
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
    urlOf: (path) => urlOf(options, path),
    collectGarbage,
    removeAll,
    readBlob,
    writeBlob,
    removeBlob,
    sweepBlobs,
  };
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

function temporaryPathBeside(target: string): string {
  return join(dirname(target), `${temporaryPrefix}${process.pid}-${randomBytes(6).toString('hex')}`);
}

function identityOf(info: Stats): string {
  return `${info.ino} ${info.size} ${info.mtimeMs} ${info.ctimeMs}`;
}

function storageFailure(what: string, error: unknown): Error {
  return failure('StorageOperationFailed', `${what}: ${messageOf(error)}`, { cause: error });
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
