// The key that built manifests are sealed with: one for all workers of an installation, in a Secret of the cluster.
import { randomBytes } from 'node:crypto';
import { sealingKeyBytes } from '../activities/artifact/sealing.ts';
import { KubeApiError, type KubeClient } from '../k8s/client.ts';
import type { KubeObject, ObjectRef } from '../k8s/object.ts';

/** Name of the Secret and of the entry in its data. */
export const sealingKeySecret = { name: 'continuo-sealing-key', entry: 'key' } as const;

/**
 * The sealing key of the installation in this namespace; made, with the namespace, when there is none. Of workers that
 * start at once the first one makes it and all get the same. Whoever deletes the Secret loses nothing: after the next start
 * manifests are built again. Throws `KubeApiError`, and an `Error` for a Secret with something else in it.
 */
export async function readSealingKey(kube: Pick<KubeClient, 'get' | 'create'>, namespace: string): Promise<Buffer> {
  const ref: ObjectRef = { group: '', version: 'v1', kind: 'Secret', namespace, name: sealingKeySecret.name };
  const found = await kube.get(ref);
  if (found) return keyOf(found);
  await createUnlessThere(kube, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  const key = randomBytes(sealingKeyBytes);
  const isOurs = await createUnlessThere(kube, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: sealingKeySecret.name, namespace },
    type: 'Opaque',
    immutable: true,
    data: { [sealingKeySecret.entry]: key.toString('base64') },
  });
  if (isOurs) return key;
  const others = await kube.get(ref);
  if (!others) throw new Error(`Secret/${namespace}/${sealingKeySecret.name} was deleted as soon as it was made`);
  return keyOf(others);
}

function keyOf(secret: KubeObject): Buffer {
  const { [sealingKeySecret.entry]: value = '' } = (secret.data ?? {}) as Record<string, string>;
  const key = Buffer.from(value, 'base64');
  if (key.length === sealingKeyBytes) return key;
  const { namespace, name } = secret.metadata;
  throw new Error(
    `Secret/${namespace}/${name} has ${key.length} bytes in "${sealingKeySecret.entry}", expected ${sealingKeyBytes}: ` +
      'delete it, and the next worker makes another',
  );
}

/** True when the object was created here, false when it was there already. */
async function createUnlessThere(kube: Pick<KubeClient, 'create'>, object: KubeObject): Promise<boolean> {
  try {
    await kube.create(object);
    return true;
  } catch (error) {
    if (error instanceof KubeApiError && error.reason === 'AlreadyExists') return false;
    throw error;
  }
}
