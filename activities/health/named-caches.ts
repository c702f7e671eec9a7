// Watches of single objects: for spec.healthChecks that name something which we did not apply and whose kind is
// therefore in no cache of ours. Watching one name is cheap where watching a kind in a whole cluster is not. They are
// watched as the account of the one who asks: nobody learns here of objects that its account may not read.
import type { KubeClient, ResourceInfo } from '../../k8s/client.ts';
import type { WatchCache, WatchCaches } from '../../k8s/watch-cache.ts';
import { createWatchCaches } from '../../k8s/watch-caches.ts';

/** A bounded set of single-object caches; the ones used longest ago and not in use are closed first. */
export interface NamedCaches {
  /** The cache of one object as a user sees it, opened if need be, held until released; default: the client's own user. */
  acquire(
    resource: ResourceInfo,
    namespace: string,
    name: string,
    user?: string,
  ): { cache: WatchCache; release(): void };
  /** The cache if it is open. */
  peek(group: string, kind: string, namespace: string, name: string, user?: string): WatchCache | undefined;
  close(): void;
}

interface Entry {
  caches: WatchCaches;
  cache: WatchCache;
  users: number;
}

export function createNamedCaches(client: KubeClient, maxOpen = 200): NamedCaches {
  const entries = new Map<string, Entry>();

  function shrink(): void {
    for (const [key, entry] of entries) {
      if (entries.size <= maxOpen) return;
      if (entry.users > 0) continue;
      entries.delete(key);
      entry.caches.close();
    }
  }

  return {
    acquire(resource, namespace, name, user = '') {
      const key = keyOf(resource.group, resource.kind, namespace, name, user);
      let entry = entries.get(key);
      if (!entry) {
        const caches = createWatchCaches(narrowedTo(user ? client.impersonate(user) : client, namespace, name));
        entry = { caches, cache: caches.open({ resource }), users: 0 };
      }
      entries.delete(key);
      entries.set(key, entry);
      const held = entry;
      held.users += 1;
      shrink();
      return {
        cache: held.cache,
        release() {
          held.users -= 1;
          shrink();
        },
      };
    },
    peek: (group, kind, namespace, name, user = '') => entries.get(keyOf(group, kind, namespace, name, user))?.cache,
    close() {
      for (const { caches } of entries.values()) caches.close();
      entries.clear();
    },
  };
}

function keyOf(group: string, kind: string, namespace: string, name: string, user: string): string {
  return [group, kind, namespace, name, user].join('|');
}

/** The same client, listing and watching one object alone. */
function narrowedTo(client: KubeClient, namespace: string, name: string): KubeClient {
  const narrow = { namespace: namespace || undefined, fieldSelector: `metadata.name=${name}` };
  return {
    ...client,
    list: (resource, options) => client.list(resource, { ...options, ...narrow }),
    watch: (resource, options) => client.watch(resource, { ...options, ...narrow }),
  };
}
