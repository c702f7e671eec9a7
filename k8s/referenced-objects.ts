// ConfigMaps and Secrets that objects of ours refer to: values for substitution, keys for decryption, kubeconfigs.
import type { KubeClient, ResourceInfo } from './client.ts';
import type { KubeObject } from './object.ts';
import type { WatchCache, WatchCaches } from './watch-cache.ts';

export type ReferencedKind = 'ConfigMap' | 'Secret';

export const referencedKinds: readonly ReferencedKind[] = ['ConfigMap', 'Secret'];

/** Reads what objects of ours refer to, as it is now. */
export interface ReferencedObjects {
  /**
   * The object, or undefined when it does not exist. An object with the watch label (`reconcile.fluxcd.io/watch:
   * Enabled`) is answered from memory; any other costs one request. Rejects with `KubeApiError`.
   */
  get(kind: ReferencedKind, namespace: string, name: string): Promise<KubeObject | undefined>;
}

/** The same with the watch underneath, for whoever tells of changes. */
export interface WatchedReferences extends ReferencedObjects {
  /** The cache of the labelled objects of a kind; started by the first call. */
  cacheOf(kind: ReferencedKind): WatchCache;
  /** Waits (at most 2 s) until the memory has seen what a waker on another worker saw. */
  catchUp(kind: ReferencedKind, resourceVersion: string): Promise<void>;
}

export interface ReferencedObjectsOptions {
  client: Pick<KubeClient, 'get'>;
  /** Caches of the same cluster. */
  caches: WatchCaches;
  /** Which objects are kept in memory. Flux's default is {@link defaultWatchSelector}. */
  labelSelector: string;
}

/** Contract 1.0, "annotations and labels": the objects whose changes are acted on at once. */
export const defaultWatchSelector = 'reconcile.fluxcd.io/watch=Enabled';

const catchUpTimeoutMs = 2_000;

const resources: Record<ReferencedKind, ResourceInfo> = {
  ConfigMap: { group: '', version: 'v1', kind: 'ConfigMap', resource: 'configmaps', namespaced: true },
  Secret: { group: '', version: 'v1', kind: 'Secret', resource: 'secrets', namespaced: true },
};

/** Opens the way to referenced objects; nothing is requested before the first call. */
export function createReferencedObjects(options: ReferencedObjectsOptions): WatchedReferences {
  const { client, caches, labelSelector } = options;
  const started = new Set<ReferencedKind>();

  function cacheOf(kind: ReferencedKind): WatchCache {
    const cache = caches.open({ resource: resources[kind], labelSelector });
    if (!started.has(kind)) {
      started.add(kind);
      // Where listing is forbidden, the cache tries on by itself and every answer costs a request meanwhile.
      cache.sync().catch(() => {});
    }
    return cache;
  }

  return {
    cacheOf,
    async get(kind, namespace, name) {
      const cache = cacheOf(kind);
      const known = cache.isSynced ? cache.get(namespace, name) : undefined;
      return known ?? (await client.get({ group: '', version: 'v1', kind, namespace, name }));
    },
    async catchUp(kind, resourceVersion) {
      const cache = cacheOf(kind);
      // A cache without its first list answers nothing yet, so it cannot answer what is old.
      if (cache.isSynced) await cache.waitForVersion(resourceVersion, catchUpTimeoutMs);
    },
  };
}
