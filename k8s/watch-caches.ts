// The shared watch caches of one cluster: each scope is listed and watched once, opened by its first user.
import type { KubeClient } from './client.ts';
import type { CacheScope, WatchCache, WatchCaches } from './watch-cache.ts';
import { createWatchCache, type WatchCacheLog } from './watched-kind.ts';

export interface WatchCachesOptions {
  log?: WatchCacheLog;
}

/** Opens caches over a client; `close` ends all watches. */
export function createWatchCaches(client: KubeClient, options: WatchCachesOptions = {}): WatchCaches {
  const caches = new Map<string, WatchCache>();
  return {
    open(scope) {
      const key = scopeKey(scope);
      const known = caches.get(key);
      if (known) return known;
      const cache = createWatchCache(client, scope, options.log);
      const close = cache.close;
      cache.close = () => {
        if (caches.get(key) === cache) caches.delete(key);
        close();
      };
      caches.set(key, cache);
      return cache;
    },
    opened: () => [...caches.values()],
    close() {
      for (const cache of [...caches.values()]) cache.close();
    },
  };
}

function scopeKey(scope: CacheScope): string {
  const { group, version, resource } = scope.resource;
  return [group, version, resource, scope.labelSelector ?? '', scope.metadataOnly ? 'metadata' : 'full'].join('|');
}
