// How objects are applied where the installation has options of its own: stages, and field managers that lose theirs.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { KubeObject } from '../../k8s/object.ts';
import { configMap, eventually } from './harness.ts';
import { type OwnPlatform, startOwnPlatform } from './own-platform.ts';
import { createAppliedScenario, createScenario, inventoryOf, manifest, type Scenario } from './scenario.ts';
import { startWorker, type WorkerProcess } from './worker-process.ts';

const group = 'stages.example.com';

let own: OwnPlatform;
let worker: WorkerProcess;
beforeAll(async () => {
  own = await startOwnPlatform();
  worker = await startWorker(own.platform, {
    dataDir: mkdtempSync(join(own.platform.dataDir, 'data-')),
    env: {
      CONTINUO_CUSTOM_APPLY_STAGE_KINDS: `Secret, ${group}/Early`,
      CONTINUO_OVERRIDE_MANAGERS: 'old-controller',
    },
  });
});
afterEach(({ task }) => {
  if (task.result?.state === 'fail') console.error(`the worker said:\n${worker.log().slice(-8_000)}`);
});
afterAll(async () => {
  await worker?.kill();
  await own?.stop();
});

async function find(scenario: Scenario, apiVersion: string, kind: string, name: string): Promise<KubeObject> {
  return await eventually(`${kind} ${name}`, () => scenario.find(apiVersion, kind, name));
}

test('kinds of a custom stage are applied before all ordinary ones, and deleted after them', async () => {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  const definition = manifest('apiextensions.k8s.io/v1', 'CustomResourceDefinition', `earlies.${group}`, {
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind: 'Early', plural: 'earlies' },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  });
  const scenario = await createScenario(own.client, 'stages', {});
  const first = scenario.commit({
    'crd.yaml': definition,
    'early.yaml': manifest(`${group}/v1`, 'Early', 'early'),
    'secret.yaml': manifest('v1', 'Secret', 'secret', { stringData: { a: 'b' } }),
    'cm.yaml': configMap('cm', {}),
    'account.yaml': manifest('v1', 'ServiceAccount', 'account'),
  });
  await scenario.createSource();
  await scenario.createKustomization();
  const applied = await scenario.applied(first);
  expect(inventoryOf(applied)).toHaveLength(5);
  const lines = await eventually('the event', async () =>
    (await scenario.events(applied)).find(({ reason }) => reason === 'Progressing')?.message.split('\n'),
  );
  const { namespace } = scenario;
  expect(lines).toEqual([
    `CustomResourceDefinition/earlies.${group} created`,
    `Secret/${namespace}/secret created`,
    `Early/${namespace}/early created`,
    `ServiceAccount/${namespace}/account created`,
    `ConfigMap/${namespace}/cm created`,
  ]);
  // The order of the lines is the order of the writes.
  const written = await Promise.all([
    find(scenario, 'v1', 'Secret', 'secret'),
    find(scenario, `${group}/v1`, 'Early', 'early'),
    find(scenario, 'v1', 'ServiceAccount', 'account'),
    find(scenario, 'v1', 'ConfigMap', 'cm'),
  ]);
  const versions = written.map(({ metadata }) => Number(metadata.resourceVersion));
  expect(versions).toEqual([...versions].sort((x, y) => x - y));

  const second = await scenario.push({ 'secret.yaml': null, 'account.yaml': null });
  const pruned = await scenario.applied(second);
  await eventually('the event of the deletion', async () =>
    (await scenario.events(pruned)).some(
      ({ message }) => message === `ServiceAccount/${namespace}/account deleted\nSecret/${namespace}/secret deleted`,
    ),
  );
});

test('what a manager has set that is to be overridden goes; what others have set stays', async () => {
  const scenario = await createAppliedScenario(own.client, 'override', { 'cm.yaml': configMap('cm', { v: '1' }) });
  const cm = await find(scenario, 'v1', 'ConfigMap', 'cm');
  await scenario.patch(cm, { data: { theirs: 'x' } }, 'some-controller');
  await scenario.patch(cm, { data: { stale: 'x' } }, 'old-controller');
  const cleaned = await eventually('the field to be taken away', async () => {
    const { data, metadata } = await find(scenario, 'v1', 'ConfigMap', 'cm');
    return !('stale' in (data as object)) && { data, managers: metadata.managedFields?.map(({ manager }) => manager) };
  });
  expect(cleaned.data).toEqual({ v: '1', theirs: 'x' });
  expect(cleaned.managers?.sort()).toEqual(['kustomize-controller', 'some-controller']);
});
