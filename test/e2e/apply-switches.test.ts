// How objects are applied, as a person steers it: the switches on an object and in the spec, what others have made or
// changed, and what is told of it.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { type RunRecord, workflowIdOf } from '../../workflows/messages.ts';
import { startCli } from './cli-process.ts';
import { configMap, connectCluster, eventually, requestReconcile, statusOf } from './harness.ts';
import {
  appName,
  createAppliedScenario,
  createScenario,
  deployment,
  inventoryOf,
  manifest,
  newestHistory,
  type Scenario,
  service,
} from './scenario.ts';

let client: KubeClient;
let connection: Connection;
let temporal: Client;
beforeAll(async () => {
  client = connectCluster();
  connection = await Connection.connect({ address: inject('temporalAddress') });
  temporal = new Client({ connection });
});
afterAll(async () => {
  await connection.close();
  await client.close();
});

const prefix = 'kustomize.toolkit.fluxcd.io';

/** A ConfigMap with a switch, as an annotation unless it is said otherwise. */
function switched(name: string, data: object, switches: object, where: 'annotations' | 'labels' = 'annotations') {
  const keys = Object.fromEntries(Object.entries(switches).map(([key, value]) => [`${prefix}/${key}`, value]));
  return manifest('v1', 'ConfigMap', name, { metadata: { [where]: keys }, data });
}

async function dataOf(scenario: Scenario, name: string): Promise<unknown> {
  return (await scenario.configMap(name))?.data;
}

async function live(scenario: Scenario, apiVersion: string, kind: string, name: string): Promise<KubeObject> {
  const found = await scenario.find(apiVersion, kind, name);
  if (!found) throw new Error(`${kind} ${name} does not exist`);
  return found;
}

/** Asks for a reconcile of a Kustomization and waits until it is over. */
async function reconciled(scenario: Scenario, name = appName): Promise<KubeObject> {
  const request = await requestReconcile(client, await scenario.kustomization(name));
  return await eventually('the request to be handled', async () => {
    const object = await scenario.kustomization(name);
    return statusOf(object).lastHandledReconcileAt === request && object;
  });
}

function kubectl(scenario: Scenario, args: string[], input?: string): string {
  const flags = ['--kubeconfig', inject('kubeconfig'), '--namespace', scenario.namespace];
  return execFileSync(join(inject('binDir'), 'kubectl'), [...flags, ...args], { input, encoding: 'utf8' });
}

function managersOf(object: KubeObject): string[] {
  return (object.metadata.managedFields ?? []).map(({ manager, operation }) => `${manager} ${operation}`).sort();
}

/** The lines of all change sets that events have told of a Kustomization. */
async function toldChanges(scenario: Scenario): Promise<string[]> {
  const events = await scenario.events(await scenario.kustomization());
  return events.filter(({ reason }) => reason === 'Progressing').flatMap(({ message }) => message.split('\n'));
}

const subjectOf = ({ namespace }: Scenario, name: string): string => `ConfigMap/${namespace}/${name}`;

test('what cannot be changed is refused with a way out, and recreated where an annotation or spec.force says so', async () => {
  const fixed = (v: string, annotations = {}) =>
    manifest('v1', 'ConfigMap', 'fixed', { metadata: { annotations }, data: { v }, immutable: true });
  const scenario = await createAppliedScenario(client, 'force', { 'cm.yaml': fixed('1') });
  const before = await live(scenario, 'v1', 'ConfigMap', 'fixed');
  await scenario.push({ 'cm.yaml': fixed('2') });
  const message = await scenario.refused('ReconciliationFailed');
  expect(message).toContain(`${subjectOf(scenario, 'fixed')} dry-run failed (Invalid)`);
  expect(message).toContain('set the annotation "kustomize.toolkit.fluxcd.io/force: enabled"');
  expect(await live(scenario, 'v1', 'ConfigMap', 'fixed')).toEqual(before);

  const third = await scenario.push({ 'cm.yaml': fixed('2', { [`${prefix}/force`]: 'enabled' }) });
  const applied = await scenario.applied(third);
  const recreated = await live(scenario, 'v1', 'ConfigMap', 'fixed');
  expect(recreated.metadata.uid).not.toBe(before.metadata.uid);
  expect(recreated.data).toEqual({ v: '2' });
  expect(inventoryOf(applied)).toEqual([`${scenario.namespace}_fixed__ConfigMap v1`]);
  await eventually('the event', async () =>
    (await toldChanges(scenario)).includes(`${subjectOf(scenario, 'fixed')} configured`),
  );

  const fourth = await scenario.push({ 'cm.yaml': fixed('3') });
  await scenario.patch(await scenario.kustomization(), { spec: { force: true } });
  await scenario.applied(fourth);
  const forced = await live(scenario, 'v1', 'ConfigMap', 'fixed');
  expect(forced.metadata.uid).not.toBe(recreated.metadata.uid);
  expect(forced.data).toEqual({ v: '3' });
});

test('objects that are switched off in the source are listed and left alone', async () => {
  const scenario = await createScenario(client, 'switches', {});
  await scenario.createSource();
  await scenario.createKustomization({ wait: true });
  const files = (v: string) => ({
    'ignored.yaml': switched('ignored', { v }, { ssa: 'Ignore' }),
    'disabled.yaml': switched('disabled', { v }, { reconcile: 'disabled' }, 'labels'),
    'once.yaml': switched('once', { v }, { ssa: 'IfNotPresent' }),
    'kept.yaml': switched('kept', { v }, { prune: 'disabled' }, 'labels'),
    'plain.yaml': configMap('plain', { v }),
  });
  const first = await scenario.push(files('1'));
  const applied = await scenario.applied(first);
  const names = ['disabled', 'ignored', 'kept', 'once', 'plain'];
  expect(inventoryOf(applied)).toEqual(names.map((name) => `${scenario.namespace}_${name}__ConfigMap v1`));
  expect(await scenario.configMap('ignored')).toBeUndefined();
  expect(await scenario.configMap('disabled')).toBeUndefined();
  expect(await dataOf(scenario, 'once')).toEqual({ v: '1' });

  const second = await scenario.push(files('2'));
  await scenario.applied(second);
  expect(await dataOf(scenario, 'once')).toEqual({ v: '1' });
  expect(await dataOf(scenario, 'plain')).toEqual({ v: '2' });
  await client.delete(refOf(await live(scenario, 'v1', 'ConfigMap', 'once')));
  await eventually('the object to be created anew', async () => (await scenario.configMap('once')) !== undefined);
  expect(await dataOf(scenario, 'once')).toEqual({ v: '2' });
  // What is left alone is no change.
  await eventually('the events', async () => (await toldChanges(scenario)).some((line) => line.includes('configured')));
  expect((await toldChanges(scenario)).filter((line) => /ignored|disabled|skipped/.test(line))).toEqual([]);

  const third = await scenario.push(Object.fromEntries(Object.keys(files('')).map((path) => [path, null])));
  expect(inventoryOf(await scenario.applied(third))).toEqual([]);
  expect(await dataOf(scenario, 'kept')).toEqual({ v: '2' });
  expect(await scenario.configMap('plain')).toBeUndefined();
  expect(await scenario.configMap('once')).toBeUndefined();
});

test('switches that a person sets on the live object hold until they are taken away', async () => {
  const scenario = await createAppliedScenario(client, 'live', {
    'off.yaml': configMap('off', { v: '1' }),
    'kept.yaml': configMap('kept', { v: '1' }),
    'gone.yaml': configMap('gone', { v: '1' }),
  });
  kubectl(scenario, ['annotate', 'configmap', 'off', `${prefix}/reconcile=disabled`]);
  kubectl(scenario, ['patch', 'configmap', 'off', '--patch', '{"data": {"v": "mine"}}']);
  // Under another manager's name: what kubectl sets is taken back, as it is after any edit by hand.
  kubectl(scenario, ['label', '--field-manager=person', 'configmap', 'kept', `${prefix}/prune=Disabled`]);
  const second = await scenario.push({ 'off.yaml': configMap('off', { v: '2' }), 'gone.yaml': null });
  const applied = await scenario.applied(second);
  expect(await dataOf(scenario, 'off')).toEqual({ v: 'mine' });
  expect(inventoryOf(applied)).toContain(`${scenario.namespace}_off__ConfigMap v1`);
  expect(await scenario.configMap('gone')).toBeUndefined();

  kubectl(scenario, ['annotate', 'configmap', 'off', `${prefix}/reconcile-`]);
  await eventually('the object to be applied again', async () => {
    const { data } = await live(scenario, 'v1', 'ConfigMap', 'off');
    return (data as { v?: string }).v === '2';
  });
  const third = await scenario.push({ 'off.yaml': null, 'kept.yaml': null, 'new.yaml': configMap('new', {}) });
  expect(inventoryOf(await scenario.applied(third))).toEqual([`${scenario.namespace}_new__ConfigMap v1`]);
  expect(await scenario.configMap('off')).toBeUndefined();
  expect(await dataOf(scenario, 'kept')).toEqual({ v: '1' });
});

test('what kubectl has made is adopted, with its field managers; with ssa: Merge its fields stay', async () => {
  const scenario = await createScenario(client, 'adopt', {});
  const byHand = (name: string): string => configMap(name, { v: 'hand', extra: 'x' });
  kubectl(scenario, ['apply', '--filename', '-'], byHand('client'));
  kubectl(scenario, ['apply', '--server-side', '--filename', '-'], byHand('server'));
  kubectl(scenario, ['create', '--filename', '-'], byHand('created'));
  kubectl(scenario, ['apply', '--server-side', '--filename', '-'], byHand('merged'));
  const names = ['client', 'server', 'created'];
  const uids = await Promise.all(names.map(async (name) => (await scenario.configMap(name))?.metadata.uid));
  const first = scenario.commit({
    ...Object.fromEntries(names.map((name) => [`${name}.yaml`, configMap(name, { v: '1' })])),
    'merged.yaml': switched('merged', { v: '1' }, { ssa: 'Merge' }),
  });
  await scenario.createSource();
  await scenario.createKustomization();
  await scenario.applied(first);
  for (const [index, name] of names.entries()) {
    const object = await live(scenario, 'v1', 'ConfigMap', name);
    expect(object.metadata.uid).toBe(uids[index]);
    expect(object.data).toEqual({ v: '1' });
    expect(object.metadata.annotations).toBeUndefined();
    expect(managersOf(object)).toEqual(['kustomize-controller Apply']);
  }
  const merged = await live(scenario, 'v1', 'ConfigMap', 'merged');
  expect(merged.data).toEqual({ v: '1', extra: 'x' });
  expect(managersOf(merged)).toEqual(['kubectl Apply', 'kustomize-controller Apply']);
  const lines = await eventually('the event', async () => {
    const told = await toldChanges(scenario);
    return told.length > 0 && told;
  });
  expect(lines.sort()).toEqual([...names, 'merged'].sort().map((name) => `${subjectOf(scenario, name)} configured`));
});

test('ignored fields belong to whoever sets them, also when the object is applied', async () => {
  const scenario = await createAppliedScenario(
    client,
    'ignore',
    { 'web.yaml': deployment('web'), 'cm.yaml': configMap('settings', { v: '1' }) },
    {
      kustomization: {
        ignore: [
          { paths: ['/spec/replicas'], target: { kind: 'Deployment' } },
          { paths: ['/data/v'], target: { kind: 'ConfigMap', name: 'set.*' } },
        ],
      },
    },
  );
  await scenario.patch(await live(scenario, 'apps/v1', 'Deployment', 'web'), { spec: { replicas: 3 } }, 'autoscaler');
  await scenario.patch(await live(scenario, 'v1', 'ConfigMap', 'settings'), { data: { v: 'theirs' } }, 'operator');
  await reconciled(scenario);
  expect((await live(scenario, 'apps/v1', 'Deployment', 'web')).spec).toMatchObject({ replicas: 3 });
  expect(await dataOf(scenario, 'settings')).toEqual({ v: 'theirs' });

  const second = await scenario.push({
    'web.yaml': deployment('web', { image: 'example/web:2' }),
    'cm.yaml': configMap('settings', { v: '2', other: '2' }),
  });
  await scenario.applied(second);
  expect((await live(scenario, 'apps/v1', 'Deployment', 'web')).spec).toMatchObject({
    replicas: 3,
    template: { spec: { containers: [{ image: 'example/web:2' }] } },
  });
  expect(await dataOf(scenario, 'settings')).toEqual({ v: 'theirs', other: '2' });

  await scenario.patch(await scenario.kustomization(), { spec: { ignore: null } });
  await scenario.applied(second);
  expect((await live(scenario, 'apps/v1', 'Deployment', 'web')).spec).toMatchObject({ replicas: 1 });
  expect(await dataOf(scenario, 'settings')).toEqual({ v: '2', other: '2' });
});

test('what the server stores in another form is no drift', async () => {
  const secret = (stringData: object) => manifest('v1', 'Secret', 'login', { data: { raw: 'YQ==' }, stringData });
  const ports = [
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'dns-tcp', port: 53 },
  ];
  const web = JSON.parse(deployment('web')) as { spec: { template: { spec: { containers: object[] } } } };
  web.spec.template.spec.containers = [
    { name: 'main', image: 'example/web:1', ports: [{ containerPort: 53 }], resources: { limits: { cpu: '1000m' } } },
  ];
  const scenario = await createAppliedScenario(client, 'normal', {
    'secret.yaml': secret({ user: 'jo', password: 'p' }),
    'svc.yaml': manifest('v1', 'Service', 'dns', { spec: { ports, selector: { app: 'web' } } }),
    'web.yaml': JSON.stringify({ ...web, status: { replicas: 5 }, metadata: { name: 'web', creationTimestamp: null } }),
  });
  const look = () =>
    Promise.all([
      live(scenario, 'v1', 'Secret', 'login'),
      live(scenario, 'v1', 'Service', 'dns'),
      live(scenario, 'apps/v1', 'Deployment', 'web'),
    ]);
  const ours = (object: KubeObject) =>
    object.metadata.managedFields?.find(({ manager }) => manager === 'kustomize-controller')?.time;
  const [login, dns] = await look();
  expect(login.data).toEqual({
    raw: 'YQ==',
    user: Buffer.from('jo').toString('base64'),
    password: Buffer.from('p').toString('base64'),
  });
  expect((dns.spec as { ports: object[] }).ports).toHaveLength(2);
  const before = (await look()).map(({ metadata }) => metadata.generation ?? metadata.resourceVersion);
  const times = (await look()).map(ours);
  // A forced look: the memory is not asked.
  await scenario.patch(await scenario.kustomization(), { spec: { force: true } });
  await scenario.applied(scenario.first);
  expect((await look()).map(({ metadata }) => metadata.generation ?? metadata.resourceVersion)).toEqual(before);
  expect((await look()).map(ours)).toEqual(times);
  expect((await toldChanges(scenario)).filter((line) => line.includes('configured'))).toEqual([]);

  const second = await scenario.push({ 'secret.yaml': secret({ user: 'jo' }) });
  await scenario.applied(second);
  expect(Object.keys((await live(scenario, 'v1', 'Secret', 'login')).data as object)).toEqual(['raw', 'user']);
});

test('all that the server refuses is told in one condition and one event, and nothing is written', async () => {
  const scenario = await createAppliedScenario(client, 'refused', { 'one.yaml': configMap('one', { v: '1' }) });
  const { namespace } = scenario;
  await scenario.push({
    'one.yaml': configMap('one', { v: '2' }),
    'two.yaml': configMap('two', {}),
    'svc.yaml': manifest('v1', 'Service', 'svc', { spec: { ports: [{ port: 0 }] } }),
    'web.yaml': manifest('apps/v1', 'Deployment', 'web', { spec: { replicas: 'many' } }),
    'kind.yaml': manifest('example.com/v1', 'Unheard', 'of'),
    'role.yaml': manifest('rbac.authorization.k8s.io/v1', 'RoleBinding', 'rb', {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Nothing', name: 'x' },
    }),
  });
  const message = await scenario.refused('ReconciliationFailed');
  const lines = message.split('\n');
  for (const subject of ['Service', 'Deployment', 'RoleBinding', 'Unheard']) {
    const said = lines.filter((line) => line.startsWith(`${subject}/${namespace}/`));
    expect(said, message).toEqual([expect.stringContaining(' dry-run failed (')]);
  }
  expect(lines).toHaveLength(4);
  expect(message).toContain('install its CustomResourceDefinition first');
  expect(await dataOf(scenario, 'one')).toEqual({ v: '1' });
  expect(await scenario.configMap('two')).toBeUndefined();
  const failed = await scenario.kustomization();
  expect(inventoryOf(failed)).toEqual([`${namespace}_one__ConfigMap v1`]);
  expect(newestHistory(failed)?.lastReconciledStatus).toBe('ReconciliationFailed');
  const warning = await eventually('the warning', async () =>
    (await scenario.events(failed)).find(({ type }) => type === 'Warning'),
  );
  expect(warning).toMatchObject({ reason: 'ReconciliationFailed', message });

  const mended = await scenario.push({ 'svc.yaml': null, 'web.yaml': null, 'kind.yaml': null, 'role.yaml': null });
  await scenario.applied(mended);
  expect(await dataOf(scenario, 'one')).toEqual({ v: '2' });
});

test('the change set is told by an event, by the run and by continuo history', async () => {
  const scenario = await createAppliedScenario(client, 'changes', {
    'same.yaml': configMap('same', {}),
    'edited.yaml': configMap('edited', { v: '1' }),
    'gone.yaml': service('gone'),
  });
  const second = await scenario.push({
    'edited.yaml': configMap('edited', { v: '2' }),
    'added.yaml': configMap('added', {}),
    'gone.yaml': null,
  });
  await scenario.applied(second);
  const changed = [
    `${subjectOf(scenario, 'added')} created`,
    `${subjectOf(scenario, 'edited')} configured`,
    `Service/${scenario.namespace}/gone deleted`,
  ];
  await eventually('the event', async () => {
    const events = await scenario.events(await scenario.kustomization());
    return events.some(({ reason, message }) => reason === 'Progressing' && message === changed.join('\n'));
  });
  const handle = temporal.workflow.getHandle(
    workflowIdOf({ kind: 'Kustomization', namespace: scenario.namespace, name: appName }),
  );
  const counts = { created: 1, configured: 1, deleted: 1, unchanged: 1 };
  await eventually('the record of the run', async () => {
    const run = (await handle.describe()).memo?.run as RunRecord | undefined;
    return run?.revision === second;
  });
  const { memo } = await handle.describe();
  expect(memo?.run).toMatchObject({ trigger: 'revision', outcome: 'Succeeded', changes: counts, changed });

  const target = ['history', 'ks', appName, '--namespace', scenario.namespace];
  const [table, json] = await Promise.all([startCli(target).result, startCli([...target, '--output', 'json']).result]);
  expect(table.stdout.split('\n')[1]).toMatch(/revision\s+Succeeded\s+\S+\s+1 created, 1 configured, 1 deleted/);
  expect(JSON.parse(json.stdout)[0]).toMatchObject({ revision: second, changes: counts, changed });
});
