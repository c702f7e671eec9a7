import { expect, test } from 'vitest';
import type { InventoryEntry } from '../../k8s/object.ts';
import { createApplyJournals } from './journal.ts';

const owner = { kind: 'Kustomization', namespace: 'a', name: 'web' };
const key = 'journal/kustomization/a/web.json';

function entriesOf(...names: string[]): InventoryEntry[] {
  return names.map((name) => ({ id: `a_${name}__ConfigMap`, v: 'v1' }));
}

function blobStore() {
  const blobs = new Map<string, Uint8Array>();
  return {
    blobs,
    readBlob: async (name: string) => blobs.get(name),
    writeBlob: async (name: string, content: Uint8Array) => void blobs.set(name, content),
    removeBlob: async (name: string) => void blobs.delete(name),
  };
}

test('what is about to be written is stored at once, without what the status lists', async () => {
  const store = blobStore();
  const journal = await createApplyJournals(store).open(owner, entriesOf('one'));
  expect(await journal.add(entriesOf('one'))).toBe(false);
  expect(store.blobs.size).toBe(0);
  expect(await journal.add(entriesOf('one', 'two', 'three'))).toBe(true);
  expect(await journal.add(entriesOf('two'))).toBe(false);

  const afterCrash = await createApplyJournals(store).open(owner, entriesOf('one'));
  expect(afterCrash.entries()).toEqual(entriesOf('two', 'three'));
});

test('an entry goes once a status lists it, or when it is not kept', async () => {
  const store = blobStore();
  const journals = createApplyJournals(store);
  await (await journals.open(owner, [])).add(entriesOf('one', 'two', 'three'));

  const next = await journals.open(owner, entriesOf('one'));
  expect(next.entries()).toEqual(entriesOf('two', 'three'));
  await next.keep(entriesOf('one', 'three', 'four'));
  expect(next.entries()).toEqual(entriesOf('three'));
  expect((await journals.open(owner, [])).entries()).toEqual(entriesOf('three'));

  await next.keep([]);
  expect(store.blobs.has(key)).toBe(false);
});

test('a journal that lists only what the status lists is removed when the pass ends', async () => {
  const store = blobStore();
  const journals = createApplyJournals(store);
  await (await journals.open(owner, [])).add(entriesOf('one'));
  const next = await journals.open(owner, entriesOf('one'));
  await next.keep(entriesOf('one'));
  expect(store.blobs.has(key)).toBe(false);
});

test.each(['', 'not json', '{}', '[1, null]'])('a damaged journal %j names nothing', async (text) => {
  const store = blobStore();
  store.blobs.set(key, Buffer.from(text));
  expect((await createApplyJournals(store).open(owner, [])).entries()).toEqual([]);
});
