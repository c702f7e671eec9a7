// Releases of which memory proves that a reconcile would do nothing (decision 0012): a look that found all in sync is
// remembered with everything that it depended on, as the watches have it. It holds as long as none of that changes.
import type { HelmRelease } from '../k8s/api/helm-release.ts';
import { type KubeObject, type NamespacedName, refOfInventoryEntry } from '../k8s/object.ts';
import type { WatchedReferences } from '../k8s/referenced-objects.ts';
import type { CacheScope, WatchCache } from '../k8s/watch-cache.ts';
import { appliedScope } from '../activities/apply/cache-scope.ts';
import { releaseNamesOf, releaseSecretName } from '../activities/helm/names.ts';
import type { PreparedRelease, PrepareReleaseInput } from '../activities/helm/release-types.ts';
import type { ArtifactRef } from '../activities/observe/observation.ts';
import { driftConflictCondition } from '../activities/status/drift-conflict.ts';
import { stateOf } from '../workflows/decisions/release-state.ts';
import type { LocatedCluster } from './target-clusters.ts';

export interface SettledReleases {
  /** Takes a look, and takes note of one that found all in sync. */
  noting(
    input: PrepareReleaseInput,
    look: (input: PrepareReleaseInput) => Promise<PreparedRelease>,
  ): Promise<PreparedRelease>;
  /** True while a Ready release is as the last look found it. False says only that a look is needed. */
  isSettled(object: HelmRelease, artifact: ArtifactRef): Promise<boolean>;
}

export interface SettledReleasesDependencies {
  helmRelease(ref: NamespacedName): Promise<HelmRelease | undefined>;
  references: Pick<WatchedReferences, 'cacheOf'>;
  locate(object: KubeObject): Promise<Pick<LocatedCluster, 'id' | 'client' | 'caches'>>;
}

type Cluster = Awaited<ReturnType<SettledReleasesDependencies['locate']>>;

/** The metadata of the Secrets that hold releases; their content is not kept. */
const storageScope: CacheScope = {
  resource: { group: '', version: 'v1', kind: 'Secret', resource: 'secrets', namespaced: true },
  labelSelector: 'owner=helm',
  metadataOnly: true,
};

const maxRemembered = 10_000;

export function createSettledReleases(deps: SettledReleasesDependencies): SettledReleases {
  const remembered = new Map<string, string>();
  const keyOf = ({ namespace = '', name }: Partial<NamespacedName>): string => `${namespace}/${name}`;

  /** All that a look depends on, as one text; undefined when memory does not know all of it. */
  async function viewOf(object: HelmRelease, artifact: ArtifactRef): Promise<string | undefined> {
    const { metadata, status } = object;
    const [newest] = status?.history ?? [];
    const cluster = await deps.locate(object).catch(() => undefined);
    if (!cluster || !newest) return undefined;
    const parts = [valuesOf(object), storageOf(cluster, object, newest.version), await objectsOf(cluster, object)];
    if (parts.includes(undefined)) return undefined;
    const { digest, revision } = artifact;
    return JSON.stringify([
      metadata.uid,
      metadata.generation,
      newest.version,
      newest.digest,
      digest,
      revision,
      cluster.id,
      parts,
    ]);
  }

  function valuesOf({ metadata, spec }: HelmRelease): string | undefined {
    const versions = (spec.valuesFrom ?? []).map(({ kind, name }) => {
      const cache = deps.references.cacheOf(kind);
      return cache.isSynced ? versionOf(cache.get(metadata.namespace ?? '', name)) : undefined;
    });
    return versions.includes(undefined) ? undefined : versions.join(' ');
  }

  /** The newest revision is the one that the status has, and nobody has written to it. */
  function storageOf({ caches }: Cluster, object: HelmRelease, version: number): string | undefined {
    const cache = synced(caches.open(storageScope));
    const { releaseName, storageNamespace } = releaseNamesOf(object);
    const secret = (number: number) => cache?.get(storageNamespace, releaseSecretName(releaseName, number));
    return secret(version + 1) ? undefined : versionOf(secret(version));
  }

  /** What the release has applied, where drift is looked for. */
  async function objectsOf(cluster: Cluster, { spec, status }: HelmRelease): Promise<string | undefined> {
    const mode = spec.driftDetection?.mode;
    if (mode !== 'enabled' && mode !== 'warn') return '';
    const versions: (string | undefined)[] = [];
    for (const entry of status?.inventory?.entries ?? []) {
      const { group, version, kind, namespace, name } = refOfInventoryEntry(entry);
      const resource = await cluster.client.resourceFor(group, version, kind);
      const cache = resource && synced(cluster.caches.open(appliedScope(resource, 'HelmRelease')));
      versions.push(contentOf(cache?.get(namespace, name)));
    }
    return versions.includes(undefined) ? undefined : versions.join(' ');
  }

  return {
    async noting(input, look) {
      const { helmRelease, artifact } = input;
      const view = async (): Promise<string | undefined> => {
        const object = await deps.helmRelease(helmRelease);
        return object && (await viewOf(object, artifact));
      };
      const before = await view();
      const prepared = await look(input);
      // What was looked at is no older than memory before, and no newer than memory after: where both are the same, it
      // is that, or a change is yet to arrive and will be another view.
      const isInSync = stateOf(prepared.facts) === 'InSync' && !prepared.facts.isForced;
      const key = keyOf(helmRelease);
      remembered.delete(key);
      if (before !== undefined && isInSync && before === (await view())) remembered.set(key, before);
      for (const old of remembered.keys()) if (remembered.size > maxRemembered) remembered.delete(old);
      return prepared;
    },

    async isSettled(object, artifact) {
      const known = remembered.get(keyOf(object.metadata));
      return known !== undefined && isReady(object) && known === (await viewOf(object, artifact));
    },
  };
}

/** Ready for its present spec, and with nothing left to be told. */
function isReady({ metadata, status }: HelmRelease): boolean {
  const is = (type: string): boolean =>
    status?.conditions?.some((one) => one.type === type && one.status === 'True') ?? false;
  const isObserved = status?.observedGeneration === metadata.generation;
  return isObserved && is('Ready') && !is('Reconciling') && !is(driftConflictCondition);
}

/** The cache, once it is; the first call starts it. */
function synced(cache: WatchCache): WatchCache | undefined {
  if (cache.isSynced) return cache;
  cache.sync().catch(() => {}); // where listing is forbidden, nothing is settled
  return undefined;
}

function versionOf(object: KubeObject | undefined): string | undefined {
  return object && `${object.metadata.uid} ${object.metadata.resourceVersion}`;
}

/** What drift detection compares: not the status, where a generation tells it apart. */
function contentOf(object: KubeObject | undefined): string | undefined {
  if (!object || object.metadata.deletionTimestamp) return undefined;
  const { uid, generation, resourceVersion, labels, annotations } = object.metadata;
  return JSON.stringify([uid, generation ?? resourceVersion, labels, annotations]);
}
