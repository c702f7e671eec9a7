import { describe, expect, it, test } from 'vitest';
import { createStaging, type StagedFile } from './staging.ts';

const file = (digest: string, sizeBytes = 1): StagedFile => ({
  digest,
  sizeBytes,
  isExecutable: false,
  content: async () => Buffer.from(digest),
});

describe('createStaging', () => {
  it('names its content whatever the order in which it came', () => {
    const [a, b] = [createStaging(), createStaging()];
    a.put('x', file('1'));
    a.put('d/y', file('2'));
    b.put('d/y', file('0'));
    b.put('d/y', file('2'));
    b.put('x', file('1'));

    expect(a.contentDigest()).toBe(b.contentDigest());
    b.put('x', { ...file('1'), isExecutable: true });
    expect(a.contentDigest()).not.toBe(b.contentDigest());
    expect(a.files().map(({ path, contentId }) => [path, contentId])).toEqual([
      ['x', '1'],
      ['d/y', '2'],
    ]);
    expect([a.isDirectory('d'), a.isDirectory(''), a.isDirectory('x')]).toEqual([true, true, false]);
  });

  test.each([
    ['../x', 'leaves the archive by ".."'],
    ['/x', 'is absolute'],
    ['', 'is empty'],
    ['d', '"d" is a directory in the artifact already'],
    ['f/x', '"f" is a file in the artifact already, and no directory'],
  ])('refuses "%s"', (path, message) => {
    const staging = createStaging();
    staging.put('d/y', file('1'));
    staging.put('f', file('1'));

    expect(() => staging.put(path, file('2'))).toThrow(message);
  });

  it('ends at its limits, and counts what was replaced once', () => {
    const staging = createStaging({ maxFiles: 2, maxBytes: 10 });
    staging.put('a', file('1', 8));
    staging.put('a', file('2', 9));

    expect(() => staging.put('b', file('3', 2))).toThrow('more than the 10 bytes allowed');
    expect(() => staging.put('c', file('4', 0))).toThrow('more than the 2 files allowed');
  });

  it('leaves out what no artifact holds', () => {
    const staging = createStaging();
    for (const path of ['.git/config', 'a/.gitignore', '.gitmodules', 'b/.gitattributes', 'a/x.git']) {
      staging.put(path, file('1'));
    }

    expect(staging.files().map(({ path }) => path)).toEqual(['a/x.git']);
  });
});
