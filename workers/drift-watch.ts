// Drift as it happens: the caches of applied objects tell of foreign writes and deletions, and the owner is woken. Each
// cluster that is applied to is watched for as long as an object of ours applies to it.
import type { Kustomization } from '../k8s/api/kustomization.ts';
import { type NamespacedName, type ObjectRef, refOfInventoryEntry } from '../k8s/object.ts';
import { type ForeignChange, watchAppliedObjects } from '../activities/apply/applied-events.ts';
import { appliedScope } from '../activities/apply/cache-scope.ts';
import type { ApplyMemory } from '../activities/apply/memory.ts';
import type { ApplyOwner } from '../activities/apply/owner.ts';
import type { Log } from './log.ts';
import type { LocatedCluster } from './target-clusters.ts';

export interface DriftWatch {
  /** Starts telling; returns the function that stops it. */
  start(listener: DriftListener): () => void;
  /** Watches the kinds that a Kustomization has applied, in the cluster to which it applies now. */
  follow(kustomization: Kustomization): Promise<void>;
  /** Forgets a Kustomization that is gone. */
  forget(ref: NamespacedName): void;
}

export interface DriftListener {
  onForeignChange(change: ForeignChange): void;
  /** A cluster is back after it was away: these apply to it. */
  onClusterBack(server: string, owners: NamespacedName[]): void;
}

export interface DriftWatchDependencies {
  locate(kustomization: Kustomization): Promise<LocatedCluster>;
  /** The Kustomization as memory has it now. */
  kustomization(ref: NamespacedName): Kustomization | undefined;
  memory: ApplyMemory;
  log: Log;
}

/** A cluster that is watched. */
interface Followed {
  cluster: LocatedCluster;
  /** Kinds whose caches are open. */
  types: Set<string>;
  owners: Map<string, NamespacedName>;
  refresh(): void;
  stop(): void;
}

export function createDriftWatch(deps: DriftWatchDependencies): DriftWatch {
  let session: ReturnType<typeof createSession> | undefined;
  return {
    start(listener) {
      const started = createSession(deps, listener);
      session = started;
      return () => {
        started.stop();
        // The next bridge of this process may have started already.
        if (session === started) session = undefined;
      };
    },
    follow: async (kustomization) => await session?.follow(kustomization),
    forget: (ref) => session?.forget(ref),
  };
}

function createSession({ locate, kustomization: find, memory, log }: DriftWatchDependencies, listener: DriftListener) {
  const clusters = new Map<string, Followed>();
  /** The cluster of each owner, as it was when it was last followed. */
  const clusterOf = new Map<string, string>();
  /** Counts the calls for each owner, so that the last one wins. */
  const turns = new Map<string, number>();
  let isStopped = false;

  /** Home events concern only owners that apply at home, those of a remote cluster only owners that apply there. */
  const isTarget = (id: string, owner: ApplyOwner): boolean => {
    if (id !== '') return clusterOf.get(keyOf(owner)) === id;
    return find(owner)?.spec.kubeConfig === undefined;
  };

  const watch = (cluster: LocatedCluster): Followed => {
    const { id, caches } = cluster;
    const applied = watchAppliedObjects(
      { memory, caches, isTarget: (owner) => isTarget(id, owner) },
      listener.onForeignChange,
    );
    const release = cluster.hold();
    const owners = new Map<string, NamespacedName>();
    const unsubscribe = cluster.onBack(() => listener.onClusterBack(cluster.client.server, [...owners.values()]));
    const followed: Followed = {
      cluster,
      types: new Set(),
      owners,
      refresh: applied.refresh,
      stop() {
        applied.stop();
        unsubscribe();
        release();
        clusters.delete(id);
      },
    };
    clusters.set(id, followed);
    return followed;
  };

  const leave = (key: string): void => {
    const id = clusterOf.get(key);
    clusterOf.delete(key);
    const followed = id === undefined ? undefined : clusters.get(id);
    followed?.owners.delete(key);
    if (id !== '' && followed?.owners.size === 0) followed.stop();
  };

  const openKind = async ({ cluster, types }: Followed, type: string, ref: ObjectRef): Promise<void> => {
    types.add(type);
    try {
      const resource = await cluster.client.resourceFor(ref.group, ref.version, ref.kind);
      if (resource) await cluster.caches.open(appliedScope(resource)).sync();
      else types.delete(type); // its CRD may come back
    } catch (error) {
      types.delete(type);
      if (!isStopped) log.warn({ kind: ref.kind, error: String(error) }, 'applied objects cannot be watched');
    }
  };

  const openKinds = async (followed: Followed, { status }: Kustomization): Promise<void> => {
    const opening: Promise<void>[] = [];
    for (const entry of status?.inventory?.entries ?? []) {
      const ref = refOfInventoryEntry(entry);
      const type = `${ref.group}/${ref.version}/${ref.kind}`;
      if (!followed.types.has(type)) opening.push(openKind(followed, type, ref));
    }
    await Promise.all(opening);
    followed.refresh();
  };

  return {
    async follow(kustomization: Kustomization): Promise<void> {
      const { namespace = '', name } = kustomization.metadata;
      const key = keyOf({ namespace, name });
      const turn = (turns.get(key) ?? 0) + 1;
      turns.set(key, turn);
      const cluster = await locate(kustomization).catch((error: unknown) => {
        log.info({ namespace, name, error: String(error) }, 'its cluster cannot be watched');
      });
      if (isStopped || turns.get(key) !== turn) return;
      if (clusterOf.get(key) !== cluster?.id) leave(key);
      if (!cluster) return;
      const followed = clusters.get(cluster.id) ?? watch(cluster);
      clusterOf.set(key, cluster.id);
      followed.owners.set(key, { namespace, name });
      if (cluster.id === '') return await openKinds(followed, kustomization);
      // A remote cluster that is away is told of when it is back; nobody waits for it here.
      void cluster.reach().then(
        () => openKinds(followed, kustomization),
        (error: unknown) => log.info({ namespace, name, error: String(error) }, 'its cluster is away'),
      );
    },
    forget(ref: NamespacedName): void {
      turns.delete(keyOf(ref));
      leave(keyOf(ref));
    },
    stop(): void {
      isStopped = true;
      for (const followed of [...clusters.values()]) followed.stop();
    },
  };
}

function keyOf({ namespace, name }: NamespacedName): string {
  return `${namespace}/${name}`;
}
