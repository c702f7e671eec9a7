import { expect, it } from 'vitest';
import { blobName, blobPathOf, garbageOf, ownerPath, safeSegment } from './store-rules.ts';

it('keeps locks and open temporary files out of the count', () => {
  const files = [
    { name: 'a.lock', modifiedMs: 0 },
    { name: '.tmp-dead', modifiedMs: 0 },
    { name: '.tmp-open', modifiedMs: 9_999_000 },
    { name: 'old', modifiedMs: 1 },
    { name: 'mid', modifiedMs: 2 },
    { name: 'new', modifiedMs: 3 },
  ];
  expect(garbageOf(files, undefined, 10_000_000, 2, 60_000)).toEqual(['.tmp-dead', 'old']);
  expect(garbageOf(files, 'old', 10_000_000, 1, 60_000)).toEqual(['.tmp-dead', 'new', 'mid']);
  expect(garbageOf(files, 'gone', 10_000_000, 0, 60_000)).toEqual(['.tmp-dead', 'mid', 'old']);
});

it('names a blob by the digest in its key, or by the digest of its key', () => {
  const digest = 'ab'.repeat(32);
  expect(blobName(`manifests/${digest}`)).toBe(digest);
  expect(blobPathOf(`manifests/${digest}`)).toBe(`.blobs/manifests/ab/${digest.slice(2)}`);
  expect(blobPathOf('memory/a:b')).toMatch(/^\.blobs\/[0-9a-f]{2}\/[0-9a-f]{62}$/);
});

it('lets no name of an object lead elsewhere', () => {
  expect(ownerPath({ kind: 'GitRepository', namespace: 'apps', name: 'a.b' })).toBe('gitrepository/apps/a.b');
  for (const bad of ['', '..', '.x', 'a/b', 'a\\b', 'a\0', 'x'.repeat(254)]) {
    expect(() => safeSegment(bad)).toThrow("cannot be part of an artifact's path");
  }
});
