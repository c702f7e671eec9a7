// Waiting for health end to end: what says of itself that it is well, in Flux's kinds and others, and what does not.
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { type RunRecord, workflowIdOf } from '../../workflows/messages.ts';
import { conditionOf, configMap, connectCluster, eventually, requestReconcile, statusOf } from './harness.ts';
import {
  appName,
  createAppliedScenario,
  createScenario,
  deployment,
  inventoryOf,
  manifest,
  type Scenario,
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

/** Waits until a Kustomization says that it waits for health, as it does while that takes longer than a moment. */
async function untilWaiting(scenario: Scenario, name = appName): Promise<KubeObject> {
  return await eventually(`Kustomization ${name} to wait for health`, async () => {
    const object = await scenario.kustomization(name);
    const ready = conditionOf(object, 'Ready');
    const isWaiting = ready?.status === 'Unknown' && ready.message.startsWith('Running health checks for revision ');
    return isWaiting && conditionOf(object, 'Reconciling')?.status === 'True' && object;
  });
}

/** Writes a status as a controller would. */
async function setStatus(scenario: Scenario, apiVersion: string, kind: string, name: string, status: object) {
  const object = await eventually(`${kind} ${name}`, () => scenario.find(apiVersion, kind, name));
  const body = { status: { observedGeneration: object.metadata.generation, ...status } };
  await client.patch(refOf(object), body, { type: 'merge', subresource: 'status', fieldManager: 'its-controller' });
}

function condition(type: string, status: string, reason: string, message = ''): object {
  return { type, status, reason, message, lastTransitionTime: '2026-01-01T00:00:00Z' };
}

/** The records of all runs of a Kustomization, newest first. */
async function runsOf({ namespace }: Scenario): Promise<RunRecord[]> {
  const query = `WorkflowId = '${workflowIdOf({ kind: 'Kustomization', namespace, name: appName })}'`;
  const runs: RunRecord[] = [];
  for await (const { memo } of temporal.workflow.list({ query })) if (memo?.run) runs.push(memo.run as RunRecord);
  return runs;
}

test('a custom resource is as healthy as the expressions for it say', async () => {
  const scenario = await createScenario(client, 'cel', {});
  const group = `${scenario.namespace}.example.com`;
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  const definition = manifest('apiextensions.k8s.io/v1', 'CustomResourceDefinition', `gadgets.${group}`, {
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind: 'Gadget', plural: 'gadgets' },
      versions: [{ name: 'v1', served: true, storage: true, subresources: { status: {} }, schema }],
    },
  });
  const files = { 'crd.yaml': definition, 'one.yaml': manifest(`${group}/v1`, 'Gadget', 'one', { spec: { size: 1 } }) };
  const expressions = {
    apiVersion: `${group}/v1`,
    kind: 'Gadget',
    inProgress: "status.phase == 'Starting'",
    failed: "status.phase in ['Broken', 'Lost']",
    current: "status.phase == 'Up' && status.size == spec.size",
  };
  const phase = (name: string, size = 1) => setStatus(scenario, `${group}/v1`, 'Gadget', 'one', { phase: name, size });
  const first = scenario.commit(files);
  await scenario.createSource();
  await scenario.createKustomization({
    wait: true,
    timeout: '5m',
    retryInterval: '1s',
    healthCheckExprs: [{ ...expressions, current: 'status.phase ==' }],
  });
  const refusal = await scenario.refused('InvalidCELExpression');
  expect(refusal).toMatch(/terminally.*spec\.healthCheckExprs\[0\]\.current "status\.phase ==" does not compile/);
  expect(conditionOf(await scenario.kustomization(), 'Stalled')?.status).toBe('True');
  expect(await scenario.find('v1', 'ConfigMap', 'one')).toBeUndefined();

  await scenario.patch(await scenario.kustomization(), { spec: { healthCheckExprs: [expressions] } });
  await untilWaiting(scenario);
  await phase('Starting');
  await untilWaiting(scenario);
  await phase('Broken');
  const subject = `Gadget/${scenario.namespace}/one`;
  const message = await scenario.refused('HealthCheckFailed');
  expect(message).toMatch(/^health check failed after \S+: failed early due to stalled resources: \[/);
  expect(message).toContain(`[${subject} status: 'Failed']; ${subject} its failed expression holds`);
  const failed = await scenario.kustomization();
  expect(conditionOf(failed, 'Healthy')).toMatchObject({ status: 'False', reason: 'HealthCheckFailed', message });
  expect(conditionOf(failed, 'Reconciling')).toMatchObject({ status: 'True', reason: 'ProgressingWithRetry' });
  expect(inventoryOf(failed)).toEqual([
    `_gadgets.${group}_apiextensions.k8s.io_CustomResourceDefinition v1`,
    `${scenario.namespace}_one_${group}_Gadget v1`,
  ]);
  await eventually('the warning', async () =>
    (await scenario.events(failed)).some(({ type, reason }) => type === 'Warning' && reason === 'HealthCheckFailed'),
  );

  await phase('Up');
  const applied = await scenario.applied(first);
  expect(conditionOf(applied, 'Healthy')).toMatchObject({ status: 'True', reason: 'Succeeded' });

  // An older status says nothing of a newer spec.
  const second = await scenario.push({ 'one.yaml': manifest(`${group}/v1`, 'Gadget', 'one', { spec: { size: 2 } }) });
  await untilWaiting(scenario);
  await phase('Up', 2);
  await scenario.applied(second);
});

function job(name: string, command: string, ttlSecondsAfterFinished?: number): string {
  const containers = [{ name: 'main', image: 'example/job:1', command: ['sh', '-c', command] }];
  const template = { spec: { restartPolicy: 'Never', containers } };
  return manifest('batch/v1', 'Job', name, { spec: { backoffLimit: 0, ttlSecondsAfterFinished, template } });
}

test('a Job has to complete; one that cleans itself up is done and is not run again by that', async () => {
  const scenario = await createAppliedScenario(
    client,
    'job',
    { 'swept.yaml': job('swept', 'true', 0), 'kept.yaml': job('kept', 'true') },
    { kustomization: { wait: true, timeout: '5m', retryInterval: '1m' } },
  );
  const kept = await scenario.find('batch/v1', 'Job', 'kept');
  expect(kept?.status).toMatchObject({ succeeded: 1 });
  const isSwept = async () => (await scenario.find('batch/v1', 'Job', 'swept')) === undefined;
  await eventually('the Job to be cleaned up', isSwept);
  await sleep(2_000); // it would be back by now
  expect(await isSwept()).toBe(true);
  const quiet = await scenario.kustomization();
  expect(conditionOf(quiet, 'Ready')?.status).toBe('True');

  // As in Flux, a reconcile that looks at everything runs it again.
  await requestReconcile(client, quiet);
  await eventually('the Job to have run again', async () => {
    const events = await scenario.events(await scenario.kustomization());
    const line = `Job/${scenario.namespace}/swept created`;
    return events.filter(({ message }) => message.split('\n').includes(line)).length === 2;
  });
  await scenario.applied(scenario.first);

  const second = await scenario.push({ 'failing.yaml': job('failing', 'exit 1') });
  const message = await scenario.refused('HealthCheckFailed');
  expect(message).toContain(`failed early due to stalled resources: [Job/${scenario.namespace}/failing`);
  expect(statusOf(await scenario.kustomization())).toMatchObject({ lastAttemptedRevision: second });
  await scenario.applied(await scenario.push({ 'failing.yaml': null }));
});

test('a Kustomization waits for those that it applies, and fails with one that is stalled', async () => {
  const scenario = await createScenario(client, 'nested', {});
  const child = (spec: object) =>
    manifest('kustomize.toolkit.fluxcd.io/v1', 'Kustomization', 'child', {
      spec: {
        interval: '10m',
        retryInterval: '1s',
        prune: true,
        path: './child',
        targetNamespace: scenario.namespace,
        sourceRef: { kind: 'GitRepository', name: appName },
        ...spec,
      },
    });
  const gated = {
    healthChecks: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'gate', namespace: scenario.namespace }],
  };
  const first = scenario.commit({ 'parent/child.yaml': child(gated), 'child/cm.yaml': configMap('inner', { v: '1' }) });
  await scenario.createSource();
  await scenario.createKustomization({ path: './parent', wait: true, timeout: '5m', retryInterval: '1s' });
  await untilWaiting(scenario, 'child');
  await untilWaiting(scenario);
  expect(await scenario.configMap('inner')).toBeDefined();
  await client.create(JSON.parse(manifest('v1', 'ConfigMap', 'gate', { metadata: { namespace: scenario.namespace } })));
  const parent = await scenario.applied(first);
  expect(conditionOf(parent, 'Healthy')?.status).toBe('True');
  expect(inventoryOf(parent)).toEqual([`${scenario.namespace}_child_kustomize.toolkit.fluxcd.io_Kustomization v1`]);
  expect(inventoryOf(await scenario.applied(first, 'child'))).toEqual([`${scenario.namespace}_inner__ConfigMap v1`]);

  const stalled = { healthCheckExprs: [{ apiVersion: 'v1', kind: 'ConfigMap', current: 'data.' }], wait: true };
  await scenario.push({ 'parent/child.yaml': child(stalled) });
  const message = await scenario.refused('HealthCheckFailed');
  expect(message).toContain(
    `failed early due to stalled resources: [Kustomization/${scenario.namespace}/child status: 'Failed']`,
  );
  expect(message).toContain('does not compile');
  const third = await scenario.push({ 'parent/child.yaml': child({}) });
  await scenario.applied(third);
  await scenario.applied(third, 'child');

  await client.delete(refOf(await scenario.kustomization()));
  await eventually('all to be gone', async () => !(await scenario.configMap('inner')));
});

test('HelmReleases and sources are waited for by what their controllers say of them', async () => {
  const scenario = await createScenario(client, 'helm', {});
  const version = 'helm.toolkit.fluxcd.io/v2';
  const chartRef = { kind: 'OCIRepository', name: 'absent' };
  // Suspended, so that only this test writes its status.
  const release = manifest(version, 'HelmRelease', 'web', { spec: { interval: '10m', chartRef, suspend: true } });
  const first = scenario.commit({ 'apps/release.yaml': release, 'gate/cm.yaml': configMap('after', {}) });
  const { namespace } = scenario;
  await scenario.createSource();
  const spec = { timeout: '5m', retryInterval: '1s' };
  await scenario.createKustomization({ ...spec, path: './apps', wait: true });
  const healthChecks = [
    { kind: 'HelmRelease', name: 'web', namespace },
    { kind: 'Kustomization', name: appName, namespace },
    { kind: 'GitRepository', name: appName, namespace, apiVersion: 'source.toolkit.fluxcd.io/v1' },
  ];
  await scenario.createKustomization({ ...spec, path: './gate', healthChecks }, 'gate');
  await untilWaiting(scenario);
  await untilWaiting(scenario, 'gate');

  const installing = [condition('Reconciling', 'True', 'Progressing'), condition('Ready', 'Unknown', 'Progressing')];
  await setStatus(scenario, version, 'HelmRelease', 'web', { conditions: installing });
  await untilWaiting(scenario);
  const failing = [
    condition('Stalled', 'True', 'RetriesExceeded', 'failed to install after 1 attempt(s)'),
    condition('Ready', 'False', 'InstallFailed', 'the install timed out'),
  ];
  await setStatus(scenario, version, 'HelmRelease', 'web', { conditions: failing });
  for (const name of [appName, 'gate']) {
    const message = await scenario.refused('HealthCheckFailed', () => scenario.kustomization(name));
    expect(message).toContain(`failed early due to stalled resources: [HelmRelease/${namespace}/web status: 'Failed'`);
    expect(message).toContain('failed to install after 1 attempt(s)');
  }
  const installed = [condition('Ready', 'True', 'InstallSucceeded', 'installed web.v1')];
  await setStatus(scenario, version, 'HelmRelease', 'web', { conditions: installed });
  await scenario.applied(first);
  await scenario.applied(first, 'gate');
});

test('a newer revision ends a wait at once, and so does a newer spec; the run says so', async () => {
  const scenario = await createScenario(client, 'newer', {});
  const first = scenario.commit({
    'web.yaml': deployment('web', { isUnready: true }),
    'old.yaml': configMap('old', {}),
  });
  await scenario.createSource();
  await scenario.createKustomization({ wait: true, timeout: '10m' });
  await untilWaiting(scenario);
  const second = await scenario.push({ 'old.yaml': null, 'new.yaml': configMap('new', {}) });
  await eventually('the newer revision to be applied', async () => {
    const object = await scenario.kustomization();
    return conditionOf(object, 'Ready')?.message === `Running health checks for revision ${second}`;
  });
  expect(await scenario.configMap('new')).toBeDefined();
  expect(await scenario.configMap('old')).toBeUndefined();
  await scenario.patch(await scenario.kustomization(), { spec: { wait: false } });
  const applied = await scenario.applied(second);
  expect(inventoryOf(applied)).toEqual([
    `${scenario.namespace}_new__ConfigMap v1`,
    `${scenario.namespace}_web_apps_Deployment v1`,
  ]);
  expect(conditionOf(applied, 'Healthy')).toBeUndefined();
  expect(conditionOf(applied, 'Reconciling')).toBeUndefined();

  const runs = await eventually('the records of all runs', async () => {
    const found = await runsOf(scenario);
    return found.filter(({ outcome }) => outcome === 'Superseded').length === 2 && found;
  });
  const superseded = runs.filter(({ outcome }) => outcome === 'Superseded');
  expect(superseded.map(({ revision, reason }) => [revision, reason])).toEqual([
    [second, 'HealthCheckCanceled'],
    [first, 'HealthCheckCanceled'],
  ]);
});

test('what never becomes healthy keeps nobody else from it', async () => {
  const sick = await createScenario(client, 'sick', {});
  sick.commit({ 'cm.yaml': configMap('cm', {}) });
  await sick.createSource();
  const names = Array.from({ length: 50 }, (_, index) => `sick-${index}`);
  const never = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'never', namespace: sick.namespace }];
  for (const name of names) {
    await sick.createKustomization({ namePrefix: `${name}-`, healthChecks: never, timeout: '1h' }, name);
  }
  for (const name of names) await untilWaiting(sick, name);

  const well = await createAppliedScenario(
    client,
    'well',
    { 'web.yaml': deployment('web') },
    { kustomization: { wait: true } },
  );
  const second = await well.push({ 'web.yaml': deployment('web', { image: 'example/web:2' }) });
  await well.applied(second);
  for (const name of names) await untilWaiting(sick, name);
});
