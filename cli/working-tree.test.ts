import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { workingTreeOf } from './working-tree.ts';

let directory: string;
const git = (...args: string[]): string => execFileSync('git', args, { cwd: directory, encoding: 'utf8' }).trim();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'continuo-working-tree-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function createRepository(): string {
  git('init', '--quiet', '--initial-branch=main');
  mkdirSync(join(directory, 'deploy'));
  writeFileSync(join(directory, 'deploy', 'a.yaml'), 'a: 1\n');
  writeFileSync(join(directory, 'README.md'), 'x\n');
  git('add', '.');
  git('-c', 'user.name=me', '-c', 'user.email=me@example.org', 'commit', '--quiet', '--message=first');
  return git('rev-parse', 'HEAD');
}

test('tells branch, commit and origin, without the password in its address', async () => {
  const commit = createRepository();
  expect(await workingTreeOf(join(directory, 'deploy'))).toEqual({ revision: `main@sha1:${commit}`, isChanged: false });
  git('remote', 'add', 'origin', 'https://me:hidden@git.test/apps.git');
  expect(await workingTreeOf(directory)).toMatchObject({ source: 'https://git.test/apps.git' });
  git('checkout', '--quiet', '--detach');
  expect(await workingTreeOf(directory)).toMatchObject({ revision: `sha1:${commit}` });
});

test('sees what is not committed below the folder, and only there', async () => {
  createRepository();
  writeFileSync(join(directory, 'README.md'), 'y\n');
  expect(await workingTreeOf(join(directory, 'deploy'))).toMatchObject({ isChanged: false });
  writeFileSync(join(directory, 'deploy', 'b.yaml'), 'b: 1\n');
  expect(await workingTreeOf(join(directory, 'deploy'))).toMatchObject({ isChanged: true });
});

test('is silent where there is no repository, or no commit yet', async () => {
  expect(await workingTreeOf(directory)).toBeUndefined();
  git('init', '--quiet');
  expect(await workingTreeOf(directory)).toBeUndefined();
});
