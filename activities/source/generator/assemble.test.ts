import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { assemble } from './assemble.ts';
import type { CopyOperation } from './copy-rules.ts';
import { createSourceTree, type SourceTree } from './source-tree.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'assemble-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function treeOf(name: string, files: Record<string, string>): SourceTree {
  const directory = join(root, name);
  const digests = Object.entries(files).map(([path, content]): [string, string] => {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
    return [path, createHash('sha256').update(content).digest('hex')];
  });
  return createSourceTree({ directory, files: new Map(digests) });
}

async function put(
  files: Record<string, string>,
  operations: Partial<CopyOperation>[],
  limits?: { maxFiles: number; maxBytes: number },
) {
  const source = treeOf('source', files);
  return await assemble(
    operations.map((one) => ({ from: '@src/**', to: '@artifact/', ...one })),
    {
      treeOf: () => source,
      extract: async (tarball) => {
        if (readFileSync(tarball, 'utf8') === 'broken') throw new Error('entry "../x" leaves the archive by ".."');
        return treeOf('extracted', { 'chart/Chart.yaml': 'name: x' });
      },
      yaml: { read: (text) => (parse(text) ?? {}) as Record<string, unknown>, write: (value) => stringify(value) },
      signal: new AbortController().signal,
      limits,
    },
  );
}

async function contentsOf(staging: Awaited<ReturnType<typeof assemble>>): Promise<Record<string, string>> {
  const read = staging.files().map(async ({ path, content }) => [path, Buffer.from(await content()).toString()]);
  return Object.fromEntries((await Promise.all(read)) as [string, string][]);
}

describe('assemble', () => {
  it('copies, overwrites, merges and extracts in the order of the operations', async () => {
    const staging = await put(
      { 'a.yaml': 'a: 1\nb: 1\n', 'over/a.yaml': 'b: 2\n', 'over/b.yaml': 'c: 3\n', 'x.tgz': '' },
      [
        { from: '@src/*.yaml' },
        { from: '@src/over/**', strategy: 'Merge' },
        { from: '@src/x.tgz', to: '@artifact/charts', strategy: 'Extract' },
        { from: '@src/over/b.yaml', to: '@artifact/charts/chart/Chart.yaml' },
      ],
    );

    expect(await contentsOf(staging)).toEqual({
      'a.yaml': 'a: 1\nb: 2\n',
      'b.yaml': 'c: 3\n',
      'charts/chart/Chart.yaml': 'c: 3\n',
    });
  });

  it('keeps what may be run', async () => {
    treeOf('source', { 'run.sh': '' });
    chmodSync(join(root, 'source', 'run.sh'), 0o700);

    expect((await put({ 'run.sh': '' }, [{}])).files()).toMatchObject([{ path: 'run.sh', isExecutable: true }]);
  });

  test.each<[what: string, files: Record<string, string>, operations: Partial<CopyOperation>[], message: string]>([
    ['a missing file', {}, [{ from: '@src/a' }], 'copy from "@src/a" to "@artifact/": "a" does not exist'],
    ['a hostile tarball', { 'a.tgz': 'broken' }, [{ strategy: 'Extract' }], 'entry "../x" leaves the archive by ".."'],
    ['a hostile target', { a: '' }, [{ from: '@src/a', to: '@artifact/x/../../a' }], 'leaves the archive by ".."'],
    [
      'a file where a directory is',
      { 'd/a': '', b: '' },
      [{}, { from: '@src/b', to: '@artifact/d/a/b' }],
      '"d/a" is a file in the artifact already',
    ],
    [
      'what is no YAML',
      { 'a.yaml': '[', 'd/a.yaml': 'a: 1' },
      [{ from: '@src/a.yaml' }, { from: '@src/d/**', strategy: 'Merge' }],
      'the file that is there is no YAML map',
    ],
  ])('refuses %s', async (_what, files, operations, message) => {
    await expect(put(files, operations)).rejects.toThrow(message);
  });

  it('ends at its limits', async () => {
    await expect(put({ a: '1', b: '2' }, [{}], { maxFiles: 1, maxBytes: 9 })).rejects.toThrow('the 1 files allowed');
    await expect(put({ a: '123' }, [{}], { maxFiles: 9, maxBytes: 2 })).rejects.toThrow('the 2 bytes allowed');
  });
});
