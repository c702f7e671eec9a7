// HelmRepositories and HelmCharts with their real stages, and no cluster: what the integration tests of both share.
import { join } from 'node:path';
import { createReadArtifact } from '../../activities/artifact/read-artifact.ts';
import { createUnpackedArtifacts } from '../../activities/artifact/unpack.ts';
import { readValuesYaml, writeValuesYaml } from '../../activities/helm/values-yaml.ts';
import { createCloudLogins } from '../../activities/source/cloud/cloud-logins.ts';
import { createChartRepositories } from '../../activities/source/helm/chart-repositories.ts';
import { createHelmChartSource } from '../../activities/source/helm/helm-chart-source.ts';
import { createHelmRepositorySource } from '../../activities/source/helm/helm-repository-source.ts';
import { defaultHelmLimits } from '../../activities/source/helm/helm-limits.ts';
import { createIndexCache } from '../../activities/source/helm/index-cache.ts';
import { createSourceActivities } from '../../activities/source/source-activities.ts';
import type {
  ArchivedRevision,
  FetchedRevision,
  SourceObject,
  VerifiedRevision,
} from '../../activities/source/source-driver.ts';
import type { HelmRepository } from '../../k8s/api/helm-repository.ts';
import { isSourceKind } from '../../k8s/flux-objects.ts';
import { createSourceFixture, type SourceFixture } from './source-fixture.ts';

export { failureOf } from './source-fixture.ts';

export const namespace = 'apps';

export interface HelmFixture extends SourceFixture {
  abort: AbortController;
  /** Puts an object into the cluster, or changes its spec: then its generation grows and its status stays. */
  put(kind: string, name: string, spec: object): SourceObject;
  object(kind: string, name: string): SourceObject;
  fetch(kind: string, name: string): Promise<FetchedRevision>;
  verify(kind: string, name: string, fetched: FetchedRevision): Promise<VerifiedRevision>;
  /** Fetches and archives, and notes in the status what was archived; undefined for what is unchanged. */
  reconcile(kind: string, name: string): Promise<ArchivedRevision | undefined>;
  /** Publishes files as the artifact of a GitRepository or Bucket. */
  publishSource(kind: string, name: string, revision: string, files: Record<string, string | Buffer>): Promise<void>;
}

/** `limits` as the options of the worker set them. */
export function createHelmFixture(limits = defaultHelmLimits): HelmFixture {
  const fixture = createSourceFixture();
  const { directory, store, localStore, readSecret } = fixture;
  const unpacked = createUnpackedArtifacts({ directory: join(directory, 'unpacked'), localStore });
  const indexes = createIndexCache({
    readArtifact: createReadArtifact({ directory: join(directory, 'downloads'), localStore }),
    maxIndexBytes: limits.indexBytes,
  });
  const objects = new Map<string, SourceObject>();
  const abort = new AbortController();
  const deps = {
    store,
    indexes,
    limits,
    unpacked,
    dataDirectory: directory,
    readSecret,
    readPullSecrets: async () => undefined,
    publicRoot: async () => {
      throw new Error('there is no TUF repository here');
    },
    logins: createCloudLogins({ env: {} }),
    yaml: { read: readValuesYaml, write: writeValuesYaml },
    source: async (kind: string, { name }: { name: string }) => objects.get(`${kind}/${name}`),
  };
  const repositories = createChartRepositories({
    ...deps,
    helmRepositories: () => [...objects.values()].filter(({ kind }) => kind === 'HelmRepository') as HelmRepository[],
  });
  const activities = createSourceActivities({
    store,
    drivers: {
      HelmRepository: createHelmRepositorySource(deps),
      HelmChart: createHelmChartSource({ ...deps, repositories }),
    },
    source: async ({ kind, name }) => objects.get(`${kind}/${name}`),
    heartbeat: () => undefined,
    signal: () => abort.signal,
  });

  function object(kind: string, name: string): SourceObject {
    const found = objects.get(`${kind}/${name}`);
    if (!found) throw new Error(`${kind}/${name} was not put`);
    return found;
  }

  const refOf = (kind: string, name: string) => ({ source: { kind, namespace, name }, generation: 1 });

  return {
    ...fixture,
    abort,
    object,
    put(kind, name, spec) {
      const before = objects.get(`${kind}/${name}`);
      const made = {
        apiVersion: 'source.toolkit.fluxcd.io/v1',
        kind,
        metadata: { namespace, name, uid: name, generation: (before?.metadata.generation ?? 0) + 1 },
        spec: { interval: '1m', ...spec },
        status: before?.status,
      } as SourceObject;
      objects.set(`${kind}/${name}`, made);
      return made;
    },
    fetch: (kind, name) => activities.fetchRevision(refOf(kind, name)),
    verify: (kind, name, fetched) => activities.verifyRevision({ ...refOf(kind, name), ...fetched }),
    async reconcile(kind, name) {
      const fetched = await activities.fetchRevision(refOf(kind, name));
      if (fetched.isUnchanged) return undefined;
      const archived = await activities.archiveRevision({ ...refOf(kind, name), ...fetched });
      const target = object(kind, name);
      target.status = {
        observedGeneration: target.metadata.generation,
        artifact: archived.artifact,
        ...archived.observed,
      };
      return archived;
    },
    async publishSource(kind, name, revision, files) {
      if (!isSourceKind(kind)) throw new Error(`${kind} is no source`);
      if (!objects.has(`${kind}/${name}`)) this.put(kind, name, {});
      const packed = Object.entries(files).map(([path, content]) => ({
        path,
        isExecutable: false,
        content: async () => Buffer.from(content),
      }));
      const fileName = `${revision.replaceAll(/[^a-z0-9]/g, '-')}.tar.gz`;
      const artifact = await store.publish({ kind, namespace, name }, fileName, revision, packed);
      object(kind, name).status = { artifact };
    },
  };
}
