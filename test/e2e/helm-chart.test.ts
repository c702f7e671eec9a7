// HelmRepository and HelmChart through the platform: conditions, events, artifacts, and what both CLIs say of them.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { ensureBinaries } from '../../tools/platform/index.ts';
import { chartFiles, startChartRepository, type TestChartRepository } from '../servers/chart-repository.ts';
import { startCli } from './cli-process.ts';
import { conditionOf, connectCluster, eventually, requestReconcile, statusOf } from './harness.ts';
import { createScenario, type Scenario } from './scenario.ts';

let client: KubeClient;
let flux: string;
let server: TestChartRepository;
let scenario: Scenario;

const apiVersion = 'source.toolkit.fluxcd.io/v1';

beforeAll(async () => {
  client = connectCluster();
  ({ flux } = await ensureBinaries(['flux']));
  server = await startChartRepository();
  server.add(chartFiles('web', '1.0.0'));
  const files = Object.entries(chartFiles('local', '0.1.0')).map(([path, text]) => [`charts/local/${path}`, text]);
  scenario = await createScenario(client, 'helm', Object.fromEntries(files));
  await scenario.createSource();
}, 300_000);
afterAll(async () => {
  await client.close();
  await server.close();
});

function create(kind: string, name: string, spec: object): Promise<KubeObject> {
  const { namespace } = scenario;
  return client.create({ apiVersion, kind, metadata: { namespace, name }, spec: { interval: '10m', ...spec } });
}

/** Waits until Ready is True at the present generation, with a revision if one is given. */
async function ready(kind: string, name: string, revision?: string): Promise<KubeObject> {
  return await eventually(`${kind}/${name} to be Ready${revision ? ` at ${revision}` : ''}`, async () => {
    const object = await scenario.find(apiVersion, kind, name);
    const condition = conditionOf(object, 'Ready');
    const { observedGeneration, artifact } = statusOf(object);
    const isThere = condition?.status === 'True' && observedGeneration === object?.metadata.generation;
    if (object && isThere && (revision === undefined || artifact?.revision === revision)) return object;
    throw new Error(JSON.stringify(object?.status ?? 'does not exist'));
  });
}

const sourceRef = { kind: 'HelmRepository', name: 'charts' };
const charts = () => ready('HelmRepository', 'charts');

/** Runs the unmodified flux; its servers are in this process, so that it must not stand still meanwhile. */
async function runFlux(...args: string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(
    flux,
    ['--timeout=30s', `--namespace=${scenario.namespace}`, ...args],
    { encoding: 'utf8', timeout: 45_000, env: { ...process.env, KUBECONFIG: inject('kubeconfig') } },
  );
  return stdout + stderr;
}

async function continuo(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await startCli([...args, '-n', scenario.namespace]).result;
  expect({ args, code, stderr: code === 0 ? '' : stderr + stdout }).toEqual({ args, code: 0, stderr: '' });
  return stdout + stderr;
}

test('a chart waits for its repository and comes as soon as that has an index', async () => {
  const { namespace } = scenario;
  await create('HelmRepository', 'charts', { url: server.url, suspend: true });
  const chart = await create('HelmChart', 'web', { chart: 'web', version: '1.x', sourceRef });
  const find = async () => (await client.get(refOf(chart))) as KubeObject;
  expect(await scenario.refused('NoSourceArtifact', find)).toBe(
    "no artifact available for HelmRepository source 'charts'",
  );
  expect(conditionOf(await find(), 'FetchFailed')).toMatchObject({ status: 'True', reason: 'NoSourceArtifact' });

  await scenario.patch((await scenario.find(apiVersion, 'HelmRepository', 'charts')) as KubeObject, {
    spec: { suspend: false },
  });
  const repository = await charts();
  const { artifact, conditions } = statusOf(repository);
  expect(artifact?.revision).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(conditions?.map(({ type, status, reason, message }) => ({ type, status, reason, message }))).toEqual(
    expect.arrayContaining(
      ['Ready', 'ArtifactInStorage'].map((type) => ({
        type,
        status: 'True',
        reason: 'Succeeded',
        message: `stored artifact: revision '${artifact?.revision}'`,
      })),
    ),
  );
  expect((repository.status as { url?: string }).url).toMatch(
    new RegExp(`/helmrepository/${namespace}/charts/index\\.yaml$`),
  );
  const events = await eventually('the event of the index', async () => {
    const told = await scenario.events(repository);
    return told.length > 0 && told;
  });
  expect(events[0]).toMatchObject({
    type: 'Normal',
    reason: 'NewArtifact',
    message: expect.stringMatching(`^stored fetched index of size .* from '${server.url}'$`) as string,
    annotations: { 'source.toolkit.fluxcd.io/revision': artifact?.revision },
  });

  const made = await ready('HelmChart', 'web', '1.0.0');
  expect(conditionOf(made, 'FetchFailed')).toBeUndefined();
  expect(conditionOf(made, 'Ready')).toMatchObject({
    reason: 'ChartPullSucceeded',
    message: "pulled 'web' chart with version '1.0.0'",
  });
  expect(made.status).toMatchObject({ observedChartName: 'web', observedSourceArtifactRevision: artifact?.revision });
  const { url = '', digest } = statusOf(made).artifact ?? {};
  const body = Buffer.from(await (await fetch(url)).arrayBuffer());
  expect(`sha256:${createHash('sha256').update(body).digest('hex')}`).toBe(digest);
});

test('a new version of a chart arrives with the index that has it', async () => {
  server.add(chartFiles('web', '1.1.0'));
  await requestReconcile(client, await charts());
  const made = await ready('HelmChart', 'web', '1.1.0');
  const events = await eventually('the event of the new chart', async () => {
    const told = await scenario.events(made);
    return told.some(({ message }) => message.includes('1.1.0')) && told;
  });
  expect(events.at(-1)).toMatchObject({
    reason: 'ChartPullSucceeded',
    message: "pulled 'web' chart with version '1.1.0'",
  });
});

test('a chart out of Git is packaged, with values files and the revision in its version', async () => {
  const spec = { chart: './charts/local', sourceRef: { kind: 'GitRepository', name: 'app' } };
  await create('HelmChart', 'local', spec);
  expect(conditionOf(await ready('HelmChart', 'local', '0.1.0'), 'Ready')).toMatchObject({
    reason: 'ChartPackageSucceeded',
    message: "packaged 'local' chart with version '0.1.0'",
  });
  await create('HelmChart', 'each', {
    ...spec,
    reconcileStrategy: 'Revision',
    valuesFiles: ['charts/local/values.yaml', 'prod.yaml'],
  });
  const find = async () => (await scenario.find(apiVersion, 'HelmChart', 'each')) as KubeObject;
  expect(await scenario.refused('ValuesFilesError', find)).toContain("no values file found at path 'prod.yaml'");
  expect(conditionOf(await find(), 'Stalled')).toMatchObject({ status: 'True', reason: 'ValuesFilesError' });
  expect(conditionOf(await find(), 'BuildFailed')).toMatchObject({ status: 'True' });

  const revision = await scenario.push({ 'prod.yaml': 'replicas: 9\n' });
  const version = `0.1.0+${revision.replace('main@sha1:', '').slice(0, 12)}.1`;
  const made = await ready('HelmChart', 'each', version);
  expect(conditionOf(made, 'Ready')?.message).toBe(
    `packaged 'local' chart with version '${version}' and merged values files [charts/local/values.yaml prod.yaml]`,
  );
  expect(conditionOf(made, 'Stalled')).toBeUndefined();
});

test('a HelmRepository of a registry is static, and one that becomes so leaves nothing behind', async () => {
  await create('HelmRepository', 'turning', { url: server.url });
  const before = await ready('HelmRepository', 'turning');
  expect(before.metadata.finalizers).toEqual(['finalizers.fluxcd.io']);
  const { url = '' } = statusOf(before).artifact ?? {};

  await scenario.patch(before, { spec: { type: 'oci', url: 'oci://127.0.0.1:1/charts' } });
  await eventually('finalizer, status and artifact to go', async () => {
    const now = await scenario.find(apiVersion, 'HelmRepository', 'turning');
    const isBare = (now?.metadata.finalizers ?? []).length === 0 && Object.keys(now?.status ?? {}).length === 0;
    return isBare && (await fetch(url)).status === 404;
  });

  await scenario.patch(before, { spec: { type: 'default', url: server.url } });
  expect((await ready('HelmRepository', 'turning')).metadata.finalizers).toEqual(['finalizers.fluxcd.io']);
});

test('the flux CLI lists and reconciles both kinds', async () => {
  expect(await runFlux('get', 'sources', 'helm', 'charts')).toMatch(
    /charts\s+sha256:\w{8}\s+False\s+True\s+stored artifact: revision 'sha256:\w{8}'/,
  );
  expect(await runFlux('get', 'sources', 'chart', 'web')).toMatch(
    /web\s+1\.1\.0\s+False\s+True\s+pulled 'web' chart with version '1\.1\.0'/,
  );
  expect(await runFlux('reconcile', 'source', 'helm', 'charts')).toContain('fetched revision sha256:');
  server.add(chartFiles('web', '1.2.0'));
  expect(await runFlux('reconcile', 'source', 'chart', 'web', '--with-source')).toContain('fetched revision 1.2.0');
});

test('the continuo CLI creates, lists, reconciles and exports both kinds', async () => {
  expect(await continuo('create', 'source', 'helm', 'made', `--url=${server.url}`)).toMatch(
    /HelmRepository\/.*\/made is ready: stored artifact/,
  );
  const created = await continuo(
    'create',
    'source',
    'chart',
    'made',
    '--source=HelmRepository/made',
    '--chart=web',
    '--chart-version=1.0.0',
  );
  expect(created).toContain("is ready: pulled 'web' chart with version '1.0.0'");
  expect(await continuo('get', 'source', 'chart')).toMatch(/made\s+1\.0\.0\s+False\s+True/);
  expect(await continuo('reconcile', 'source', 'chart', 'made', '--with-source')).toContain(
    "pulled 'web' chart with version '1.0.0'",
  );
  expect(await continuo('export', 'source', 'helm', 'made')).toContain(`url: ${server.url}`);
  expect(await continuo('create', 'source', 'helm', 'registry', '--url=oci://127.0.0.1:1/charts')).toContain(
    'nothing to wait for',
  );
  expect(await continuo('get', 'source', 'helm', 'registry')).toMatch(
    /registry\s+-\s+False\s+True\s+Helm repository is Ready/,
  );
  expect(await continuo('reconcile', 'source', 'helm', 'registry')).toContain('there is nothing to reconcile');
});
