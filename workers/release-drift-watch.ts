// Drift of Helm releases as it happens: for releases that ask for it (`spec.driftDetection`) the kinds in their inventory
// are watched, and a write or a deletion that is not Helm's wakes the release, which then compares.
import { isDeepStrictEqual } from 'node:util';
import type { HelmRelease } from '../k8s/api/helm-release.ts';
import { type KubeObject, type NamespacedName, refOf, refOfInventoryEntry, subjectOf } from '../k8s/object.ts';
import type { CacheEvent, WatchCache } from '../k8s/watch-cache.ts';
import { appliedScope } from '../activities/apply/cache-scope.ts';
import { helmManager } from '../activities/helm/api-gateway.ts';
import type { WakeReason } from '../workflows/messages.ts';
import type { Log } from './log.ts';
import type { LocatedCluster } from './target-clusters.ts';

export interface ReleaseDriftWatch {
  /** Starts telling; returns the function that stops it. */
  start(onDrift: (release: NamespacedName, wake: WakeReason) => void): () => void;
  /** Watches what a release has applied, where it has applied it now; no longer once it does not ask for it. */
  follow(release: HelmRelease): Promise<void>;
  forget(release: NamespacedName): void;
}

export interface ReleaseDriftWatchDependencies {
  locate(object: KubeObject): Promise<LocatedCluster>;
  log: Pick<Log, 'info' | 'warn'>;
}

interface Followed {
  cluster: LocatedCluster;
  /** What is watched, as one text; the same text needs no new watch. */
  kinds: string;
  stop: () => void;
}

const labels = { name: 'helm.toolkit.fluxcd.io/name', namespace: 'helm.toolkit.fluxcd.io/namespace' };

export function createReleaseDriftWatch({ locate, log }: ReleaseDriftWatchDependencies): ReleaseDriftWatch {
  const followed = new Map<string, Followed>();
  let tell: (release: NamespacedName, wake: WakeReason) => void = () => {};

  const stop = (key: string): void => {
    followed.get(key)?.stop();
    followed.delete(key);
  };

  async function watch(release: HelmRelease, cluster: LocatedCluster): Promise<() => void> {
    const { namespace = '', name } = release.metadata;
    const unsubscribes: (() => void)[] = [cluster.hold()];
    const kinds = new Map(kindsOf(release).map((ref) => [`${ref.group}/${ref.version}/${ref.kind}`, ref]));
    for (const { group, version, kind } of kinds.values()) {
      const resource = await cluster.client.resourceFor(group, version, kind);
      if (!resource) continue;
      const cache: WatchCache = cluster.caches.open(appliedScope(resource, 'HelmRelease'));
      unsubscribes.push(
        cache.subscribe((event) => {
          const of = event.object.metadata.labels ?? {};
          if (of[labels.name] !== name || of[labels.namespace] !== namespace) return;
          const wake = driftOf(event);
          if (wake) tell({ namespace, name }, wake);
        }),
      );
      cache.sync().catch((error: unknown) => {
        log.warn({ kind, error: String(error) }, 'objects of releases cannot be watched');
      });
    }
    return () => {
      for (const unsubscribe of unsubscribes) unsubscribe();
    };
  }

  return {
    start(onDrift) {
      tell = onDrift;
      return () => {
        if (tell !== onDrift) return; // the next bridge of this process has started already
        tell = () => {};
        for (const key of [...followed.keys()]) stop(key);
      };
    },
    async follow(release) {
      const { namespace = '', name } = release.metadata;
      const key = `${namespace}/${name}`;
      const mode = release.spec.driftDetection?.mode;
      const isWanted = (mode === 'enabled' || mode === 'warn') && !release.spec.suspend;
      if (!isWanted || kindsOf(release).length === 0) return stop(key);
      try {
        const cluster = await locate(release);
        const kinds = JSON.stringify([cluster.id, kindsOf(release).map(({ group, kind }) => `${group}/${kind}`)]);
        if (followed.get(key)?.kinds === kinds) return;
        stop(key);
        const entry: Followed = { cluster, kinds, stop: () => {} };
        followed.set(key, entry);
        const stopWatching = await watch(release, cluster);
        if (followed.get(key) === entry) entry.stop = stopWatching;
        else stopWatching();
      } catch (error) {
        stop(key);
        log.info({ namespace, name, error: String(error) }, 'its cluster cannot be watched');
      }
    },
    forget: ({ namespace, name }) => stop(`${namespace}/${name}`),
  };
}

function kindsOf({ status }: HelmRelease) {
  return (status?.inventory?.entries ?? []).map(refOfInventoryEntry);
}

/** The wake for a change that somebody else made; undefined for Helm's own writes and for what a controller reports. */
export function driftOf({ type, object, previous }: CacheEvent): WakeReason | undefined {
  const subject = subjectOf(refOf(object));
  if (type === 'DELETED') return { type: 'drift', subject };
  if (type !== 'MODIFIED' || !previous) return undefined;
  const { generation } = object.metadata;
  const marks = ({ metadata }: KubeObject): unknown => [metadata.labels, metadata.annotations];
  const isSameSpec = generation !== undefined && generation === previous.metadata.generation;
  if (isSameSpec && isDeepStrictEqual(marks(object), marks(previous))) return undefined;
  const manager = writerOf(object, previous);
  return manager === helmManager ? undefined : { type: 'drift', subject, manager };
}

/** Who wrote: the entry that is new, or the newest. */
function writerOf(object: KubeObject, previous: KubeObject): string | undefined {
  const entries = (object.metadata.managedFields ?? []).filter(({ subresource }) => !subresource);
  const known = previous.metadata.managedFields ?? [];
  const added = entries.filter((entry) => !known.some((one) => isDeepStrictEqual(one, entry)));
  const newest = (added.length > 0 ? added : entries).toSorted((a, b) => (a.time ?? '').localeCompare(b.time ?? ''));
  return newest.at(-1)?.manager;
}
