// ConfigMaps and Secrets that an object refers to, read as the person who asks.
import type { KubeClient } from '../k8s/client.ts';
import type { ReferencedObjects } from '../k8s/referenced-objects.ts';
import type { SecretValues } from './secret-values.ts';

/** Reads from the cluster; every value of a Secret is taken note of. */
export function notingReferences(kube: KubeClient, secrets: SecretValues): ReferencedObjects {
  return {
    async get(kind, namespace, name) {
      const object = await kube.get({ group: '', version: 'v1', kind, namespace, name });
      if (object && kind === 'Secret') {
        for (const value of Object.values((object.data ?? {}) as Record<string, string>)) {
          secrets.add(Buffer.from(value, 'base64').toString('utf8'));
        }
      }
      return object;
    },
  };
}
