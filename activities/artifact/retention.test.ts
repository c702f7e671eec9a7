import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { KubeObject } from '../../k8s/object.ts';
import { createFileArtifactStore } from './file-store.ts';
import { createManifestStore } from './manifests.ts';
import { sweepStore } from './retention.ts';
import { createSealer } from './sealing.ts';

const dayMs = 86_400_000;
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'continuo-retention-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function open() {
  const store = createFileArtifactStore({ directory, advertisedAddress: 'x' });
  const manifests = createManifestStore({ store, sealer: createSealer(Buffer.alloc(32, 1)), maxCachedBytes: 1e6 });
  return { store, manifests };
}

function files(): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());
}

/** Makes everything that is in the store look older. */
function age(byMs: number): void {
  for (const path of files()) {
    const seconds = (statSync(path).mtimeMs - byMs) / 1000;
    utimesSync(path, seconds, seconds);
  }
}

const config = (name: string): KubeObject => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });
const named = (...digests: string[]): KubeObject => ({
  apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
  kind: 'Kustomization',
  metadata: { name: 'app' },
  status: { history: digests.map((digest) => ({ digest })) },
});

test('keeps what a history names and what is young, with its index; all else goes', async () => {
  const { store, manifests } = open();
  const build = async (name: string) => {
    const stored = await manifests.put([config(name)]);
    await manifests.remember(name.repeat(64), stored);
    return stored;
  };
  const old = await build('a');
  const kept = await build('b');
  const sweep = (...objects: KubeObject[]) => sweepStore({ store, manifests, objects, retentionMs: dayMs });
  age(dayMs + 60_000);
  const young = await build('c');
  const before = files().length;
  expect(await sweep(named(), named('sha256:other', kept.digest))).toEqual({ manifests: 1, builds: 1, inventories: 0 });
  expect(files()).toHaveLength(before - 2);

  // In this process and in another one.
  for (const one of [manifests, open().manifests]) {
    await expect(one.get(old.digest)).rejects.toMatchObject({ type: 'StorageOperationFailed' });
    expect(await one.lookup('a'.repeat(64))).toBeUndefined();
    for (const [key, stored] of Object.entries({ b: kept, c: young })) {
      expect(await one.get(stored.digest)).toEqual([config(key)]);
      expect(await one.lookup(key.repeat(64))).toEqual(stored);
    }
  }
  expect(await sweep(named(kept.digest))).toEqual({ manifests: 0, builds: 0, inventories: 0 });
});

test('what was removed is stored again when it is built again', async () => {
  const { store, manifests } = open();
  const { digest } = await manifests.put([config('a')]);
  age(2 * dayMs);
  await sweepStore({ store, manifests, objects: [], retentionMs: dayMs });
  expect(manifests.peek(digest)).toBeUndefined();
  expect((await manifests.put([config('a')])).digest).toBe(digest);
  expect(await open().manifests.get(digest)).toEqual([config('a')]);
});

test('forgets what another process has removed', async () => {
  const { store, manifests } = open();
  const stored = await manifests.put([config('a')]);
  await manifests.remember('a'.repeat(64), stored);
  for (const path of files()) rmSync(path);
  await sweepStore({ store, manifests, objects: [named(stored.digest)], retentionMs: dayMs });
  expect(manifests.peek(stored.digest)).toBeUndefined();
  expect(manifests.peekKey('a'.repeat(64))).toBeUndefined();
});

test('an inventory outlives the longest wait for health; memories and journals are never swept', async () => {
  const { store, manifests } = open();
  const keys = [
    'inventory/kustomization/apps/a/1.json',
    'apply/kustomization/apps/a.json',
    'journal/kustomization/apps/a.json',
  ];
  for (const key of keys) await store.writeBlob(key, Buffer.from('[]'));
  const left = async () => {
    const found = await Promise.all(keys.map((key) => store.readBlob(key)));
    return found.map((blob) => blob !== undefined);
  };
  age(dayMs + 25 * 3_600_000);
  await sweepStore({ store, manifests, objects: [], retentionMs: dayMs });
  expect(await left()).toEqual([true, true, true]);
  age(2 * 3_600_000);
  expect(await sweepStore({ store, manifests, objects: [], retentionMs: dayMs })).toMatchObject({ inventories: 1 });
  expect(await left()).toEqual([false, true, true]);
});

test('an empty store is no trouble', async () => {
  const { store, manifests } = open();
  const options = { store, manifests, objects: [], retentionMs: dayMs };
  expect(await sweepStore(options)).toEqual({ manifests: 0, builds: 0, inventories: 0 });
});
