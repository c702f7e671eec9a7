import { expect, test } from 'vitest';
import { createApplyMemory } from './memory.ts';

const owner = { kind: 'Kustomization', namespace: 'a', name: 'web' };

function memoryStore() {
  const blobs = new Map<string, Uint8Array>();
  return {
    blobs,
    readBlob: async (key: string) => blobs.get(key),
    writeBlob: async (key: string, content: Uint8Array) => void blobs.set(key, content),
    removeBlob: async (key: string) => void blobs.delete(key),
  };
}

const entry = {
  type: 'v1/ConfigMap',
  namespace: 'a',
  name: 'x',
  desiredDigest: 'd',
  labelKeys: [],
  annotationKeys: [],
  fingerprint: 'f',
  uid: 'u',
  resourceVersion: '1',
};

test('is read back by another process from the store', async () => {
  const store = memoryStore();
  const first = createApplyMemory(store);
  const memory = await first.load(owner);
  memory.applyKey = 'k';
  memory.entries.set('a_x__ConfigMap', entry);
  await first.save(owner);
  expect([...store.blobs.keys()]).toEqual(['apply/kustomization/a/web.json']);

  const second = createApplyMemory(store);
  expect(second.peek(owner)).toBeUndefined();
  expect(await second.load(owner)).toEqual(memory);
  await second.remove(owner);
  expect(store.blobs.size).toBe(0);
  expect((await second.load(owner)).entries.size).toBe(0);
});

test.each(['', 'not json', '{"formatVersion":0}', '{"formatVersion":1}'])('a blob %j is no memory', async (text) => {
  const store = memoryStore();
  store.blobs.set('apply/kustomization/a/web.json', Buffer.from(text));
  expect((await createApplyMemory(store).load(owner)).entries.size).toBe(0);
});

test('an owner is busy until the last work on it ends', () => {
  const memory = createApplyMemory(memoryStore());
  const idle: string[] = [];
  memory.onIdle((one) => idle.push(one.name));
  const first = memory.begin(owner);
  const second = memory.begin(owner);
  first();
  first();
  expect([memory.isBusy(owner), idle]).toEqual([true, []]);
  second();
  expect([memory.isBusy(owner), idle]).toEqual([false, ['web']]);
});
