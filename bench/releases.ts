// What the phases about Helm releases share: a repository with charts, HelmReleases of it in a namespace of their own, and
// what is seen of them: their status, the history that the helm command tells.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { resourceOf } from '../k8s/api/definition.ts';
import { definition as chartDefinition } from '../k8s/api/helm-chart.ts';
import { definition, type HelmRelease } from '../k8s/api/helm-release.ts';
import type { KubeClient } from '../k8s/client.ts';
import { type KubeObject, refOf } from '../k8s/object.ts';
import type { WatchCaches } from '../k8s/watch-cache.ts';
import type { Platform } from '../tools/platform/index.ts';
import { type BenchRepository, createBenchRepository, sourceObject } from './load.ts';
import { type ChartName, type ChartValues, chartFiles } from './release-charts.ts';

/** Where releases are measured. */
export interface ReleaseBench {
  client: KubeClient;
  caches: WatchCaches;
  platform: Platform;
}

/** A line of `helm history -o json`. */
export interface HelmRevision {
  revision: number;
  status: string;
  chart: string;
  description: string;
}

export interface ReleaseSpec {
  values: ChartValues;
  [field: string]: unknown;
}

/** HelmReleases in one namespace, all of charts in one repository. */
export interface Releases {
  namespace: string;
  repository: BenchRepository;
  /** Creates or changes one; the release has the name of the object. */
  apply(name: string, chart: ChartName, spec: ReleaseSpec): Promise<KubeObject>;
  remove(name: string): Promise<void>;
  /** Pushes the charts at a version, and waits until that of a release is there; gives that moment, in ms. */
  pushCharts(name: string, version: string, values: Partial<ChartValues>): Promise<number>;
  /** As the cluster has it; undefined when there is none. */
  seen(name: string): HelmRelease | undefined;
  /** A generation was reconciled to its end: the release is Ready, or stalled. */
  isSettled(name: string, generation?: number): boolean;
  isReady(name: string, generation?: number): boolean;
  /** What `helm history` tells, oldest first; nothing when there is no release. */
  history(name: string): Promise<HelmRevision[]>;
}

interface ArtifactStatus {
  artifact?: { revision: string };
}

const run = promisify(execFile);

/** Makes the namespace, the repository with the charts, and its GitRepository. */
export async function openReleases({ client, caches, platform }: ReleaseBench, namespace: string): Promise<Releases> {
  const repository = createBenchRepository(platform.gitRoot, platform.gitUrl, namespace);
  repository.writeFiles(chartFiles('1.0.0'));
  repository.push('charts');
  await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  await client.create(sourceObject(namespace, repository.url));
  const objects = caches.open({ resource: resourceOf(definition) });
  const chartObjects = caches.open({ resource: resourceOf(chartDefinition) });
  await Promise.all([objects.sync(), chartObjects.sync()]);

  const seen = (name: string): HelmRelease | undefined => objects.get(namespace, name) as HelmRelease | undefined;
  const has = (name: string, type: string): boolean =>
    seen(name)?.status?.conditions?.some((one) => one.type === type && one.status === 'True') ?? false;
  const isReported = (name: string, generation?: number): boolean => {
    const object = seen(name);
    const { generation: newest = 0 } = object?.metadata ?? {};
    return object?.status?.observedGeneration === newest && newest >= (generation ?? 1) && !has(name, 'Reconciling');
  };
  return {
    namespace,
    repository,
    apply: (name, chart, spec) => client.apply(helmRelease(namespace, name, chart, spec), { fieldManager: 'bench' }),
    async remove(name) {
      await client.delete({ group: definition.group, version: 'v2', kind: definition.kind, namespace, name });
    },
    async pushCharts(name, version, values) {
      repository.writeFiles(chartFiles(version, values));
      repository.push(version);
      const request = { metadata: { annotations: { 'reconcile.fluxcd.io/requestedAt': new Date().toISOString() } } };
      await client.patch(refOf(sourceObject(namespace, repository.url)), request, { type: 'merge' });
      const isThere = (): boolean => {
        const seen = chartObjects.get(namespace, `${namespace}-${name}`)?.status as ArtifactStatus | undefined;
        return seen?.artifact?.revision === version;
      };
      await until(`chart ${version} of ${name} is there`, isThere, 60_000, 2);
      return performance.now();
    },
    seen,
    isSettled: (name, generation) => isReported(name, generation) && (has(name, 'Ready') || has(name, 'Stalled')),
    isReady: (name, generation) => isReported(name, generation) && has(name, 'Ready'),
    async history(name) {
      const args = ['history', name, '--namespace', namespace, '--max', '256', '-o', 'json'];
      const env = { PATH: process.env.PATH, HOME: platform.dataDir, KUBECONFIG: platform.kubeconfigPath };
      try {
        const { stdout } = await run(join(platform.dataDir, 'bin', 'helm'), args, { env });
        return JSON.parse(stdout) as HelmRevision[];
      } catch (error) {
        if (String((error as { stderr?: string }).stderr).includes('release: not found')) return [];
        throw error;
      }
    },
  };
}

function helmRelease(namespace: string, name: string, chart: ChartName, spec: ReleaseSpec): KubeObject {
  return {
    apiVersion: 'helm.toolkit.fluxcd.io/v2',
    kind: definition.kind,
    metadata: { namespace, name },
    spec: {
      interval: '1h',
      releaseName: name,
      chart: { spec: { chart: `charts/${chart}`, sourceRef: { kind: 'GitRepository', name: 'bench' } } },
      ...spec,
    },
  };
}

/** Waits for something; fails when it does not come. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  timeoutMs: number,
  pauseMs = 20,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`timed out after ${timeoutMs / 1000} s waiting until ${what}`);
    await sleep(pauseMs);
  }
}
