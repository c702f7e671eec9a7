import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ArchiveFile, ArtifactStore } from './artifact.ts';
import { createFileArtifactStore } from './file-store.ts';

const owner = { kind: 'GitRepository', namespace: 'apps', name: 'demo' };
let directory: string;
let store: ArtifactStore;

function file(path: string, text = path, isExecutable = false): ArchiveFile {
  return { path, isExecutable, content: async () => Buffer.from(text) };
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'continuo-store-'));
  store = createFileArtifactStore({ directory, advertisedAddress: 'source-controller.flux-system.svc.cluster.local.' });
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('publishing', () => {
  it('writes a tar that every tar reads: sorted, owned by 0, without times, with fixed modes', async () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(120)}.yaml`;
    const artifact = await store.publish(owner, 'a.tar.gz', 'main@sha1:1', [
      file('z.yaml'),
      file('b/run.sh', 'echo', true),
      file('b/ü.yaml', 'umlaut'),
      file(long),
      file(`${'p'.repeat(120)}/name.yaml`),
      file('empty', ''),
    ]);
    const path = join(directory, artifact.path);
    const lines = execFileSync(
      'tar',
      ['--numeric-owner', '--full-time', '--utc', '--quoting-style=literal', '-tvzf', path],
      { encoding: 'utf8' },
    );
    expect(
      lines
        .trim()
        .split('\n')
        .map((line) => line.replace(/\s+/g, ' ')),
    ).toEqual([
      'drwxr-x--- 0/0 0 1970-01-01 00:00:00 b/',
      '-rwx------ 0/0 4 1970-01-01 00:00:00 b/run.sh',
      '-rw------- 0/0 6 1970-01-01 00:00:00 b/ü.yaml',
      `drwxr-x--- 0/0 0 1970-01-01 00:00:00 ${'d'.repeat(90)}/`,
      `drwxr-x--- 0/0 0 1970-01-01 00:00:00 ${'d'.repeat(90)}/${'e'.repeat(90)}/`,
      `-rw------- 0/0 ${long.length} 1970-01-01 00:00:00 ${long}`,
      '-rw------- 0/0 0 1970-01-01 00:00:00 empty',
      `drwxr-x--- 0/0 0 1970-01-01 00:00:00 ${'p'.repeat(120)}/`,
      `-rw------- 0/0 130 1970-01-01 00:00:00 ${'p'.repeat(120)}/name.yaml`,
      '-rw------- 0/0 6 1970-01-01 00:00:00 z.yaml',
    ]);
    expect(execFileSync('tar', ['-xzOf', path, long], { encoding: 'utf8' })).toBe(long);
    expect([...readFileSync(path).subarray(0, 10)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    expect(artifact).toMatchObject({
      path: 'gitrepository/apps/demo/a.tar.gz',
      url: 'http://source-controller.flux-system.svc.cluster.local./gitrepository/apps/demo/a.tar.gz',
      size: statSync(path).size,
      revision: 'main@sha1:1',
      lastUpdateTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    });
    expect(artifact.digest).toBe(`sha256:${execFileSync('sha256sum', [path], { encoding: 'utf8' }).slice(0, 64)}`);
  });

  it('gives the same bytes whatever the order of the files', async () => {
    const one = await store.publish(owner, 'a.tar.gz', 'r', [file('b/c'), file('a')]);
    const two = await store.publish(owner, 'b.tar.gz', 'r', [file('a'), file('b/c')]);
    expect(two.digest).toBe(one.digest);
  });

  it.each(['../a', '/a', 'a//b', 'a/./b', '', 'a\0b'])(
    'refuses the path %j and leaves nothing behind',
    async (path) => {
      await expect(store.publish(owner, 'a.tar.gz', 'r', [file(path)])).rejects.toMatchObject({
        type: 'ArchiveOperationFailed',
      });
      expect(await readdir(join(directory, 'gitrepository/apps/demo'))).toEqual([]);
    },
  );

  it('refuses an owner that would leave the store', async () => {
    await expect(store.publish({ ...owner, name: '..' }, 'a', 'r', [])).rejects.toMatchObject({
      type: 'StorageOperationFailed',
    });
  });

  it.each(['sha384', 'sha512'] as const)('writes and verifies %s', async (digestAlgorithm) => {
    const other = createFileArtifactStore({ directory, advertisedAddress: 'x', digestAlgorithm });
    const artifact = await other.publish(owner, 'a.tar.gz', 'r', [file('a')]);
    expect(artifact.digest.startsWith(`${digestAlgorithm}:`)).toBe(true);
    expect(await store.verify(artifact)).toBe(true);
  });
});

describe('keeping', () => {
  it('verifies a file, and drops a damaged one', async () => {
    const artifact = await store.publish(owner, 'a.tar.gz', 'r', [file('a')]);
    expect(await store.verify(artifact)).toBe(true);
    const path = join(directory, artifact.path);
    writeFileSync(path, readFileSync(path).fill(0, 12, 14));
    expect(await store.verify(artifact)).toBe(false);
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
    expect(await store.verify({ ...artifact, path: '../../etc/passwd' })).toBe(false);
  });

  it('collects what is neither current nor new nor young', async () => {
    const artifacts = [];
    for (const n of [1, 2, 3, 4]) {
      const artifact = await store.publish(owner, `${n}.tar.gz`, 'r', [file(`${n}`)]);
      const seconds = Date.now() / 1000 - 1000 + n * 10;
      utimesSync(join(directory, artifact.path), seconds, seconds);
      artifacts.push(artifact);
    }
    const young = await store.publish(owner, '5.tar.gz', 'r', [file('5')]);
    expect(await store.collectGarbage(owner, artifacts[0])).toEqual([
      'gitrepository/apps/demo/4.tar.gz',
      'gitrepository/apps/demo/3.tar.gz',
      'gitrepository/apps/demo/2.tar.gz',
    ]);
    expect(await store.verify(young)).toBe(true);
    await store.removeAll(owner);
    expect(await readdir(join(directory, 'gitrepository/apps'))).toEqual([]);
    expect(await store.collectGarbage(owner, undefined)).toEqual([]);
  });

  it('keeps blobs by key', async () => {
    expect(await store.readBlob('a/b:c')).toBeUndefined();
    await store.writeBlob('a/b:c', Buffer.from('one'));
    await store.writeBlob('a/b:c', Buffer.from('two'));
    expect(Buffer.from((await store.readBlob('a/b:c')) ?? []).toString()).toBe('two');
    await store.removeBlob('a/b:c');
    await store.removeBlob('a/b:c');
    expect(await store.readBlob('a/b:c')).toBeUndefined();
  });
});
