// The objects of our own kinds, as the watch caches hold them: every look at a Kustomization or a source is a look into
// memory.
import { resourceOf } from './api/definition.ts';
import { type Kind, kinds } from './api/index.ts';
import type { ResourceInfo } from './client.ts';
import type { KubeObject, NamespacedName } from './object.ts';
import type { WatchCache, WatchCaches } from './watch-cache.ts';

/** The sources that fetch from outside; each has a workflow. */
export const sourceKinds = ['GitRepository', 'OCIRepository', 'HelmRepository', 'HelmChart', 'Bucket'] as const;
export type SourceKind = (typeof sourceKinds)[number];

export function isSourceKind(kind: string | undefined): kind is SourceKind {
  return sourceKinds.some((one) => one === kind);
}

/** The kinds that the engine watches. An ExternalArtifact has no workflow: who makes it writes its status. */
const watchedKindNames = [
  ...sourceKinds,
  'ExternalArtifact',
  'ArtifactGenerator',
  'Kustomization',
  'HelmRelease',
] as const satisfies readonly Kind[];
export type WatchedKind = (typeof watchedKindNames)[number];

/** How the API server addresses each of them. */
export const watchedKinds = Object.fromEntries(
  watchedKindNames.map((kind) => [kind, resourceOf(kinds[kind])]),
) as Record<WatchedKind, ResourceInfo>;

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
