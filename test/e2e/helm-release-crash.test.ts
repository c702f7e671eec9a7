// Workers and servers that are killed while Helm works: each release ends as it would have without, no revision is there
// twice and none stays pending, and no helm process outlives its worker. The same with 100 kills:
// `npm run bench -- --phases hr-crash --n 100`. To repeat a run: CONTINUO_TEST_SEED=<seed> vitest run --project faults helm-release-crash
import { afterAll, beforeAll, expect, test } from 'vitest';
import { crashReleases, type Victim } from '../../bench/release-crash.ts';
import { createWatchCaches } from '../../k8s/watch-caches.ts';
import type { WatchCaches } from '../../k8s/watch-cache.ts';
import { brokenWorkflows, type OwnPlatform, startOwnPlatform } from './own-platform.ts';

const seed = Number(process.env.CONTINUO_TEST_SEED ?? 20);
const victims: readonly Victim[] = [
  ...Array.from({ length: 8 }, () => 'worker' as const),
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
