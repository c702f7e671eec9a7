import { expect, test } from 'vitest';
import { type ApplyManifestsOutput, createApplyActivities } from '../../activities/apply/apply-activities.ts';
import { readInventory } from '../../activities/apply/inventory-blob.ts';
import { inventoryEntryOf, type KubeObject, refOf } from '../../k8s/object.ts';
import { type ApplyFixture, createApplyFixture, useCluster } from '../servers/apply-fixture.ts';
import { configMap, deployment, eventually } from '../servers/kube-fixture.ts';

const prefix = 'kustomize.toolkit.fluxcd.io';
const { client, caches } = useCluster();

function refOfOwner(fixture: ApplyFixture) {
  return { namespace: fixture.namespace, name: fixture.owner.name };
}

/** Runs the apply activity; the status is written by `record`. */
async function applySet(fixture: ApplyFixture, objects: KubeObject[]): Promise<ApplyManifestsOutput> {
  fixture.manifests.set('now', objects);
  return fixture.run(fixture.activities.applyManifests, {
    kustomization: refOfOwner(fixture),
    generation: 1,
    revision: 'main@sha1:a',
    manifestsDigest: 'now',
    isForced: false,
    timeoutMs: 60_000,
  });
}

async function record(fixture: ApplyFixture, inventoryKey: string): Promise<void> {
  fixture.kustomization.status.inventory = { entries: await readInventory(fixture.blobs, inventoryKey) };
}

function prune(fixture: ApplyFixture, inventoryKey: string) {
  const input = { kustomization: refOfOwner(fixture), inventoryKey, timeoutMs: 60_000 };
  return fixture.run(fixture.activities.pruneInventory, input);
}

async function namesIn(namespace: string): Promise<string[]> {
  const resource = { group: '', version: 'v1', kind: 'ConfigMap', resource: 'configmaps', namespaced: true };
  const { items } = await client.list(resource, { namespace });
  return items.map((item) => item.metadata.name).filter((name) => name !== 'kube-root-ca.crt');
}

test('deletes what left the source, in reverse order, and nothing that is switched off or no longer ours', async () => {
  const fixture = await createApplyFixture(client, caches);
  const { namespace } = fixture;
  const withSwitch = (name: string, key: string, value: string): KubeObject => {
    const object = configMap(namespace, name);
    object.metadata.annotations = { [`${prefix}/${key}`]: value };
    return object;
  };
  const all = [
    configMap(namespace, 'stays'),
    configMap(namespace, 'goes'),
    configMap(namespace, 'released'),
    configMap(namespace, 'vanished'),
    withSwitch('kept', 'prune', 'Disabled'),
    deployment(namespace, 'web'),
  ];
  await record(fixture, (await applySet(fixture, all)).inventoryKey);
  const labels = { [`${prefix}/name`]: null };
  await client.patch(refOf(configMap(namespace, 'released')), { metadata: { labels } }, { type: 'merge' });
  await client.delete(refOf(configMap(namespace, 'vanished')));
  const gone = inventoryEntryOf({ group: 'gone.example.com', version: 'v1', kind: 'Gone', namespace, name: 'x' });
  (fixture.kustomization.status.inventory as { entries: unknown[] }).entries.push(gone);
  await eventually('the release', () =>
    caches.opened().every((cache) => !cache.get(namespace, 'released') && !cache.get(namespace, 'vanished')),
  );

  const next = await applySet(fixture, all.slice(0, 1));
  expect(next).toMatchObject({ inventoryCount: 1, staleCount: 6 });
  const output = await prune(fixture, next.inventoryKey);
  expect(output).toEqual({
    changes: {
      counts: { created: 0, configured: 0, unchanged: 0, skipped: 1, deleted: 2 },
      lines: [`Deployment/${namespace}/web deleted`, `ConfigMap/${namespace}/goes deleted`],
    },
    survivors: 0,
    errors: [],
    inventoryKey: next.inventoryKey,
  });
  expect(await namesIn(namespace)).toEqual(['kept', 'released', 'stays']);
});

test('keeps in the inventory what it may not delete, and says why', async () => {
  const admin = await createApplyFixture(client, caches);
  const { namespace } = admin;
  const first = await applySet(admin, [configMap(namespace, 'a'), configMap(namespace, 'b')]);
  await record(admin, first.inventoryKey);
  const second = await applySet(admin, [configMap(namespace, 'a')]);
  const activities = createApplyActivities({
    targetOf: () => ({ client: client.impersonate('nobody-at-all'), caches }),
    store: admin.blobs,
    memory: admin.memory,
    kustomization: () => admin.kustomization,
    manifests: async () => [],
  });
  const input = { kustomization: refOfOwner(admin), inventoryKey: second.inventoryKey, timeoutMs: 60_000 };
  const output = await admin.run(activities.pruneInventory, input);
  expect(output.survivors).toBe(1);
  expect(output.errors).toEqual([
    expect.stringMatching(/^ConfigMap\/.*\/b deletion failed \(Forbidden\): .*nobody-at-all/),
  ]);
  expect((await readInventory(admin.blobs, output.inventoryKey)).map(({ id }) => id)).toEqual([
    `${namespace}_a__ConfigMap`,
    `${namespace}_b__ConfigMap`,
  ]);
  expect((await prune(admin, second.inventoryKey)).changes.lines).toEqual([`ConfigMap/${namespace}/b deleted`]);
});

test.each<[string | undefined, boolean, boolean, boolean]>([
  [undefined, true, false, true],
  [undefined, false, false, false],
  ['MirrorPrune', true, false, true],
  ['Delete', false, false, true],
  ['WaitForTermination', false, false, true],
  ['Orphan', true, false, false],
  ['Delete', true, true, false],
])(
  'finalises with deletionPolicy %s, prune %s, suspend %s: deletes %s',
  async (deletionPolicy, isPruned, suspend, isDeleted) => {
    const fixture = await createApplyFixture(client, caches);
    const { namespace } = fixture;
    await record(
      fixture,
      (await applySet(fixture, [configMap(namespace, 'a'), configMap(namespace, 'b')])).inventoryKey,
    );
    Object.assign(fixture.kustomization.spec, { deletionPolicy, prune: isPruned, suspend });
    const output = await fixture.run(fixture.activities.finalizeKustomization, { kustomization: refOfOwner(fixture) });
    expect(output).toMatchObject({ changes: { counts: { deleted: isDeleted ? 2 : 0 } }, errors: [] });
    expect(await namesIn(namespace)).toEqual(isDeleted ? [] : ['a', 'b']);
    expect([...fixture.blobs.blobs.keys()].filter((key) => key.startsWith('apply/'))).toEqual([]);
  },
);

test('waits for what is slow to go, and says what is left after the time-out', async () => {
  const fixture = await createApplyFixture(client, caches);
  const { namespace } = fixture;
  const held = configMap(namespace, 'held');
  held.metadata.finalizers = ['example.com/hold'];
  await record(fixture, (await applySet(fixture, [held, configMap(namespace, 'free')])).inventoryKey);
  Object.assign(fixture.kustomization.spec, { deletionPolicy: 'WaitForTermination', timeout: '1s' });
  const finalise = () => fixture.run(fixture.activities.finalizeKustomization, { kustomization: refOfOwner(fixture) });
  expect((await finalise()).errors).toEqual([`not gone after 1s: ConfigMap/${namespace}/held`]);
  Object.assign(fixture.kustomization.spec, { timeout: '30s' });
  const waiting = finalise();
  await client.patch(refOf(held), { metadata: { finalizers: null } }, { type: 'merge' });
  expect((await waiting).errors).toEqual([]);
  expect(await namesIn(namespace)).toEqual([]);
});
