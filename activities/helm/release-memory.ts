// Revisions that this worker has read or seen written, by the version of their Secret: what has the same version has the
// same content, so that a list of versions is all that has to be asked for.
import type { KubeObject } from '../../k8s/object.ts';
import { releaseOfSecret } from './stored-secret.ts';

/** Content of release Secrets, as Helm packs it. */
export interface ReleaseMemory {
  /** The packed release of a Secret in this very version. */
  find(secret: SecretVersion): Buffer | undefined;
  keep(secret: SecretVersion, packed: Buffer): void;
  /** Takes note of a Secret as the API server answered it, in its protobuf encoding; anything else is passed over. */
  learn(server: string, answer: Buffer): void;
}

export interface SecretVersion {
  /** Of the cluster, as `KubeClient.server`. */
  server: string;
  metadata: Pick<KubeObject['metadata'], 'namespace' | 'name' | 'resourceVersion'>;
}

const defaultMaxBytes = 32 * 1024 * 1024;

/** Remembers up to so many bytes, those that were asked for last. */
export function createReleaseMemory(maxBytes = defaultMaxBytes): ReleaseMemory {
  const known = new Map<string, Buffer>();
  let sizeBytes = 0;

  function forget(key: string): void {
    sizeBytes -= known.get(key)?.length ?? 0;
    known.delete(key);
  }

  const memory: ReleaseMemory = {
    find(secret) {
      const key = keyOf(secret);
      const packed = known.get(key);
      if (!packed) return undefined;
      known.delete(key);
      known.set(key, packed);
      return packed;
    },

    keep(secret, packed) {
      if (!secret.metadata.resourceVersion) return;
      const key = keyOf(secret);
      forget(key);
      known.set(key, packed);
      sizeBytes += packed.length;
      for (const oldest of known.keys()) {
        if (sizeBytes <= maxBytes) break;
        forget(oldest);
      }
    },

    learn(server, answer) {
      const secret = releaseOfSecret(answer);
      if (secret) memory.keep({ server, metadata: secret }, secret.packed);
    },
  };
  return memory;
}

function keyOf({ server, metadata: { namespace = '', name, resourceVersion = '' } }: SecretVersion): string {
  return `${server} ${namespace}/${name} ${resourceVersion}`;
}
