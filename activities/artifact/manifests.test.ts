import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../k8s/object.ts';
import { createManifestStore } from './manifests.ts';
import { createSealer } from './sealing.ts';

const config = (name: string, data = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});

const sealer = createSealer(Buffer.alloc(32, 1));

function setup(maxCachedBytes = 1e6) {
  const blobs = new Map<string, Uint8Array>();
  let reads = 0;
  const store = {
    readBlob: async (key: string) => {
      reads += 1;
      return blobs.get(key);
    },
    writeBlob: async (key: string, content: Uint8Array) => void blobs.set(key, content),
  };
  const open = (by = sealer) => createManifestStore({ store, sealer: by, maxCachedBytes });
  return { blobs, open, reads: () => reads };
}

describe('createManifestStore', () => {
  test('gives the same digest for the same objects in any order of objects and keys', async () => {
    const manifests = setup().open();

    const first = await manifests.put([config('a', { x: '1', y: '2' }), config('b')]);
    const second = await manifests.put([config('b'), config('a', { y: '2', x: '1' })]);

    expect(second).toEqual(first);
    expect(first).toMatchObject({ digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/), count: 2 });
    expect((await manifests.put([config('a')])).digest).not.toBe(first.digest);
  });

  test('gives objects that cannot be changed, in this process and in another', async () => {
    const { open } = setup();
    const { digest } = await open().put([config('b'), config('a', { x: '1' })]);

    const objects = await open().get(digest);

    expect(objects).toEqual([config('a', { x: '1' }), config('b')]);
    expect(() => Object.assign(objects[0]?.metadata ?? {}, { name: 'changed' })).toThrow(/read only/);
  });

  test('says that manifests are lost when the blob is gone or damaged', async () => {
    const { blobs, open } = setup();
    const stored = await open().put([config('a')]);
    const { digest } = stored;
    await open().remember('k', stored);
    expect(await open().lookup('k')).toMatchObject({ digest, count: 1 });

    for (const key of blobs.keys()) if (key.startsWith('manifests/')) blobs.set(key, Buffer.from('damaged'));

    await expect(open().get(digest)).rejects.toMatchObject({ type: 'StorageOperationFailed' });
    expect(await open().lookup('k')).toBeUndefined();
    expect(await open().lookup('unknown')).toBeUndefined();
  });

  test('stores nothing that could be read without the key', async () => {
    const { blobs, open } = setup();
    const { digest } = await open().put([config('a', { password: 'hunter2'.repeat(50) })]);

    const [blob] = blobs.values();
    expect(Buffer.from(blob ?? []).includes('hunter2')).toBe(false);
    expect(() => gunzipSync(blob ?? Buffer.alloc(0))).toThrow('incorrect header');
    const other = open(createSealer(Buffer.alloc(32, 2)));
    await expect(other.get(digest)).rejects.toMatchObject({ type: 'StorageOperationFailed' });
  });

  test('takes what was stored unsealed for lost', async () => {
    const { blobs, open } = setup();
    const stored = await open().put([config('a')]);
    await open().remember('k', stored);
    const text = JSON.stringify([{ apiVersion: 'v1', data: {}, kind: 'ConfigMap', metadata: { name: 'a' } }]);
    for (const key of blobs.keys()) if (key.startsWith('manifests/')) blobs.set(key, gzipSync(text));

    expect(await open().lookup('k')).toBeUndefined();
  });

  test('answers a known key from memory', async () => {
    const { open, reads } = setup();
    const manifests = open();
    const stored = await manifests.put([config('a')]);
    const { digest } = stored;
    await manifests.remember('k', stored);

    expect(manifests.peekKey('k')).toEqual(stored);
    expect(manifests.peek(digest)).toEqual([config('a')]);
    expect(await manifests.lookup('k')).toMatchObject({ digest });
    expect(reads()).toBe(0);
  });

  test('keeps no more in memory than it may, and reads the rest again', async () => {
    const manifests = setup(150).open();
    const a = await manifests.put([config('a')]);
    const b = await manifests.put([config('b')]);
    const c = await manifests.put([config('c')]);

    expect(manifests.peek(a.digest)).toBeUndefined();
    expect(manifests.peek(b.digest)).toBeDefined();
    expect(manifests.peek(c.digest)).toBeDefined();
    expect(await manifests.get(a.digest)).toEqual([config('a')]);
  });

  test('a store that is away is worth another try', async () => {
    const away = async (): Promise<never> => Promise.reject(new Error('connection refused'));
    const manifests = createManifestStore({ store: { readBlob: away, writeBlob: away }, sealer, maxCachedBytes: 1 });

    await expect(manifests.put([config('a')])).rejects.toMatchObject({
      type: 'StorageOperationFailed',
      nonRetryable: false,
      message: 'artifact store cannot be read or written: connection refused',
    });
  });
});
