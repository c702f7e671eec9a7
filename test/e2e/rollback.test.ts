// Rollback of a Kustomization: by itself after a failure, and by hand; the bad revision is held.
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { type ReconcileResult, type RunRecord, workflowIdOf } from '../../workflows/messages.ts';
import { startCli } from './cli-process.ts';
import { conditionOf, configMap, connectCluster, eventually, requestReconcile, statusOf } from './harness.ts';
import { appName, createAppliedScenario, deployment, inventoryOf, type Scenario } from './scenario.ts';

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

const good = { 'web.yaml': deployment('web'), 'cm.yaml': configMap('settings', { v: '1' }) };
const bad = {
  'web.yaml': deployment('web', { isUnready: true, image: 'example/web:2' }),
  'cm.yaml': configMap('settings', { v: '2' }),
  'added.yaml': configMap('added', { v: '2' }),
};
const annotations = { 'continuo.dev/rollback': 'enabled' };

async function create(prefix: string): Promise<Scenario & { first: string }> {
  const scenario = await createAppliedScenario(client, prefix, good, { kustomization: { wait: true, timeout: '5s' } });
  await scenario.patch(await scenario.kustomization(), { metadata: { annotations } });
  return scenario;
}

function settingOf(scenario: Scenario, name = 'settings'): Promise<string | undefined> {
  return scenario.configMap(name).then((object) => (object?.data as { v?: string } | undefined)?.v);
}

function remediated(scenario: Scenario): Promise<string> {
  return eventually('the rollback', async () => {
    const condition = conditionOf(await scenario.kustomization(), 'Remediated');
    return condition?.status === 'True' && condition.message;
  });
}

function handleOf({ namespace }: Scenario) {
  return temporal.workflow.getHandle(workflowIdOf({ kind: 'Kustomization', namespace, name: appName }));
}

test('a new revision that does not become healthy is rolled back and held, drift is still corrected', async () => {
  const scenario = await create('rollback');
  const before = inventoryOf(await scenario.kustomization());
  const second = await scenario.push(bad);
  expect(await remediated(scenario)).toBe(
    `rolled back to revision ${scenario.first}; revision ${second} is held until a newer one appears or a reconcile is requested`,
  );
  expect(await settingOf(scenario)).toBe('1');
  expect(await scenario.configMap('added')).toBeUndefined();
  const object = await scenario.kustomization();
  expect(inventoryOf(object)).toEqual(before);
  const ready = conditionOf(object, 'Ready');
  expect(ready).toMatchObject({ status: 'False', reason: 'HealthCheckFailed' });
  expect(ready?.message).toMatch(
    /^rolled back to revision .*What failed: health check failed after .*Deployment\/\S+\/web/,
  );
  expect(conditionOf(object, 'Stalled')?.status).toBe('True');
  expect(statusOf(object)).toMatchObject({ lastAppliedRevision: scenario.first, lastAttemptedRevision: second });
  const told = (await scenario.events(object)).map(({ type, reason }) => `${type} ${reason}`);
  expect(told).toContain('Warning HealthCheckFailed');
  expect(told).toContain('Warning RollbackSucceeded');

  const { memo } = await handleOf(scenario).describe();
  expect(memo?.run as RunRecord).toMatchObject({ outcome: 'RolledBack', reason: 'HealthCheckFailed' });

  await client.delete({ group: '', version: 'v1', kind: 'ConfigMap', namespace: scenario.namespace, name: 'settings' });
  await eventually('the drift to be corrected', async () => (await settingOf(scenario)) === '1');
  expect(conditionOf(await scenario.kustomization(), 'Remediated')?.status).toBe('True');

  const third = await scenario.push({ 'web.yaml': deployment('web', { image: 'example/web:3' }) });
  const healed = await scenario.applied(third);
  expect(await settingOf(scenario)).toBe('2');
  expect(conditionOf(healed, 'Remediated')).toBeUndefined();
  expect(conditionOf(healed, 'Stalled')).toBeUndefined();
});

test('a revision that the API server refuses is held too; a request tries it again', async () => {
  const scenario = await create('refused');
  const second = await scenario.push({
    'cm.yaml': configMap('settings', { v: '2' }),
    'bad.yaml':
      '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "bad"}, "spec": {"ports": [{"port": 0}]}}\n',
  });
  await remediated(scenario);
  const object = await scenario.kustomization();
  expect(conditionOf(object, 'Ready')).toMatchObject({ status: 'False', reason: 'ReconciliationFailed' });
  expect(await settingOf(scenario)).toBe('1');

  const request = await requestReconcile(client, object);
  await eventually('the request to be handled', async () => {
    const now = await scenario.kustomization();
    return statusOf(now).lastHandledReconcileAt === request && conditionOf(now, 'Remediated')?.status === 'True';
  });
  expect(statusOf(await scenario.kustomization()).lastAttemptedRevision).toBe(second);
});

test('without the annotation a bad revision stays and is tried again', async () => {
  const scenario = await createAppliedScenario(client, 'norollback', good, {
    kustomization: { wait: true, timeout: '2s' },
  });
  await scenario.push(bad);
  await scenario.refused('HealthCheckFailed');
  expect(await settingOf(scenario)).toBe('2');
  expect(conditionOf(await scenario.kustomization(), 'Remediated')).toBeUndefined();
});

test('a person goes back to a healthy revision of the history, and it stays until a reconcile is requested', async () => {
  const scenario = await createAppliedScenario(client, 'byhand', good);
  const second = await scenario.push({
    'cm.yaml': configMap('settings', { v: '2' }),
    'two.yaml': configMap('two', {}),
  });
  await scenario.applied(second);
  const target = ['rollback', 'ks/app', '--namespace', scenario.namespace];
  const unknown = await startCli([...target, '--to', '0000000']).result;
  expect(unknown).toMatchObject({ code: 1, stdout: expect.stringContaining('rolling back to 0000000') });
  expect(unknown.stderr).toMatch(/^✗ Kustomization\/\S+\/app cannot be rolled back: "0000000" is no healthy revision/);
  expect(unknown.stderr).toContain(`expected one of ${scenario.first}`);
  expect(await settingOf(scenario)).toBe('2');

  const done = await startCli([...target, '--to', scenario.first.slice(-12)]).result;
  expect(done).toMatchObject({ code: 0, stderr: '' });
  expect(done.stdout).toMatch(/✔ Kustomization\/\S+\/app rolled back to revision main@sha1:[0-9a-f]{8}; revision /);
  expect(await settingOf(scenario)).toBe('1');
  expect(await scenario.configMap('two')).toBeUndefined();
  expect(conditionOf(await scenario.kustomization(), 'Ready')).toMatchObject({
    status: 'True',
    reason: 'RollbackSucceeded',
  });

  await requestReconcile(client, await scenario.kustomization());
  await scenario.applied(second);
  expect(await settingOf(scenario)).toBe('2');

  // The same from Temporal's own tools, where the update may come without input.
  const result = await handleOf(scenario).executeUpdate<ReconcileResult, []>('rollback');
  expect(result).toMatchObject({ outcome: 'RolledBack', reason: 'RollbackSucceeded', revision: scenario.first });
  expect(await settingOf(scenario)).toBe('1');
});
