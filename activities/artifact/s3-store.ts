// The S3 driver of the artifact store: any worker publishes, any worker serves. Keys are the paths of the file driver
// below a prefix. An object is there as a whole or not at all; links are objects under `.links`, blobs under `.blobs`.
import { createHash } from 'node:crypto';
import { failure, messageOf } from '../errors.ts';
import { HttpRefusal } from '../http-refusal.ts';
import type { S3Client, S3Content } from '../s3-client.ts';
import type { Artifact, ArtifactOwner, ArtifactStore, SweepOptions, SweepResult, SweptFamily } from './artifact.ts';
import { type DigestAlgorithm, formatDigest, parseDigest } from './digest.ts';
import { packArchive } from './pack-archive.ts';
import {
  blobPathOf,
  garbageOf,
  isFailure,
  measureContent,
  ownerPath,
  safeSegment,
  type StoredFile,
  type StoreOptions,
  urlOf,
} from './store-rules.ts';
import { pathProblem } from './tar-path.ts';

/** What `createS3ArtifactStore` may be told. */
export interface S3ArtifactStoreOptions extends StoreOptions {
  client: S3Client;
  /** Beginning of every key; empty, or with `/` at its end. */
  prefix: string;
}

/** Where the links of an owner lie, below the prefix. */
export const linkFolder = '.links';

const requestTimeoutMs = 60_000;
const transferTimeoutMs = 900_000;
const concurrentRemovals = 8;

/** The artifact store in a bucket; the same promises as the file driver. Fails with StorageOperationFailed. */
export function createS3ArtifactStore(options: S3ArtifactStoreOptions): ArtifactStore {
  const { client, prefix, retentionRecords = 2, retentionTtlMs = 60_000 } = options;
  /** Path → digest and ETag of an object that was verified, so that an unchanged one is read once. */
  const verified = new Map<string, string>();

  async function publishContent(
    owner: ArtifactOwner,
    fileName: string,
    revision: string,
    content: AsyncIterable<Uint8Array>,
  ): Promise<Artifact> {
    const path = `${ownerPath(owner)}/${safeSegment(fileName)}`;
    const measured = measureContent(path, revision, content, options);
    let etag: string;
    try {
      etag = await client.write(prefix + path, measured.content, AbortSignal.timeout(transferTimeoutMs));
    } catch (error) {
      if (isFailure(error)) throw error;
      throw storageFailure(`artifact "${path}" cannot be stored`, error, 'ArchiveOperationFailed');
    }
    const artifact = measured.toArtifact();
    verified.set(path, `${artifact.digest} ${etag}`);
    return artifact;
  }

  const publish: ArtifactStore['publish'] = (owner, fileName, revision, files) =>
    publishContent(owner, fileName, revision, packArchive(files));

  async function link(owner: ArtifactOwner, linkName: string, artifact: Artifact): Promise<string> {
    const path = `${ownerPath(owner)}/${safeSegment(linkName)}`;
    const target = artifact.path.split('/').at(-1) ?? '';
    await within(`"${path}" cannot lead to "${artifact.path}"`, (signal) =>
      client.write(`${prefix}${linkFolder}/${path}`, oneChunk(Buffer.from(target)), signal),
    );
    return urlOf(options, path);
  }

  async function verify(artifact: Artifact): Promise<boolean> {
    const { path, digest } = artifact;
    if (pathProblem(path) || path.startsWith('.')) return false;
    return await within(`artifact "${path}" cannot be verified`, async (signal) => {
      const key = prefix + path;
      const head = await client.head(key, signal);
      if (!head) return false;
      if (verified.get(path) === `${digest} ${head.etag}`) return true;
      const actual = await digestOfObject(client, key, head.etag, digest);
      if (actual === 'changed') return false; // somebody publishes it anew: the next look sees that
      if (actual === digest) {
        verified.set(path, `${digest} ${head.etag}`);
        return true;
      }
      verified.delete(path);
      // An unknown algorithm is no proof against the object, which another worker may be able to verify.
      if (actual !== undefined && (await client.head(key, signal))?.etag === head.etag)
        await client.remove(key, signal);
      return false;
    });
  }

  async function collectGarbage(owner: ArtifactOwner, current: Artifact | undefined): Promise<string[]> {
    const root = ownerPath(owner);
    return await within(`old artifacts under "${root}" cannot be collected`, async (signal) => {
      const files = await filesUnder(`${root}/`, signal);
      const names = garbageOf(files, current?.path.split('/').at(-1), Date.now(), retentionRecords, retentionTtlMs);
      const paths = names.map((name) => `${root}/${name}`);
      await removeKeys(paths, signal);
      return paths;
    });
  }

  async function removeAll(owner: ArtifactOwner): Promise<void> {
    const root = ownerPath(owner);
    await within(`artifacts under "${root}" cannot be removed`, async (signal) => {
      for (const folder of [`${root}/`, `${linkFolder}/${root}/`]) {
        const files = await filesUnder(folder, signal);
        await removeKeys(
          files.map(({ name }) => folder + name),
          signal,
        );
      }
    });
  }

  async function readBlob(key: string): Promise<Uint8Array | undefined> {
    return await within(`blob "${key}" cannot be read`, async (signal) => {
      const found = await client.read(prefix + blobPathOf(key), signal);
      return found && (await bytesOf(found));
    });
  }

  async function writeBlob(key: string, content: Uint8Array): Promise<void> {
    await within(`blob "${key}" cannot be written`, (signal) =>
      client.write(prefix + blobPathOf(key), oneChunk(content), signal),
    );
  }

  async function removeBlob(key: string): Promise<void> {
    await within(`blob "${key}" cannot be removed`, (signal) => client.remove(prefix + blobPathOf(key), signal));
  }

  async function sweepBlobs(family: SweptFamily, { olderThanMs, isKept }: SweepOptions): Promise<SweepResult> {
    const folder = `.blobs/${family}/`;
    const kept = new Set<string>();
    const old: string[] = [];
    await within(`old blobs under "${family}" cannot be removed`, async (signal) => {
      for (const { name: path, modifiedMs } of await filesUnder(folder, signal)) {
        const name = path.replaceAll('/', '');
        const isOld = Date.now() - modifiedMs > olderThanMs;
        if (isOld && !(await isKept?.(name))) old.push(folder + path);
        else kept.add(name);
      }
      await removeKeys(old, signal);
    });
    return { removedCount: old.length, kept };
  }

  /** What lies in a folder, by its name within it. */
  async function filesUnder(folder: string, signal: AbortSignal): Promise<StoredFile[]> {
    const files: StoredFile[] = [];
    for await (const page of client.list(prefix + folder, signal)) {
      for (const { keyBytes, modifiedMs } of page) {
        const name = Buffer.from(keyBytes)
          .toString('utf8')
          .slice((prefix + folder).length);
        if (name !== '') files.push({ name, modifiedMs });
      }
    }
    return files;
  }

  async function removeKeys(paths: string[], signal: AbortSignal): Promise<void> {
    const left = [...paths];
    async function worker(): Promise<void> {
      for (let path = left.pop(); path !== undefined; path = left.pop()) {
        await client.remove(prefix + path, signal);
        verified.delete(path);
      }
    }
    await Promise.all(Array.from({ length: concurrentRemovals }, worker));
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

/** The digest of an object in the algorithm of another, or `changed`; undefined when we cannot compute that one. */
async function digestOfObject(client: S3Client, key: string, etag: string, like: string): Promise<string | undefined> {
  let algorithm: DigestAlgorithm;
  try {
    ({ algorithm } = parseDigest(like));
  } catch {
    return undefined;
  }
  try {
    const content = await client.read(key, AbortSignal.timeout(transferTimeoutMs), { ifMatch: etag });
    if (!content) return 'changed';
    const hash = createHash(algorithm);
    for await (const chunk of content.body) hash.update(chunk);
    return formatDigest(algorithm, hash);
  } catch (error) {
    if (error instanceof HttpRefusal && error.status === 412) return 'changed';
    throw error;
  }
}

/** Runs requests within a time; what they throw becomes a failure that begins with `what`. */
async function within<T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await work(AbortSignal.timeout(requestTimeoutMs));
  } catch (error) {
    throw isFailure(error) ? error : storageFailure(what, error, 'StorageOperationFailed');
  }
}

function storageFailure(
  what: string,
  error: unknown,
  reason: 'StorageOperationFailed' | 'ArchiveOperationFailed',
): Error {
  const isTransient = !(error instanceof HttpRefusal) || error.status >= 500 || error.status === 429;
  const code = error instanceof HttpRefusal ? ` (${error.code ?? `HTTP ${error.status}`})` : '';
  return failure(reason, `${what}${code}: ${messageOf(error)}`, { cause: error, isTransient });
}

async function bytesOf({ body }: S3Content): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* oneChunk(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield content;
}
