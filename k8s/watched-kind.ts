// One watch cache: list, then watch from there; reconnect where it broke off, and list again only when the server has
// forgotten that far back. A failed list keeps what the cache held, so a trouble never looks like "all gone".
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeApiError, type KubeClient, type ObjectList } from './client.ts';
import type { KubeObject } from './object.ts';
import { compareResourceVersions } from './resource-version.ts';
import type { CacheEvent, CacheScope, WatchCache } from './watch-cache.ts';

/** Where a cache tells of trouble; a pino logger fits. */
export interface WatchCacheLog {
  warn(fields: Record<string, unknown>, message: string): void;
}

const minBackoffMs = 200;
const maxBackoffMs = 30_000;
/** A watch that lived this long was healthy: the next failure starts with the shortest back-off. */
const healthyWatchMs = 5_000;

/** Makes a cache of one scope; it starts with the first `sync`. */
export function createWatchCache(client: KubeClient, scope: CacheScope, log?: WatchCacheLog): WatchCache {
  const { resource, labelSelector, metadataOnly } = scope;
  const objects = new Map<string, KubeObject>();
  const listeners = new Set<(event: CacheEvent) => void>();
  const versionWaiters = new Set<{ version: string; resolve: () => void }>();
  const syncWaiters = new Set<{ resolve: () => void; reject: (error: Error) => void }>();
  const closing = new AbortController();
  let resourceVersion = '';
  let isSynced = false;
  let isStarted = false;
  let wakeUp: () => void = () => {};

  function emit(event: CacheEvent): void {
    for (const listener of listeners) listener(event);
  }

  function advance(version: string | undefined): void {
    if (!version || compareResourceVersions(version, resourceVersion) <= 0) return;
    resourceVersion = version;
    for (const waiter of versionWaiters) {
      if (compareResourceVersions(version, waiter.version) >= 0) waiter.resolve();
    }
  }

  function put(object: KubeObject): void {
    const key = keyOf(object.metadata.namespace ?? '', object.metadata.name);
    const previous = objects.get(key);
    if (previous && isReplaced(previous, object)) {
      objects.delete(key);
      emit({ type: 'DELETED', object: previous, previous });
      objects.set(key, object);
      emit({ type: 'ADDED', object });
      return;
    }
    objects.set(key, object);
    if (!previous) emit({ type: 'ADDED', object });
    else if (previous.metadata.resourceVersion !== object.metadata.resourceVersion) {
      emit({ type: 'MODIFIED', object, previous });
    }
  }

  function remove(key: string, last: KubeObject): void {
    const previous = objects.get(key);
    if (!previous) return;
    objects.delete(key);
    emit({ type: 'DELETED', object: last, previous });
  }

  /** Takes over a complete list and tells what changed since. */
  function replaceAll(list: ObjectList): void {
    const listed = new Set<string>();
    for (const item of list.items) {
      listed.add(keyOf(item.metadata.namespace ?? '', item.metadata.name));
      put(compactManagedFields(item));
    }
    for (const [key, object] of [...objects]) if (!listed.has(key)) remove(key, object);
    // After a restore from backup versions may go backwards: a list is the truth.
    resourceVersion = '';
    isSynced = true;
    advance(list.resourceVersion);
    for (const waiter of syncWaiters) waiter.resolve();
  }

  async function watchOnce(): Promise<void> {
    const events = client.watch(resource, { resourceVersion, labelSelector, metadataOnly, signal: closing.signal });
    for await (const { type, object } of events) {
      if (type === 'DELETED')
        remove(keyOf(object.metadata.namespace ?? '', object.metadata.name), compactManagedFields(object));
      else if (type !== 'BOOKMARK') put(compactManagedFields(object));
      advance(object.metadata.resourceVersion);
    }
  }

  async function pause(ms: number): Promise<void> {
    const waking = new AbortController();
    wakeUp = () => waking.abort();
    await sleep(ms, undefined, { signal: AbortSignal.any([closing.signal, waking.signal]) }).catch(() => {});
    wakeUp = () => {};
  }

  async function run(): Promise<void> {
    let mustList = true;
    let backoffMs = minBackoffMs;
    while (!closing.signal.aborted) {
      const startedAt = performance.now();
      try {
        if (mustList) {
          replaceAll(await client.list(resource, { labelSelector, metadataOnly, signal: closing.signal }));
          mustList = false;
        }
        await watchOnce();
        if (performance.now() - startedAt >= healthyWatchMs) continue;
      } catch (error) {
        if (closing.signal.aborted) break;
        mustList ||= isExpired(error);
        log?.warn({ resource: resource.resource, group: resource.group, err: error }, 'watch cache was interrupted');
        if (!isSynced && isRefusal(error)) for (const waiter of syncWaiters) waiter.reject(error as Error);
      }
      if (performance.now() - startedAt >= healthyWatchMs) backoffMs = minBackoffMs;
      await pause(backoffMs * (0.75 + Math.random() / 2));
      backoffMs = Math.min(backoffMs * 2, maxBackoffMs);
    }
    for (const waiter of syncWaiters) waiter.reject(new Error(`the watch cache of ${resource.resource} was closed`));
  }

  return {
    scope,
    get isSynced() {
      return isSynced;
    },
    get resourceVersion() {
      return resourceVersion;
    },
    get: (namespace, name) => objects.get(keyOf(namespace, name)),
    list: () => [...objects.values()],

    async sync(signal) {
      if (isSynced) return;
      signal?.throwIfAborted();
      const waiting = settled(syncWaiters, signal);
      if (isStarted) wakeUp();
      else {
        isStarted = true;
        void run();
      }
      await waiting;
    },

    async waitForVersion(version, timeoutMs) {
      if (isSynced && compareResourceVersions(resourceVersion, version) >= 0) return true;
      return new Promise<boolean>((resolve) => {
        const finish = (isReached: boolean): void => {
          clearTimeout(timer);
          versionWaiters.delete(waiter);
          resolve(isReached);
        };
        const waiter = { version, resolve: () => finish(true) };
        const timer = setTimeout(() => finish(false), timeoutMs);
        versionWaiters.add(waiter);
      });
    },

    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    close() {
      closing.abort();
      listeners.clear();
      for (const waiter of syncWaiters) waiter.reject(new Error(`the watch cache of ${resource.resource} was closed`));
    },
  };
}

/** The object with `managedFields` that say who wrote and when, but no longer what. */
export function compactManagedFields(object: KubeObject): KubeObject {
  const entries = object.metadata.managedFields;
  if (!entries?.some((entry) => entry.fieldsV1)) return object;
  const managedFields = entries.map(({ manager, operation, time, subresource }) => ({
    manager,
    operation,
    time,
    ...(subresource && { subresource }),
  }));
  return { ...object, metadata: { ...object.metadata, managedFields } };
}

/** A promise in a set of waiters that leaves the set when it is settled, or when the signal aborts it. */
function settled(
  waiters: Set<{ resolve: () => void; reject: (error: Error) => void }>,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const finish = (settle: () => void): void => {
      waiters.delete(waiter);
      signal?.removeEventListener('abort', onAbort);
      settle();
    };
    const waiter = {
      resolve: () => finish(resolve),
      reject: (error: Error) => finish(() => reject(error)),
    };
    const onAbort = (): void => waiter.reject(signal?.reason as Error);
    signal?.addEventListener('abort', onAbort, { once: true });
    waiters.add(waiter);
  });
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

function isReplaced(a: KubeObject, b: KubeObject): boolean {
  return a.metadata.uid !== undefined && b.metadata.uid !== undefined && a.metadata.uid !== b.metadata.uid;
}

function isExpired(error: unknown): boolean {
  return error instanceof KubeApiError && (error.status === 410 || error.reason === 'Expired');
}

/** True for what will not pass by waiting a moment: forbidden, no such kind. */
function isRefusal(error: unknown): boolean {
  return error instanceof KubeApiError && !error.isTransient && !isExpired(error);
}
