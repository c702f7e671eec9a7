// Two Kustomizations with the same object in their sources: one has it, the other one says so, and it stays that way
// until one of them lets go.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { conditionOf, configMap, connectCluster, eventually, requestReconcile, statusOf } from './harness.ts';
import { createScenario, inventoryOf, type Scenario } from './scenario.ts';

let client: KubeClient;
beforeAll(() => {
  client = connectCluster();
});
afterAll(() => client.close());

/** Kustomizations `a` and `b`, of a folder each; both are applied. */
async function createPair(prefix: string, files: Record<string, string>): Promise<Scenario & { first: string }> {
  const scenario = await createScenario(client, prefix, {});
  const first = scenario.commit({ 'a/own.yaml': configMap('a', {}), 'b/own.yaml': configMap('b', {}), ...files });
  await scenario.createSource();
  await scenario.createKustomization({ path: './a', wait: true }, 'a');
  await scenario.applied(first, 'a');
  await scenario.createKustomization({ path: './b', wait: true }, 'b');
  await scenario.applied(first, 'b');
  return { ...scenario, first };
}

const file = (owner: string) => ({ [`${owner}/shared.yaml`]: configMap('shared', { from: owner }) });
const without = (owner: string) => ({ [`${owner}/shared.yaml`]: null });
const idOf = ({ namespace }: Scenario): string => `${namespace}_shared__ConfigMap v1`;

/** Waits until a Kustomization has the object as its source wants it. */
function untilHeldBy(scenario: Scenario, owner: string): Promise<KubeObject> {
  return eventually(`${owner} to have the object`, async () => {
    const found = await scenario.configMap('shared');
    const label = found?.metadata.labels?.['kustomize.toolkit.fluxcd.io/name'];
    return label === owner && (found?.data as { from?: string } | undefined)?.from === owner && found;
  });
}

function untilConflict(scenario: Scenario, owner: string): Promise<string> {
  return eventually(`${owner} to tell the conflict`, async () => {
    const object = await scenario.kustomization(owner);
    const conflict = conditionOf(object, 'OwnerConflict');
    return conflict?.status === 'True' && conditionOf(object, 'Ready')?.status === 'True' && conflict.message;
  });
}

function untilPeace(scenario: Scenario, owner: string): Promise<boolean> {
  return eventually(
    `${owner} to have no conflict`,
    async () => conditionOf(await scenario.kustomization(owner), 'OwnerConflict') === undefined,
  );
}

async function reconciled(scenario: Scenario, name: string): Promise<void> {
  const request = await requestReconcile(client, await scenario.kustomization(name));
  await eventually(
    'the request to be handled',
    async () => statusOf(await scenario.kustomization(name)).lastHandledReconcileAt === request,
  );
}

test('the last one to claim an object has it, the other one tells, nobody fights, and either may let go', async () => {
  const scenario = await createPair('claims', { ...file('a'), ...file('b') });
  const { namespace } = scenario;
  const taken = await untilHeldBy(scenario, 'b');
  const message = await untilConflict(scenario, 'a');
  expect(message).toBe(
    `not applied, as another Kustomization has it in its source too: ConfigMap/${namespace}/shared (Kustomization/${namespace}/b); remove each object from one of the two`,
  );
  expect(conditionOf(await scenario.kustomization('b'), 'OwnerConflict')).toBeUndefined();
  for (const owner of ['a', 'b']) expect(inventoryOf(await scenario.kustomization(owner))).toContain(idOf(scenario));
  for (const owner of ['a', 'b', 'a']) await reconciled(scenario, owner);
  expect(await scenario.configMap('shared')).toEqual(taken);
  const warnings = async (owner: string) =>
    (await scenario.events(await scenario.kustomization(owner))).filter(({ reason }) => reason === 'OwnerConflict');
  await eventually('both events', async () => (await warnings('a')).length > 0 && (await warnings('b')).length > 0);
  expect(await warnings('a')).toMatchObject([{ type: 'Warning', message, count: 1 }]);
  expect(await warnings('b')).toMatchObject([{ type: 'Warning', count: 1 }]);

  const second = await scenario.push(without('b'));
  const handed = await untilHeldBy(scenario, 'a');
  expect(handed.metadata.uid).toBe(taken.metadata.uid);
  await untilPeace(scenario, 'a');
  expect(inventoryOf(await scenario.applied(second, 'b'))).not.toContain(idOf(scenario));

  await scenario.push(file('b'));
  await untilHeldBy(scenario, 'b');
  await untilConflict(scenario, 'a');
  await scenario.push(without('a'));
  await untilPeace(scenario, 'a');
  const kept = await untilHeldBy(scenario, 'b');
  expect(kept.metadata.uid).toBe(taken.metadata.uid);
});

test('what a deleted Kustomization had goes to the other one that wants it', async () => {
  const scenario = await createPair('heir', { ...file('a'), ...file('b') });
  const taken = await untilHeldBy(scenario, 'b');
  await untilConflict(scenario, 'a');
  const b = await scenario.kustomization('b');
  await client.delete(refOf(b));
  const handed = await untilHeldBy(scenario, 'a');
  expect(handed.metadata.uid).toBe(taken.metadata.uid);
  await untilPeace(scenario, 'a');
  await eventually('b to be gone', async () => (await client.get(refOf(b))) === undefined);
  expect(await scenario.configMap('b')).toBeUndefined();
});

test('two that claim an object at the same moment settle it', async () => {
  const scenario = await createScenario(client, 'race', {});
  const first = scenario.commit({ ...file('a'), ...file('b') });
  await scenario.createSource();
  const create = (name: string) => scenario.createKustomization({ path: `./${name}` }, name);
  await Promise.all([create('a'), create('b')]);
  await Promise.all([scenario.applied(first, 'a'), scenario.applied(first, 'b')]);
  const look = async () => {
    const conflicts = await Promise.all(
      ['a', 'b'].map(async (name) => conditionOf(await scenario.kustomization(name), 'OwnerConflict')?.status),
    );
    return [...conflicts, (await scenario.configMap('shared'))?.metadata.resourceVersion];
  };
  const settled = await eventually('one of them to give way', async () => {
    const seen = await look();
    return seen.slice(0, 2).filter((status) => status === 'True').length === 1 && seen;
  });
  await sleep(2_000);
  expect(await look()).toEqual(settled);
});

test('an object that moves from one source to another in a commit is there, and nobody fights for it', async () => {
  const scenario = await createPair('move', file('a'));
  await untilHeldBy(scenario, 'a');
  const second = await scenario.push({ ...without('a'), ...file('b') });
  for (const name of ['a', 'b']) await scenario.applied(second, name);
  await untilHeldBy(scenario, 'b');
  await untilPeace(scenario, 'a');
  expect(inventoryOf(await scenario.kustomization('a'))).not.toContain(idOf(scenario));
  expect(inventoryOf(await scenario.kustomization('b'))).toContain(idOf(scenario));
});
