// Where an object is reconciled, and as whom: the home cluster or that of `spec.kubeConfig`, with the worker's rights or
// those of a service account. Health, drift, apply and prune all ask here.
import type { KubeConfigRef } from '../k8s/api/shared/reference.ts';
import type { KubeClient } from '../k8s/client.ts';
import { KubeApiError } from '../k8s/client.ts';
import type { KubeObject } from '../k8s/object.ts';
import type { RemoteCluster, RemoteClusters } from '../k8s/remote-clusters.ts';
import type { WatchCaches } from '../k8s/watch-cache.ts';
import { createNamedCaches, type NamedCaches } from '../activities/health/named-caches.ts';

/** A cluster as the worker, or the user of its kubeconfig, sees it. */
export interface LocatedCluster {
  /** '' for the home cluster. */
  id: string;
  client: KubeClient;
  caches: WatchCaches;
  /** Watches of single objects there. */
  named: NamedCaches;
  reach(): Promise<void>;
  /** Aborted with the reason as soon as the server is away; undefined for the home cluster. */
  lost(): AbortSignal | undefined;
  onBack(listener: () => void): () => void;
  /** Keeps it open until the returned function is called. */
  hold(): () => void;
}

/** A cluster for one object of ours, held open until it is released. */
export interface TargetCluster extends Pick<LocatedCluster, 'id' | 'caches' | 'named'> {
  /** Acts as the object's account. */
  client: KubeClient;
  /** The user that it acts as; undefined for the worker's, or the kubeconfig's, own. */
  user?: string;
  /** Ends what waits there as soon as the server is away. */
  lost?: AbortSignal;
  /** What is wrong with the account; undefined when it exists, or when that cannot be told. */
  accountError(): Promise<string | undefined>;
  release(): void;
}

export interface TargetClusters {
  /** The cluster of an object, whether it answers or not. Rejects with `ClusterError`. */
  locate(object: KubeObject): Promise<LocatedCluster>;
  /** The cluster of an object, which answered a moment ago. Rejects with `ClusterError` when it does not. */
  open(object: KubeObject): Promise<TargetCluster>;
  /** The home cluster, as the object's account sees it. */
  atHome(object: KubeObject): Pick<TargetCluster, 'client' | 'named' | 'user'>;
  close(): Promise<void>;
}

export interface TargetClustersOptions {
  home: KubeClient;
  homeCaches: WatchCaches;
  remotes: RemoteClusters;
  /** Account of objects that name none; '' for none. */
  defaultServiceAccount: string;
}

/** The part of a spec that says where and as whom; every kind that applies has it. */
interface TargetSpec {
  kubeConfig?: KubeConfigRef;
  serviceAccountName?: string;
}

export function createTargetClusters(options: TargetClustersOptions): TargetClusters {
  const { home, remotes, defaultServiceAccount } = options;
  const homeCluster: LocatedCluster = {
    id: '',
    client: home,
    caches: options.homeCaches,
    named: createNamedCaches(home),
    reach: async () => {},
    lost: () => undefined,
    onBack: () => () => {},
    hold: () => () => {},
  };
  const namedOf = new WeakMap<RemoteCluster, NamedCaches>();

  function namedCachesOf(cluster: RemoteCluster): NamedCaches {
    const known = namedOf.get(cluster);
    if (known) return known;
    const named = createNamedCaches(cluster.watcher);
    cluster.closing.addEventListener('abort', () => named.close(), { once: true });
    namedOf.set(cluster, named);
    return named;
  }

  async function locate(object: KubeObject): Promise<LocatedCluster> {
    const { kubeConfig } = specOf(object);
    if (!kubeConfig) return homeCluster;
    const cluster = await remotes.open(object.metadata.namespace ?? '', kubeConfig);
    return {
      id: cluster.id,
      client: cluster.client,
      caches: cluster.caches,
      named: namedCachesOf(cluster),
      reach: () => cluster.reach(),
      lost: () => cluster.lost,
      onBack: (listener) => cluster.onBack(listener),
      hold: () => cluster.hold(),
    };
  }

  // Contract 2.1, "impersonation": the account is of the object's own namespace, on whichever cluster.
  const userOf = (object: KubeObject): string | undefined => {
    const account = specOf(object).serviceAccountName || defaultServiceAccount;
    return account ? `system:serviceaccount:${object.metadata.namespace}:${account}` : undefined;
  };

  return {
    locate,
    atHome(object) {
      const user = userOf(object);
      return { client: user ? home.impersonate(user) : home, named: homeCluster.named, user };
    },
    async open(object) {
      const cluster = await locate(object);
      const release = cluster.hold();
      try {
        await cluster.reach();
      } catch (error) {
        release();
        throw error;
      }
      const account = specOf(object).serviceAccountName || defaultServiceAccount;
      const { namespace = '' } = object.metadata;
      const user = userOf(object);
      const { id, caches, named, client } = cluster;
      return {
        id,
        caches,
        named,
        client: user ? client.impersonate(user) : client,
        user,
        lost: cluster.lost(),
        accountError: async () => (account ? await accountError(client, namespace, account) : undefined),
        release,
      };
    },
    async close() {
      homeCluster.named.close();
      await remotes.close();
    },
  };
}

function specOf(object: KubeObject): TargetSpec {
  return object.spec ?? {};
}

async function accountError(client: KubeClient, namespace: string, name: string): Promise<string | undefined> {
  const ref = { group: '', version: 'v1', kind: 'ServiceAccount', namespace, name };
  try {
    if (await client.get(ref, { metadataOnly: true })) return undefined;
  } catch (error) {
    // Whoever may not look at accounts cannot say that one is missing.
    if (error instanceof KubeApiError && error.status === 403) return undefined;
    throw error;
  }
  return `ServiceAccount/${namespace}/${name}, which this object acts as, does not exist: create it with the roles that it needs, or correct spec.serviceAccountName`;
}
