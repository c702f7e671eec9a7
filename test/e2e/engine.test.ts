// The engine end to end, from a commit to healthy objects: apply, prune, drift, health, conditions, events.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { conditionOf, configMap, connectCluster, eventually, requestReconcile, statusOf } from './harness.ts';
import {
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
beforeAll(() => {
  client = connectCluster();
});
afterAll(() => client.close());

/** Waits until a ConfigMap holds a value. */
function untilValue(scenario: Scenario, name: string, value: string): Promise<KubeObject> {
  return eventually(`ConfigMap ${name} to have v=${value}`, async () => {
    const found = await scenario.configMap(name);
    return (found?.data as Record<string, string> | undefined)?.v === value && found;
  });
}

test('a commit becomes labelled objects, an inventory, conditions, events and history', async () => {
  const scenario = await createScenario(client, 'commit', {});
  const { namespace } = scenario;
  const revision = scenario.commit(
    { 'one.yaml': configMap('one', { v: '1' }), 'svc.yaml': service('svc') },
    'Add the first objects of this long-lived application, with details',
  );
  await scenario.createSource();
  await scenario.createKustomization();
  const applied = await scenario.applied(revision);
  const source = await scenario.source();

  const stored = `stored artifact for revision '${revision}'`;
  expect(conditionOf(source, 'Ready')).toMatchObject({ status: 'True', reason: 'Succeeded', message: stored });
  expect(conditionOf(source, 'ArtifactInStorage')).toMatchObject({
    status: 'True',
    reason: 'Succeeded',
    message: stored,
  });
  expect(statusOf(source).observedGeneration).toBe(1);
  const { artifact } = statusOf(source);
  expect(artifact).toMatchObject({ revision, digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) });
  const tarball = await fetch(artifact?.url ?? '');
  expect(tarball.status).toBe(200);
  expect([...new Uint8Array(await tarball.arrayBuffer()).subarray(0, 2)]).toEqual([0x1f, 0x8b]);

  for (const object of [await scenario.configMap('one'), await scenario.find('v1', 'Service', 'svc')]) {
    expect(object?.metadata.labels).toEqual({
      'kustomize.toolkit.fluxcd.io/name': 'app',
      'kustomize.toolkit.fluxcd.io/namespace': namespace,
    });
    expect(object?.metadata.managedFields?.map((entry) => `${entry.manager} ${entry.operation}`)).toEqual([
      'kustomize-controller Apply',
    ]);
  }
  expect(inventoryOf(applied)).toEqual([`${namespace}_one__ConfigMap v1`, `${namespace}_svc__Service v1`]);
  const status = statusOf(applied);
  expect(status.conditions).toEqual([
    {
      type: 'Ready',
      status: 'True',
      reason: 'ReconciliationSucceeded',
      message: `Applied revision: ${revision}`,
      observedGeneration: 1,
      lastTransitionTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    },
  ]);
  expect(status).toMatchObject({
    observedGeneration: 1,
    lastAttemptedRevision: revision,
    lastAppliedRevision: revision,
  });
  expect(newestHistory(applied)).toMatchObject({
    digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    lastReconciledStatus: 'ReconciliationSucceeded',
    totalReconciliations: 1,
    metadata: { revision },
  });
  expect(applied.metadata.finalizers).toEqual(['finalizers.fluxcd.io']);

  const told = await eventually('both events of the Kustomization', async () => {
    const events = await scenario.events(applied);
    return events.length >= 2 && events;
  });
  const annotations = { 'kustomize.toolkit.fluxcd.io/revision': revision };
  expect(told).toMatchObject([
    {
      type: 'Normal',
      reason: 'Progressing',
      message: `ConfigMap/${namespace}/one created\nService/${namespace}/svc created`,
      annotations,
    },
    {
      type: 'Normal',
      reason: 'ReconciliationSucceeded',
      message: expect.stringMatching(/^Reconciliation finished in [\d.]+m?s, next run in 10m0s$/),
      annotations: { ...annotations, 'kustomize.toolkit.fluxcd.io/commit_status': 'update' },
    },
  ]);
  expect(await scenario.events(source)).toMatchObject([
    {
      type: 'Normal',
      reason: 'NewArtifact',
      message: "stored artifact for commit 'Add the first objects of this long-lived applicati...'",
      annotations: {
        'source.toolkit.fluxcd.io/revision': revision,
        'source.toolkit.fluxcd.io/digest': artifact?.digest,
      },
    },
  ]);
});

test('an edit that is pushed reaches the cluster when the source is asked to look, and counts in the history', async () => {
  const scenario = await createAppliedScenario(client, 'edit', { 'one.yaml': configMap('one', { v: '1' }) });
  const second = await scenario.push({ 'one.yaml': configMap('one', { v: '2' }) });
  await untilValue(scenario, 'one', '2');
  const applied = await scenario.applied(second);
  expect(statusOf(applied).history).toHaveLength(2);

  const third = await scenario.push({ 'one.yaml': configMap('one', { v: '1' }) });
  const restored = await scenario.applied(third);
  expect(statusOf(restored).history).toHaveLength(2);
  expect(newestHistory(restored)).toMatchObject({ totalReconciliations: 2, metadata: { revision: third } });
});

test('a value of requestedAt is echoed by the source and by the Kustomization, and nothing stays Reconciling', async () => {
  const scenario = await createAppliedScenario(client, 'echo', { 'one.yaml': configMap('one', { v: '1' }) });
  for (const look of [scenario.source, scenario.kustomization]) {
    const request = await requestReconcile(client, await look());
    const handled = await eventually(`the echo of ${request}`, async () => {
      const object = await look();
      return statusOf(object).lastHandledReconcileAt === request && object;
    });
    expect(conditionOf(handled, 'Ready')?.status).toBe('True');
    expect(conditionOf(handled, 'Reconciling')).toBeUndefined();
  }
});

test('a file that is removed takes its object with it', async () => {
  const scenario = await createAppliedScenario(client, 'prune', {
    'one.yaml': configMap('one', { v: '1' }),
    'two.yaml': configMap('two', { v: '1' }),
    'kept.yaml': manifest('v1', 'ConfigMap', 'kept', {
      metadata: { annotations: { 'kustomize.toolkit.fluxcd.io/prune': 'disabled' } },
    }),
  });
  const second = await scenario.push({ 'two.yaml': null, 'kept.yaml': null });
  const applied = await scenario.applied(second);

  expect(inventoryOf(applied)).toEqual([`${scenario.namespace}_one__ConfigMap v1`]);
  expect(await scenario.configMap('two')).toBeUndefined();
  expect(await scenario.configMap('kept')).toBeDefined();
  await eventually('the event of the deletion', async () =>
    (await scenario.events(applied)).some(
      ({ reason, message }) =>
        reason === 'Progressing' && message.includes(`ConfigMap/${scenario.namespace}/two deleted`),
    ),
  );
});

test('without prune a removed file leaves its object, and the inventory forgets it', async () => {
  const scenario = await createAppliedScenario(
    client,
    'noprune',
    { 'one.yaml': configMap('one', { v: '1' }), 'two.yaml': configMap('two', { v: '1' }) },
    { kustomization: { prune: false } },
  );
  const second = await scenario.push({ 'two.yaml': null });
  expect(inventoryOf(await scenario.applied(second))).toEqual([`${scenario.namespace}_one__ConfigMap v1`]);
  expect(await scenario.configMap('two')).toBeDefined();
});

test('an applied Service that is deleted comes back', async () => {
  const scenario = await createAppliedScenario(client, 'deleted', { 'svc.yaml': service('svc') });
  const before = await scenario.find('v1', 'Service', 'svc');
  await client.delete({ group: '', version: 'v1', kind: 'Service', namespace: scenario.namespace, name: 'svc' });
  const after = await eventually('the Service to be there again', () => scenario.find('v1', 'Service', 'svc'), 8_000);
  expect(after.metadata.uid).not.toBe(before?.metadata.uid);
  expect(after.metadata.labels?.['kustomize.toolkit.fluxcd.io/name']).toBe('app');
});

test('a foreign edit is reverted, and what others add beside ours stays', async () => {
  const scenario = await createAppliedScenario(client, 'edited', { 'one.yaml': configMap('one', { v: '1' }) });
  const one = await scenario.configMap('one');
  await scenario.patch(one as KubeObject, { data: { v: 'theirs', other: 'x' } }, 'kubectl-patch');
  const restored = await untilValue(scenario, 'one', '1');
  expect((restored.data as Record<string, string>).other).toBeUndefined(); // fields of kubectl are taken over
  await scenario.patch(restored, { data: { other: 'x' } }, 'some-controller');
  await requestReconcile(client, await scenario.kustomization());
  await eventually('the request to be handled', async () => {
    const { metadata, status } = await scenario.kustomization();
    const request = metadata.annotations?.['reconcile.fluxcd.io/requestedAt'];
    return (status as { lastHandledReconcileAt?: string }).lastHandledReconcileAt === request;
  });
  expect((await scenario.configMap('one'))?.data).toEqual({ v: '1', other: 'x' });
});

test('a manager that keeps writing back is named in a condition and an event, and the fight ends', async () => {
  const scenario = await createAppliedScenario(client, 'fight', { 'one.yaml': configMap('one', { v: '1' }) });
  const rival = 'rival-operator';
  let writes = 0;
  const conflict = await eventually('the condition DriftConflict', async () => {
    const one = await scenario.configMap('one');
    if (one && (one.data as Record<string, string>).v !== 'rival') {
      await scenario.patch(one, { data: { v: 'rival' } }, rival);
      writes += 1;
    }
    return conditionOf(await scenario.kustomization(), 'DriftConflict');
  });
  expect(conflict).toMatchObject({ status: 'True', reason: 'FieldManagerConflict' });
  expect(conflict.message).toContain(`ConfigMap/${scenario.namespace}/one`);
  expect(conflict.message).toContain(rival);
  expect(writes).toBeGreaterThan(1);
  expect(writes).toBeLessThan(10);
  await eventually('the warning that names the rival', async () =>
    (await scenario.events(await scenario.kustomization())).some(
      (event) => event.type === 'Warning' && event.reason === 'FieldManagerConflict' && event.message.includes(rival),
    ),
  );

  // From now on the rival's value stays until the next interval: nobody writes any more.
  const settled = await eventually("the rival's value to stay", async () => {
    const one = (await scenario.configMap('one')) as KubeObject;
    if ((one.data as Record<string, string>).v === 'rival') return one;
    await scenario.patch(one, { data: { v: 'rival' } }, rival);
    return undefined;
  });
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const later = await scenario.configMap('one');
  expect(later?.metadata.resourceVersion).toBe(settled.metadata.resourceVersion);
});

test('with wait, Ready comes once the Deployment is ready, and Healthy says so', async () => {
  const scenario = await createAppliedScenario(
    client,
    'wait',
    { 'web.yaml': deployment('web') },
    { kustomization: { wait: true } },
  );
  const web = await scenario.find('apps/v1', 'Deployment', 'web');
  expect(web?.status).toMatchObject({ readyReplicas: 1 });
  const healthy = conditionOf(await scenario.kustomization(), 'Healthy');
  expect(healthy).toMatchObject({ status: 'True', reason: 'Succeeded' });
  expect(healthy?.message).toMatch(/^Health check passed in /);
});

test('an unhealthy Deployment keeps Ready Unknown, fails after the timeout, and heals with a commit', async () => {
  const scenario = await createScenario(client, 'unhealthy', { 'web.yaml': deployment('web', { isUnready: true }) });
  await scenario.createSource();
  await scenario.createKustomization({ wait: true, timeout: '3s', retryInterval: '1m' });
  await eventually('Ready=Unknown and Reconciling=True', async () => {
    const object = await scenario.kustomization();
    const [ready, reconciling] = [conditionOf(object, 'Ready'), conditionOf(object, 'Reconciling')];
    return (
      ready?.status === 'Unknown' &&
      ready.reason === 'Progressing' &&
      reconciling?.status === 'True' &&
      reconciling.reason === 'Progressing' &&
      ready.message.startsWith('Running health checks')
    );
  });
  const message = await scenario.refused('HealthCheckFailed');
  const subject = `Deployment/${scenario.namespace}/web`;
  expect(message).toMatch(/^health check failed after 3(\.\d+)?s: timeout waiting for: \[/);
  expect(message).toContain(`[${subject} status: 'InProgress']`);
  const failed = await scenario.kustomization();
  expect(conditionOf(failed, 'Healthy')).toMatchObject({ status: 'False', reason: 'HealthCheckFailed' });
  expect(conditionOf(failed, 'Reconciling')).toMatchObject({ status: 'True', reason: 'ProgressingWithRetry' });
  expect(inventoryOf(failed)).toEqual([`${scenario.namespace}_web_apps_Deployment v1`]);
  expect(newestHistory(failed)?.lastReconciledStatus).toBe('HealthCheckFailed');
  await eventually('the warning', async () =>
    (await scenario.events(failed)).some((event) => event.type === 'Warning' && event.reason === 'HealthCheckFailed'),
  );

  const healed = await scenario.push({ 'web.yaml': deployment('web') });
  const ready = await scenario.applied(healed);
  expect(conditionOf(ready, 'Healthy')?.status).toBe('True');
  expect(conditionOf(ready, 'Reconciling')).toBeUndefined();
});

test('a newer commit ends the wait for health of an older one', async () => {
  const scenario = await createScenario(client, 'supersede', { 'web.yaml': deployment('web', { isUnready: true }) });
  await scenario.createSource();
  await scenario.createKustomization({ wait: true, timeout: '5m' });
  await eventually('the Deployment', () => scenario.find('apps/v1', 'Deployment', 'web'));
  const second = await scenario.push({ 'web.yaml': deployment('web'), 'one.yaml': configMap('one', { v: '1' }) });
  const applied = await scenario.applied(second);
  expect(inventoryOf(applied)).toEqual([
    `${scenario.namespace}_one__ConfigMap v1`,
    `${scenario.namespace}_web_apps_Deployment v1`,
  ]);
});

test('a pass that finds nothing to do writes nothing', async () => {
  const scenario = await createAppliedScenario(
    client,
    'idle',
    { 'one.yaml': configMap('one', { v: '1' }), 'web.yaml': deployment('web') },
    { source: { interval: '1s' }, kustomization: { interval: '1s', wait: true } },
  );
  const versions = async (): Promise<(string | undefined)[]> =>
    [await scenario.source(), await scenario.kustomization(), await scenario.configMap('one')].map(
      (object) => object?.metadata.resourceVersion,
    );
  const before = await versions();
  await new Promise((resolve) => setTimeout(resolve, 4_000)); // several intervals
  expect(await versions()).toEqual(before);

  const second = scenario.commit({ 'one.yaml': configMap('one', { v: '2' }) });
  await scenario.applied(second); // nobody asked: the interval alone brings it

  // Nor is it to look every second while all other tests run.
  for (const object of [await scenario.source(), await scenario.kustomization()]) {
    await scenario.patch(object, { spec: { interval: '10m' } });
  }
});
