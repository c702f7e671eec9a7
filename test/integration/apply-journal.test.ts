// An apply that ends half way, by a refusal or by the end of its worker: the next set prunes what it had made.
import { expect, test } from 'vitest';
import { createApplyActivities } from '../../activities/apply/apply-activities.ts';
import { readInventory } from '../../activities/apply/inventory-blob.ts';
import { createApplyMemory } from '../../activities/apply/memory.ts';
import type { KubeClient } from '../../k8s/client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { type ApplyFixture, createApplyFixture, useCluster } from '../servers/apply-fixture.ts';
import { configMap } from '../servers/kube-fixture.ts';

const { client, caches } = useCluster();

/** The activities of a worker whose client refuses each write after the first `count`. */
function workerThatWrites(fixture: ApplyFixture, count: number): ApplyFixture['activities'] {
  let writes = 0;
  const failing: KubeClient = {
    ...client,
    apply: (object, options) => {
      if (!options.dryRun && ++writes > count) throw new Error('the wire is cut');
      return client.apply(object, options);
    },
  };
  return createApplyActivities({
    targetOf: () => ({ client: failing, caches }),
    store: fixture.blobs,
    memory: createApplyMemory(fixture.blobs),
    kustomization: () => fixture.kustomization,
    manifests: async (digest) => fixture.manifests.get(digest) ?? [],
  });
}

function apply(fixture: ApplyFixture, activities: ApplyFixture['activities'], objects: KubeObject[]) {
  fixture.manifests.set('now', objects);
  return fixture.run(activities.applyManifests, {
    kustomization: { namespace: fixture.namespace, name: fixture.owner.name },
    generation: 1,
    revision: 'main@sha1:a',
    manifestsDigest: 'now',
    isForced: false,
    timeoutMs: 60_000,
  });
}

async function namesIn(namespace: string): Promise<string[]> {
  const resource = { group: '', version: 'v1', kind: 'ConfigMap', resource: 'configmaps', namespaced: true };
  const { items } = await client.list(resource, { namespace });
  return items.map((item) => item.metadata.name).filter((name) => name !== 'kube-root-ca.crt');
}

async function halfApplied(): Promise<ApplyFixture> {
  const fixture = await createApplyFixture(client, caches);
  const set = ['a', 'b', 'c', 'd'].map((name) => configMap(fixture.namespace, name));
  await expect(apply(fixture, workerThatWrites(fixture, 2), set)).rejects.toThrow('the wire is cut');
  expect(await namesIn(fixture.namespace)).toHaveLength(2);
  return fixture;
}

test('another worker prunes what an apply made that never came to an inventory', async () => {
  const fixture = await halfApplied();
  const { namespace } = fixture;
  const next = workerThatWrites(fixture, 100);
  const applied = await apply(fixture, next, [configMap(namespace, 'other')]);
  expect(applied.staleCount).toBeGreaterThanOrEqual(2);
  const unpruned = await readInventory(fixture.blobs, applied.unprunedKey ?? '');
  expect(unpruned).toHaveLength(1 + applied.staleCount);

  const kustomization = { namespace, name: fixture.owner.name };
  const input = { kustomization, inventoryKey: applied.inventoryKey, timeoutMs: 60_000 };
  await fixture.run(next.pruneInventory, input);
  expect(await namesIn(namespace)).toEqual(['other']);
  fixture.kustomization.status.inventory = { entries: await readInventory(fixture.blobs, applied.inventoryKey) };
  expect((await apply(fixture, next, [configMap(namespace, 'other')])).staleCount).toBe(0);
});

test('without prune it is left, also when pruning is switched on later', async () => {
  const fixture = await halfApplied();
  const { namespace } = fixture;
  fixture.kustomization.spec.prune = false;
  const next = workerThatWrites(fixture, 100);
  const applied = await apply(fixture, next, [configMap(namespace, 'other')]);
  expect(applied.staleCount).toBe(0);
  fixture.kustomization.status.inventory = { entries: await readInventory(fixture.blobs, applied.inventoryKey) };
  fixture.kustomization.spec.prune = true;
  expect((await apply(fixture, next, [configMap(namespace, 'other')])).staleCount).toBe(0);
  expect(await namesIn(namespace)).toHaveLength(3);
});

test('a deleted owner takes it along', async () => {
  const fixture = await halfApplied();
  const kustomization = { namespace: fixture.namespace, name: fixture.owner.name };
  await fixture.run(workerThatWrites(fixture, 100).finalizeKustomization, { kustomization });
  expect(await namesIn(fixture.namespace)).toEqual([]);
});
