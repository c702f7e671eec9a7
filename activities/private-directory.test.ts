import { mkdir, mkdtemp, readdir, rm, stat, utimes } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makePrivateDirectory, removeAbandoned } from './private-directory.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'private-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test('a private directory is readable by its owner alone', async () => {
  const path = await makePrivateDirectory(join(root, 'new'), 'build');

  expect((await stat(path)).mode & 0o777).toBe(0o700);
  expect((await stat(join(root, 'new'))).mode & 0o777).toBe(0o700);
});

test('a worker that starts removes what dead ones have left, and nothing of the living', async () => {
  const directory = join(root, 'left');
  // Process 1 lives as long as the machine; no process has the highest number of 32 bits.
  const names = {
    ofDead: `build.${hostname()}.4194999.aaaaaa`,
    ofOurselves: `sops.${hostname()}.${process.pid}.aaaaaa`,
    ofLiving: `build.${hostname()}.1.aaaaaa`,
    youngOfAnother: 'sops.worker-2.example.org.7.aaaaaa',
    oldOfAnother: 'build.worker-3.7.aaaaaa',
    oldVersion: 'build-aaaaaa',
  };
  for (const name of Object.values(names)) await mkdir(join(directory, name, 'source'), { recursive: true });
  const anHourAgo = Date.now() / 1000 - 3_600;
  for (const name of [names.oldOfAnother, names.oldVersion]) await utimes(join(directory, name), anHourAgo, anHourAgo);

  await removeAbandoned(directory);

  expect((await readdir(directory)).sort()).toEqual([names.ofLiving, names.youngOfAnother].sort());
  await removeAbandoned(join(root, 'not there'));
});
