// The objects of our own kinds, as the watch caches hold them: every look at a Kustomization or a source is a look into
// memory.
import type { ResourceInfo } from './client.ts';
import type { KubeObject, NamespacedName } from './object.ts';
import type { WatchCache, WatchCaches } from './watch-cache.ts';

/** The kinds that the engine watches today. Versions and plurals are those of our CRDs. */
export const watchedKinds = {
  GitRepository: {
    group: 'source.toolkit.fluxcd.io',
    version: 'v1',
    kind: 'GitRepository',
    resource: 'gitrepositories',
    namespaced: true,
  },
  Kustomization: {
    group: 'kustomize.toolkit.fluxcd.io',
    version: 'v1',
    kind: 'Kustomization',
    resource: 'kustomizations',
    namespaced: true,
  },
} as const satisfies Record<string, ResourceInfo>;

export type WatchedKind = keyof typeof watchedKinds;

export function isWatchedKind(kind: string | undefined): kind is WatchedKind {
  return kind !== undefined && Object.hasOwn(watchedKinds, kind);
}

/** Read access to our own objects. */
export interface FluxObjects {
  /** The object, or undefined when it does not exist; waits for the cache's first list. */
  get(kind: WatchedKind, ref: NamespacedName): Promise<KubeObject | undefined>;
  /** The same without waiting, for a cache that is known to be synced. */
  peek(kind: WatchedKind, ref: NamespacedName): KubeObject | undefined;
  list(kind: WatchedKind): KubeObject[];
  /** Takes note of what a write of ours returned, so that the next look sees it before the watch has brought it. */
  learn(object: KubeObject): void;
  /** Waits (at most 2 s) until the cache has seen what a waker on another worker saw. */
  catchUp(kind: WatchedKind, resourceVersion: string): Promise<void>;
  cacheOf(kind: WatchedKind): WatchCache;
  sync(): Promise<void>;
}

const catchUpTimeoutMs = 2_000;

export function createFluxObjects(caches: WatchCaches): FluxObjects {
  const cacheOf = (kind: WatchedKind): WatchCache => caches.open({ resource: watchedKinds[kind] });
  const learned = new Map<string, KubeObject>();
  const keyOf = (kind: string, ref: NamespacedName): string => `${kind}/${ref.namespace}/${ref.name}`;

  /** The cache's copy, or a newer one that a write returned; a learned one goes once the cache has caught up. */
  const peek = (kind: WatchedKind, ref: NamespacedName): KubeObject | undefined => {
    const cached = cacheOf(kind).get(ref.namespace, ref.name);
    const key = keyOf(kind, ref);
    const written = learned.get(key);
    if (!written) return cached;
    const isNewer = cached?.metadata.uid === written.metadata.uid && versionOf(written) > versionOf(cached);
    if (isNewer) return written;
    learned.delete(key);
    return cached;
  };

  return {
    cacheOf,
    async get(kind, ref) {
      const cache = cacheOf(kind);
      if (!cache.isSynced) await cache.sync();
      return peek(kind, ref);
    },
    peek,
    learn(object) {
      const { namespace = '', name } = object.metadata;
      learned.set(keyOf(object.kind, { namespace, name }), object);
    },
    list: (kind) => cacheOf(kind).list(),
    async catchUp(kind, resourceVersion) {
      await cacheOf(kind).waitForVersion(resourceVersion, catchUpTimeoutMs);
    },
    async sync() {
      await Promise.all((Object.keys(watchedKinds) as WatchedKind[]).map((kind) => cacheOf(kind).sync()));
    },
  };
}

/** Kubernetes' resourceVersions are numbers that grow (KEP-5504). */
function versionOf(object: KubeObject | undefined): bigint {
  return BigInt(object?.metadata.resourceVersion ?? 0);
}
