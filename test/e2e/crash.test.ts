// `kill -9` of the worker in the middle of every stage: what the next one finds ends as if nothing had happened.
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { refOf } from '../../k8s/object.ts';
import { type GitServer, startGitServer } from '../../tools/platform/git-server.ts';
import { type ApiGate, startApiGate } from './api-gate.ts';
import { configMap, eventually, gitRepository, requestReconcile } from './harness.ts';
import {
  brokenWorkflows,
  configMapsOf,
  expectInPlace,
  isGone,
  manyFiles,
  manyValues,
  type OwnPlatform,
  startOwnPlatform,
} from './own-platform.ts';
import { appName, createAppliedScenario, createScenario, deployment, type Scenario } from './scenario.ts';
import { emptyDirectory, startWorker, type WorkerProcess } from './worker-process.ts';

const patience = 300_000;
/** An address that no process listens on: all workers of a test share one store and its files. */
const artifactAddress = '127.0.0.1:9';

let own: OwnPlatform;
let slowGit: GitServer;
let gate: ApiGate;
let dataDir: string;
let heldFile: string;
let worker: WorkerProcess;
/** While set, the slow Git server lets no pack go; of two POSTs the first asks for the refs. */
let packs: { posts: number; go: Promise<void> } | undefined;

beforeAll(async () => {
  own = await startOwnPlatform();
  gate = await startApiGate(own.platform);
  slowGit = await startGitServer({
    root: own.platform.gitRoot,
    async intercept(request) {
      if (packs && request.method === 'POST' && ++packs.posts > 1) await packs.go;
      return undefined;
    },
  });
  heldFile = join(own.platform.dataDir, 'hold-builds');
  writeFileSync(slowKustomize(), slowKustomizeScript());
  chmodSync(slowKustomize(), 0o755);
});

afterAll(async () => {
  await slowGit?.close();
  await gate?.close();
  await own?.stop();
});

beforeEach(async () => {
  dataDir = mkdtempSync(join(own.platform.dataDir, 'data-'));
  worker = await start();
});

afterEach(async ({ task }) => {
  await worker.kill();
  if (task.result?.state === 'fail') console.error(`the last worker said:\n${worker.log().slice(-8_000)}`);
});

function start(kubeconfig = gate.kubeconfig): Promise<WorkerProcess> {
  const env = { CONTINUO_KUSTOMIZE: slowKustomize() };
  return startWorker(own.platform, { dataDir, kubeconfig, artifactAddress, env });
}

function slowKustomize(): string {
  return join(own.platform.dataDir, 'slow-kustomize');
}

/** Kustomize, whose builds wait for as long as a file is there. */
function slowKustomizeScript(): string {
  const wait = `if [ "$1" = build ]; then echo held >> ${heldFile}.seen; while [ -e ${heldFile} ]; do sleep 0.1; done; fi`;
  return `#!/bin/sh\n${wait}\nexec ${own.platform.binaries.kustomize} "$@"\n`;
}

/** True for a request of a method to a resource of a scenario, dry runs left out. */
function requestsOf(scenario: Scenario, wanted: string, resource: string) {
  return (method: string, path: string): boolean =>
    method === wanted && path.includes(`/namespaces/${scenario.namespace}/${resource}`) && !path.includes('dryRun');
}

/** Removes the label that keeps the pods of a scenario from being ready. */
async function makeReady({ client, namespace }: Scenario): Promise<void> {
  const pods = await client.resourceFor('', 'v1', 'Pod');
  if (!pods) throw new Error('the API server has no pods');
  for (const pod of (await client.list(pods, { namespace })).items) {
    await client.patch(refOf(pod), { metadata: { labels: { 'continuo.dev/unready': null } } }, { type: 'merge' });
  }
}

test.each([
  ['with what it had kept', false],
  ['with an empty data directory', true],
])(
  'a worker that is killed in the middle of all stages is succeeded by one %s',
  async (_title, isEmpty) => {
    const { client } = own;
    const [pruning, deleting, reporting] = await Promise.all([
      createAppliedScenario(client, 'prune', {
        'keep.yaml': configMap('keep', { v: '1' }),
        ...manyFiles('old', 60, '1'),
      }),
      createAppliedScenario(client, 'delete', manyFiles('gone', 30, '1') as Record<string, string>),
      createAppliedScenario(client, 'report', { 'one.yaml': configMap('one', { v: '1' }) }),
    ]);
    const [applying, building, fetching, waiting] = await Promise.all([
      createScenario(client, 'apply', {}),
      createScenario(client, 'build', {}),
      createScenario(client, 'fetch', {}),
      createScenario(client, 'health', {}),
    ]);

    const holds = [
      gate.hold({ matches: requestsOf(applying, 'PATCH', 'configmaps'), after: 100 }),
      gate.hold({ matches: requestsOf(pruning, 'DELETE', 'configmaps'), after: 20 }),
      gate.hold({ matches: requestsOf(deleting, 'DELETE', 'configmaps'), after: 10 }),
      gate.hold({ matches: requestsOf(reporting, 'PATCH', `kustomizations/${appName}/status`) }),
    ];
    let letPacksGo: () => void = () => undefined;
    packs = { posts: 0, go: new Promise((resolve) => (letPacksGo = resolve)) };
    writeFileSync(heldFile, '');
    rmSync(`${heldFile}.seen`, { force: true });

    const revisions = {
      pruning: await pruning.push(manyFiles('old', 60, null)),
      reporting: await reporting.push({
        'one.yaml': configMap('one', { v: '2' }),
        'two.yaml': configMap('two', { v: '2' }),
      }),
      applying: applying.commit(manyFiles('new', 300, '1')),
      building: building.commit({
        'kustomization.yaml': 'namePrefix: x-\nresources: [one.yaml]\n',
        'one.yaml': configMap('one', { v: '1' }),
      }),
      fetching: fetching.commit({ 'one.yaml': configMap('one', { v: '1' }) }),
      waiting: waiting.commit({
        'web.yaml': deployment('web', { isUnready: true }),
        'one.yaml': configMap('one', { v: '1' }),
      }),
    };
    const deleted = await deleting.kustomization();
    await client.delete(refOf(deleted));
    for (const scenario of [applying, building, waiting]) await scenario.createSource();
    const slowUrl = `${slowGit.url}/${fetching.namespace}.git`;
    await client.create(gitRepository(fetching.namespace, appName, slowUrl));
    for (const scenario of [applying, building, fetching]) await scenario.createKustomization();
    await waiting.createKustomization({ wait: true, timeout: '5m' });

    for (const hold of holds) await eventually('a stage to be in its middle', () => hold.held() > 0, 90_000);
    await eventually('a pack to be asked for', () => (packs?.posts ?? 0) > 1, 60_000);
    await eventually('a build to run', () => existsSync(`${heldFile}.seen`), 60_000);
    await eventually('the deployment to be there', () => waiting.find('apps/v1', 'Deployment', 'web'), 60_000);
    expect(holds.map((hold) => hold.passed())).toEqual([100, 20, 10, 0]);
    await worker.kill();

    if (isEmpty) emptyDirectory(dataDir);
    for (const hold of holds) hold.release();
    letPacksGo();
    packs = undefined;
    rmSync(heldFile);
    worker = await start();
    await makeReady(waiting);

    await expectInPlace(applying, revisions.applying, manyValues('new', 300, '1'));
    await expectInPlace(pruning, revisions.pruning, ['keep=1']);
    await expectInPlace(reporting, revisions.reporting, ['one=2', 'two=2']);
    await expectInPlace(building, revisions.building, ['x-one=1']);
    await expectInPlace(fetching, revisions.fetching, ['one=1']);
    await expectInPlace(waiting, revisions.waiting, ['one=1'], [`${waiting.namespace}_web_apps_Deployment v1`]);
    await eventually('the deleted Kustomization to be gone', () => isGone(client, deleted), 60_000);
    expect(await configMapsOf(deleting)).toEqual([]);
    expect(await brokenWorkflows(own.platform)).toEqual([]);
    expect(worker.isAlive()).toBe(true);
  },
  patience,
);

test(
  'a revision that replaces a half-applied one leaves nothing of it behind',
  async () => {
    const scenario = await createAppliedScenario(own.client, 'replace', { 'base.yaml': configMap('base', { v: '1' }) });
    const hold = gate.hold({ matches: requestsOf(scenario, 'PATCH', 'configmaps'), after: 10 });
    await scenario.push(manyFiles('half', 40, '1'));
    await eventually('a part to be applied', () => hold.held() > 0, 60_000);
    await worker.kill();
    hold.release();
    expect((await configMapsOf(scenario)).length).toBeGreaterThan(10);

    const revision = await scenario.push({
      ...manyFiles('half', 40, null),
      'other.yaml': configMap('other', { v: '2' }),
    });
    worker = await start();
    await expectInPlace(scenario, revision, ['base=1', 'other=2']);
    expect(await brokenWorkflows(own.platform)).toEqual([]);
  },
  patience,
);

test(
  'a Kustomization that is deleted while half of it is applied leaves nothing behind',
  async () => {
    const scenario = await createAppliedScenario(own.client, 'abort', { 'base.yaml': configMap('base', { v: '1' }) });
    const hold = gate.hold({ matches: requestsOf(scenario, 'PATCH', 'configmaps'), after: 10 });
    await scenario.push(manyFiles('half', 40, '1'));
    await eventually('a part to be applied', () => hold.held() > 0, 60_000);
    await worker.kill();
    hold.release();

    const object = await scenario.kustomization();
    await own.client.delete(refOf(object));
    worker = await start();
    await eventually('the Kustomization to be gone', () => isGone(own.client, object), 90_000);
    expect(await configMapsOf(scenario)).toEqual([]);
  },
  patience,
);

test(
  'what happens while no worker runs is done by the next one: a request, a new object, a deletion, drift',
  async () => {
    const { client } = own;
    const scenario = await createAppliedScenario(client, 'away', manyFiles('one', 3, '1') as Record<string, string>);
    const drifted = await createAppliedScenario(client, 'drifted', manyFiles('one', 3, '1') as Record<string, string>);
    const deleted = await createAppliedScenario(client, 'deleted', { 'one.yaml': configMap('one', { v: '1' }) });
    // Everything was told by now: only a comparison can find what changes from here on.
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    await worker.kill();

    const revision = scenario.commit(manyFiles('one', 3, '2'));
    const request = await requestReconcile(client, await scenario.source());
    const fresh = await createScenario(client, 'fresh', {});
    const freshRevision = fresh.commit({ 'one.yaml': configMap('one', { v: '1' }) });
    await fresh.createSource();
    await fresh.createKustomization();
    const object = await deleted.kustomization();
    await client.delete(refOf(object));
    const [lost, changed] = [await drifted.configMap('one-0000'), await drifted.configMap('one-0001')];
    if (!lost || !changed) throw new Error('the drifted scenario has its ConfigMaps');
    await client.delete(refOf(lost));
    await drifted.patch(changed, { data: { v: 'drifted' } }, 'kubectl');

    const startedAt = performance.now();
    worker = await start();
    const readyAt = performance.now();
    await expectInPlace(scenario, revision, manyValues('one', 3, '2'));
    const healedAt = performance.now();
    await eventually('the request to be echoed', async () => {
      const status = (await scenario.source()).status as { lastHandledReconcileAt?: string };
      return status.lastHandledReconcileAt === request;
    });
    await expectInPlace(fresh, freshRevision, ['one=1']);
    await eventually('the deleted Kustomization to be gone', () => isGone(client, object), 60_000);
    await eventually(
      'drift to be corrected',
      async () => {
        return String(await configMapsOf(drifted)) === String(manyValues('one', 3, '1'));
      },
      60_000,
    );
    console.info(
      `healed ${Math.round(healedAt - readyAt)} ms after the worker was ready, which took it ${Math.round(readyAt - startedAt)} ms`,
    );
    expect(await brokenWorkflows(own.platform)).toEqual([]);
  },
  patience,
);

test(
  'of two workers one takes over what the other did, and the watch',
  async () => {
    const otherGate = await startApiGate(own.platform);
    let other = await start(otherGate.kubeconfig);
    try {
      const scenario = await createAppliedScenario(own.client, 'pair', { 'one.yaml': configMap('one', { v: '1' }) });
      const matches = requestsOf(scenario, 'PATCH', 'configmaps');
      const holds = [gate.hold({ matches, after: 10 }), otherGate.hold({ matches, after: 10 })];
      const second = await scenario.push(manyFiles('many', 60, '1'));
      await eventually('one of them to be in the middle', () => holds.some((hold) => hold.held() > 0), 60_000);
      const isOther = (holds[1]?.held() ?? 0) > 0;
      await (isOther ? other : worker).kill();
      for (const hold of holds) hold.release();
      await expectInPlace(scenario, second, ['one=1', ...manyValues('many', 60, '1')]);

      if (isOther) other = await start(otherGate.kubeconfig);
      else worker = await start();
      const watching = await eventually(
        'a worker to watch',
        () => {
          const newest = [worker, other].filter((one) => lastWord(one) === 'watching');
          return newest[0];
        },
        60_000,
      );
      await watching.kill();
      const third = await scenario.push({ 'one.yaml': configMap('one', { v: '3' }) });
      await expectInPlace(scenario, third, ['one=3', ...manyValues('many', 60, '1')]);
      expect(await brokenWorkflows(own.platform)).toEqual([]);
    } finally {
      await other.kill();
      await otherGate.close();
    }
  },
  patience,
);

/** The last thing that a worker said of its bridge. */
function lastWord(one: WorkerProcess): string | undefined {
  const said = one.log().match(/"msg":"(watching|the watch was handed over)"/g);
  return said?.at(-1)?.includes('watching') ? 'watching' : undefined;
}
