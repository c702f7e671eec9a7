// Many tenants in one cluster: everything is done as the tenant's account, references stay in their namespace, and
// whoever tries to leave it is told so and changes nothing.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { conditionOf, configMap, createNamespace, eventually, kustomization } from './harness.ts';
import { type OwnPlatform, startOwnPlatform } from './own-platform.ts';
import { chart, createReleaseScenario } from './release-scenario.ts';
import { appName, createScenario, manifest, type Scenario } from './scenario.ts';
import { startWorker, type WorkerProcess } from './worker-process.ts';

const account = 'tenant';
const rbac = 'rbac.authorization.k8s.io';

let own: OwnPlatform;
let worker: WorkerProcess;
beforeAll(async () => {
  own = await startOwnPlatform();
  worker = await startWorker(own.platform, {
    dataDir: mkdtempSync(join(own.platform.dataDir, 'data-')),
    env: { CONTINUO_DEFAULT_SERVICE_ACCOUNT: account, CONTINUO_NO_CROSS_NAMESPACE_REFS: 'true' },
  });
});
afterEach(({ task }) => {
  if (task.result?.state === 'fail') console.error(`the worker said:\n${worker.log().slice(-8_000)}`);
});
afterAll(async () => {
  await worker?.kill();
  await own?.stop();
});

async function createAccount(namespace: string, name = account): Promise<void> {
  await own.client.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name } });
}

/** Gives an account of one namespace rights in this or another one. */
async function allow(from: string, verbs: string[], resources: string[], where = from, name = account): Promise<void> {
  const metadata = { namespace: where, name: `${from}-${name}` };
  const rules = [{ apiGroups: [''], resources, verbs }];
  const options = { fieldManager: 'test', force: true };
  await own.client.apply({ apiVersion: `${rbac}/v1`, kind: 'Role', metadata, rules }, options);
  const roleRef = { apiGroup: rbac, kind: 'Role', name: metadata.name };
  const subjects = [{ kind: 'ServiceAccount', namespace: from, name }];
  await own.client.apply({ apiVersion: `${rbac}/v1`, kind: 'RoleBinding', metadata, roleRef, subjects }, options);
}

/** Lets an account make namespaces, which are applied before all else. */
async function allowNamespaces(from: string): Promise<void> {
  const metadata = { name: from };
  const rules = [{ apiGroups: [''], resources: ['namespaces'], verbs: allVerbs }];
  await own.client.create({ apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata, rules });
  const roleRef = { apiGroup: rbac, kind: 'ClusterRole', name: from };
  const subjects = [{ kind: 'ServiceAccount', namespace: from, name: account }];
  await own.client.create({ apiVersion: `${rbac}/v1`, kind: 'ClusterRoleBinding', metadata, roleRef, subjects });
}

const allVerbs = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'];

async function createTenant(prefix: string, files: Record<string, string>, spec: object = {}) {
  const scenario = await createScenario(own.client, prefix, {});
  const first = scenario.commit(files);
  await scenario.createSource();
  await scenario.createKustomization({ interval: '1h', retryInterval: '2s', ...spec });
  return { ...scenario, first };
}

function inNamespace(namespace: string, name: string): string {
  return manifest('v1', 'ConfigMap', name, { metadata: { namespace }, data: { v: '1' } });
}

/** Waits until Ready says something; gives the whole message. */
function untilTold(scenario: Scenario, text: string, name = appName): Promise<string> {
  return eventually(`Ready to say "${text}"`, async () => {
    const { message = '' } = conditionOf(await scenario.kustomization(name), 'Ready') ?? {};
    if (message.includes(text)) return message;
    throw new Error(message);
  });
}

test('the default account is used; one that is missing, or without rights, is told and heals', async () => {
  const scenario = await createTenant('tenant', { 'one.yaml': configMap('one', { v: '1' }) });
  const { namespace } = scenario;
  expect(await scenario.refused('ReconciliationFailed')).toBe(
    `ServiceAccount/${namespace}/${account}, which this object acts as, does not exist: create it with the roles that it needs, or correct spec.serviceAccountName`,
  );
  await createAccount(namespace);
  const forbidden = await untilTold(scenario, 'forbidden');
  expect(forbidden).toContain(`ConfigMap/${namespace}/one dry-run failed (Forbidden)`);
  expect(forbidden).toContain(`User "system:serviceaccount:${namespace}:${account}" cannot patch`);
  expect(await scenario.configMap('one')).toBeUndefined();
  await allow(namespace, allVerbs, ['configmaps']);
  await scenario.applied(scenario.first);
});

test('an account that its spec names is used instead of the default one', async () => {
  const scenario = await createTenant(
    'named',
    { 'one.yaml': configMap('one', { v: '1' }) },
    { serviceAccountName: 'other' },
  );
  await createAccount(scenario.namespace, 'other');
  await allow(scenario.namespace, allVerbs, ['configmaps'], scenario.namespace, 'other');
  await scenario.applied(scenario.first);
});

test('who leaves the namespace is refused: nothing is applied by halves and nothing is pruned', async () => {
  const scenario = await createTenant('leaving', {}, { targetNamespace: undefined });
  const { namespace } = scenario;
  const elsewhere = await createNamespace(own.client, 'elsewhere');
  await createAccount(namespace);
  await allow(namespace, allVerbs, ['configmaps']);
  const first = await scenario.push({ 'one.yaml': inNamespace(namespace, 'one') });
  await scenario.applied(first);

  const more = `${namespace}-more`;
  await allowNamespaces(namespace);
  await scenario.push({
    'one.yaml': null,
    'two.yaml': inNamespace(namespace, 'two'),
    'foreign.yaml': inNamespace(elsewhere, 'foreign'),
    'namespace.yaml': manifest('v1', 'Namespace', more),
  });
  const message = await untilTold(scenario, `ConfigMap/${elsewhere}/foreign dry-run failed (Forbidden)`);
  expect(message).toContain(`system:serviceaccount:${namespace}:${account}`);
  expect(await scenario.configMap('one')).toBeDefined();
  expect(await scenario.configMap('two')).toBeUndefined();
  expect(await scenario.find('v1', 'Namespace', more)).toBeUndefined();

  const mended = await scenario.push({ 'foreign.yaml': null, 'namespace.yaml': null });
  await scenario.applied(mended);
  expect(await scenario.configMap('one')).toBeUndefined();
  expect(await scenario.configMap('two')).toBeDefined();
});

test('pruning is done as the account too', async () => {
  const scenario = await createTenant('pruning', {
    'one.yaml': configMap('one', {}),
    'two.yaml': configMap('two', {}),
  });
  const { namespace } = scenario;
  await createAccount(namespace);
  await allow(
    namespace,
    allVerbs.filter((verb) => verb !== 'delete'),
    ['configmaps'],
  );
  await scenario.applied(scenario.first);
  const second = await scenario.push({ 'two.yaml': null });
  const message = await scenario.refused('PruneFailed');
  expect(message).toContain(`User "system:serviceaccount:${namespace}:${account}" cannot delete`);
  expect(await scenario.configMap('two')).toBeDefined();
  await allow(namespace, allVerbs, ['configmaps']);
  await scenario.applied(second);
  expect(await scenario.configMap('two')).toBeUndefined();
});

test('a health check looks at other objects as the account', async () => {
  const elsewhere = await createNamespace(own.client, 'elsewhere');
  await own.client.create({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace: elsewhere, name: 'secretive' },
  });
  const check = { apiVersion: 'v1', kind: 'ConfigMap', name: 'secretive', namespace: elsewhere };
  // Listing the object without applying it must not make it readable either.
  const listed = manifest('v1', 'ConfigMap', 'secretive', {
    metadata: { namespace: elsewhere, annotations: { 'kustomize.toolkit.fluxcd.io/reconcile': 'disabled' } },
  });
  const scenario = await createTenant(
    'looking',
    { 'listed.yaml': listed },
    { healthChecks: [check], timeout: '30s', targetNamespace: undefined },
  );
  const { namespace } = scenario;
  await createAccount(namespace);
  await allow(namespace, allVerbs, ['configmaps']);
  const message = await scenario.refused('HealthCheckFailed');
  expect(message).toContain('health cannot be read (Forbidden)');
  expect(message).toContain(`system:serviceaccount:${namespace}:${account}`);
  await allow(namespace, ['get', 'list', 'watch'], ['configmaps'], elsewhere);
  await scenario.applied(scenario.first);
});

test('a source in another namespace is refused for good', async () => {
  const scenario = await createTenant('sharing', { 'one.yaml': configMap('one', {}) });
  const elsewhere = await createNamespace(own.client, 'borrowing');
  const sourceRef = { kind: 'GitRepository', name: appName, namespace: scenario.namespace };
  const borrowing = await own.client.create(kustomization(elsewhere, 'borrowing', appName, { sourceRef }));
  const look = async (): Promise<KubeObject> => (await own.client.get(refOf(borrowing))) as KubeObject;
  expect(await scenario.refused('AccessDenied', look)).toBe(
    `can't access 'GitRepository/${scenario.namespace}/${appName}', cross-namespace references have been blocked`,
  );
  expect(conditionOf(await look(), 'Stalled')?.status).toBe('True');
});

test('a release is made by the default account, and takes no chart of another namespace', async () => {
  const { platform, client } = own;
  const place = { binDir: `${platform.dataDir}/bin`, dataDir: platform.dataDir, kubeconfig: platform.kubeconfigPath };
  const scenario = await createReleaseScenario(client, 'renting', chart(), place);
  const { namespace } = scenario;
  await scenario.createRelease();
  await scenario.fails('RESTClientError', `ServiceAccount/${namespace}/${account}, which this object acts as`);
  await createAccount(namespace);
  await allow(namespace, allVerbs, ['configmaps', 'secrets']);
  await scenario.readyIs('True', 'InstallSucceeded');
  expect(scenario.history()).toEqual(['1 deployed Install complete']);

  const elsewhere = await createNamespace(client, 'lodging');
  const made = `${namespace}-app`;
  const sourceRef = { kind: 'GitRepository', name: appName, namespace };
  const specs = [
    { chartRef: { kind: 'HelmChart', name: made, namespace } },
    { chart: { spec: { chart: 'charts/app', sourceRef } } },
  ];
  for (const [index, spec] of specs.entries()) {
    const release = await client.create({
      apiVersion: 'helm.toolkit.fluxcd.io/v2',
      kind: 'HelmRelease',
      metadata: { namespace: elsewhere, name: `app-${index}` },
      spec: { interval: '10m', ...spec },
    });
    const look = async (): Promise<KubeObject> => (await client.get(refOf(release))) as KubeObject;
    const message = await scenario.refused('AccessDenied', look);
    expect(message).toContain(`can't access 'HelmChart/${namespace}/`);
    expect(conditionOf(await look(), 'Stalled')?.status).toBe('True');
  }
  const refused = `${elsewhere}-app-1`;
  expect(await scenario.find('source.toolkit.fluxcd.io/v1', 'HelmChart', refused)).toBeUndefined();
});

test('a tenant whose namespace is deleted goes, although its account goes first', async () => {
  const scenario = await createTenant('ending', { 'one.yaml': configMap('one', {}) });
  const { namespace } = scenario;
  await createAccount(namespace);
  await allow(namespace, allVerbs, ['configmaps']);
  await scenario.applied(scenario.first);
  const ref = { group: '', version: 'v1', kind: 'Namespace', namespace: '', name: namespace };
  await own.client.delete(ref);
  await eventually('the namespace to be gone', async () => (await own.client.get(ref)) === undefined, 40_000);
});
