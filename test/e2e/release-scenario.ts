// One test's world with a Helm release: a namespace, a repository with a chart, a GitRepository, a HelmRelease, and what
// `helm` itself says of the release.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { inject } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { conditionOf, eventually, statusOf } from './harness.ts';
import { createScenario, type Scenario } from './scenario.ts';

export interface ReleaseScenario extends Scenario {
  createRelease(spec?: object, metadata?: object): Promise<KubeObject>;
  release(): Promise<KubeObject>;
  /** Changes `spec`; gives the new generation. */
  change(spec: object): Promise<number>;
  /** Waits until Ready is as asked for, for the present generation (or at all, for a failure that is tried again). */
  readyIs(status: 'True' | 'False', reason: string, timeoutMs?: number): Promise<KubeObject>;
  /** `version status description` of each revision, oldest first, as `helm history` tells it. */
  history(release?: string): string[];
  /** Runs helm against the cluster. */
  helm(...args: string[]): string;
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
  const helm = (...args: string[]): string =>
    execFileSync(join(place.binDir, 'helm'), [...args, '--namespace', namespace], {
      encoding: 'utf8',
      stdio: 'pipe',
      env: { PATH: process.env.PATH, HOME: place.dataDir, KUBECONFIG: place.kubeconfig },
    });
  return {
    ...scenario,
    helm,
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
    history(name = releaseName) {
      const told = JSON.parse(helm('history', name, '--max', '50', '-o', 'json')) as HelmRevision[];
      return told.map(({ revision, status, description }) => `${revision} ${status} ${description}`);
    },
  };
}

interface HelmRevision {
  revision: number;
  status: string;
  description: string;
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
