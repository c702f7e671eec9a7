import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { StoredObject } from './bucket-storage.ts';
import { defaultBucketLimits as limits, indexObjects, keyProblem } from './object-index.ts';

function listed(...keys: (string | Uint8Array)[]): StoredObject[] {
  return keys.map((key, i) => ({ keyBytes: Buffer.from(key as string), etag: `e${i}`, sizeBytes: 10 }));
}

describe('indexObjects', () => {
  it('takes files sorted by the bytes of their keys, and makes the revision of keys and ETags', () => {
    const { files, revision } = indexObjects(listed('b.yaml', 'a/x.yaml', 'a/', 'a-b.yaml'), { limits });

    expect([...files.keys()]).toEqual(['a-b.yaml', 'a/x.yaml', 'b.yaml']);
    const lines = 'a-b.yaml e3\na/x.yaml e1\nb.yaml e0\n';
    expect(revision).toBe(`sha256:${createHash('sha256').update(lines).digest('hex')}`);
  });

  it('gives an empty bucket the revision of nothing', () => {
    expect(indexObjects([], { limits }).revision).toBe(
      'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
  });

  it('leaves out what is ignored by default, by the file in the root, and by the spec, which has the last word', () => {
    const objects = listed('.sourceignore', 'logo.png', 'app/a.yaml', 'app/b.yaml', '.git/config', '../ignored');
    const paths = (rules: object): string[] => [
      ...indexObjects(objects.slice(0, 5), { limits, ...rules }).files.keys(),
    ];
    expect(paths({})).toEqual(['app/a.yaml', 'app/b.yaml']);
    expect(paths({ ignoreFile: 'app/*\n' })).toEqual(['logo.png']);
    expect(paths({ ignoreFile: 'app/*\n', ignore: '!app/b.yaml\n' })).toEqual(['app/b.yaml', 'logo.png']);
    expect([...indexObjects(objects, { limits, ignore: '..\n' }).files.keys()]).toHaveLength(3);
  });

  it.each([
    [listed('a/../../b'), 'the object "a/../../b" has "." or ".." in its key: leave it out'],
    [listed('a', 'a/b', 'c'), '"a" is an object and the folder of others: rename it, or leave it out'],
    [listed('a/b/c/d', 'x', 'a/b'), '"a/b" is an object and the folder of others'],
    [listed(Buffer.from([0x61, 0xff])), 'has a key that is not UTF-8: leave it out'],
  ])('refuses %#', (objects, message) => {
    expect(() => indexObjects(objects, { limits })).toThrow(message);
  });

  it('refuses too many objects and too many bytes', () => {
    const three = listed('a', 'b', 'c');
    expect(() => indexObjects(three, { limits: { ...limits, maxObjects: 2 } })).toThrow('more than the 2 objects');
    expect(() => indexObjects(three, { limits: { ...limits, maxBytes: 29 } })).toThrow('more than the 29 bytes');
    expect(indexObjects(three, { limits: { maxObjects: 3, maxBytes: 30 } }).files.size).toBe(3);
  });
});

describe('keyProblem', () => {
  it.each([
    ['a/b.yaml', undefined],
    ['ü ß/+.yaml', undefined],
    ['...', undefined],
    ['', 'has an empty key'],
    ['/etc/passwd', 'has a key that begins with "/"'],
    ['..', 'has "." or ".." in its key'],
    ['a/./b', 'has "." or ".." in its key'],
    ['a//b', 'has an empty name in its key'],
    ['a\nb', 'has control characters in its key'],
    ['a\\b', 'has a backslash in its key'],
    [`a/${'n'.repeat(256)}`, 'has a name of more than 255 bytes in its key'],
  ])('%j %s', (key, problem) => {
    expect(keyProblem(key)).toBe(problem);
  });
});
