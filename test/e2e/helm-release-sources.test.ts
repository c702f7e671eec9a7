// Where the chart of a release comes from: every kind of source, by `chart` and by `chartRef`, against real servers.
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { startChartRepository, type TestChartRepository } from '../servers/chart-repository.ts';
import { packageChart } from '../servers/helm-charts.ts';
import { pushTestArtifact, startTestRegistry, type TestRegistry } from '../servers/registry.ts';
import { startTestS3Server, type TestS3Server } from '../servers/s3.ts';
import { conditionOf, connectCluster, createNamespace, eventually, requestReconcile } from './harness.ts';
import { chart, createReleaseScenario, releaseStatusOf, type ReleaseScenario } from './release-scenario.ts';

const apiVersion = 'source.toolkit.fluxcd.io/v1';

let client: KubeClient;
let repository: TestChartRepository;
let registry: TestRegistry;
let bucket: TestS3Server;
let files: Server;
const served = new Map<string, Buffer>();

beforeAll(async () => {
  client = connectCluster();
  [repository, registry, bucket] = await Promise.all([
    startChartRepository(),
    startTestRegistry(),
    startTestS3Server(),
  ]);
  files = createServer((request, response) => {
    const body = served.get(request.url ?? '');
    response.writeHead(body ? 200 : 404).end(body);
  });
  await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve));
}, 300_000);
afterAll(async () => {
  files.closeAllConnections();
  files.close();
  await Promise.all([repository.close(), registry.close(), bucket.close()]);
  await client.close();
});

/** The chart's files below its own directory. */
function chartOf(version: string, v = 'one'): Record<string, string> {
  const all = chart({ 'values.yaml': `v: ${v}\n`, 'prod.yaml': 'v: prod\n' }, version);
  return Object.fromEntries(Object.entries(all).map(([path, text]) => [path.replace('charts/app/', ''), text]));
}

async function createSource(namespace: string, kind: string, name: string, spec: object): Promise<KubeObject> {
  return await client.create({ apiVersion, kind, metadata: { namespace, name }, spec: { interval: '10m', ...spec } });
}

async function pushChart(name: string, tag: string, v?: string): Promise<string> {
  const layer = {
    mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
    content: await packageChart(chartOf('1.0.0', v), 'app'),
  };
  const configMediaType = 'application/vnd.cncf.helm.config.v1+json';
  return (await pushTestArtifact(registry, name, tag, { layers: [layer], configMediaType })).digest;
}

const installed = (scenario: ReleaseScenario) => scenario.readyIs('True', 'InstallSucceeded', 60_000);
const valueIs = (scenario: ReleaseScenario, v: string) =>
  eventually(
    `the value ${v}`,
    async () => ((await scenario.configMap('app'))?.data as { v?: string } | undefined)?.v === v,
    60_000,
  );
const helmChart = (namespace: string, name: string) =>
  client.get({ group: 'source.toolkit.fluxcd.io', version: 'v1', kind: 'HelmChart', namespace, name });

describe.concurrent('the chart of a release', { timeout: 120_000 }, () => {
  test('comes from an OCIRepository: its digest is in the version, and a tag that is moved is released', async () => {
    const scenario = await createReleaseScenario(client, 'from-oci', { 'README.md': '' });
    const { namespace } = scenario;
    const first = await pushChart(`${namespace}/app`, '1.0.0');
    const source = await createSource(namespace, 'OCIRepository', 'app', {
      url: `oci://${registry.host}/${namespace}/app`,
      insecure: true,
      ref: { tag: '1.0.0' },
      layerSelector: { mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip', operation: 'copy' },
    });
    await scenario.createRelease({ chart: undefined, chartRef: { kind: 'OCIRepository', name: 'app' } });
    const ready = await installed(scenario);
    const versionOf = (digest: string) => `1.0.0+${digest.replace('sha256:', '').slice(0, 12)}`;
    const status = releaseStatusOf(ready);
    expect(status).toMatchObject({
      lastAttemptedRevision: versionOf(first),
      lastAttemptedRevisionDigest: first,
      history: [{ chartVersion: versionOf(first), ociDigest: first }],
    });
    expect(status.helmChart).toBeUndefined();
    expect(conditionOf(ready, 'Ready')?.message).toMatch(/with chart app@1\.0\.0\+[0-9a-f]{12}$/);
    const events = await scenario.events(ready);
    expect(events.find(({ reason }) => reason === 'InstallSucceeded')?.annotations).toMatchObject({
      'helm.toolkit.fluxcd.io/oci-digest': first,
      'helm.toolkit.fluxcd.io/revision': versionOf(first),
    });

    const second = await pushChart(`${namespace}/app`, '1.0.0', 'two');
    await requestReconcile(client, source);
    await valueIs(scenario, 'two');
    const upgraded = await scenario.readyIs('True', 'UpgradeSucceeded', 60_000);
    expect(releaseStatusOf(upgraded).lastAttemptedRevisionDigest).toBe(second);
    expect(scenario.history()).toEqual(['1 superseded Install complete', '2 deployed Upgrade complete']);
    expect((await scenario.stored()).chart?.metadata?.version).toBe(versionOf(second));

    await pushChart(`${namespace}/app`, '2.0.0');
    await scenario.patch(source, { spec: { ref: { tag: '2.0.0' } } });
    await scenario.fails('ChartMutateError', 'does not match chart version "1.0.0"');
  });

  test('comes from a HelmChart that is there already, and from no other namespace than is named', async () => {
    const scenario = await createReleaseScenario(client, 'from-chart', chart());
    const { namespace } = scenario;
    await scenario.createRelease({ chart: undefined, chartRef: { kind: 'HelmChart', name: 'own' } });
    await scenario.fails('SourceNotReady', `HelmChart/${namespace}/own is not ready: it does not exist`);
    const sourceRef = { kind: 'GitRepository', name: 'app' };
    await createSource(namespace, 'HelmChart', 'own', { chart: 'charts/app', sourceRef });
    const ready = await installed(scenario);
    expect(releaseStatusOf(ready).helmChart).toBeUndefined();
    expect(releaseStatusOf(ready).lastAttemptedRevisionDigest).toBeUndefined();
    expect(await helmChart(namespace, `${namespace}-app`)).toBeUndefined();
    await scenario.remove();
    expect(await helmChart(namespace, 'own')).toBeDefined();
  });

  test('comes from an ExternalArtifact, and the next one is released as soon as it is written', async () => {
    const scenario = await createReleaseScenario(client, 'from-external', { 'README.md': '' });
    const { namespace } = scenario;
    const source = await client.create({
      apiVersion,
      kind: 'ExternalArtifact',
      metadata: { namespace, name: 'made' },
      spec: {},
    });
    const produce = async (v: string): Promise<string> => {
      const content = await packageChart(chartOf('1.0.0', v), 'app');
      const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
      const path = `/${namespace}/${v}.tgz`;
      served.set(path, content);
      const artifact = {
        ...{ digest, path: path.slice(1), revision: `latest@${digest}`, size: content.length },
        url: `http://127.0.0.1:${(files.address() as AddressInfo).port}${path}`,
        lastUpdateTime: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
      };
      await client.patch(refOf(source), { status: { artifact } }, { type: 'merge', subresource: 'status' });
      return digest;
    };
    await scenario.createRelease({ chart: undefined, chartRef: { kind: 'ExternalArtifact', name: 'made' } });
    await scenario.fails('SourceNotReady', `ExternalArtifact/${namespace}/made is not ready: it has no artifact yet`);
    const first = await produce('one');
    const ready = await installed(scenario);
    expect(releaseStatusOf(ready).lastAttemptedRevision).toBe(`1.0.0+${first.slice(7, 19)}`);
    await produce('two');
    await valueIs(scenario, 'two');
    await scenario.readyIs('True', 'UpgradeSucceeded', 60_000);
    expect(scenario.history()).toEqual(['1 superseded Install complete', '2 deployed Upgrade complete']);
  });

  test('comes from a directory in a Bucket', async () => {
    const scenario = await createReleaseScenario(client, 'from-bucket', { 'README.md': '' });
    const { namespace } = scenario;
    await bucket.createBucket(namespace);
    await bucket.put(namespace, chart());
    await client.create({
      ...{ apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name: 'keys' } },
      stringData: { accesskey: bucket.accessKey, secretkey: bucket.secretKey },
    });
    const source = await createSource(namespace, 'Bucket', 'files', {
      ...{ endpoint: bucket.host, insecure: true, bucketName: namespace, secretRef: { name: 'keys' } },
    });
    await scenario.createRelease({
      chart: { spec: { chart: 'charts/app', sourceRef: { kind: 'Bucket', name: 'files' } } },
    });
    await installed(scenario);
    await bucket.put(namespace, chart({ 'values.yaml': 'v: two\n' }, '1.1.0'));
    await requestReconcile(client, source);
    await valueIs(scenario, 'two');
    const ready = await scenario.readyIs('True', 'UpgradeSucceeded', 60_000);
    expect(releaseStatusOf(ready).lastAttemptedRevision).toBe('1.1.0');
  });

  test('comes from a HelmRepository that is a registry', async () => {
    const scenario = await createReleaseScenario(client, 'from-registry', { 'README.md': '' });
    const { namespace } = scenario;
    await pushChart(`${namespace}/app`, '1.0.0');
    const url = `oci://${registry.host}/${namespace}`;
    await createSource(namespace, 'HelmRepository', 'charts', { type: 'oci', url, insecure: true });
    const sourceRef = { kind: 'HelmRepository', name: 'charts' };
    await scenario.createRelease({ chart: { spec: { chart: 'app', version: '1.x', sourceRef } } });
    const ready = await installed(scenario);
    expect(releaseStatusOf(ready)).toMatchObject({
      lastAttemptedRevision: '1.0.0',
      helmChart: `${namespace}/${namespace}-app`,
    });
    expect(scenario.history()).toEqual(['1 deployed Install complete']);
  });

  test('comes from a HelmRepository in another namespace; its HelmChart follows the spec, and goes with it', async () => {
    repository.add(chartOf('1.0.0'));
    const scenario = await createReleaseScenario(client, 'from-helm', chart({}, '1.5.0'));
    const { namespace } = scenario;
    const shared = await createNamespace(client, 'charts');
    const source = await createSource(shared, 'HelmRepository', 'charts', { url: repository.url });
    const spec = {
      ...{ chart: 'app', version: '>=1.0.0 <2', valuesFiles: ['values.yaml', 'prod.yaml'], interval: '7m' },
      sourceRef: { kind: 'HelmRepository', name: 'charts', namespace: shared },
    };
    await scenario.createRelease({ chart: { metadata: { labels: { team: 'shop' } }, spec } });
    const ready = await installed(scenario);
    const name = `${namespace}-app`;
    expect(releaseStatusOf(ready).helmChart).toBe(`${shared}/${name}`);
    const made = await helmChart(shared, name);
    expect(made?.metadata.labels).toEqual({
      team: 'shop',
      'helm.toolkit.fluxcd.io/name': 'app',
      'helm.toolkit.fluxcd.io/namespace': namespace,
    });
    expect(made?.spec).toMatchObject({ interval: '7m', version: '>=1.0.0 <2' });
    await valueIs(scenario, 'prod');

    repository.add(chartOf('1.1.0'));
    await requestReconcile(client, source);
    const upgraded = await eventually('the new version', async () => {
      const object = await scenario.readyIs('True', 'UpgradeSucceeded', 60_000);
      return releaseStatusOf(object).lastAttemptedRevision?.startsWith('1.1.0') && object;
    });
    expect(releaseStatusOf(upgraded).history?.map(({ version }) => version)).toEqual([2, 1]);

    // To a chart in its own namespace: the old HelmChart goes.
    const own = { chart: 'charts/app', version: null, valuesFiles: null };
    await scenario.change({
      chart: { spec: { ...own, sourceRef: { kind: 'GitRepository', name: 'app', namespace: null } } },
    });
    await eventually('the old chart to go', async () => (await helmChart(shared, name)) === undefined, 60_000);
    await valueIs(scenario, 'one');
    const moved = await scenario.readyIs('True', 'UpgradeSucceeded', 60_000);
    expect(releaseStatusOf(moved)).toMatchObject({ helmChart: `${namespace}/${name}`, lastAttemptedRevision: '1.5.0' });

    // To a chart that somebody else keeps: so does the new one, and the release stays.
    const sourceRef = { kind: 'GitRepository', name: 'app' };
    await createSource(namespace, 'HelmChart', 'kept', { chart: 'charts/app', sourceRef });
    await scenario.change({ chart: null, chartRef: { kind: 'HelmChart', name: 'kept' } });
    await eventually('the chart to go', async () => (await helmChart(namespace, name)) === undefined, 60_000);
    const last = await scenario.readyIs('True', 'UpgradeSucceeded', 60_000);
    expect(releaseStatusOf(last).helmChart).toBeUndefined();
    expect(scenario.history().map((line) => line.slice(0, 12))).toEqual([
      '1 superseded',
      '2 superseded',
      '3 deployed U',
    ]);
  });
});
