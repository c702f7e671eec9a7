import { expect, test } from 'vitest';
import {
  classifyAppliedEvent,
  type ForeignChange,
  watchAppliedObjects,
} from '../../activities/apply/applied-events.ts';
import { refOf } from '../../k8s/object.ts';
import { createApplyFixture, useCluster } from '../servers/apply-fixture.ts';
import { configMap, deployment, eventually, service } from '../servers/kube-fixture.ts';

const { client, caches } = useCluster();

/** An owner with three applied objects, and what is told of foreign changes of them. */
async function applied() {
  const fixture = await createApplyFixture(client, caches);
  const { namespace, owner, memory } = fixture;
  const set = [configMap(namespace, 'settings'), deployment(namespace, 'web'), service(namespace, 'web')];
  const told: ForeignChange[] = [];
  const end = memory.begin(owner);
  await fixture.apply(set);
  end();
  const watching = watchAppliedObjects(
    { memory, caches },
    (change) => void (change.owner.name === owner.name && told.push(change)),
  );
  /** Waits until the caches have seen everything up to now. */
  async function settle(): Promise<void> {
    for (const object of set) {
      const live = await client.get(refOf(object));
      const cache = caches.opened().find((one) => one.scope.resource.kind === object.kind);
      if (live) {
        await eventually(`${object.kind} in its cache`, () => {
          const version = cache?.get(namespace, object.metadata.name)?.metadata.resourceVersion;
          return version === live.metadata.resourceVersion;
        });
      }
    }
  }
  return { ...fixture, set, told, settle, stop: watching.stop };
}

test('tells a foreign write with its manager, and a deletion, but no status, foreign label or write of ours', async () => {
  const { namespace, owner, told, settle, apply, set, stop } = await applied();
  const web = refOf(deployment(namespace, 'web'));
  await client.patch(web, { status: { replicas: 3 } }, { type: 'merge', subresource: 'status', fieldManager: 'kcm' });
  await client.patch(web, { metadata: { labels: { foreign: 'x' } } }, { type: 'merge', fieldManager: 'labeller' });
  await client.patch(
    refOf(service(namespace, 'web')),
    { metadata: { annotations: { a: 'b' } } },
    { type: 'merge', fieldManager: 'labeller' },
  );
  await apply([...set.slice(0, 1), deployment(namespace, 'web', 'web:2'), ...set.slice(2)]);
  await settle();
  expect(told).toEqual([]);

  await client.patch(web, { spec: { replicas: 5 } }, { type: 'merge', fieldManager: 'scaler' });
  await eventually('the write', () => told.length === 1);
  expect(told.pop()).toEqual({
    owner,
    kind: 'foreign-write',
    subject: `Deployment/${namespace}/web`,
    manager: 'scaler',
  });
  await client.patch(
    refOf(configMap(namespace, 'settings')),
    { data: { key: 'b' } },
    { type: 'merge', fieldManager: 'editor' },
  );
  await eventually('the second write', () => told.length === 1);
  expect(told.pop()).toMatchObject({
    kind: 'foreign-write',
    subject: `ConfigMap/${namespace}/settings`,
    manager: 'editor',
  });
  await client.delete(refOf(service(namespace, 'web')));
  await eventually('the deletion', () => told.length === 1);
  expect(told.pop()).toEqual({ owner, kind: 'foreign-delete', subject: `Service/${namespace}/web` });
  stop();
});

test('puts events aside while the owner is applied, and judges them afterwards', async () => {
  const { namespace, owner, memory, told, settle, apply, set, stop } = await applied();
  const end = memory.begin(owner);
  await apply([configMap(namespace, 'settings', { key: 'ours' }), ...set.slice(1)]);
  await client.patch(
    refOf(service(namespace, 'web')),
    { spec: { selector: { app: 'x' } } },
    { type: 'merge', fieldManager: 'editor' },
  );
  await settle();
  expect(told).toEqual([]);
  end();
  expect(told).toEqual([{ owner, kind: 'foreign-write', subject: `Service/${namespace}/web`, manager: 'editor' }]);
  stop();
});

test('forgets what it knows of an owner that another worker has applied', async () => {
  const { namespace, owner, memory, told, settle, stop } = await applied();
  const before = await memory.load(owner);
  // Seconds are the resolution of managedFields: the other worker's write must be the newest by that clock.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const live = await client.get(refOf(configMap(namespace, 'settings')));
  const { managedFields: _, resourceVersion: __, ...metadata } = live?.metadata ?? { name: '' };
  const object = { ...configMap(namespace, 'settings', { key: 'elsewhere' }), metadata };
  await client.apply(object, { fieldManager: 'kustomize-controller', force: true });
  await settle();
  expect(told).toEqual([]);
  expect(memory.peek(owner)).not.toBe(before);
  stop();
});

test('knows nothing of objects that it has not applied', async () => {
  const { namespace, memory, stop } = await applied();
  const foreign = configMap(namespace, 'foreign');
  expect(classifyAppliedEvent({ type: 'ADDED', object: foreign }, memory)).toBeUndefined();
  stop();
});

test('tells nothing of owners that apply to another cluster, whatever the labels say', async () => {
  const fixture = await createApplyFixture(client, caches);
  const { namespace, owner, memory } = fixture;
  const end = memory.begin(owner);
  await fixture.apply([configMap(namespace, 'settings')]);
  end();
  const told: Record<string, string[]> = { here: [], elsewhere: [] };
  const watches = Object.entries(told).map(([where, subjects]) =>
    watchAppliedObjects({ memory, caches, isTarget: () => where === 'here' }, (change) => {
      if (change.owner.name === owner.name) subjects.push(change.subject);
    }),
  );
  await client.patch(refOf(configMap(namespace, 'settings')), { data: { key: 'b' } }, { type: 'merge' });
  await eventually('the write to be told', () => told.here?.length);
  expect(told).toEqual({ here: [`ConfigMap/${namespace}/settings`], elsewhere: [] });
  for (const watch of watches) watch.stop();
});
