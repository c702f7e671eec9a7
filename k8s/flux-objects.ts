// The objects of our own kinds, as the watch caches hold them: every look at a Kustomization or a source is a look into
// memory.
import { resourceOf } from './api/definition.ts';
import { type Kind, kinds } from './api/index.ts';
import type { ResourceInfo } from './client.ts';
import type { LabelMatcher } from './label-selector.ts';
import type { KubeObject, NamespacedName } from './object.ts';
import type { CacheEvent, WatchCache, WatchCaches } from './watch-cache.ts';

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

/** The kinds whose status has an artifact. */
export const artifactKinds = [...sourceKinds, 'ExternalArtifact'] as const;
export type ArtifactKind = (typeof artifactKinds)[number];

/** The kinds that have `spec.dependsOn`. */
export const dependantKinds = ['Kustomization', 'HelmRelease'] as const;

/**
 * Read access to our own objects. One without `spec`, which a CRD of others lets through, says nothing that could be
 * reconciled: it is as if it was not there.
 */
export interface FluxObjects {
  /** The object, or undefined when it does not exist; waits for the cache's first list. */
  get(kind: WatchedKind, ref: NamespacedName): Promise<KubeObject | undefined>;
  /** The same without waiting, for a cache that is known to be synced. */
  peek(kind: WatchedKind, ref: NamespacedName): KubeObject | undefined;
  list(kind: WatchedKind): KubeObject[];
  /** True for an object that is ours to reconcile; the others are only read (contract 7, `--watch-label-selector`). */
  isServed(object: KubeObject): boolean;
  /** Takes note of what a write of ours returned, so that the next look sees it before the watch has brought it. */
  learn(object: KubeObject): void;
  /** Waits (at most 2 s) until the cache has seen what a waker on another worker saw. */
  catchUp(kind: WatchedKind, resourceVersion: string): Promise<void>;
  /** Calls the listener for every change of a kind from now on; returns the unsubscriber. Listeners must not throw. */
  subscribe(kind: WatchedKind, listener: (event: CacheEvent) => void): () => void;
  /** The newest resourceVersion that memory has caught up with for a kind. */
  versionOf(kind: WatchedKind): string;
  isSynced(kind: WatchedKind): boolean;
  sync(): Promise<void>;
}

const catchUpTimeoutMs = 2_000;

export function createFluxObjects(caches: WatchCaches, serves: LabelMatcher = () => true): FluxObjects {
  const cacheOf = (kind: WatchedKind): WatchCache => caches.open({ resource: watchedKinds[kind] });
  const learned = new Map<string, KubeObject>();
  const keyOf = (kind: string, ref: NamespacedName): string => `${kind}/${ref.namespace}/${ref.name}`;

  /** The cache's copy, or a newer one that a write returned; a learned one goes once the cache has caught up. */
  const peek = (kind: WatchedKind, ref: NamespacedName): KubeObject | undefined => {
    const found = cacheOf(kind).get(ref.namespace, ref.name);
    const cached = found && hasContent(found) ? found : undefined;
    const key = keyOf(kind, ref);
    const written = learned.get(key);
    if (!written) return cached;
    const isNewer = cached?.metadata.uid === written.metadata.uid && numberOf(written) > numberOf(cached);
    if (isNewer) return written;
    learned.delete(key);
    return cached;
  };

  return {
    async get(kind, ref) {
      const cache = cacheOf(kind);
      if (!cache.isSynced) await cache.sync();
      return peek(kind, ref);
    },
    peek,
    isServed: ({ metadata }) => serves(metadata.labels),
    learn(object) {
      const { namespace = '', name } = object.metadata;
      learned.set(keyOf(object.kind, { namespace, name }), object);
    },
    list: (kind) => cacheOf(kind).list().filter(hasContent),
    subscribe: (kind, listener) =>
      cacheOf(kind).subscribe((event) => {
        const told = contentEventOf(event);
        if (told) listener(told);
      }),
    versionOf: (kind) => cacheOf(kind).resourceVersion,
    isSynced: (kind) => cacheOf(kind).isSynced,
    async catchUp(kind, resourceVersion) {
      await cacheOf(kind).waitForVersion(resourceVersion, catchUpTimeoutMs);
    },
    async sync() {
      await Promise.all((Object.keys(watchedKinds) as WatchedKind[]).map((kind) => cacheOf(kind).sync()));
    },
  };
}

/** An ExternalArtifact is its status. */
function hasContent(object: KubeObject): boolean {
  return object.spec !== undefined || object.kind === 'ExternalArtifact';
}

/**
 * A change as it looks to those for whom only some objects are there, by default those with a `spec`; undefined when
 * nothing changed for them.
 */
export function contentEventOf(
  event: CacheEvent,
  isThere: (object: KubeObject) => boolean = hasContent,
): CacheEvent | undefined {
  const { type, object, previous } = event;
  const before = previous && isThere(previous) ? previous : undefined;
  if (isThere(object)) return type === 'MODIFIED' && !before ? { type: 'ADDED', object } : event;
  return before && { type: 'DELETED', object: before, previous: before };
}

/** Kubernetes' resourceVersions are numbers that grow (KEP-5504). */
function numberOf(object: KubeObject | undefined): bigint {
  return BigInt(object?.metadata.resourceVersion ?? 0);
}
