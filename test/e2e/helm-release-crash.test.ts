// Workers and servers that are killed while Helm works: each release ends as it would have without, no revision is there
// twice and none stays pending, and no helm process outlives its worker. The same with 100 kills:
// `npm run bench -- --phases hr-crash --n 100`. To repeat a run: CONTINUO_TEST_SEED=<seed> vitest run --project faults helm-release-crash
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createReleaseStorage } from '../../activities/helm/release-storage.ts';
import { helmProcesses } from '../../bench/helm-processes.ts';
import { crashReleases, signalTo, type Victim } from '../../bench/release-crash.ts';
import { openReleases, type Releases } from '../../bench/releases.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { createWatchCaches } from '../../k8s/watch-caches.ts';
import type { WatchCaches } from '../../k8s/watch-cache.ts';
import { eventually } from './harness.ts';
import { brokenWorkflows, type OwnPlatform, startOwnPlatform } from './own-platform.ts';

const seed = Number(process.env.CONTINUO_TEST_SEED ?? 20);
const victims: readonly Victim[] = [
  ...Array.from({ length: 6 }, () => 'worker' as const),
  ...(['temporal', 'kube-apiserver'] as const),
];

let own: OwnPlatform;
let caches: WatchCaches;

beforeAll(async () => {
  own = await startOwnPlatform({ worker: true });
  caches = createWatchCaches(own.client);
}, 180_000);
afterAll(async () => {
  caches?.close();
  await own?.stop();
});

test('releases end as they would have, whatever is killed beside them', { timeout: 600_000 }, async () => {
  console.info(`CONTINUO_TEST_SEED=${seed}`);
  const { platform, client } = own;
  const { differences, ...figures } = await crashReleases({ client, caches, platform }, { seed, victims, lanes: 4 });
  console.info(JSON.stringify(figures));
  expect(differences).toEqual([]);
  expect(figures.steps).toBeGreaterThan(0);
  expect(await brokenWorkflows(platform)).toEqual([]);
});

/** The pods of hooks in a namespace, and what lets them end. */
async function hooksIn(namespace: string, labelSelector: string) {
  const { client } = own;
  const pods = await client.resourceFor('', 'v1', 'Pod');
  if (!pods) throw new Error('the API server has no pods');
  const list = async () => (await client.list(pods, { namespace, labelSelector })).items;
  return {
    list,
    async free(): Promise<void> {
      for (const pod of await list()) {
        const freed = { metadata: { labels: { 'continuo.dev/unready': null } } };
        await client.patch(refOf(pod), freed, { type: 'merge' }).catch(() => undefined); // helm may just have deleted it
      }
    },
  };
}

/** Lets the hooks end until a change is in place, which has taken one revision. */
async function expectUpgraded(
  releases: Releases,
  hooks: Awaited<ReturnType<typeof hooksIn>>,
  { metadata }: KubeObject,
): Promise<void> {
  const isReady = async (): Promise<boolean> => {
    await hooks.free();
    return releases.isReady('app', metadata.generation);
  };
  await eventually('the upgrade', isReady, 90_000);
  const told = (await releases.history('app')).map(({ revision, status }) => `${revision} ${status}`);
  expect(told).toEqual(['1 superseded', '2 deployed']);
}

test('hooks after a rollout are run again by the worker that replaces one which was killed meanwhile', async () => {
  const { platform, client } = own;
  const releases = await openReleases({ client, caches, platform }, `hr-after-${Date.now().toString(36)}`);
  const hooks = await hooksIn(releases.namespace, 'job-name=app-after');
  const { metadata } = await releases.apply('app', 'post', { values: { v: '1' } });
  await eventually('the install', () => releases.isReady('app', metadata.generation), 60_000);
  const before = new Set((await hooks.list()).map((pod) => pod.metadata.uid));

  const changed = await releases.apply('app', 'post', { timeout: '5m', values: { v: '2', hangs: 'after' } });
  const isNew = (pod: KubeObject): boolean => !before.has(pod.metadata.uid);
  await eventually('the hook', async () => (await hooks.list()).some(isNew), 60_000);
  const first = new Set((await hooks.list()).map((pod) => pod.metadata.uid));
  const running = () => helmProcesses(join(platform.dataDir, 'worker'));
  expect(running().flatMap(({ action = [] }) => action)).toEqual(['test']);
  signalTo(platform, 'worker', 'SIGKILL');
  await eventually('helm to end with its worker', () => running().length === 0, 5_000);
  await eventually('the worker to be gone', () => platform.dead().includes('worker'), 30_000);
  await platform.restartDead();
  await eventually(
    'the hook to run again',
    async () => (await hooks.list()).some(({ metadata: { uid } }) => !first.has(uid)),
    60_000,
  );

  await expectUpgraded(releases, hooks, changed);
  const last = await createReleaseStorage({ client, namespace: releases.namespace }).last('app');
  const after = last?.release.hooks?.find(({ name }) => name === 'app-after');
  expect(after).toMatchObject({
    events: ['post-install', 'post-upgrade', 'post-rollback'],
    last_run: { phase: 'Succeeded' },
  });
});

test('what a stopping worker gives up is made again by the next one, and counts as no failure', async () => {
  const { platform, client } = own;
  const releases = await openReleases({ client, caches, platform }, `hr-stop-${Date.now().toString(36)}`);
  const hooks = await hooksIn(releases.namespace, 'hook-of=app');
  const upgrade = { remediation: { retries: 0, remediateLastFailure: true } };
  const { metadata } = await releases.apply('app', 'app', { upgrade, values: { v: '1' } });
  await eventually('the install', () => releases.isReady('app', metadata.generation), 60_000);
  const before = new Set((await hooks.list()).map((pod) => pod.metadata.uid));

  const changed = await releases.apply('app', 'app', { upgrade, values: { v: '2', hangs: 'before' } });
  await eventually('the hook', async () => (await hooks.list()).some((pod) => !before.has(pod.metadata.uid)), 60_000);
  signalTo(platform, 'worker', 'SIGTERM');
  await eventually('the worker to be gone', () => platform.dead().includes('worker'), 30_000);
  await platform.restartDead();

  await expectUpgraded(releases, hooks, changed);
});
