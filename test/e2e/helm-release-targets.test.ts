// Where a release goes and as whom: accounts, remote clusters, and deletions of which a part is gone already.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, splitApiVersion } from '../../k8s/object.ts';
import { type ApiServer, startApiServer } from '../servers/api-server.ts';
import { conditionOf, connectCluster, createNamespace, eventually } from './harness.ts';
import { chart, createReleaseScenario, releaseStatusOf, type ReleaseScenario } from './release-scenario.ts';

const rbac = 'rbac.authorization.k8s.io';

let client: KubeClient;
let remote: ApiServer;
let remoteKubeconfig: string;

beforeAll(async () => {
  client = connectCluster();
  remote = await startApiServer();
  remoteKubeconfig = join(mkdtempSync(join(inject('dataDir'), 'remote-')), 'kubeconfig');
  writeFileSync(remoteKubeconfig, remote.kubeconfig);
}, 180_000);
afterAll(async () => {
  await remote?.close();
  await client.close();
});

const installed = (scenario: ReleaseScenario) => scenario.readyIs('True', 'InstallSucceeded', 60_000);
const namespaceRef = (name: string) => ({ group: '', version: 'v1', kind: 'Namespace', namespace: '', name });

/** What the deletion of an object has left behind, as its event tells. */
async function leftBehind(scenario: ReleaseScenario, object: KubeObject): Promise<string> {
  return await eventually('the event of what was left', async () => {
    const events = await scenario.events(object);
    return events.find(({ message }) => message.startsWith('nothing was uninstalled'))?.message;
  });
}

/** A release that goes to the remote cluster, in a namespace of the same name; `helm` looks there. */
async function createRemote(prefix: string, spec: object = {}): Promise<ReleaseScenario> {
  const place = { binDir: inject('binDir'), dataDir: inject('dataDir'), kubeconfig: remoteKubeconfig };
  const scenario = await createReleaseScenario(client, prefix, chart(), place);
  const { namespace } = scenario;
  await remote.client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  await client.create({
    ...{ apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name: 'cluster' } },
    stringData: { value: remote.kubeconfig },
  });
  await scenario.createRelease({ kubeConfig: { secretRef: { name: 'cluster' } }, ...spec });
  await installed(scenario);
  return scenario;
}

const configThere = (namespace: string) => ({ ...splitApiVersion('v1'), kind: 'ConfigMap', namespace, name: 'app' });

describe.concurrent('a release', { timeout: 120_000 }, () => {
  test('is made by the account of its spec, which needs the rights; without the account it goes and leaves all', async () => {
    const scenario = await createReleaseScenario(client, 'hr-account', chart());
    const { namespace } = scenario;
    await scenario.createRelease({ serviceAccountName: 'deployer' });
    const missing = `ServiceAccount/${namespace}/deployer, which this object acts as, does not exist`;
    await scenario.fails('RESTClientError', missing);
    const metadata = { namespace, name: 'deployer' };
    await client.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata });
    const forbidden = await eventually('the missing rights to be told', async () => {
      const ready = conditionOf(await scenario.release(), 'Ready');
      return ready?.message.includes('forbidden') && ready.message;
    });
    expect(forbidden).toContain(`system:serviceaccount:${namespace}:deployer`);
    const rules = (resources: string[]) => ({ rules: [{ apiGroups: [''], resources, verbs: ['*'] }] });
    const role = (resources: string[]) => ({ apiVersion: `${rbac}/v1`, kind: 'Role', metadata, ...rules(resources) });
    await client.create(role(['secrets']));
    await client.create({
      ...{ apiVersion: `${rbac}/v1`, kind: 'RoleBinding', metadata },
      roleRef: { apiGroup: rbac, kind: 'Role', name: 'deployer' },
      subjects: [{ kind: 'ServiceAccount', ...metadata }],
    });
    await scenario.fails('InstallFailed', 'configmaps "app" is forbidden');
    await client.apply(role(['secrets', 'configmaps']), { fieldManager: 'test', force: true });
    // Helm looks before it stores anything, so what follows is the first revision.
    await scenario.change({ values: { v: 'two' } });
    await installed(scenario);
    expect(scenario.history()).toEqual(['1 deployed Install complete']);
    expect((await scenario.configMap('app'))?.data).toEqual({ v: 'two' });

    const object = await scenario.release();
    await client.delete({ group: '', version: 'v1', kind: 'ServiceAccount', ...metadata });
    await scenario.remove();
    expect(await leftBehind(scenario, object)).toBe(
      `nothing was uninstalled: ${missing}: create it with the roles that it needs, or correct spec.serviceAccountName`,
    );
    expect(scenario.history()).toEqual(['1 deployed Install complete']);
  });

  test('goes to the cluster of its kubeconfig, is kept right there, and goes from there', async () => {
    const scenario = await createRemote('hr-remote', { driftDetection: { mode: 'enabled' } });
    const { namespace } = scenario;
    const there = configThere(namespace);
    expect((await remote.client.get(there))?.data).toEqual({ v: 'one' });
    expect(await scenario.configMap('app')).toBeUndefined();
    expect(scenario.history()).toEqual(['1 deployed Install complete']);

    await remote.client.patch(there, { data: { v: 'theirs' } }, { type: 'merge', fieldManager: 'someone' });
    await eventually('the value', async () => (await remote.client.get(there))?.data?.['v' as never] === 'one');
    await scenario.change({ values: { v: 'two' } });
    await scenario.readyIs('True', 'UpgradeSucceeded', 60_000);
    expect((await remote.client.get(there))?.data).toEqual({ v: 'two' });
    expect(scenario.history()).toEqual(['1 superseded Install complete', '2 deployed Upgrade complete']);

    await scenario.remove();
    expect(await remote.client.get(there)).toBeUndefined();
    expect(scenario.helm('list', '--short').trim()).toBe('');
  });

  test('goes although its kubeconfig is gone, and says what it left', async () => {
    const scenario = await createRemote('hr-lost');
    const { namespace } = scenario;
    const object = await scenario.release();
    await client.delete({ group: '', version: 'v1', kind: 'Secret', namespace, name: 'cluster' });
    await scenario.remove();
    expect(await leftBehind(scenario, object)).toContain(
      `nothing was uninstalled: Secret/${namespace}/cluster not found`,
    );
    expect(await remote.client.get(configThere(namespace))).toBeDefined();
  });

  test('goes although its target namespace is gone', async () => {
    const scenario = await createReleaseScenario(client, 'hr-target-gone', chart());
    const target = await createNamespace(client, 'hr-going');
    await scenario.createRelease({ targetNamespace: target });
    await installed(scenario);
    await client.delete(namespaceRef(target));
    await eventually(
      'the namespace to be gone',
      async () => (await client.get(namespaceRef(target))) === undefined,
      60_000,
    );
    await scenario.remove();
    expect(scenario.helm('list', '--short').trim()).toBe('');
  });

  test('goes with its namespace', async () => {
    const scenario = await createReleaseScenario(client, 'hr-own-gone', chart());
    const { namespace } = scenario;
    await scenario.createRelease();
    await installed(scenario);
    await client.delete(namespaceRef(namespace));
    await eventually(
      'the namespace to be gone',
      async () => (await client.get(namespaceRef(namespace))) === undefined,
      60_000,
    );
  });

  test('that was stored nowhere goes at once', async () => {
    const scenario = await createReleaseScenario(client, 'hr-nothing', { 'README.md': 'no chart\n' });
    await scenario.createRelease();
    await scenario.fails('SourceNotReady');
    expect(releaseStatusOf(await scenario.release()).storageNamespace).toBeUndefined();
    await scenario.remove();
  });
});

test('a release goes although its cluster does not come back, and says what it left', async () => {
  const scenario = await createRemote('hr-away', { uninstall: { timeout: '2s' } });
  const object = await scenario.release();
  await remote.kill();
  await scenario.remove();
  expect(await leftBehind(scenario, object)).toContain(`nothing was uninstalled: the API server at ${remote.url}`);
  await remote.start();
  expect(await remote.client.get(configThere(scenario.namespace))).toBeDefined();
});
