// The releases that Helm keeps in Secrets, as `helm history` sees them, and the few changes of them that no helm command
// makes.
import type { KubeClient } from '../../k8s/client.ts';
import type { KubeObject, ObjectRef } from '../../k8s/object.ts';
import { subjectOf } from '../../k8s/object.ts';
import { releaseSecretName } from './names.ts';
import { createReleaseMemory, type ReleaseMemory, type SecretVersion } from './release-memory.ts';
import {
  decodeRelease,
  encodeRelease,
  isPending,
  type ReleaseStatus,
  type StoredRelease,
} from './release-storage-codec.ts';

export type { ReleaseHook, ReleaseInfo, ReleaseStatus, StoredRelease } from './release-storage-codec.ts';
export { isPending } from './release-storage-codec.ts';

/** One revision, as its labels tell without its content. */
export interface ReleaseRecord {
  version: number;
  status: ReleaseStatus;
  /** Of the Secret: another one means that somebody has written to it. */
  resourceVersion: string;
  /** Annotations of the Secret. */
  annotations: Readonly<Record<string, string>>;
}

/** A revision with its content. */
export interface ReadRelease extends ReleaseRecord {
  release: StoredRelease;
}

/** The releases of one namespace. All methods reject with `KubeApiError`, or an `Error` for a damaged release. */
export interface ReleaseStorage {
  /** All revisions, newest first; their content is not asked for. */
  list(releaseName: string, signal?: AbortSignal): Promise<ReleaseRecord[]>;
  /** One revision, or undefined when it is not there. */
  read(releaseName: string, version: number, signal?: AbortSignal): Promise<ReadRelease | undefined>;
  /** The revision of a record of {@link list}; what this worker has seen in this very state is not asked for again. */
  open(releaseName: string, record: ReleaseRecord, signal?: AbortSignal): Promise<ReadRelease | undefined>;
  /** The newest revision, or undefined when there is no release of this name. */
  last(releaseName: string, signal?: AbortSignal): Promise<ReadRelease | undefined>;
  /**
   * Writes state and description of a revision. Rejects with a Conflict when it was written since it was read.
   * Gives what was written.
   */
  setStatus(read: ReadRelease, status: ReleaseStatus, description: string, signal?: AbortSignal): Promise<ReadRelease>;
  /** A pending revision becomes a failed one (contract 2.2, "Locked"); any other is given back as it is. */
  unlock(read: ReadRelease, signal?: AbortSignal): Promise<ReadRelease>;
}

const secretType = 'helm.sh/release.v1';
const owner = 'helm';

/** Opens the storage of a namespace; nothing is requested before the first call. */
export function createReleaseStorage({
  client,
  namespace,
  memory = createReleaseMemory(),
}: {
  client: Pick<KubeClient, 'get' | 'list' | 'patch' | 'server'>;
  namespace: string;
  /** What is known already. @default nothing */
  memory?: ReleaseMemory;
}): ReleaseStorage {
  const { server } = client;
  const resource = { group: '', version: 'v1', kind: 'Secret', resource: 'secrets', namespaced: true };
  const refOf = (releaseName: string, version: number): ObjectRef => ({
    group: '',
    version: 'v1',
    kind: 'Secret',
    namespace,
    name: releaseSecretName(releaseName, version),
  });

  const storage: ReleaseStorage = {
    async list(releaseName, signal) {
      const labelSelector = `name=${releaseName},owner=${owner}`;
      const { items } = await client.list(resource, { namespace, labelSelector, metadataOnly: true, signal });
      return items.map(recordOf).sort((a, b) => b.version - a.version);
    },

    async read(releaseName, version, signal) {
      const found = await client.get(refOf(releaseName, version), { signal });
      if (!found) return undefined;
      const packed = packedIn(found);
      memory.keep({ server, metadata: found.metadata }, packed);
      return { ...recordOf(found), release: unpack(found.metadata, packed) };
    },

    async open(releaseName, record, signal) {
      const { version, resourceVersion } = record;
      const metadata = { namespace, name: releaseSecretName(releaseName, version), resourceVersion };
      const packed = memory.find({ server, metadata });
      if (!packed) return await storage.read(releaseName, version, signal);
      return { ...record, release: unpack(metadata, packed) };
    },

    async last(releaseName, signal) {
      const [newest] = await storage.list(releaseName, signal);
      return newest && (await storage.open(releaseName, newest, signal));
    },

    async setStatus(read, status, description, signal) {
      const release = { ...read.release, info: { ...read.release.info, status, description } };
      const packed = encodeRelease(release);
      const written = await client.patch(
        refOf(release.name, release.version),
        {
          metadata: {
            resourceVersion: read.resourceVersion,
            labels: { status, modifiedAt: String(Math.floor(Date.now() / 1000)) },
          },
          data: { release: packed.toString('base64') },
        },
        { type: 'merge', fieldManager: 'helm', signal },
      );
      memory.keep({ server, metadata: written.metadata }, packed);
      return { ...recordOf(written), release };
    },

    async unlock(read, signal) {
      const { status } = read.release.info;
      if (!isPending(status)) return read;
      return await storage.setStatus(read, 'failed', `Release unlocked from stale '${status}' state`, signal);
    },
  };
  return storage;
}

/** The record of a Secret with a release. */
export function recordOf({ metadata }: KubeObject): ReleaseRecord {
  return {
    version: Number(metadata.labels?.version ?? 0),
    status: (metadata.labels?.status ?? 'unknown') as ReleaseStatus,
    resourceVersion: metadata.resourceVersion ?? '',
    annotations: metadata.annotations ?? {},
  };
}

/** The packed release that a Secret holds. Throws an `Error` that names a Secret which holds none. */
function packedIn({ metadata, type, data }: KubeObject): Buffer {
  if (type !== secretType)
    throw new Error(`${subjectOfSecret(metadata)} is no release: its type is not "${secretType}"`);
  return Buffer.from((data as Record<string, string> | undefined)?.release ?? '', 'base64');
}

/** Throws an `Error` that names the Secret, when it cannot be decoded. */
function unpack(metadata: SecretVersion['metadata'], packed: Buffer): StoredRelease {
  try {
    return decodeRelease(packed);
  } catch (error) {
    throw new Error(`${subjectOfSecret(metadata)} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function subjectOfSecret({ namespace = '', name }: SecretVersion['metadata']): string {
  return subjectOf({ kind: 'Secret', namespace, name });
}
