// Kustomizations with `spec.kubeConfig`: another API server is applied to, watched, waited for and cleaned up, and may go
// away for a while.
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { readFileSync } from 'node:fs';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, splitApiVersion } from '../../k8s/object.ts';
import { type ApiServer, startApiServer } from '../servers/api-server.ts';
import { conditionOf, configMap, connectCluster, eventually, requestReconcile, statusOf } from './harness.ts';
import { appName, createScenario, deployment, inventoryOf, type Scenario } from './scenario.ts';

const secretName = 'cluster';
const kubeConfig = { secretRef: { name: secretName } };

let home: KubeClient;
let remote: ApiServer;
beforeAll(async () => {
  home = connectCluster();
  remote = await startApiServer();
});
afterAll(async () => {
  await remote?.close();
  await home.close();
});

/** A namespace in both clusters, and what is looked at in the remote one. */
async function createRemoteScenario(prefix: string, files: Record<string, string>) {
  const scenario = await createScenario(home, prefix, {});
  const { namespace } = scenario;
  await remote.client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  const first = scenario.commit(files);
  await scenario.createSource();
  return {
    ...scenario,
    first,
    findThere: (kind: string, name: string, apiVersion = 'v1') =>
      remote.client.get({ ...splitApiVersion(apiVersion), kind, namespace, name }),
    /** Puts a kubeconfig into the Secret, which is watched. */
    store: (kubeconfig: string, key = 'value') =>
      home.apply(
        {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { namespace, name: secretName, labels: { 'reconcile.fluxcd.io/watch': 'Enabled' } },
          stringData: { [key]: kubeconfig },
        },
        { fieldManager: 'test', force: true },
      ),
    /** Makes the Kustomization; by itself it would look again only after a long time. */
    create: (spec: object = {}) =>
      scenario.createKustomization({ kubeConfig, interval: '1h', retryInterval: '1h', ...spec }),
  };
}

type RemoteScenario = Awaited<ReturnType<typeof createRemoteScenario>>;

async function createAppliedThere(prefix: string, files: Record<string, string>, spec: object = {}) {
  const scenario = await createRemoteScenario(prefix, files);
  await scenario.store(remote.kubeconfig);
  await scenario.create(spec);
  await scenario.applied(scenario.first);
  return scenario;
}

async function untilGone(scenario: Scenario): Promise<void> {
  await eventually('the Kustomization to be gone', async () => {
    const found = await scenario.find('kustomize.toolkit.fluxcd.io/v1', 'Kustomization', appName);
    return found === undefined;
  });
}

async function removeKustomization(scenario: RemoteScenario): Promise<KubeObject> {
  const object = await scenario.kustomization();
  const { namespace } = scenario;
  await home.delete({ ...splitApiVersion(object.apiVersion), kind: object.kind, namespace, name: appName });
  return object;
}

/** The message of the event that tells what a deletion left behind. */
async function leftBehind(scenario: RemoteScenario, object: KubeObject): Promise<string> {
  return await eventually('the event of what was left', async () => {
    const events = await scenario.events(object);
    return events.find(({ reason }) => reason === 'PruneFailed')?.message;
  });
}

test('applies to the cluster of its kubeconfig, puts drift right there, prunes and deletes there', async () => {
  const scenario = await createAppliedThere('remote', {
    'one.yaml': configMap('one', { v: '1' }),
    'two.yaml': configMap('two', { v: '1' }),
  });
  const { namespace, findThere } = scenario;
  expect((await findThere('ConfigMap', 'one'))?.data).toEqual({ v: '1' });
  expect(await scenario.configMap('one')).toBeUndefined();
  expect(inventoryOf(await scenario.kustomization())).toHaveLength(2);

  const one = { group: '', version: 'v1', kind: 'ConfigMap', namespace, name: 'one' };
  await remote.client.patch(one, { data: { v: 'other' } }, { type: 'merge', fieldManager: 'somebody' });
  await eventually('the foreign value to be put right', async () => {
    return ((await findThere('ConfigMap', 'one'))?.data as { v?: string } | undefined)?.v === '1';
  });
  await remote.client.delete(one);
  await eventually('the deleted object to be back', () => findThere('ConfigMap', 'one'));

  const second = await scenario.push({ 'two.yaml': null });
  await scenario.applied(second);
  expect(await findThere('ConfigMap', 'two')).toBeUndefined();

  await removeKustomization(scenario);
  await untilGone(scenario);
  expect(await findThere('ConfigMap', 'one')).toBeUndefined();
});

test('waits for health there', async () => {
  const scenario = await createRemoteScenario('remote-health', { 'web.yaml': deployment('web') });
  await scenario.store(remote.kubeconfig, 'value.yaml');
  await scenario.create({ wait: true, timeout: '1m' });
  const web = await eventually('the Deployment', () => scenario.findThere('Deployment', 'web', 'apps/v1'));
  await eventually('the wait to be told', async () => {
    const ready = conditionOf(await scenario.kustomization(), 'Ready');
    return ready?.status === 'Unknown' && ready.message.includes('health checks');
  });
  // No controller runs there: the test is the controller.
  const conditions = [{ type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable', message: '' }];
  const counts = { replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 };
  await remote.client.patch(
    { group: 'apps', version: 'v1', kind: 'Deployment', namespace: scenario.namespace, name: 'web' },
    { status: { observedGeneration: web.metadata.generation, ...counts, conditions } },
    { type: 'merge', subresource: 'status' },
  );
  const applied = await scenario.applied(scenario.first);
  expect(conditionOf(applied, 'Healthy')?.status).toBe('True');
});

test('acts as the account of its spec there, and heals once the account has its rights', async () => {
  const scenario = await createRemoteScenario('remote-account', { 'one.yaml': configMap('one', { v: '1' }) });
  const { namespace } = scenario;
  await scenario.store(remote.kubeconfig);
  await scenario.create({ serviceAccountName: 'deployer', retryInterval: '2s' });
  const missing = await scenario.refused('ReconciliationFailed');
  expect(missing).toContain(`ServiceAccount/${namespace}/deployer, which this object acts as, does not exist`);

  const metadata = { namespace, name: 'deployer' };
  await remote.client.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata });
  const forbidden = await eventually('the missing rights to be told', async () => {
    const { message = '' } = conditionOf(await scenario.kustomization(), 'Ready') ?? {};
    return message.includes('forbidden') && message;
  });
  expect(forbidden).toContain(`system:serviceaccount:${namespace}:deployer`);
  await remote.client.create({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', ...metadata }],
  });
  await scenario.applied(scenario.first);
});

test('a kubeconfig that is missing, not allowed or unknown is told, and heals at once with the Secret', async () => {
  const scenario = await createRemoteScenario('remote-bad', { 'one.yaml': configMap('one', { v: '1' }) });
  const { namespace } = scenario;
  const subject = `Secret/${namespace}/${secretName}`;
  await scenario.create();
  expect(await scenario.refused('ReconciliationFailed')).toBe(
    `${subject} not found: create it, or correct spec.kubeConfig.secretRef`,
  );
  const withUser = (user: object): string => {
    const config = JSON.parse(remote.kubeconfig);
    config.users[0].user = user;
    return JSON.stringify(config);
  };
  const untilTold = (text: string) =>
    eventually(`the condition to say ${text}`, async () =>
      conditionOf(await scenario.kustomization(), 'Ready')?.message.includes(text),
    );
  await scenario.store('no kubeconfig', 'other');
  await untilTold(`${subject} has no kubeconfig under "value" or "value.yaml"`);
  await scenario.store(withUser({ exec: { apiVersion: 'client.authentication.k8s.io/v1', command: '/bin/true' } }));
  await untilTold('uses "exec", a program to be run, which this installation does not allow');
  await scenario.store(withUser({ tokenFile: '/var/run/secrets/kubernetes.io/serviceaccount/token' }));
  await untilTold('names a file in "tokenFile"');
  await scenario.store(withUser({ token: 'wrong' }));
  await untilTold(`${remote.url} refused the credentials`);
  expect(JSON.stringify((await scenario.kustomization()).status)).not.toContain('wrong');
  await scenario.store(remote.kubeconfig);
  await scenario.applied(scenario.first);
});

test('a token of an account logs in where a ConfigMap says so', async () => {
  // The home cluster trusts its own tokens: it is the remote cluster here.
  const scenario = await createScenario(home, 'remote-token', {});
  const { namespace } = scenario;
  const first = scenario.commit({ 'one.yaml': configMap('one', { v: '1' }) });
  await scenario.createSource();
  const { cluster } = JSON.parse(readFileSync(inject('kubeconfig'), 'utf8')).clusters[0];
  const settings = (provider: string): KubeObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace, name: 'cluster', labels: { 'reconcile.fluxcd.io/watch': 'Enabled' } },
    data: {
      provider,
      address: cluster.server,
      'ca.crt': Buffer.from(cluster['certificate-authority-data'], 'base64').toString(),
      audiences: 'https://kubernetes.default.svc',
      serviceAccountName: 'deployer',
    },
  });
  const metadata = { namespace, name: 'deployer' };
  await home.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata });
  await home.create({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
    subjects: [{ kind: 'ServiceAccount', ...metadata }],
  });
  await home.create(settings('aws'));
  await scenario.createKustomization({
    kubeConfig: { configMapRef: { name: 'cluster' } },
    interval: '1h',
    retryInterval: '1h',
  });
  expect(await scenario.refused('ReconciliationFailed')).toContain('provider "aws" is not supported: use "generic"');
  await home.apply(settings('generic'), { fieldManager: 'test', force: true });
  await scenario.applied(first);
  const applied = await scenario.configMap('one');
  expect(applied?.metadata.managedFields?.map(({ manager }) => manager)).toContain('kustomize-controller');
});

test('a server that is away fails those who apply to it alone, and they heal when it is back', async () => {
  const scenario = await createAppliedThere('remote-away', { 'one.yaml': configMap('one', { v: '1' }) });
  const leaving = await createAppliedThere(
    'remote-leaving',
    { 'one.yaml': configMap('one', { v: '1' }) },
    {
      timeout: '3s',
    },
  );
  const near = await createScenario(home, 'near', {});
  const nearFirst = near.commit({ 'one.yaml': configMap('one', { v: '1' }) });
  await remote.kill();

  const second = await scenario.push({ 'one.yaml': configMap('one', { v: '2' }) });
  const message = await scenario.refused('ReconciliationFailed');
  expect(message).toContain(`the API server at ${remote.url} did not answer`);
  await near.createSource();
  await near.createKustomization();
  await near.applied(nearFirst);

  const left = await removeKustomization(leaving);
  await untilGone(leaving);
  expect(await leftBehind(leaving, left)).toContain(`nothing was deleted: the API server at ${remote.url}`);

  await remote.start();
  await scenario.applied(second, appName, 45_000);
  expect((await scenario.findThere('ConfigMap', 'one'))?.data).toEqual({ v: '2' });
  expect(await leaving.findThere('ConfigMap', 'one')).toBeDefined();
  // What happened meanwhile is seen again as it happens.
  const one = { group: '', version: 'v1', kind: 'ConfigMap', namespace: scenario.namespace, name: 'one' };
  await remote.client.delete(one);
  await eventually('the deleted object to be back', () => scenario.findThere('ConfigMap', 'one'));
});

test('a server that hangs holds up nobody else, however many apply to it', async () => {
  const scenario = await createRemoteScenario('remote-hangs', { 'one.yaml': configMap('one', { v: '1' }) });
  await scenario.store(remote.kubeconfig);
  const near = await createScenario(home, 'near', {});
  const nearFirst = near.commit({ 'one.yaml': configMap('one', { v: '1' }) });
  // More than there are slots for stages that work.
  const names = Array.from({ length: 25 }, (_, index) => `app-${index}`);
  remote.freeze(true);
  try {
    await Promise.all(
      names.map((name) =>
        scenario.createKustomization({ kubeConfig, interval: '1h', retryInterval: '1h', namePrefix: `${name}-` }, name),
      ),
    );
    await near.createSource();
    await near.createKustomization();
    await near.applied(nearFirst);
    for (const name of names) await scenario.refused('ReconciliationFailed', () => scenario.kustomization(name));
  } finally {
    remote.freeze(false);
  }
  for (const name of names) await scenario.applied(scenario.first, name, 45_000);
});

test('goes when it is deleted although its kubeconfig is gone, and says what it left', async () => {
  const scenario = await createAppliedThere('remote-gone', { 'one.yaml': configMap('one', { v: '1' }) });
  const { namespace } = scenario;
  await home.delete({ group: '', version: 'v1', kind: 'Secret', namespace, name: secretName });
  await scenario.refused('ReconciliationFailed');
  const left = await removeKustomization(scenario);
  await untilGone(scenario);
  expect(await leftBehind(scenario, left)).toContain(
    `nothing was deleted: Secret/${namespace}/${secretName} not found`,
  );
  expect(await scenario.findThere('ConfigMap', 'one')).toBeDefined();
});

test('objects of the same owner and name in the home cluster are none of its business', async () => {
  const scenario = await createAppliedThere('remote-twin', { 'one.yaml': configMap('one', { v: '1' }) });
  const { namespace } = scenario;
  const labels = (await scenario.findThere('ConfigMap', 'one'))?.metadata.labels;
  const twin = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name: 'one', labels }, data: { v: 'x' } };
  await home.create(twin);
  const before = statusOf(await scenario.kustomization()).history;
  const request = await requestReconcile(home, await scenario.kustomization());
  await eventually('the request to be handled', async () => {
    return statusOf(await scenario.kustomization()).lastHandledReconcileAt === request;
  });
  expect(statusOf(await scenario.kustomization()).history?.length).toBe(before?.length);
  expect((await scenario.configMap('one'))?.data).toEqual({ v: 'x' });
  await removeKustomization(scenario);
  await untilGone(scenario);
  expect((await scenario.configMap('one'))?.data).toEqual({ v: 'x' });
});
