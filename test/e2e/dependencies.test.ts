// dependsOn: the order of a commit, across kinds and namespaces, and of a teardown; told by signals between workflows.
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { refOf } from '../../k8s/object.ts';
import { workflowIdOf } from '../../workflows/messages.ts';
import {
  conditionOf,
  configMap,
  connectCluster,
  createNamespace,
  eventually,
  kustomization,
  statusOf,
} from './harness.ts';
import { createScenario, deployment, type Scenario } from './scenario.ts';

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

/** Each Kustomization has a folder of its name. */
const files = (names: string[], value = '1'): Record<string, string> =>
  Object.fromEntries(names.map((name) => [`${name}/cm.yaml`, configMap(name, { v: value })]));

const dependsOn = (...names: string[]) => ({ dependsOn: names.map((name) => ({ name })) });

function notReady(scenario: Scenario, name: string): Promise<string> {
  return scenario.refused('DependencyNotReady', () => scenario.kustomization(name));
}

test('a chain is applied in its order, with each new revision anew', async () => {
  const names = ['a', 'b', 'c'];
  const scenario = await createScenario(client, 'chain', {});
  const first = scenario.commit({ ...files(names), 'a/web.yaml': deployment('web') });
  await scenario.createSource();
  await scenario.createKustomization({ path: './c', ...dependsOn('b') }, 'c');
  await scenario.createKustomization({ path: './b', ...dependsOn('a') }, 'b');
  await scenario.createKustomization({ path: './a', wait: true }, 'a');
  for (const name of names) await scenario.applied(first, name);

  const second = await scenario.push(files(names, '2'));
  for (const name of names) await scenario.applied(second, name);
  // The API server's clock counts seconds; its resourceVersions tell the order.
  const versions = await Promise.all(
    names.map(async (name) => Number((await scenario.configMap(name))?.metadata.resourceVersion)),
  );
  expect(versions).toEqual([...versions].sort((x, y) => x - y));

  const history = await temporal.workflow
    .getHandle(workflowIdOf({ kind: 'Kustomization', namespace: scenario.namespace, name: 'b' }))
    .fetchHistory();
  const runs = temporal.workflow.list({
    query: `WorkflowId = '${workflowIdOf({ kind: 'Kustomization', namespace: scenario.namespace, name: 'c' })}'`,
  });
  let signals = 0;
  const count = (events: typeof history.events) => {
    for (const event of events ?? []) {
      if (event.workflowExecutionSignaledEventAttributes?.signalName === 'dependencyReady') signals++;
    }
  };
  for await (const { workflowId, runId } of runs) {
    count((await temporal.workflow.getHandle(workflowId, runId).fetchHistory()).events);
  }
  expect(signals).toBeGreaterThan(0);
});

test('one that waits says for what and since when, and goes on as soon as it may', async () => {
  const scenario = await createScenario(client, 'waiting', {});
  const first = scenario.commit({ ...files(['web', 'db']), 'db/bad.yaml': 'kind: [' });
  await scenario.createSource();
  await scenario.createKustomization({ path: './web', ...dependsOn('db') }, 'web');
  const missing = await notReady(scenario, 'web');
  expect(missing).toMatch(/^waiting since \S+Z for dependencies: Kustomization\/\S+\/db does not exist$/);
  expect(await scenario.configMap('web')).toBeUndefined();

  await scenario.createKustomization({ path: './db', retryInterval: '1h' }, 'db');
  const failing = await eventually('the failure of the dependency to be told', async () => {
    const message = await notReady(scenario, 'web');
    return message.includes('is not ready: kustomize build failed') && message;
  });
  expect(failing.slice(0, 40)).toBe(missing.slice(0, 40)); // since the same time
  const event = (await scenario.events(await scenario.kustomization('web'))).find(
    (e) => e.reason === 'DependencyNotReady',
  );
  expect(event?.type).toBe('Normal');

  const second = await scenario.push({ 'db/bad.yaml': null });
  await scenario.applied(second, 'web');
  expect(first).not.toBe(second);
});

test('an expression decides in place of the built-in rule, also of an object of another kind and namespace', async () => {
  const scenario = await createScenario(client, 'readyexpr', {});
  const first = scenario.commit(files(['web']));
  await scenario.createSource();
  const elsewhere = await createNamespace(client, 'readyexpr-other');
  const readyExpr = 'dep.data.phase == "up" && dep.data.for == self.metadata.name';
  const target = { apiVersion: 'v1', kind: 'ConfigMap', namespace: elsewhere, name: 'gate', readyExpr };
  await scenario.createKustomization({ path: './web', retryInterval: '1h', dependsOn: [target] }, 'web');
  expect(await notReady(scenario, 'web')).toMatch(/ConfigMap\/\S+\/gate does not exist/);
  const metadata = { namespace: elsewhere, name: 'gate' };
  await client.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { phase: 'up', for: 'web' } });
  await scenario.applied(first, 'web');

  await scenario.createKustomization({ dependsOn: [{ name: 'web', readyExpr: 'dep.(' }] }, 'broken');
  const message = await scenario.refused('InvalidCELExpression', () => scenario.kustomization('broken'));
  expect(message).toMatch(/terminally.*spec\.dependsOn\[0\]\.readyExpr "dep\.\(" does not compile/);
  expect(conditionOf(await scenario.kustomization('broken'), 'Stalled')?.status).toBe('True');
});

test('an expression over labels is asked again when a label changes, of either one', async () => {
  const scenario = await createScenario(client, 'relabel', {});
  const first = scenario.commit(files(['base', 'web']));
  await scenario.createSource();
  const base = await scenario.createKustomization({ path: './base', interval: '1h' }, 'base');
  const readyExpr = "dep.metadata.labels['schema'] == self.metadata.labels['schema']";
  const spec = { path: './web', interval: '1h', retryInterval: '1h', dependsOn: [{ name: 'base', readyExpr }] };
  const web = await scenario.createKustomization(spec, 'web');
  await eventually('the wait', async () => (await notReady(scenario, 'web')).includes('readyExpr yet'));
  await scenario.patch(base, { metadata: { labels: { schema: '2' } } });
  await scenario.patch(web, { metadata: { labels: { schema: '2' } } });
  await scenario.applied(first, 'web');
});

test('a cycle is told at once and heals when it is broken', async () => {
  const scenario = await createScenario(client, 'cycle', {});
  const first = scenario.commit(files(['a', 'b']));
  await scenario.createSource();
  await scenario.createKustomization({ path: './a', ...dependsOn('b') }, 'a');
  await scenario.createKustomization({ path: './b', ...dependsOn('a') }, 'b');
  const { namespace } = scenario;
  for (const [one, other] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    await eventually(`the cycle to be told by ${one}`, async () => {
      const way = [one, other, one].map((name) => `Kustomization/${namespace}/${name}`).join(' → ');
      return (await notReady(scenario, one)).includes(`dependency cycle: ${way}; `);
    });
  }
  await scenario.patch(await scenario.kustomization('a'), { spec: { dependsOn: null } });
  await scenario.applied(first, 'a');
  await scenario.applied(first, 'b');
});

test('several that are deleted together are torn down in reverse order', async () => {
  const names = ['base', 'mid', 'top'];
  const scenario = await createScenario(client, 'teardown', {});
  const first = scenario.commit(files(names));
  await scenario.createSource();
  await scenario.createKustomization({ path: './base' }, 'base');
  await scenario.createKustomization({ path: './mid', ...dependsOn('base') }, 'mid');
  // What holds up the deletion of one holds up those that it depends on.
  await scenario.createKustomization({ path: './top', ...dependsOn('mid') }, 'top');
  for (const name of names) await scenario.applied(first, name);
  const held = await scenario.kustomization('top');
  await scenario.patch(held, { metadata: { finalizers: ['finalizers.fluxcd.io', 'example.com/hold'] } });

  for (const name of names) await client.delete(refOf(kustomization(scenario.namespace, name, 'app')));
  await eventually('what the top one applied to be gone', async () => !(await scenario.configMap('top')));
  expect(await scenario.configMap('mid')).toBeDefined();
  expect(await scenario.configMap('base')).toBeDefined();
  expect(statusOf(await scenario.kustomization('base')).inventory?.entries).toHaveLength(1);

  await scenario.patch(await scenario.kustomization('top'), { metadata: { finalizers: null } });
  for (const name of ['mid', 'base']) {
    await eventually(`what ${name} applied to be gone`, async () => !(await scenario.configMap(name)));
    await eventually(
      `${name} to be gone`,
      async () => !(await client.get(refOf(kustomization(scenario.namespace, name, 'app')))),
    );
  }
});
