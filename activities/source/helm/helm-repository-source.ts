// HelmRepository of type `default`: its index, as JSON, becomes the artifact (contract 1.3). One of type `oci` is static:
// it never comes here (k8s/static-objects.ts).
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HelmRepository } from '../../../k8s/api/helm-repository.ts';
import { refOf } from '../../../k8s/object.ts';
import type { ArtifactStore } from '../../artifact/artifact.ts';
import { failure, messageOf } from '../../errors.ts';
import type { SourceDriver } from '../source-driver.ts';
import { isStored } from '../stored.ts';
import type { ReadIndex } from './chart-index.ts';
import { defaultHelmLimits, type HelmLimits } from './helm-limits.ts';
import type { IndexCache } from './index-cache.ts';
import { downloadChangedIndex, downloadIndex, nameOfIndex } from './index-download.ts';
import { readIndexAside } from './index-reader.ts';
import { openRepositoryAccess, type ReadSecret } from './repository-access.ts';
import type { Validators } from './repository-download.ts';

/** What the driver needs from outside. */
export interface HelmRepositorySourceDeps {
  store: ArtifactStore;
  /** Indexes wait under `<dataDirectory>/helm-index` between the stages. */
  dataDirectory: string;
  readSecret: ReadSecret;
  /** Where charts look for what is read here. */
  indexes: IndexCache;
  /** @default those of Flux */
  limits?: HelmLimits;
}

/** Versions of indexes that are remembered, so that an unchanged one is not sent again. */
const maxRemembered = 1_000;
/** What a process that died has left. */
const abandonedAfterMs = 600_000;

export function createHelmRepositorySource(deps: HelmRepositorySourceDeps): SourceDriver<HelmRepository> {
  const { store, readSecret, indexes, limits = defaultHelmLimits } = deps;
  const directory = join(deps.dataDirectory, 'helm-index');
  const remembered = new Map<string, Validators & { revision: string }>();

  function remember(key: string, known: Validators & { revision: string }): void {
    remembered.delete(key);
    remembered.set(key, known);
    const [oldest] = remembered.keys();
    if (remembered.size > maxRemembered && oldest !== undefined) remembered.delete(oldest);
  }

  return {
    async fetch(object, signal) {
      const { namespace, name } = refOf(object);
      const access = await openRepositoryAccess(readSecret, namespace, object.spec);
      const key = `${namespace}/${name} ${object.metadata.uid} ${access.url}`;
      const known = remembered.get(key);
      if (known && (await isStored(store, object, known.revision))) {
        const changed = await downloadChangedIndex(access, limits, signal, 'Failed', known);
        if (!changed) return { revision: known.revision, isUnchanged: true };
        return await found(changed);
      }
      return await found(await downloadIndex(access, limits, signal, 'Failed'));

      async function found({ bytes, etag, lastModified }: Validators & { bytes: Uint8Array }) {
        const hex = createHash('sha256').update(bytes).digest('hex');
        const revision = `sha256:${hex}`;
        remember(key, { etag, lastModified, revision });
        const isUnchanged = await isStored(store, object, revision);
        if (!isUnchanged) await keep(directory, hex, bytes);
        return { revision, isUnchanged };
      }
    },

    async archive(object, fetched, signal) {
      const { namespace, name } = refOf(object);
      const access = await openRepositoryAccess(readSecret, namespace, object.spec);
      let hex = fetched.revision.replace('sha256:', '');
      let bytes = await take(directory, hex);
      if (!bytes) {
        ({ bytes } = await downloadIndex(access, limits, signal, 'Failed'));
        hex = createHash('sha256').update(bytes).digest('hex');
      }
      const sizeBytes = bytes.byteLength;
      let index: ReadIndex;
      try {
        index = await readIndexAside(bytes, signal);
      } catch (error) {
        signal.throwIfAborted();
        const message = `${nameOfIndex(access)} cannot be read: ${messageOf(error)}`;
        throw failure('IndexationFailed', message, { cause: error });
      }
      const owner = { kind: object.kind, namespace, name };
      const revision = `sha256:${hex}`;
      const { json } = index;
      const artifact = await store.publishContent(owner, `index-${hex}.yaml`, revision, chunksOf(json));
      indexes.put(artifact.digest, index);
      const url = await store.link(owner, 'index.yaml', artifact);
      return {
        artifact,
        isNew: artifact.digest !== object.status?.artifact?.digest,
        message: `stored fetched index of size ${humanSize(json.byteLength)} from '${access.url}'`,
        conditionMessage: `stored artifact: revision '${revision}'`,
        fileCount: 1,
        sizeBytes,
        observed: { url },
      };
    },
  };
}

const chunkBytes = 1024 * 1024;

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

/** Keeps a download for the archive stage. */
async function keep(directory: string, hex: string, bytes: Uint8Array): Promise<void> {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const file of readdirSync(directory)) {
      const { mtimeMs } = statSync(join(directory, file), { throwIfNoEntry: false }) ?? { mtimeMs: 0 };
      if (Date.now() - mtimeMs > abandonedAfterMs) rmSync(join(directory, file), { force: true });
    }
    const temporary = join(directory, `${hex}.${process.pid}`);
    await writeFile(temporary, bytes, { mode: 0o600 });
    await rename(temporary, join(directory, hex));
  } catch (error) {
    throw failure('StorageOperationFailed', `a downloaded index cannot be kept: ${messageOf(error)}`, { cause: error });
  }
}

/** Takes a kept download away; undefined when it is not here, or not as it was. */
async function take(directory: string, hex: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    const read = await readFile(join(directory, hex));
    await rm(join(directory, hex), { force: true });
    if (createHash('sha256').update(read).digest('hex') !== hex) return undefined;
    return Uint8Array.from(read);
  } catch {
    return undefined; // another worker has fetched it
  }
}

/** e.g. `30.88kB`, decimal units with four digits. */
export function humanSize(sizeBytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  let size = sizeBytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${Number(size.toPrecision(4))}${units[unit]}`;
}
