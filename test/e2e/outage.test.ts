// What the engine needs goes away while it works: the API server, etcd, Temporal, Git, files of the artifact store. Each
// heals without a person, nothing is pruned for it, and the worker stays.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { KubeObject } from '../../k8s/object.ts';
import { refOf } from '../../k8s/object.ts';
import type { ComponentName } from '../../tools/platform/components.ts';
import { configMap, eventually, requestReconcile, statusOf } from './harness.ts';
import {
  brokenWorkflows,
  configMapsOf,
  expectInPlace,
  manyFiles,
  manyValues,
  type OwnPlatform,
  startOwnPlatform,
} from './own-platform.ts';
import { createAppliedScenario, createScenario, deployment, type Scenario } from './scenario.ts';
import { startWorker, type WorkerProcess } from './worker-process.ts';

const patience = 240_000;
/** Longer than heartbeats and requests are waited for. */
const awayMs = 15_000;

let own: OwnPlatform;
let dataDir: string;
let worker: WorkerProcess;

beforeAll(async () => {
  own = await startOwnPlatform();
  dataDir = mkdtempSync(join(own.platform.dataDir, 'data-'));
  worker = await startWorker(own.platform, { dataDir, artifactAddress: '127.0.0.1:9' });
});

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(`the worker said:\n${worker.log().slice(-8_000)}`);
  await expectUnharmed();
});

async function expectUnharmed(): Promise<void> {
  expect(worker.isAlive()).toBe(true);
  expect(await brokenWorkflows(own.platform)).toEqual([]);
}

afterAll(async () => {
  await worker?.kill();
  await own?.stop();
});

function signal(name: ComponentName, what: NodeJS.Signals): void {
  const pid = own.platform.pids[name];
  if (!pid) throw new Error(`${name} does not run`);
  process.kill(pid, what);
}

/** Kills a process of the platform, waits, and starts it again. */
async function restart(name: ComponentName, pauseMs: number): Promise<void> {
  signal(name, 'SIGKILL');
  await eventually(`${name} to be dead`, () => own.platform.dead().includes(name));
  await sleep(pauseMs);
  await own.platform.restartDead();
}

async function freeze(name: ComponentName, pauseMs: number): Promise<void> {
  signal(name, 'SIGSTOP');
  await sleep(pauseMs);
  signal(name, 'SIGCONT');
}

const three = manyFiles('one', 3, '1') as Record<string, string>;

/** An applied scenario, another whose 200 ConfigMaps are on their way, and one that waits for health. */
async function createWork() {
  const { client } = own;
  const idle = await createAppliedScenario(client, 'idle', three);
  const applying = await createScenario(client, 'apply', {});
  const waiting = await createScenario(client, 'health', {});
  const revisions = {
    applying: applying.commit(manyFiles('many', 200, '1')),
    waiting: waiting.commit({ 'web.yaml': deployment('web', { isUnready: true }) }),
  };
  await waiting.createSource();
  await waiting.createKustomization({ wait: true, timeout: '5m', retryInterval: '5s' });
  await eventually('the deployment to be there', () => waiting.find('apps/v1', 'Deployment', 'web'), 60_000);
  await applying.createSource();
  await applying.createKustomization();
  await eventually('a part to be applied', async () => (await configMapsOf(applying)).length > 30, 60_000);
  return {
    idle,
    /** Asserts that all of it ends well, and that drift and a new commit are seen as ever. */
    async expectHealed(): Promise<void> {
      await makeReady(waiting);
      await expectInPlace(applying, revisions.applying, manyValues('many', 200, '1'));
      await expectInPlace(waiting, revisions.waiting, [], [`${waiting.namespace}_web_apps_Deployment v1`]);
      await drift(idle);
      await expectValues(idle, manyValues('one', 3, '1'));
      const revision = await idle.push({ 'more.yaml': configMap('more', { v: '2' }) });
      await expectInPlace(idle, revision, ['more=2', ...manyValues('one', 3, '1')]);
    },
  };
}

async function makeReady({ client, namespace }: Scenario): Promise<void> {
  const pods = await client.resourceFor('', 'v1', 'Pod');
  if (!pods) throw new Error('the API server has no pods');
  await eventually(
    'the pods to be freed',
    async () => {
      const { items } = await client.list(pods, { namespace });
      for (const pod of items) {
        await client.patch(refOf(pod), { metadata: { labels: { 'continuo.dev/unready': null } } }, { type: 'merge' });
      }
      return items.length > 0;
    },
    60_000,
  );
}

/** Deletes one ConfigMap of three and changes another. */
async function drift(scenario: Scenario): Promise<void> {
  const [lost, changed] = [await scenario.configMap('one-0000'), await scenario.configMap('one-0001')];
  if (!lost || !changed) throw new Error(`${scenario.namespace} has lost its ConfigMaps`);
  await scenario.client.delete(refOf(lost));
  await scenario.patch(changed, { data: { v: 'drifted' } }, 'kubectl');
}

async function expectValues(scenario: Scenario, values: string[]): Promise<void> {
  const wanted = String([...values].sort());
  await eventually(
    `${scenario.namespace} to hold ${wanted}`,
    async () => {
      const seen = String(await configMapsOf(scenario));
      if (seen === wanted) return true;
      throw new Error(seen);
    },
    60_000,
  );
}

const outages: [string, () => Promise<void>][] = [
  ['the API server hangs', () => freeze('kube-apiserver', awayMs)],
  ['the API server dies and comes back', () => restart('kube-apiserver', awayMs)],
  ['etcd dies and comes back', () => restart('etcd', 3_000)],
  ['Temporal dies and comes back', () => restart('temporal', awayMs)],
  ['Temporal hangs', () => freeze('temporal', awayMs)],
];

test.each(outages)(
  'work goes on where it was when %s',
  async (_title, happen) => {
    const work = await createWork();
    await happen();
    await work.expectHealed();
  },
  patience,
);

test(
  'drift that happens while Temporal is away is corrected when it is back',
  async () => {
    const scenario = await createAppliedScenario(own.client, 'drift', three);
    signal('temporal', 'SIGKILL');
    await eventually('Temporal to be dead', () => own.platform.dead().includes('temporal'));
    await drift(scenario);
    await sleep(5_000);
    await own.platform.restartDead();
    await expectValues(scenario, manyValues('one', 3, '1'));
  },
  patience,
);

test(
  'a Git server that is away fails the source alone, which goes on when it is back',
  async () => {
    const scenario = await createAppliedScenario(own.client, 'git', three);
    signal('git', 'SIGKILL');
    await eventually('Git to be dead', () => own.platform.dead().includes('git'));
    await requestReconcile(own.client, await scenario.source());
    await scenario.refused('GitOperationFailed', scenario.source, 60_000);
    expect(await configMapsOf(scenario)).toEqual(manyValues('one', 3, '1'));
    const revision = scenario.commit({ 'two.yaml': configMap('two', { v: '2' }) });
    await own.platform.restartDead();
    await expectInPlace(scenario, revision, ['two=2', ...manyValues('one', 3, '1')]);
  },
  patience,
);

/** The file of a blob of the artifact store. */
function blobPath(key: string): string {
  const hex = createHash('sha256').update(key).digest('hex');
  return join(dataDir, 'artifacts', '.blobs', hex.slice(0, 2), hex.slice(2));
}

function allFiles(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());
}

async function artifactFile(scenario: Scenario): Promise<string> {
  const { artifact } = statusOf(await scenario.source());
  return join(dataDir, 'artifacts', new URL(artifact?.url ?? '').pathname.slice(1));
}

/** Files of the store that are lost or damaged, one after the other. */
const losses: [string, (scenario: Scenario) => Promise<void>][] = [
  ['the artifact', async (scenario) => rmSync(await artifactFile(scenario))],
  ['the unpacked artifacts', async () => rmSync(join(dataDir, 'unpacked'), { recursive: true })],
  ['the memory of what was applied', async (scenario) => rmSync(blobPath(memoryKey(scenario)))],
  [
    'the sense of that memory',
    async (scenario) => writeFileSync(blobPath(memoryKey(scenario)), '{"formatVersion":1,"ent'),
  ],
  ['all blobs', async () => rmSync(join(dataDir, 'artifacts', '.blobs'), { recursive: true })],
  [
    'the sense of all blobs',
    async () => {
      for (const path of allFiles(join(dataDir, 'artifacts', '.blobs'))) {
        writeFileSync(path, readFileSync(path).subarray(0, 20));
      }
    },
  ],
];

function memoryKey({ namespace }: Scenario): string {
  return `apply/kustomization/${namespace}/app.json`;
}

async function requestAll(scenario: Scenario): Promise<void> {
  for (const look of [scenario.source, scenario.kustomization]) {
    const object: KubeObject = await look();
    const request = await requestReconcile(own.client, object);
    await eventually(
      `the request to ${object.kind} to be answered`,
      async () => {
        return statusOf(await look()).lastHandledReconcileAt === request;
      },
      60_000,
    );
  }
}

test.each(losses)(
  'a store that loses %s is filled again, at once and after a restart',
  async (_title, lose) => {
    const scenario = await createAppliedScenario(own.client, 'loss', three);
    const first = statusOf(await scenario.kustomization()).lastAppliedRevision ?? '';
    await lose(scenario);
    await requestAll(scenario);
    await expectInPlace(scenario, first, manyValues('one', 3, '1'));
    expect(existsSync(await artifactFile(scenario))).toBe(true);

    await worker.stop(); // what a kill does is shown by crash.test.ts
    await lose(scenario).catch(() => undefined); // what it had not written again is lost already
    worker = await startWorker(own.platform, { dataDir, artifactAddress: '127.0.0.1:9' });
    const second = await scenario.push({ 'one-0000.yaml': null, 'two.yaml': configMap('two', { v: '2' }) });
    await expectInPlace(scenario, second, ['one-0001=1', 'one-0002=1', 'two=2']);
    await expectDriftCorrected(scenario);
  },
  patience,
);

/** Changes an object and waits until it is as before. */
async function expectDriftCorrected(scenario: Scenario): Promise<void> {
  const changed = await scenario.configMap('two');
  if (!changed) throw new Error(`${scenario.namespace} has lost its ConfigMap`);
  await scenario.patch(changed, { data: { v: 'drifted' } }, 'kubectl');
  await expectValues(scenario, ['one-0001=1', 'one-0002=1', 'two=2']);
}
