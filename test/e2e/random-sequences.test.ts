// Random sequences of commits, edits, deletions, suspensions, changes of specs, kills of the worker and outages of the API
// server: whatever happened, the cluster ends as the last good commit has it, with an inventory of what is there.
// To repeat a run, or to hunt: CONTINUO_TEST_SEED=<seed>[,<seed>…]|random [CONTINUO_TEST_STEPS=<count>] vitest run --project faults random-sequences
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { KubeApiError } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import type { ComponentName } from '../../tools/platform/components.ts';
import { type ApiGate, startApiGate } from './api-gate.ts';
import { createNamespace, eventually, requestReconcile } from './harness.ts';
import { brokenWorkflows, isGone, type OwnPlatform, startOwnPlatform } from './own-platform.ts';
import { createScenario, type Scenario } from './scenario.ts';
import {
  appliedObjects,
  editOf,
  filesOf,
  kustomizationOf,
  type Looks,
  type Namespaces,
  placeOf,
  seenLooks,
  valuesName,
  wantedLooks,
} from './sequence-cluster.ts';
import {
  type Action,
  type Commit,
  type Expected,
  expectedOf,
  healingActions,
  type KustomizationName,
  kustomizationNames,
  type Random,
  randomOf,
  randomStep,
  spoilingCommit,
  startingWorld,
  type World,
  worldAfter,
} from './sequence-model.ts';
import { startWorker, type WorkerProcess } from './worker-process.ts';

const givenSeed = process.env.CONTINUO_TEST_SEED;
/** The fixed ones have found something once. A fresh one belongs to a hunt, not to what every change has to pass. */
const seeds =
  givenSeed === 'random' ? [Math.floor(Math.random() * 1_000_000)] : (givenSeed ?? '20,774680').split(',').map(Number);
const stepCount = Number(process.env.CONTINUO_TEST_STEPS ?? 10);
const patience = 300_000 + stepCount * 10_000;
const settleMs = 120_000;
/** What is settled is still so when everything has had its turn once more. */
const stillMs = 3_000;

let own: OwnPlatform;
let gate: ApiGate;
let dataDir: string;
let worker: WorkerProcess;
let scenario: Scenario;
let namespaces: Namespaces;
/** What is in the repository. */
let files: Record<string, string>;
let revision: string;
let world: World;
const told: string[] = [];

beforeAll(async () => {
  own = await startOwnPlatform();
  gate = await startApiGate(own.platform);
  dataDir = mkdtempSync(join(own.platform.dataDir, 'data-'));
  worker = await start();
});

afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail') return;
  console.error(`${told.join('\n')}\nthe last worker said:\n${worker.log().slice(-40_000)}`);
  for (const name of kustomizationNames) {
    const object = await scenario.kustomization(name).catch((error: unknown) => ({ status: String(error) }));
    console.error(
      name,
      JSON.stringify(object, (key, value) => (key === 'managedFields' ? undefined : value)),
    );
  }
});

afterAll(async () => {
  await worker?.kill();
  await gate?.close();
  await own?.stop();
});

function start(): Promise<WorkerProcess> {
  return startWorker(own.platform, { dataDir, kubeconfig: gate.kubeconfig, artifactAddress: '127.0.0.1:9' });
}

test.each(seeds)(
  'seed %i: whatever happens, the cluster ends as the last good commit has it, and the inventory lists it',
  async (seed) => {
    console.info(`CONTINUO_TEST_SEED=${seed} CONTINUO_TEST_STEPS=${stepCount}`);
    const random = randomOf(seed);
    await begin(random);
    for (let number = 1; number <= stepCount; number++) {
      const { pauseMs, ...action } = randomStep(random, world);
      await act(action, `${number}`);
      await sleep(pauseMs);
    }
    for (const action of healingActions(world)) await act(action, 'heal');
    await expectSettled(expectedNow());

    const good = world;
    await act({ do: 'commit', ...spoilingCommit(random, world) }, 'spoil');
    const spoiled = expectedNow(good);
    await expectSettled(spoiled);
    await disturb(random, spoiled);
    await expectSettled(spoiled);

    for (const action of healingActions(world)) await act(action, 'heal');
    await expectSettled(expectedNow());
    await expectTornDown();
    expect(await brokenWorkflows(own.platform)).toEqual([]);
    expect(worker.isAlive()).toBe(true);
  },
  patience,
);

async function begin(random: Random): Promise<void> {
  told.length = 0;
  world = startingWorld(random);
  scenario = await createScenario(own.client, 'sequence', {});
  namespaces = { own: scenario.namespace, other: await createNamespace(own.client, 'sequence-other') };
  files = {};
  await commit({ repository: world.repository, isAnnounced: false, says: '' });
  await setValues(world.value);
  await scenario.createSource({ interval: '3s' });
  for (const name of kustomizationNames) await create(name);
}

function create(name: KustomizationName): Promise<KubeObject> {
  return own.client.create(kustomizationOf(name, world.kustomizations[name], namespaces));
}

async function act(action: Action, when: string): Promise<void> {
  const { repository: _, ...shown } = action as Action & Partial<Commit>;
  told.push(
    `${new Date().toISOString()} ${when} ${JSON.stringify(shown, (key, value) => (key === 'repository' ? undefined : value))}`,
  );
  world = worldAfter(world, action);
  await perform(action);
}

async function perform(action: Action): Promise<void> {
  const { client } = own;
  switch (action.do) {
    case 'commit':
      return await commit(action);
    case 'edit':
    case 'delete': {
      const objects = await appliedObjects(client, namespaces);
      const object = objects[Math.floor(action.pick * objects.length)];
      if (object) await meddle(object, action.do === 'delete' ? 'delete' : action.how);
      return;
    }
    case 'suspend':
    case 'resume':
      return await patchSpec(action.name, { suspend: action.do === 'suspend' });
    case 'request':
      await requestReconcile(client, await scenario.kustomization(action.name));
      return;
    case 'spec':
      return await patchSpec(action.name, placeOf(action.name, world.kustomizations[action.name], namespaces));
    case 'replace': {
      const object = await scenario.kustomization(action.name);
      await client.delete(refOf(object));
      await eventually(`${action.name} to be gone`, () => isGone(client, object), settleMs);
      await create(action.name);
      return;
    }
    case 'values':
      return await setValues(action.value);
    case 'kill':
      return await kill(action.during);
    case 'start':
      worker = await start();
      return;
    case 'outage':
      return await outage(action);
  }
}

async function commit(wanted: Commit): Promise<void> {
  const next = filesOf(wanted.repository);
  const gone = Object.keys(files).filter((path) => !(path in next));
  revision = scenario.commit({ ...Object.fromEntries(gone.map((path) => [path, null])), ...next });
  files = next;
  if (wanted.isAnnounced) await requestReconcile(own.client, await scenario.source());
}

async function patchSpec(name: KustomizationName, spec: object): Promise<void> {
  await scenario.patch(await scenario.kustomization(name), { spec });
}

async function setValues(value: string | undefined): Promise<void> {
  const ref = { group: '', version: 'v1', kind: 'ConfigMap', namespace: namespaces.own, name: valuesName };
  const { client } = own;
  if (value === undefined) await client.delete(ref);
  else if (await client.get(ref)) await client.patch(ref, { data: { common: value } }, { type: 'merge' });
  else {
    const metadata = { ...namedIn(ref), labels: { 'reconcile.fluxcd.io/watch': 'Enabled' } };
    await client.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { common: value } });
  }
}

function namedIn({ namespace, name }: { namespace: string; name: string }) {
  return { namespace, name };
}

/** Deletes an applied object, or changes it as a person does with kubectl; it may be gone by then. */
async function meddle(object: KubeObject, how: 'delete' | 'value' | 'extra' | 'owner'): Promise<void> {
  told.push(`  ${how} ${object.kind}/${object.metadata.namespace}/${object.metadata.name}`);
  if (how === 'delete') await own.client.delete(refOf(object), { propagationPolicy: 'Background' });
  else {
    await scenario.patch(object, editOf(object, how), 'kubectl-edit').catch((error: unknown) => {
      if (!(error instanceof KubeApiError) || error.status !== 404) throw error;
    });
  }
}

/** A write that the engine makes for the sequence. */
function isWrite(method: string, path: string): boolean {
  const isHere = Object.values(namespaces).some((namespace) => path.includes(`/namespaces/${namespace}/`));
  return method !== 'GET' && isHere && !path.includes('dryRun') && !path.includes('/events');
}

async function kill(during: { commit: Commit; afterWrites: number } | undefined): Promise<void> {
  if (!during) return await worker.kill();
  const hold = gate.hold({ matches: isWrite, after: during.afterWrites });
  await commit(during.commit);
  // A commit need not bring so many writes.
  await eventually('a write to be held', () => hold.held() > 0, 3_000).catch(() => undefined);
  await worker.kill();
  hold.release();
}

async function outage({ how, ms, commit: meanwhile }: Extract<Action, { do: 'outage' }>): Promise<void> {
  const change = async (): Promise<void> => {
    if (meanwhile) await commit({ ...meanwhile, isAnnounced: false });
    await sleep(ms);
  };
  if (how === 'drop') {
    const hold = gate.hold({ matches: () => true });
    await change();
    hold.release();
    return;
  }
  const name: ComponentName = 'kube-apiserver';
  const pid = own.platform.pids[name] ?? 0;
  process.kill(pid, how === 'hang' ? 'SIGSTOP' : 'SIGKILL');
  try {
    await change();
  } finally {
    if (how === 'hang') process.kill(pid, 'SIGCONT');
    else {
      await eventually(`${name} to be dead`, () => own.platform.dead().includes(name));
      await own.platform.restartDead();
    }
  }
}

function expectedNow(before: World = world): Record<KustomizationName, Expected> {
  const entries = kustomizationNames.map((name) => [name, expectedOf(name, world, before)]);
  return Object.fromEntries(entries) as Record<KustomizationName, Expected>;
}

/** Waits until all is as expected, and asserts that it stays so. */
async function expectSettled(expected: Record<KustomizationName, Expected>): Promise<void> {
  const wanted = wantedLooks(expected, revision);
  let seen: Looks | undefined;
  const since = Date.now();
  await eventually(
    'all to settle',
    async () => {
      seen = await seenLooks(own.client, namespaces);
      await sleep(150);
      return isDeepStrictEqual(seen, wanted);
    },
    settleMs,
  ).catch((error: unknown) => {
    if (!seen) throw error;
  });
  expect(seen).toEqual(wanted);
  told.push(`${new Date().toISOString()} settled after ${Date.now() - since} ms`);
  await sleep(stillMs);
  expect(await seenLooks(own.client, namespaces)).toEqual(wanted);
}

/** Meddles with what is kept in place: objects of Kustomizations that are Ready, or hold on to what they have. */
async function disturb(random: Random, expected: Record<KustomizationName, Expected>): Promise<void> {
  const objects = await appliedObjects(own.client, namespaces);
  for (const name of kustomizationNames) {
    const { reason, isHeld } = expected[name];
    if (!isHeld && reason !== 'ReconciliationSucceeded') continue;
    const theirs = objects.filter(({ metadata }) => metadata.labels?.['kustomize.toolkit.fluxcd.io/name'] === name);
    await meddle(random.pick(theirs), 'delete');
    await meddle(random.pick(theirs), random.pick(['value', 'extra']));
  }
  if (random.chance(0.5)) return;
  await act({ do: 'kill' }, 'disturb');
  await act({ do: 'start' }, 'disturb');
}

/** Deletes the Kustomizations and asserts that nothing of theirs is left. */
async function expectTornDown(): Promise<void> {
  const objects = await Promise.all(kustomizationNames.map((name) => scenario.kustomization(name)));
  for (const object of objects) await own.client.delete(refOf(object));
  for (const object of objects) {
    await eventually(`${object.metadata.name} to be gone`, () => isGone(own.client, object), settleMs);
  }
  const left = await appliedObjects(own.client, namespaces);
  expect(left.map(({ kind, metadata }) => `${kind}/${metadata.name}`)).toEqual([]);
  await own.client.delete(refOf(await scenario.source()));
}
