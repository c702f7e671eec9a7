// ConfigMaps and Secrets that objects refer to, against the real API server: what is answered from memory, and who is
// told of a change.
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { createReferencedObjects, type WatchedReferences } from '../../k8s/referenced-objects.ts';
import type { WatchCaches } from '../../k8s/watch-cache.ts';
import { createWatchCaches } from '../../k8s/watch-caches.ts';
import { watchReferences } from '../../workers/reference-watch.ts';
import { configMap, createNamespace, eventually } from '../servers/kube-fixture.ts';
import { startRequestLog } from '../servers/request-log.ts';

const label = 'reconcile.fluxcd.io/watch';
let client: KubeClient;
let caches: WatchCaches;
let references: WatchedReferences;
let namespace: string;

beforeAll(async () => {
  client = createKubeClient({ kubeconfig: inject('kubeconfig') });
  caches = createWatchCaches(client);
  references = createReferencedObjects({ client, caches, labelSelector: `${label}=Enabled` });
  await references.cacheOf('ConfigMap').sync();
  await references.cacheOf('Secret').sync();
});
beforeEach(async () => {
  namespace = await createNamespace(client, 'references');
});
afterAll(async () => {
  caches.close();
  await client.close();
});

function labelled(object: KubeObject): KubeObject {
  return { ...object, metadata: { ...object.metadata, labels: { [label]: 'Enabled' } } };
}

function user(spec: object): KubeObject {
  return {
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { namespace, name: 'app' },
    spec,
  };
}

const usesValues = { postBuild: { substituteFrom: [{ kind: 'ConfigMap', name: 'values' }] } };

/** Creates a labelled ConfigMap and waits until the memory has it. */
async function createLabelled(data: Record<string, string>): Promise<KubeObject> {
  const created = await client.create(labelled(configMap(namespace, 'values', data)));
  await eventually('the cache to have it', () => references.cacheOf('ConfigMap').get(namespace, 'values'));
  return created;
}

async function valuesNow(): Promise<unknown> {
  return (await references.get('ConfigMap', namespace, 'values'))?.data;
}

test('a labelled object is answered from memory, as it is now', async () => {
  await createLabelled({ a: '1' });
  const log = startRequestLog((path) => path.includes('/values'));
  expect(await valuesNow()).toEqual({ a: '1' });
  expect(log.requests).toEqual([]);
  log.stop();
  const changed = await client.patch(refOf(configMap(namespace, 'values')), { data: { a: '2' } }, { type: 'merge' });
  await references.catchUp('ConfigMap', changed.metadata.resourceVersion ?? '');
  expect(await valuesNow()).toEqual({ a: '2' });
});

test('any other object costs one request, and one that does not exist is undefined', async () => {
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name: 'key' }, stringData: { a: '1' } };
  await client.create(secret);
  const log = startRequestLog((path) => path.includes(namespace));
  expect((await references.get('Secret', namespace, 'key'))?.data).toEqual({ a: 'MQ==' });
  expect(await references.get('Secret', namespace, 'none')).toBeUndefined();
  expect(log.requests).toEqual([
    `GET /api/v1/namespaces/${namespace}/secrets/key`,
    `GET /api/v1/namespaces/${namespace}/secrets/none`,
  ]);
  log.stop();
});

test('an object that loses its label is asked for again', async () => {
  await createLabelled({ a: '1' });
  await client.patch(
    refOf(configMap(namespace, 'values')),
    { metadata: { labels: { [label]: null } }, data: { a: '2' } },
    { type: 'merge' },
  );
  await eventually('the cache to drop it', () => !references.cacheOf('ConfigMap').get(namespace, 'values'));
  expect(await valuesNow()).toEqual({ a: '2' });
});

test('whoever refers to a changed object is told, of new values only', async () => {
  await createLabelled({ a: '1' });
  const told: string[] = [];
  const users = [user(usesValues), user({ decryption: { secretRef: { name: 'values' } } })];
  const options = { references, users: () => users, log: { warn: () => undefined } };
  const watch = watchReferences(options, (object, wake) => {
    told.push(`${object === users[0] ? 'user' : 'other'} ${wake.type} ${wake.subject}`);
  });
  await watch.catchUp({}); // it listens from here on
  const ref = refOf(configMap(namespace, 'values'));
  await client.patch(ref, { metadata: { annotations: { note: 'x' } } }, { type: 'merge' });
  await client.patch(ref, { data: { a: '2' } }, { type: 'merge' });
  await client.delete(ref);
  const line = `user dependency ConfigMap/${namespace}/values`;
  await eventually('the deletion to be told', () => told.length >= 2);
  expect(told).toEqual([line, line]);
  watch.stop();
});

test('changes that nobody was told of are told by the next watch', async () => {
  const before = references.cacheOf('ConfigMap').resourceVersion;
  const created = await createLabelled({ a: '1' });
  const told: unknown[] = [];
  const options = { references, users: () => [user(usesValues)], log: { warn: () => undefined } };
  const watch = watchReferences(options, (_object, wake) => told.push(wake.resourceVersion));
  await watch.catchUp({ ConfigMap: before });
  expect(told).toEqual([created.metadata.resourceVersion]);
  watch.stop();
});

test('where labelled objects may not be listed, each answer costs a request', async () => {
  await client.create(labelled(configMap(namespace, 'values', { a: '1' })));
  const account = client.impersonate('nobody-at-all');
  const narrow = createWatchCaches(account);
  const limited = createReferencedObjects({ client, caches: narrow, labelSelector: `${label}=Enabled` });
  expect((await limited.get('ConfigMap', namespace, 'values'))?.data).toEqual({ a: '1' });
  narrow.close();
});
