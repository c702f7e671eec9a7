// ArtifactGenerators through the real platform: parts of Git repositories become artifacts that Kustomizations apply
// (contract 1.6, 1.7).
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { create } from 'tar';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import type { ArtifactGeneratorStatus } from '../../k8s/api/artifact-generator.ts';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import {
  conditionOf,
  configMap,
  connectCluster,
  createNamespace,
  eventually,
  gitRepository,
  kustomization,
  requestReconcile,
  statusOf,
} from './harness.ts';
import { chart, createReleaseScenario } from './release-scenario.ts';
import { createScenario, type Scenario } from './scenario.ts';

let client: KubeClient;
beforeAll(() => {
  client = connectCluster();
});
afterAll(() => client.close());

const generatorLabel = 'source.extensions.fluxcd.io/generator';
const sources = [{ alias: 'src', kind: 'GitRepository', name: 'app' }];
const copyAll = [{ from: '@src/**', to: '@artifact/' }];

async function createGenerator(scenario: Scenario, spec: object, name = 'gen'): Promise<() => Promise<KubeObject>> {
  const object = await client.create({
    apiVersion: 'source.extensions.fluxcd.io/v1beta1',
    kind: 'ArtifactGenerator',
    metadata: { namespace: scenario.namespace, name },
    spec: { sources, ...spec },
  });
  return async () => (await client.get(refOf(object))) ?? object;
}

/** Waits for a success that is newer than `before`. */
async function generated(
  look: () => Promise<KubeObject>,
  isNew: (status: ArtifactGeneratorStatus, object: KubeObject) => boolean = () => true,
): Promise<ArtifactGeneratorStatus> {
  return await eventually('the ArtifactGenerator to be Ready', async () => {
    const object = await look();
    const status = (object.status ?? {}) as ArtifactGeneratorStatus;
    const ready = status.conditions?.find(({ type }) => type === 'Ready');
    const isReady = ready?.status === 'True' && ready.observedGeneration === object.metadata.generation;
    if (isReady && isNew(status, object)) return status;
    throw new Error(JSON.stringify(status));
  });
}

const externalArtifact = (scenario: Scenario, name: string): Promise<KubeObject | undefined> =>
  scenario.find('source.toolkit.fluxcd.io/v1', 'ExternalArtifact', name);

it('cuts a repository into artifacts that Kustomizations apply, follows it, and leaves nothing behind', async () => {
  const scenario = await createScenario(client, 'generator', {});
  const { namespace } = scenario;
  const first = scenario.commit({
    'apps/web/settings.yaml': configMap('web', { v: 'one' }),
    'apps/web/README.md': 'about',
    'apps/api/settings.yaml': configMap('api', { v: 'one' }),
    'values.yaml': 'a: {x: 1, y: 2}\n',
    'over.yaml': 'a: {y: 3}\n',
  });
  await scenario.createSource();
  const artifact = (name: string, more: object = {}) => ({
    name,
    copy: [
      { from: `@src/apps/${name}/**`, to: '@artifact/', exclude: ['*.md'] },
      { from: '@src/values.yaml', to: '@artifact/chart/values.yaml' },
      { from: '@src/over.yaml', to: '@artifact/chart/values.yaml', strategy: 'Merge' },
    ],
    ...more,
  });
  const generator = await createGenerator(scenario, {
    artifacts: [artifact('web', { revision: '@src' }), artifact('api')],
    commonMetadata: { labels: { team: 'shop' }, annotations: { note: 'made' } },
  });
  await client.create(kustomization(namespace, 'web', 'web', { sourceRef: { kind: 'ExternalArtifact', name: 'web' } }));

  const status = await generated(generator);
  expect(status.conditions?.map(({ type, reason, message }) => [type, reason, message])).toEqual([
    ['Ready', 'Succeeded', 'reconciliation succeeded, generated 2 artifact(s)'],
  ]);
  expect(status.observedSourcesDigest).toMatch(/^sha256:[0-9a-f]{64}$/);
  const web = await externalArtifact(scenario, 'web');
  const made = statusOf(web).artifact;
  expect(web?.metadata.labels).toEqual({
    team: 'shop',
    'app.kubernetes.io/managed-by': 'source-watcher',
    [generatorLabel]: (await generator()).metadata.uid,
  });
  expect(web?.metadata.annotations).toEqual({ note: 'made' });
  expect(web?.metadata.managedFields?.map(({ manager }) => manager)).toContain('source-watcher');
  expect(conditionOf(web, 'Ready')).toMatchObject({
    status: 'True',
    reason: 'Succeeded',
    message: 'Artifact is ready',
  });
  expect(made?.revision).toBe(first);
  expect(made?.url).toMatch(new RegExp(`/externalartifact/${namespace}/web/[0-9a-f]{64}\\.tar\\.gz$`));
  expect(status.inventory?.[0]).toEqual({
    name: 'web',
    namespace,
    digest: made?.digest,
    filename: made?.url.split('/').at(-1),
  });
  expect(statusOf(await externalArtifact(scenario, 'api')).artifact?.revision).toMatch(/^latest@sha256:[0-9a-f]{64}$/);
  await eventually('the event of the artifact', async () =>
    (await scenario.events(web!)).some(({ type, reason }) => type === 'Normal' && reason === 'Ready'),
  );

  // chart/values.yaml is no manifest: the Kustomization says so until it is cut out of the artifact.
  const withoutValues = (name: string, more: object = {}) => ({
    ...artifact(name, more),
    copy: [artifact(name).copy[0]],
  });
  const patched = await client.patch(
    refOf(await generator()),
    { spec: { artifacts: [withoutValues('web', { revision: '@src' }), withoutValues('api')] } },
    { type: 'merge' },
  );
  expect(patched.metadata.generation).toBe(2);
  await scenario.applied(first, 'web');
  expect((await scenario.configMap('web'))?.data).toEqual({ v: 'one' });

  const second = await scenario.push({ 'apps/web/settings.yaml': configMap('web', { v: 'two' }) });
  await scenario.applied(second, 'web');
  expect((await scenario.configMap('web'))?.data).toEqual({ v: 'two' });

  await client.patch(refOf(await generator()), { spec: { artifacts: [withoutValues('web')] } }, { type: 'merge' });
  const less = await generated(generator, ({ inventory }) => inventory?.length === 1);
  expect(less.inventory?.map(({ name }) => name)).toEqual(['web']);
  expect(await externalArtifact(scenario, 'api')).toBeUndefined();

  const url = statusOf(await externalArtifact(scenario, 'web')).artifact?.url ?? '';
  expect((await fetch(url)).status).toBe(200);
  await client.delete(refOf(await generator()));
  await eventually('all to be gone', async () => !(await client.get(refOf(patched))));
  expect(await externalArtifact(scenario, 'web')).toBeUndefined();
  expect((await fetch(url)).status).toBe(404);
});

it('makes one for each directory that fits, and unpacks tarballs', async () => {
  const scenario = await createScenario(client, 'generator', {});
  const directory = join(scenario.repository.directory, 'apps', 'Web');
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'inner.yaml'), configMap('inner', { v: 'one' }));
  await create({ gzip: true, cwd: directory, file: join(directory, 'bundle.tgz') }, ['inner.yaml']);
  rmSync(join(directory, 'inner.yaml'));
  const revision = scenario.commit({ 'apps/Web/a.yaml': configMap('a', { v: 'a' }) });
  await scenario.createSource({ ignore: '!*.tgz' });
  const generator = await createGenerator(scenario, {
    pathPattern: '@src/apps/{app}',
    artifacts: [
      {
        name: 'of-{app}',
        revision: '@src',
        copy: [
          { from: '@src/apps/{app}/*.yaml', to: '@artifact/' },
          { from: '@src/apps/{app}/bundle.tgz', to: '@artifact/bundle', strategy: 'Extract' },
        ],
      },
    ],
  });
  await generated(generator);
  expect((await externalArtifact(scenario, 'of-web'))?.metadata.labels?.app).toBe('web');
  await client.create(
    kustomization(scenario.namespace, 'app', 'x', { sourceRef: { kind: 'ExternalArtifact', name: 'of-web' } }),
  );
  await scenario.applied(revision);
  expect((await scenario.configMap('inner'))?.data).toEqual({ v: 'one' });
  expect((await scenario.configMap('a'))?.data).toEqual({ v: 'a' });
});

it('answers a request without new artifacts, and is suspended by its annotation', async () => {
  const scenario = await createScenario(client, 'generator', { 'a.yaml': configMap('a', { v: '1' }) });
  await scenario.createSource();
  const generator = await createGenerator(scenario, { artifacts: [{ name: 'all', copy: copyAll }] });
  const { inventory } = await generated(generator);
  const before = await externalArtifact(scenario, 'all');

  const request = await requestReconcile(client, await generator());
  await generated(generator, ({ lastHandledReconcileAt }) => lastHandledReconcileAt === request);
  expect((await externalArtifact(scenario, 'all'))?.metadata.resourceVersion).toBe(before?.metadata.resourceVersion);
  await eventually('its event', async () =>
    (await scenario.events(await generator())).some(({ message }) => message.startsWith('No drift detected')),
  );

  const annotate = async (value: string | null): Promise<void> => {
    const annotations = { 'source.extensions.fluxcd.io/reconcile': value };
    await client.patch(refOf(await generator()), { metadata: { annotations } }, { type: 'merge' });
  };
  await annotate('disabled');
  await client.patch(
    refOf(await generator()),
    { spec: { artifacts: [{ name: 'other', copy: copyAll }] } },
    { type: 'merge' },
  );
  const suspended = await requestReconcile(client, await generator());
  await eventually('the request to be echoed', async () => {
    const { lastHandledReconcileAt } = statusOf(await generator());
    return lastHandledReconcileAt === suspended;
  });
  expect(((await generator()).status as ArtifactGeneratorStatus).inventory).toEqual(inventory);
  expect(await externalArtifact(scenario, 'other')).toBeUndefined();

  await annotate(null);
  await generated(generator, (status) => status.inventory?.[0]?.name === 'other');
  expect(await externalArtifact(scenario, 'all')).toBeUndefined();
});

it('gives its manifests to a Kustomization and its chart to a HelmRelease, and takes away what it makes no more', async () => {
  const scenario = await createReleaseScenario(client, 'generator', chart());
  const { namespace } = scenario;
  const revision = await scenario.push({
    'deploy/settings.yaml': configMap('settings', { v: 'one' }),
    'over.yaml': 'v: merged\n',
  });
  const deploy = { name: 'deploy', revision: '@src', copy: [{ from: '@src/deploy/**', to: '@artifact/' }] };
  const app = {
    name: 'chart',
    copy: [
      { from: '@src/charts/app/**', to: '@artifact/app/' },
      { from: '@src/over.yaml', to: '@artifact/app/values.yaml', strategy: 'Merge' },
    ],
  };
  const generator = await createGenerator(scenario, { artifacts: [deploy, app] });
  await client.create(
    kustomization(namespace, 'app', 'x', { sourceRef: { kind: 'ExternalArtifact', name: 'deploy' } }),
  );
  await scenario.createRelease({ chart: undefined, chartRef: { kind: 'ExternalArtifact', name: 'chart' } });
  await scenario.applied(revision);
  await scenario.readyIs('True', 'InstallSucceeded');
  expect((await scenario.configMap('settings'))?.data).toEqual({ v: 'one' });
  expect((await scenario.configMap('app'))?.data).toEqual({ v: 'merged' });

  // The commit changes the chart only: the release is upgraded, and the other artifact keeps its file.
  const before = statusOf(await externalArtifact(scenario, 'deploy')).artifact;
  const next = await scenario.push({ 'over.yaml': 'v: changed\n' });
  await scenario.readyIs('True', 'UpgradeSucceeded');
  expect((await scenario.configMap('app'))?.data).toEqual({ v: 'changed' });
  await scenario.applied(next);
  expect(statusOf(await externalArtifact(scenario, 'deploy')).artifact).toMatchObject({
    revision: next,
    digest: before?.digest,
    url: before?.url,
  });

  const made = statusOf(await externalArtifact(scenario, 'chart')).artifact?.url ?? '';
  expect((await fetch(made)).status).toBe(200);
  await client.patch(refOf(await generator()), { spec: { artifacts: [deploy] } }, { type: 'merge' });
  await generated(generator, ({ inventory }) => inventory?.length === 1);
  expect(await externalArtifact(scenario, 'chart')).toBeUndefined();
  expect((await fetch(made)).status).toBe(404);
  expect((await fetch(before?.url ?? '')).status).toBe(200);
});

it('makes again at once what somebody has deleted, and a lost file when it is asked for', async () => {
  const scenario = await createScenario(client, 'generator', { 'a.yaml': configMap('a', { v: '1' }) });
  await scenario.createSource();
  const generator = await createGenerator(scenario, { artifacts: [{ name: 'all', copy: copyAll }] });
  await generated(generator);
  const before = await externalArtifact(scenario, 'all');
  await client.delete(refOf(before!));

  const after = await eventually('another one with its artifact', async () => {
    const found = await externalArtifact(scenario, 'all');
    return found?.metadata.uid !== before?.metadata.uid && statusOf(found).artifact ? found : undefined;
  });
  const { digest, url = '' } = statusOf(after).artifact ?? {};
  expect(digest).toBe(statusOf(before).artifact?.digest);

  rmSync(join(inject('dataDir'), 'worker', 'artifacts', new URL(url).pathname));
  expect((await fetch(url)).status).toBe(404);
  await eventually('the file to be there again', async () => (await fetch(url)).status === 200);
});

it.each<[what: string, spec: object, reason: string, isStalled: boolean, message: string]>([
  [
    'a source that is missing',
    { sources: [{ alias: 'src', kind: 'Bucket', name: 'none' }], artifacts: [{ name: 'all', copy: copyAll }] },
    'SourceFetchFailed',
    false,
    'source @src: Bucket/',
  ],
  [
    'a path that leaves the artifact',
    { artifacts: [{ name: 'all', copy: [{ from: '@src/a.yaml', to: '@artifact/../../x' }] }] },
    'ValidationFailed',
    true,
    'copy of artifact "all": "@artifact/../../x" cannot be used: its path leaves the archive by ".."',
  ],
  [
    'an alias that is none',
    { artifacts: [{ name: 'all', copy: [{ from: '@other/a.yaml', to: '@artifact/' }] }] },
    'ValidationFailed',
    true,
    'names the source alias "other"',
  ],
  [
    'a file that is missing',
    { artifacts: [{ name: 'all', copy: [{ from: '@src/b.yaml', to: '@artifact/' }] }] },
    'BuildFailed',
    false,
    'artifact "all": copy from "@src/b.yaml" to "@artifact/": "b.yaml" does not exist in the source',
  ],
])('says what is wrong with %s', async (_what, spec, reason, isStalled, message) => {
  const scenario = await createScenario(client, 'generator', { 'a.yaml': configMap('a', { v: '1' }) });
  await scenario.createSource();
  const generator = await createGenerator(scenario, spec);

  expect(await scenario.refused(reason, generator)).toContain(message);
  expect(conditionOf(await generator(), isStalled ? 'Stalled' : 'Reconciling')?.status).toBe('True');
  await eventually('the event', async () =>
    (await scenario.events(await generator())).some((event) => event.type === 'Warning' && event.reason === reason),
  );
  expect(await externalArtifact(scenario, 'all')).toBeUndefined();
});

it('does not take an artifact from another generator, and waits for a source', async () => {
  const scenario = await createScenario(client, 'generator', { 'a.yaml': configMap('a', { v: '1' }) });
  const spec = { artifacts: [{ name: 'all', copy: copyAll }] };
  const first = await createGenerator(scenario, spec, 'first');
  await scenario.createSource();
  await generated(first);
  const second = await createGenerator(scenario, spec, 'second');

  expect(await scenario.refused('ReconciliationFailed', second)).toContain(
    `ExternalArtifact/${scenario.namespace}/all belongs to ArtifactGenerator/${scenario.namespace}/first`,
  );
  const ref = refOf(await second());
  await client.delete(ref);
  await eventually('the second one to be gone', async () => !(await client.get(ref)));
  expect((await externalArtifact(scenario, 'all'))?.metadata.labels?.[generatorLabel]).toBe(
    (await first()).metadata.uid,
  );
});

it('is made of a source in another namespace', async () => {
  const scenario = await createScenario(client, 'generator', { 'a.yaml': configMap('a', { v: '1' }) });
  const other = await createNamespace(client, 'generator-sources');
  await client.create(gitRepository(other, 'shared', scenario.repository.url));
  const generator = await createGenerator(scenario, {
    sources: [{ alias: 'src', kind: 'GitRepository', name: 'shared', namespace: other }],
    artifacts: [{ name: 'all', copy: copyAll }],
  });

  expect((await generated(generator)).inventory?.map(({ name }) => name)).toEqual(['all']);
});
