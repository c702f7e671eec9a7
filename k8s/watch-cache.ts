// The shared watch caches: one list+watch per cluster, kind and selector, however many objects and readers there are.
import type { ResourceInfo } from './client.ts';
import type { KubeObject } from './object.ts';

/** A change that a cache saw; after a relist the differences are told as if they had been watched. */
export interface CacheEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: KubeObject;
  /** What the cache held before; undefined for ADDED. */
  previous?: KubeObject;
}

/** What a cache holds. */
export interface CacheScope {
  resource: ResourceInfo;
  labelSelector?: string;
  /** True keeps PartialObjectMetadata only (enough for drift of kinds without health rules; never holds a Secret's data). */
  metadataOnly?: boolean;
}

/**
 * An in-memory copy of one kind, kept by list + watch; everything is as it came, only that the entries of
 * `metadata.managedFields` come without `fieldsV1` (who wrote and when, not what), which is most of a small object.
 */
export interface WatchCache {
  readonly scope: CacheScope;
  /** Starts the watch at the first call and resolves once the first list is in. */
  sync(signal?: AbortSignal): Promise<void>;
  readonly isSynced: boolean;
  get(namespace: string, name: string): KubeObject | undefined;
  list(): KubeObject[];
  /** The newest resourceVersion that the cache has caught up with ('' before the first list). */
  readonly resourceVersion: string;
  /** Resolves true once the cache has caught up with a resourceVersion, false after the time-out. */
  waitForVersion(resourceVersion: string, timeoutMs: number): Promise<boolean>;
  /** Calls the listener for every event from now on; returns the unsubscriber. Listeners must not throw. */
  subscribe(listener: (event: CacheEvent) => void): () => void;
  close(): void;
}

/** All caches of one cluster, opened lazily and shared. */
export interface WatchCaches {
  /** The cache of a scope; the same scope gives the same cache. */
  open(scope: CacheScope): WatchCache;
  /** The caches that are open now. */
  opened(): WatchCache[];
  close(): void;
}
