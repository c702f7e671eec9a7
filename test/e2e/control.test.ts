// What people do to running objects: suspend, resume, reconcile, delete; by kubectl and by Temporal alike.
import { Client, Connection, WorkflowUpdateFailedError } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import {
  reconcileUpdate,
  resumeSignal,
  type RunRecord,
  statusQuery,
  suspendSignal,
  workflowIdOf,
} from '../../workflows/messages.ts';
import { conditionOf, configMap, connectCluster, eventually, requestReconcile, statusOf } from './harness.ts';
import { appName, createAppliedScenario, type Scenario, service } from './scenario.ts';

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

const files = { 'one.yaml': configMap('one', { v: '1' }), 'svc.yaml': service('svc') };

function valueOf(object: KubeObject | undefined): string | undefined {
  return (object?.data as Record<string, string> | undefined)?.v;
}

/** Waits until the status of an object has recorded a request as handled. */
function untilHandled(look: () => Promise<KubeObject>, request: string): Promise<KubeObject> {
  return eventually(`the request ${request} to be handled`, async () => {
    const object = await look();
    return statusOf(object).lastHandledReconcileAt === request && object;
  });
}

test('a suspended Kustomization leaves the cluster alone, echoes requests, and catches up when resumed', async () => {
  const scenario = await createAppliedScenario(client, 'suspend', files);
  await scenario.patch(await scenario.kustomization(), { spec: { suspend: true } });
  const second = await scenario.push({ 'one.yaml': configMap('one', { v: '2' }) });
  await eventually(
    'the source to have it',
    async () => statusOf(await scenario.source()).artifact?.revision === second,
  );
  const request = await requestReconcile(client, await scenario.kustomization());
  await untilHandled(() => scenario.kustomization(), request);
  await client.delete({ group: '', version: 'v1', kind: 'Service', namespace: scenario.namespace, name: 'svc' });
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(valueOf(await scenario.configMap('one'))).toBe('1');
  expect(await scenario.find('v1', 'Service', 'svc')).toBeUndefined();

  await scenario.patch(await scenario.kustomization(), { spec: { suspend: null } });
  await scenario.applied(second);
  expect(valueOf(await scenario.configMap('one'))).toBe('2');
  expect(await scenario.find('v1', 'Service', 'svc')).toBeDefined();
});

test('a suspended GitRepository fetches nothing until it is resumed', async () => {
  const scenario = await createAppliedScenario(client, 'srcsuspend', files, { source: { interval: '1s' } });
  await scenario.patch(await scenario.source(), { spec: { suspend: true } });
  const second = scenario.commit({ 'one.yaml': configMap('one', { v: '2' }) });
  const request = await requestReconcile(client, await scenario.source());
  const handled = await untilHandled(() => scenario.source(), request);
  expect(statusOf(handled).artifact?.revision).toBe(scenario.first);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(statusOf(await scenario.source()).artifact?.revision).toBe(scenario.first);

  await scenario.patch(await scenario.source(), { spec: { suspend: false } });
  await scenario.applied(second);
  await scenario.patch(await scenario.source(), { spec: { interval: '10m' } }); // for the sake of all other tests
});

test('the Temporal signals suspend and resume set spec.suspend', async () => {
  const scenario = await createAppliedScenario(client, 'signal', files);
  for (const [kind, look] of [
    ['Kustomization', () => scenario.kustomization()],
    ['GitRepository', () => scenario.source()],
  ] as const) {
    const handle = temporal.workflow.getHandle(workflowIdOf({ kind, namespace: scenario.namespace, name: appName }));
    await handle.signal(suspendSignal);
    await eventually(`${kind} to be suspended`, async () => (await look()).spec && isSuspended(await look()));
    await eventually('the query to say so', async () => (await handle.query(statusQuery)).suspended);
    await handle.signal(resumeSignal);
    await eventually(`${kind} to be resumed`, async () => !isSuspended(await look()));
    await eventually(`${kind} to be Ready`, async () => {
      const object = await look();
      const isObserved = statusOf(object).observedGeneration === object.metadata.generation;
      return isObserved && conditionOf(object, 'Ready')?.status === 'True';
    });
  }
});

function isSuspended(object: KubeObject): boolean {
  return (object.spec as { suspend?: boolean }).suspend === true;
}

test('the Temporal update reconcile returns the result, and is refused while suspended', async () => {
  const scenario = await createAppliedScenario(client, 'update', files);
  const idOf = (kind: 'GitRepository' | 'Kustomization'): string =>
    workflowIdOf({ kind, namespace: scenario.namespace, name: appName });
  const second = scenario.commit({ 'one.yaml': configMap('one', { v: '2' }) });

  const fetched = await temporal.workflow.getHandle(idOf('GitRepository')).executeUpdate(reconcileUpdate);
  expect(fetched).toMatchObject({
    outcome: 'Succeeded',
    reason: 'Succeeded',
    message: `stored artifact for revision '${second}'`,
    revision: second,
  });
  await scenario.applied(second);
  const handle = temporal.workflow.getHandle(idOf('Kustomization'));
  const result = await handle.executeUpdate(reconcileUpdate);
  expect(result).toMatchObject({ reason: 'ReconciliationSucceeded', message: `Applied revision: ${second}` });

  await scenario.patch(await scenario.kustomization(), { spec: { suspend: true } });
  await eventually('the workflow to know', async () => (await handle.query(statusQuery)).suspended);
  const refusal = await handle.executeUpdate(reconcileUpdate).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(WorkflowUpdateFailedError);
  expect((refusal as WorkflowUpdateFailedError).cause?.message).toBe(
    `Kustomization "${scenario.namespace}/app" is suspended: resume it first`,
  );
});

test('the update reconcile returns the failure of the reconcile that it asked for', async () => {
  const scenario = await createAppliedScenario(client, 'updfail', files);
  await scenario.push({ 'one.yaml': 'kind: [' });
  await scenario.refused('BuildFailed');
  const handle = temporal.workflow.getHandle(
    workflowIdOf({ kind: 'Kustomization', namespace: scenario.namespace, name: appName }),
  );
  const result = await handle.executeUpdate(reconcileUpdate);
  expect(result).toMatchObject({
    outcome: 'Failed',
    reason: 'BuildFailed',
    message: expect.stringContaining('one.yaml:1'),
  });
});

test('the runs of an object are found by search attributes, and each tells its reconcile', async () => {
  const scenario = await createAppliedScenario(client, 'history', files);
  const second = await scenario.push({ 'one.yaml': configMap('one', { v: '2' }), 'svc.yaml': null });
  await scenario.applied(second);
  const query = `ContinuoKind = 'Kustomization' AND ContinuoNamespace = '${scenario.namespace}' AND ContinuoName = 'app'`;
  const runs = await eventually('two recorded runs', async () => {
    const found: { run: RunRecord; revision: unknown }[] = [];
    for await (const execution of temporal.workflow.list({ query })) {
      const { run } = (execution.memo ?? {}) as { run?: RunRecord };
      const revision = execution.searchAttributes.ContinuoRevision?.[0];
      if (run) found.push({ run, revision });
    }
    const ofRevision = (revision: string) => found.find((one) => one.revision === revision)?.run;
    const [created, changed] = [ofRevision(scenario.first), ofRevision(second)];
    return created && changed && { created, changed };
  });
  expect(runs.created).toMatchObject({
    outcome: 'Succeeded',
    reason: 'ReconciliationSucceeded',
    message: `Applied revision: ${scenario.first}`,
    revision: scenario.first,
    changes: { created: 2 },
    startedAt: expect.stringMatching(/^\d{4}-/),
    durationMs: expect.any(Number),
  });
  expect(runs.changed).toMatchObject({
    trigger: 'revision',
    outcome: 'Succeeded',
    revision: second,
    changes: { configured: 1, deleted: 1 },
    changed: [`ConfigMap/${scenario.namespace}/one configured`, `Service/${scenario.namespace}/svc deleted`],
  });
  const byOutcome = `${query} AND ContinuoOutcome = 'Succeeded' AND ContinuoCluster = 'local'`;
  expect((await temporal.workflow.count(byOutcome)).count).toBeGreaterThan(0);
});

test('deleting a Kustomization takes what it applied with it', async () => {
  const scenario = await createAppliedScenario(client, 'mirror', files);
  await remove(scenario, await scenario.kustomization());
  expect(await scenario.configMap('one')).toBeUndefined();
  expect(await scenario.find('v1', 'Service', 'svc')).toBeUndefined();
});

test.each([
  ['the deletion policy Orphan', { deletionPolicy: 'Orphan' }],
  ['prune: false', { prune: false }],
  ['suspension', { suspend: true }],
])('a Kustomization that is deleted leaves its objects with %s', async (_title, spec) => {
  const scenario = await createAppliedScenario(client, 'orphan', files);
  await scenario.patch(await scenario.kustomization(), { spec });
  await remove(scenario, await scenario.kustomization());
  expect(await scenario.configMap('one')).toBeDefined();
});

test('a Kustomization that waits for termination is gone after its objects', async () => {
  const scenario = await createAppliedScenario(client, 'terminate', files, {
    kustomization: { deletionPolicy: 'WaitForTermination', prune: false },
  });
  const one = (await scenario.configMap('one')) as KubeObject;
  await scenario.patch(one, { metadata: { finalizers: ['example.com/hold'] } });
  await client.delete(refOfKustomization(scenario));
  await eventually(
    'the ConfigMap to be on its way',
    async () => (await scenario.configMap('one'))?.metadata.deletionTimestamp,
  );
  expect((await scenario.kustomization()).metadata.deletionTimestamp).toBeDefined();
  await scenario.patch(one, { metadata: { finalizers: [] } });
  await eventually(
    'the Kustomization to be gone',
    async () => (await client.get(refOfKustomization(scenario))) === undefined,
  );
  expect(await scenario.configMap('one')).toBeUndefined();
});

test('a Kustomization that is created again under its name starts over', async () => {
  const scenario = await createAppliedScenario(client, 'again', files);
  await remove(scenario, await scenario.kustomization());
  await scenario.createKustomization();
  await scenario.applied(scenario.first);
  expect(valueOf(await scenario.configMap('one'))).toBe('1');
});

test('a GitRepository that is deleted takes its artifact with it, and its workflow ends', async () => {
  const scenario = await createAppliedScenario(client, 'srcdelete', files);
  const source = await scenario.source();
  const { url } = statusOf(source).artifact ?? { url: '' };
  await remove(scenario, source);
  expect((await fetch(url)).status).toBe(404);
  const handle = temporal.workflow.getHandle(
    workflowIdOf({ kind: 'GitRepository', namespace: scenario.namespace, name: appName }),
  );
  await eventually('the workflow to end', async () => (await handle.describe()).status.name === 'COMPLETED');
  // What was applied from it stays, and the Kustomization says what it misses.
  await requestReconcile(client, await scenario.kustomization());
  expect(await scenario.refused('ArtifactFailed')).toContain('not found');
  expect(await scenario.configMap('one')).toBeDefined();
});

function refOfKustomization({ namespace }: Scenario) {
  return { group: 'kustomize.toolkit.fluxcd.io', version: 'v1', kind: 'Kustomization', namespace, name: appName };
}

/** Deletes one of our objects and waits until it is gone. */
async function remove({ namespace }: Scenario, { apiVersion, kind, metadata }: KubeObject): Promise<void> {
  const [group = '', version = ''] = apiVersion.split('/');
  const ref = { group, version, kind, namespace, name: metadata.name };
  await client.delete(ref);
  await eventually(`${kind} to be gone`, async () => (await client.get(ref)) === undefined);
}
