import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import type { KubeClient, ResourceInfo } from '../../k8s/client.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import type { CacheEvent } from '../../k8s/watch-cache.ts';
import { createWatchCaches } from '../../k8s/watch-caches.ts';
import { type CuttableProxy, startCuttableProxy } from '../servers/cuttable-proxy.ts';
import {
  configMap,
  createNamespace,
  customResourceDefinition,
  eventually,
  kubeconfigWithServer,
  uniqueName,
} from '../servers/kube-fixture.ts';

const kubeconfig = inject('kubeconfig');
const configMaps = { group: '', version: 'v1', kind: 'ConfigMap', resource: 'configmaps', namespaced: true };
let client: KubeClient;
let proxied: KubeClient;
let proxy: CuttableProxy;
let namespace: string;
let label: string;

beforeAll(async () => {
  client = createKubeClient({ kubeconfig });
  proxy = await startCuttableProxy(Number(new URL(client.server).port));
  const kubeconfigText = kubeconfigWithServer(kubeconfig, () => `https://127.0.0.1:${proxy.port}`);
  proxied = createKubeClient({ kubeconfigText });
});
beforeEach(async () => {
  namespace = await createNamespace(client, 'cache');
  label = uniqueName('label');
});
afterAll(async () => {
  await proxied.close();
  proxy.close();
  await client.close();
});

function labelled(name: string, value = 'a'): KubeObject {
  const object = configMap(namespace, name, { value });
  object.metadata.labels = { [label]: 'yes' };
  return object;
}

function record(events: string[]) {
  return ({ type, object }: CacheEvent): void => void events.push(`${type} ${object.metadata.name}`);
}

test('lists, follows changes, and tells them once', async () => {
  await client.create(labelled('first'));
  await client.create(configMap(namespace, 'unlabelled'));
  const caches = createWatchCaches(client);
  const cache = caches.open({ resource: configMaps, labelSelector: label });
  expect(caches.open({ resource: configMaps, labelSelector: label })).toBe(cache);
  expect(cache.isSynced).toBe(false);
  await Promise.all([cache.sync(), cache.sync()]);
  expect(cache.list().map((object) => object.metadata.name)).toEqual(['first']);

  const events: string[] = [];
  const unsubscribe = cache.subscribe(record(events));
  await client.create(labelled('second'));
  const changed = await client.apply(labelled('second', 'b'), { fieldManager: 'x', force: true });
  expect(await cache.waitForVersion(changed.metadata.resourceVersion ?? '', 5_000)).toBe(true);
  expect(cache.get(namespace, 'second')).toMatchObject({ data: { value: 'b' } });
  expect(cache.get(namespace, 'second')?.metadata.managedFields?.some((entry) => entry.fieldsV1)).toBe(false);
  expect(cache.get(namespace, 'second')?.metadata.managedFields?.map((entry) => entry.manager)).toContain('x');
  await client.delete(refOf(labelled('first')));
  await eventually('the deletion', () => !cache.get(namespace, 'first'));
  unsubscribe();
  await client.delete(refOf(labelled('second')));
  await eventually('the second deletion', () => !cache.get(namespace, 'second'));
  expect(events).toEqual(['ADDED second', 'MODIFIED second', 'DELETED first']);
  caches.close();
  expect(caches.opened()).toEqual([]);
});

test('tells a replaced object as deleted and added, and holds metadata only when asked', async () => {
  const caches = createWatchCaches(client);
  const cache = caches.open({ resource: configMaps, labelSelector: label, metadataOnly: true });
  await cache.sync();
  const events: string[] = [];
  cache.subscribe(record(events));
  const first = await client.create(labelled('x'));
  await client.delete(refOf(first));
  await client.create(labelled('x'));
  await eventually('the new object', () => events.length === 3);
  expect(events).toEqual(['ADDED x', 'DELETED x', 'ADDED x']);
  expect(Object.keys(cache.get(namespace, 'x') ?? {}).sort()).toEqual(['apiVersion', 'kind', 'metadata']);
  caches.close();
});

test('is false after the time-out for a version that a quiet cache does not see', async () => {
  const caches = createWatchCaches(client);
  const cache = caches.open({ resource: configMaps, labelSelector: label });
  await cache.sync();
  const other = await client.create(configMap(namespace, 'other'));
  expect(await cache.waitForVersion(other.metadata.resourceVersion ?? '', 200)).toBe(false);
  caches.close();
});

test('goes on where it was after a broken connection, and holds its content while it is away', async () => {
  await client.create(labelled('kept'));
  const caches = createWatchCaches(proxied);
  const cache = caches.open({ resource: configMaps, labelSelector: label });
  await cache.sync();
  const events: string[] = [];
  cache.subscribe(record(events));
  proxy.refuse(true);
  proxy.cut();
  await client.create(labelled('missed'));
  await client.delete(refOf(labelled('kept')));
  expect(cache.get(namespace, 'kept')).toBeDefined();
  expect(cache.isSynced).toBe(true);
  proxy.refuse(false);
  await eventually('both changes', () => events.length === 2);
  expect(events).toEqual(['ADDED missed', 'DELETED kept']);
  caches.close();
});

test('lists again when the server has forgotten its version, and tells the differences as events', async () => {
  const group = `${uniqueName('g')}.example.com`;
  await client.create(customResourceDefinition(group));
  const resource = await eventually<ResourceInfo | undefined>('the kind', () =>
    client.resourceFor(group, 'v1', 'Widget'),
  );
  const widget = (name: string, size: number): KubeObject => ({
    apiVersion: `${group}/v1`,
    kind: 'Widget',
    metadata: { name, namespace },
    spec: { size },
  });
  for (const name of ['same', 'changed', 'gone']) {
    await eventually('the kind is served', () => client.create(widget(name, 1)).catch(() => undefined));
  }
  // The server has no history of the kind before its CRD: a watch from version 1 has expired.
  let isForgotten = false;
  const forgetful: KubeClient = {
    ...proxied,
    watch: (of, options) => proxied.watch(of, isForgotten ? { ...options, resourceVersion: '1' } : options),
    async list(of, options) {
      const list = await proxied.list(of, options);
      isForgotten = false;
      return list;
    },
  };
  const caches = createWatchCaches(forgetful);
  const cache = caches.open({ resource });
  await cache.sync();
  const events: string[] = [];
  cache.subscribe(record(events));
  isForgotten = true;
  proxy.refuse(true);
  proxy.cut();
  await client.apply(widget('changed', 2), { fieldManager: 'x', force: true });
  await client.delete(refOf(widget('gone', 1)));
  await client.create(widget('new', 1));
  proxy.refuse(false);
  await eventually('the differences', () => events.length === 3);
  expect(events.sort()).toEqual(['ADDED new', 'DELETED gone', 'MODIFIED changed']);
  await client.delete(refOf(widget('same', 1)));
  await eventually('an event after the list', () => events.length === 4);
  caches.close();
});

test('rejects a sync that is refused, and ends one that is aborted or closed', async () => {
  const caches = createWatchCaches(client.impersonate('nobody-at-all'));
  const cache = caches.open({ resource: configMaps, labelSelector: label });
  await expect(cache.sync()).rejects.toMatchObject({ reason: 'Forbidden' });
  expect(cache.isSynced).toBe(false);
  proxy.refuse(true);
  proxy.cut();
  const away = createWatchCaches(proxied);
  const reason = new Error('enough');
  const aborting = new AbortController();
  const waiting = away.open({ resource: configMaps }).sync(aborting.signal);
  aborting.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  const closed = away.open({ resource: configMaps }).sync();
  away.close();
  await expect(closed).rejects.toThrow('was closed');
  proxy.refuse(false);
  caches.close();
});
