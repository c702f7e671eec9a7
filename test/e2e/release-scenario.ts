// One test's world with a Helm release: a namespace, a repository with a chart, a GitRepository, a HelmRelease, and what
// `helm` itself says of the release, and makes of the same chart.
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { originLabelsOf } from '../../activities/helm/post-render.ts';
import { objectsOf } from '../../activities/helm/release-objects.ts';
import { createReleaseStorage, type StoredRelease } from '../../activities/helm/release-storage.ts';
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { conditionOf, createNamespace, eventually, statusOf } from './harness.ts';
import { createScenario, type Scenario } from './scenario.ts';

export interface ReleaseScenario extends Scenario {
  createRelease(spec?: object, metadata?: object): Promise<KubeObject>;
  release(): Promise<KubeObject>;
  /** Changes `spec`; gives the new generation. */
  change(spec: object): Promise<number>;
  /** Waits until Ready is as asked for, for the present generation (or at all, for a failure that is tried again). */
  readyIs(status: 'True' | 'False', reason: string, timeoutMs?: number): Promise<KubeObject>;
  /** `version status description` of each revision, oldest first, as `helm history` tells it. */
  history(name?: string, namespace?: string): string[];
  /** Waits until Ready is False for the reason, with the text in its message, which it gives. */
  fails(reason: string, text?: string | RegExp, timeoutMs?: number): Promise<string>;
  /** Waits until nothing more is tried for the present generation. */
  stalled(): Promise<KubeObject>;
  /** Deletes the object and waits until it is gone. */
  remove(): Promise<void>;
  /** Runs helm against the cluster, in the scenario's namespace unless the arguments name another. */
  helm(...args: string[]): string;
  /** The newest revision as it is stored. */
  stored(name?: string, namespace?: string): Promise<StoredRelease>;
  /** Installs the chart of the repository's working tree with plain helm in a namespace of its own; gives that. */
  installTwin(values?: object, prepare?: (namespace: string) => Promise<unknown>): Promise<string>;
}

export const releaseName = 'app';

/** Where helm is, and the cluster that it is asked of. */
export interface HelmPlace {
  binDir: string;
  dataDir: string;
  kubeconfig: string;
}

/** A chart with a ConfigMap, and what else the test brings; paths are below the chart. */
export function chart(files: Record<string, string> = {}, version = '1.0.0'): Record<string, string> {
  const all: Record<string, string> = {
    'Chart.yaml': `apiVersion: v2\nname: app\nversion: ${version}\nappVersion: "7"\n`,
    'values.yaml': 'v: one\n',
    'templates/config.yaml':
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  v: {{ .Values.v | quote }}\n',
    ...files,
  };
  return Object.fromEntries(Object.entries(all).map(([path, content]) => [`charts/app/${path}`, content]));
}

/** A Deployment whose pod becomes ready unless `.Values.unready` is set. */
export const deploymentTemplate = {
  'templates/deployment.yaml': `apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicas | default 1 }}
  selector: { matchLabels: { app: {{ .Release.Name }} } }
  template:
    metadata:
      labels:
        app: {{ .Release.Name }}
        {{- if .Values.unready }}
        continuo.dev/unready: "true"
        {{- end }}
    spec:
      containers: [{ name: main, image: "example/web:{{ .Values.v }}" }]
`,
};

export async function createReleaseScenario(
  client: KubeClient,
  prefix: string,
  files: Record<string, string>,
  place: HelmPlace = { binDir: inject('binDir'), dataDir: inject('dataDir'), kubeconfig: inject('kubeconfig') },
): Promise<ReleaseScenario> {
  const scenario = await createScenario(client, prefix, files);
  const { namespace } = scenario;
  await scenario.createSource();
  const ref = {
    group: 'helm.toolkit.fluxcd.io',
    version: 'v2',
    kind: 'HelmRelease',
    namespace,
    name: releaseName,
  };
  const release = async (): Promise<KubeObject> => {
    const found = await client.get(ref);
    if (!found) throw new Error(`HelmRelease ${namespace}/${releaseName} does not exist`);
    return found;
  };
  const binary = join(place.binDir, 'helm');
  const env = { PATH: process.env.PATH, HOME: place.dataDir, KUBECONFIG: place.kubeconfig };
  const helm = (...args: string[]): string => {
    const where = args.includes('--namespace') ? [] : ['--namespace', namespace];
    return execFileSync(binary, [...args, ...where], { encoding: 'utf8', stdio: 'pipe', env });
  };
  const stored: ReleaseScenario['stored'] = async (name = releaseName, where = namespace) => {
    const read = await createReleaseStorage({ client, namespace: where }).last(name);
    if (!read) throw new Error(`no release ${name} is stored in ${where}`);
    return read.release;
  };
  return {
    ...scenario,
    helm,
    stored,
    createRelease: (spec = {}, metadata = {}) =>
      client.create({
        apiVersion: 'helm.toolkit.fluxcd.io/v2',
        kind: 'HelmRelease',
        metadata: { namespace, name: releaseName, ...metadata },
        spec: {
          interval: '10m',
          timeout: '20s',
          chart: { spec: { chart: 'charts/app', sourceRef: { kind: 'GitRepository', name: 'app' } } },
          ...spec,
        },
      }),
    release,
    async change(spec) {
      const changed = await client.patch(refOf(await release()), { spec }, { type: 'merge' });
      return changed.metadata.generation ?? 0;
    },
    readyIs: async (status, reason, timeoutMs = 30_000) =>
      await eventually(
        `HelmRelease ${namespace}/${releaseName} to be Ready=${status} with ${reason}`,
        async () => {
          const object = await release();
          const ready = conditionOf(object, 'Ready') as { observedGeneration?: number } | undefined;
          const { conditions } = statusOf(object);
          const isDone = conditions?.every(({ type, reason: why }) => type !== 'Reconciling' || why !== 'Progressing');
          const isCurrent = ready?.observedGeneration === object.metadata.generation;
          const found = conditionOf(object, 'Ready');
          if (isDone && isCurrent && found?.status === status && found.reason === reason) return object;
          throw new Error(JSON.stringify(conditions ?? 'no conditions'));
        },
        timeoutMs,
      ),
    fails: async (reason, text = '', timeoutMs = 60_000) =>
      await eventually(
        `HelmRelease ${namespace}/${releaseName} to be refused with ${reason} and "${String(text)}"`,
        async () => {
          const ready = conditionOf(await release(), 'Ready');
          const isTold = typeof text === 'string' ? ready?.message.includes(text) : text.test(ready?.message ?? '');
          if (ready?.status === 'False' && ready.reason === reason && isTold) return ready.message;
          throw new Error(JSON.stringify(ready ?? 'no condition'));
        },
        timeoutMs,
      ),
    stalled: async () =>
      await eventually(
        `HelmRelease ${namespace}/${releaseName} to stall`,
        async () => {
          const object = await release();
          const condition = conditionOf(object, 'Stalled') as { observedGeneration?: number } | undefined;
          if (condition?.observedGeneration === object.metadata.generation) return object;
          throw new Error(JSON.stringify(statusOf(object).conditions));
        },
        60_000,
      ),
    async remove() {
      await client.delete(ref);
      await eventually('the HelmRelease to be gone', async () => (await client.get(ref)) === undefined, 60_000);
    },
    async installTwin(values = {}, prepare = async () => {}) {
      const twin = await createNamespace(client, `${prefix}-twin`);
      await prepare(twin);
      const directory = join(scenario.repository.directory, 'charts/app');
      const args = ['install', releaseName, directory, '--namespace', twin, '--set-json', JSON.stringify(values)];
      await promisify(execFile)(binary, [...args, '--wait', '--wait-for-jobs', '--timeout=30s'], { env });
      return twin;
    },
    history(name = releaseName, where = namespace) {
      const args = ['history', name, '--namespace', where, '--max', '50', '-o', 'json'];
      const told = JSON.parse(helm(...args)) as HelmRevision[];
      return told.map(({ revision, status, description }) => `${revision} ${status} ${description}`);
    },
  };
}

interface HelmRevision {
  revision: number;
  status: string;
  description: string;
}

/** `version status` of each revision. */
export function states(scenario: ReleaseScenario): string[] {
  return scenario.history().map((line) => line.split(' ').slice(0, 2).join(' '));
}

/** The status with the fields of its kind. */
export function releaseStatusOf(object: KubeObject): NonNullable<HelmRelease['status']> {
  return (object as HelmRelease).status ?? {};
}

/**
 * What a release is, without what differs between two of one chart: its namespace, the labels that say whose it is, when
 * its hooks ran. Two releases that plain helm and a HelmRelease have made of the same chart are equal.
 */
export function contentOf({
  name,
  namespace,
  version,
  info,
  config,
  manifest = '',
  hooks = [],
}: StoredRelease): unknown {
  const anywhere = <T>(value: T): T => JSON.parse(JSON.stringify(value).replaceAll(namespace, 'NAMESPACE')) as T;
  const bare = (objects: KubeObject[]): KubeObject[] =>
    objects
      .map((object) => {
        const { labels = {}, ...metadata } = object.metadata;
        const own = Object.keys(originLabelsOf(object));
        const others = Object.entries(labels).filter(([key]) => !own.includes(key));
        const kept = others.length > 0 ? { labels: Object.fromEntries(others) } : {};
        return { ...object, metadata: { ...metadata, ...kept } };
      })
      .sort((a, b) => `${a.kind}/${a.metadata.name}`.localeCompare(`${b.kind}/${b.metadata.name}`));
  return anywhere({
    ...{ name, version, config, status: info.status, notes: info.notes, description: info.description },
    objects: bare(objectsOf(manifest)),
    hooks: hooks
      .map((hook) => ({ ...hook, manifest: bare(objectsOf(hook.manifest ?? '')), last_run: hook.last_run?.phase }))
      .sort((a, b) => `${a.name}`.localeCompare(`${b.name}`)),
  });
}

/** Asks for a reconcile as `flux reconcile hr --force` or `--reset` does, and waits until it was answered. */
export async function reconcileWith(scenario: ReleaseScenario, ...annotations: string[]): Promise<KubeObject> {
  const object = await scenario.release();
  const asked = new Date().toISOString();
  const all = Object.fromEntries([...annotations, 'requestedAt'].map((name) => [`reconcile.fluxcd.io/${name}`, asked]));
  await scenario.patch(object, { metadata: { annotations: all } });
  return await eventually('the request to be answered', async () => {
    const now = await scenario.release();
    return statusOf(now).lastHandledReconcileAt === asked ? now : undefined;
  });
}
