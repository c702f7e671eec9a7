// Beside the real controllers of Flux in one cluster: each side uses the artifacts of the other, a label says whose an
// object is, and an object changes hands without a trace on what it has applied.
import { mkdtempSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { type ReconciledKindName, workflowIdOf } from '../../workflows/messages.ts';
import { chartFiles, startChartRepository, type TestChartRepository } from '../servers/chart-repository.ts';
import { fluxLayer } from '../servers/flux-artifact.ts';
import { type FluxController, startKustomizeController, startSourceController } from '../servers/flux-controllers.ts';
import { pushTestArtifact, startTestRegistry, type TestRegistry } from '../servers/registry.ts';
import { startTestS3Server, type TestS3Server } from '../servers/s3.ts';
import { conditionOf, configMap, eventually, kustomization, requestReconcile, statusOf } from './harness.ts';
import { type OwnPlatform, startOwnPlatform } from './own-platform.ts';
import { chart } from './release-scenario.ts';
import { createScenario, type Scenario } from './scenario.ts';
import { startWorker, type WorkerProcess } from './worker-process.ts';

/** As Flux shards its objects between controllers: those with the label are ours. */
const label = 'sharding.fluxcd.io/key';
const ours = { labels: { [label]: 'continuo' } };
const sources = 'source.toolkit.fluxcd.io/v1';

let own: OwnPlatform;
let temporal: Client;
let worker: WorkerProcess;
let registry: TestRegistry;
let s3: TestS3Server;
let charts: TestChartRepository;
const controllers: FluxController[] = [];

beforeAll(async () => {
  own = await startOwnPlatform();
  const { platform } = own;
  worker = await startWorker(platform, {
    dataDir: mkdtempSync(join(platform.dataDir, 'data-')),
    env: { CONTINUO_WATCH_LABEL_SELECTOR: `${label}=continuo` },
  });
  const options = { kubeconfig: platform.kubeconfigPath, args: [`--watch-label-selector=!${label}`] };
  // One after the other: both may have to be built.
  controllers.push(await startSourceController(options), await startKustomizeController(options));
  [registry, s3, charts] = await Promise.all([startTestRegistry(), startTestS3Server(), startChartRepository()]);
  temporal = new Client({ connection: await Connection.connect({ address: platform.temporalAddress }) });
}, 1_800_000);
afterEach(({ task }) => {
  if (task.result?.state !== 'fail') return;
  for (const { log } of [worker, ...controllers]) console.error(`a controller said:\n${log().slice(-6_000)}`);
});
afterAll(async () => {
  await temporal?.connection.close();
  await Promise.all([...controllers.map((controller) => controller.stop()), worker?.kill()]);
  await Promise.all([registry?.close(), s3?.close(), charts?.close()]);
  await own?.stop();
});

/** True while a workflow of ours reconciles an object. */
async function isReconciledByUs({ kind, metadata: { namespace = '', name } }: KubeObject): Promise<boolean> {
  const workflowId = workflowIdOf({ kind: kind as ReconciledKindName, namespace, name });
  const query = `WorkflowId = '${workflowId}' AND ExecutionStatus = 'Running'`;
  return (await temporal.workflow.count(query)).count > 0;
}

async function create({ namespace }: Scenario, kind: string, name: string, spec: object, metadata = {}) {
  const apiVersion = kind === 'ArtifactGenerator' ? 'source.extensions.fluxcd.io/v1beta1' : sources;
  return await own.client.create({ apiVersion, kind, metadata: { namespace, name, ...metadata }, spec });
}

/** Waits until an object is Ready at its present generation, and at `revision`. */
async function ready(object: KubeObject, revision?: string): Promise<KubeObject> {
  return await eventually(
    `${object.kind} ${object.metadata.name} to be Ready at ${revision ?? 'any revision'}`,
    async () => {
      const seen = await own.client.get(refOf(object));
      const { artifact, lastAppliedRevision, lastAttemptedRevision } = statusOf(seen);
      // Flux writes Ready first, and what it has applied a moment later.
      const appliedAt = object.kind === 'Kustomization' ? lastAppliedRevision : lastAttemptedRevision;
      const at = artifact?.revision ?? appliedAt;
      const condition = conditionOf(seen, 'Ready') as { observedGeneration?: number } | undefined;
      const isCurrent = condition?.observedGeneration === seen?.metadata.generation;
      const isReady = conditionOf(seen, 'Ready')?.status === 'True' && isCurrent && at !== undefined;
      if (seen && isReady && (revision === undefined || at === revision)) return seen;
      throw new Error(JSON.stringify(seen?.status ?? 'no status'));
    },
    60_000,
  );
}

/** `v` of a ConfigMap, and who has applied it. */
async function applied(scenario: Scenario, name: string): Promise<{ v?: string; uid?: string; managers: string[] }> {
  const object = await scenario.configMap(name);
  const managers = (object?.metadata.managedFields ?? []).map(({ manager }) => manager ?? '');
  return { v: (object?.data as { v?: string } | undefined)?.v, uid: object?.metadata.uid, managers };
}

test('the kustomize-controller of Flux applies what our sources have fetched', async () => {
  const scenario = await createScenario(own.client, 'theirs', {});
  const { namespace, repository } = scenario;
  const files = (path: string, v: string) => ({ [`${path}.yaml`]: configMap(basename(path), { v }) });
  const first = scenario.commit({ ...files('deploy/git', '1'), 'parts/part.yaml': configMap('part', { v: '1' }) });
  await pushTestArtifact(registry, namespace, 'v1', { layers: [fluxLayer(files('oci', '1'))] });
  await s3.createBucket(namespace);
  await s3.put(namespace, files('bucket', '1'));
  await own.client.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace, name: 'keys' },
    stringData: { accesskey: s3.accessKey, secretkey: s3.secretKey },
  });
  const interval = '10m';
  const url = `oci://${registry.host}/${namespace}`;
  const bucket = { endpoint: s3.host, insecure: true, bucketName: namespace, secretRef: { name: 'keys' } };
  const ref = { branch: 'main' };
  const git = await create(scenario, 'GitRepository', 'git', { interval, url: repository.url, ref }, ours);
  await create(scenario, 'OCIRepository', 'oci', { interval, url, insecure: true, ref: { tag: 'v1' } }, ours);
  await create(scenario, 'Bucket', 'bucket', { interval, ...bucket }, ours);
  const copy = [{ from: '@src/parts/**', to: '@artifact/' }];
  const parts = {
    sources: [{ alias: 'src', kind: 'GitRepository', name: 'git' }],
    artifacts: [{ name: 'part', copy }],
  };
  await create(scenario, 'ArtifactGenerator', 'parts', parts, ours);
  const kinds = { git: 'GitRepository', oci: 'OCIRepository', bucket: 'Bucket', part: 'ExternalArtifact' };
  const consumers: KubeObject[] = [];
  for (const [name, kind] of Object.entries(kinds)) {
    const spec = { sourceRef: { kind, name }, retryInterval: '1s', ...(name === 'git' ? { path: './deploy' } : {}) };
    consumers.push(await own.client.create(kustomization(namespace, name, name, spec)));
  }

  for (const consumer of consumers) {
    const seen = await ready(consumer);
    expect(conditionOf(seen, 'Ready')?.message).toBe(`Applied revision: ${statusOf(seen).lastAppliedRevision}`);
    expect(await applied(scenario, consumer.metadata.name)).toMatchObject({
      v: '1',
      managers: ['kustomize-controller'],
    });
    expect(await isReconciledByUs(seen)).toBe(false);
  }
  expect(await isReconciledByUs(git)).toBe(true);

  const second = scenario.commit({ ...files('deploy/git', '2'), 'parts/part.yaml': configMap('part', { v: '2' }) });
  expect(second).not.toBe(first);
  await requestReconcile(own.client, git);
  await ready(consumers[0] as KubeObject, second);
  expect((await applied(scenario, 'git')).v).toBe('2');
  await eventually('the generated artifact to be applied', async () => (await applied(scenario, 'part')).v === '2');
});

test('our Kustomizations and HelmReleases use what the source-controller of Flux has fetched', async () => {
  const scenario = await createScenario(own.client, 'ours', {});
  const { namespace, repository } = scenario;
  const first = scenario.commit({ 'deploy/git.yaml': configMap('git', { v: '1' }), ...chart() });
  charts.add(chartFiles('web', '1.0.0', { 'templates/configmap.yaml': configMap('web', { v: '1.0.0' }) }));
  const interval = '10m';
  const git = await create(scenario, 'GitRepository', 'git', {
    interval,
    url: repository.url,
    ref: { branch: 'main' },
  });
  const inGit = { kind: 'GitRepository', name: 'git' };
  await create(scenario, 'HelmRepository', 'charts', { interval, url: charts.url });
  await create(scenario, 'HelmChart', 'built', { interval, chart: 'charts/app', sourceRef: inGit });
  const consumer = kustomization(namespace, 'git', 'git', { path: './deploy' });
  Object.assign(consumer.metadata, ours);
  await own.client.create(consumer);
  const release = async (name: string, spec: object): Promise<KubeObject> =>
    await own.client.create({
      apiVersion: 'helm.toolkit.fluxcd.io/v2',
      kind: 'HelmRelease',
      metadata: { namespace, name, ...ours },
      spec: { interval, releaseName: name, ...spec },
    });
  const web = { chart: 'web', version: '1.x', sourceRef: { kind: 'HelmRepository', name: 'charts' } };
  const releases = [
    await release('built', { chartRef: { kind: 'HelmChart', name: 'built' } }),
    await release('app', { chart: { metadata: ours, spec: { chart: 'charts/app', sourceRef: inGit } } }),
    await release('web', { chart: { metadata: ours, spec: web } }),
  ];

  expect(conditionOf(await ready(consumer, first), 'Ready')?.message).toBe(`Applied revision: ${first}`);
  for (const one of releases) expect(await isReconciledByUs(await ready(one))).toBe(true);
  expect((await applied(scenario, 'git')).v).toBe('1');
  const installed = await Promise.all(['built', 'app', 'web'].map((name) => applied(scenario, name)));
  expect(installed.map(({ v }) => v)).toEqual(['one', 'one', '1.0.0']);
  for (const name of ['GitRepository/git', 'HelmRepository/charts', 'HelmChart/built']) {
    const [kind = '', found = ''] = name.split('/');
    expect(await isReconciledByUs((await scenario.find(sources, kind, found)) as KubeObject)).toBe(false);
  }

  const second = scenario.commit({
    'deploy/git.yaml': configMap('git', { v: '2' }),
    ...chart({ 'values.yaml': 'v: two\n' }, '1.1.0'),
  });
  await requestReconcile(own.client, git);
  await ready(consumer, second);
  expect((await applied(scenario, 'git')).v).toBe('2');
  for (const name of ['built', 'app']) {
    await eventually(`${name} to be upgraded`, async () => (await applied(scenario, name)).v === 'two', 60_000);
  }
});

test('one of ours that depends on one of Flux goes on as soon as that is ready', async () => {
  const scenario = await createScenario(own.client, 'dependent', {});
  const { namespace, repository } = scenario;
  scenario.commit({ 'top/top.yaml': configMap('top', { v: '1' }) });
  const spec = { interval: '10m', url: repository.url, ref: { branch: 'main' } };
  const git = await create(scenario, 'GitRepository', 'git', spec);
  await own.client.create(kustomization(namespace, 'base', 'git', { path: './base' }));
  const top = kustomization(namespace, 'top', 'git', { path: './top', dependsOn: [{ name: 'base' }] });
  Object.assign(top.metadata, ours);
  await own.client.create(top);
  await scenario.refused('DependencyNotReady', () => scenario.kustomization('top'));

  const revision = scenario.commit({ 'base/base.yaml': configMap('base', { v: '1' }) });
  await requestReconcile(own.client, git);
  await ready(top, revision);
  expect((await applied(scenario, 'base')).v).toBe('1');
});

test('an object changes hands by its label, and what it has applied stays as it is', async () => {
  const scenario = await createScenario(own.client, 'moving', {});
  const { namespace, repository } = scenario;
  const first = scenario.commit({ 'a.yaml': configMap('a', { v: '1' }), 'b.yaml': configMap('b', { v: '1' }) });
  const spec = { interval: '10m', url: repository.url, ref: { branch: 'main' } };
  const git = await create(scenario, 'GitRepository', 'git', spec);
  const app = await own.client.create(kustomization(namespace, 'app', 'git'));
  await ready(app, first);
  const { uid } = await applied(scenario, 'a');
  const moveTo = async (object: KubeObject, key: string | null): Promise<void> => {
    await scenario.patch(object, { metadata: { labels: { [label]: key } } });
    const isOurs = key !== null;
    const what = `${object.kind} to be ${isOurs ? 'ours' : 'of Flux'}`;
    await eventually(what, async () => (await isReconciledByUs(object)) === isOurs);
  };
  const follows = async (files: Record<string, string | null>): Promise<void> => {
    const revision = scenario.commit(files);
    await requestReconcile(own.client, git);
    await ready(app, revision);
    expect((await applied(scenario, 'a')).uid).toBe(uid);
  };

  await moveTo(app, 'continuo');
  await follows({ 'a.yaml': configMap('a', { v: '2' }), 'b.yaml': null });
  expect(await applied(scenario, 'a')).toEqual({ v: '2', uid, managers: ['kustomize-controller'] });
  expect(await scenario.configMap('b')).toBeUndefined(); // by the inventory that Flux has left
  await moveTo(git, 'continuo');
  await follows({ 'a.yaml': configMap('a', { v: '3' }), 'c.yaml': configMap('c', { v: '3' }) });

  await moveTo(app, null);
  await follows({ 'a.yaml': configMap('a', { v: '4' }), 'c.yaml': null });
  expect(await scenario.configMap('c')).toBeUndefined(); // by ours
  await moveTo(git, null);
  await follows({ 'a.yaml': configMap('a', { v: '5' }) });

  const found = await own.client.get(refOf(app));
  expect(found?.metadata.finalizers).toEqual(['finalizers.fluxcd.io']);
  await own.client.delete(refOf(app));
  await eventually('the Kustomization to be gone', async () => (await own.client.get(refOf(app))) === undefined);
  expect(await scenario.configMap('a')).toBeUndefined();
});
