import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findLocalPlace, openLocalArtifact } from './local-artifact.ts';

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'local-artifact-')));
});
afterEach(() => rmSync(root, { recursive: true }));

function write(files: Record<string, string>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

it('takes the Git work tree around a directory for the source', async () => {
  write({ '.git/HEAD': '', 'apps/web/a.yaml': '' });
  expect(await findLocalPlace(join(root, 'apps/web'), './other')).toEqual({ root, path: 'apps/web' });
  expect(await findLocalPlace(root, './apps')).toEqual({ root, path: '' });
});

it('takes what is before spec.path for the source, and else the directory itself', async () => {
  write({ 'apps/web/a.yaml': '' });
  expect(await findLocalPlace(join(root, 'apps/web'), './apps/web')).toEqual({ root, path: 'apps/web' });
  expect(await findLocalPlace(join(root, 'apps'), './apps/web')).toEqual({ root: join(root, 'apps'), path: '' });
  expect(await findLocalPlace(root, undefined)).toEqual({ root, path: '' });
});

it('refuses what is no directory', async () => {
  write({ file: '' });
  await expect(findLocalPlace(join(root, 'file'), undefined)).rejects.toThrow('--path has to be a directory');
  await expect(findLocalPlace(join(root, 'nothing'), undefined)).rejects.toThrow('--path has to be a directory');
});

it('has the files that the source would have', async () => {
  write({
    '.git/config': '',
    '.sourceignore': '*.md\n',
    'apps/a.yaml': 'a: 1',
    'apps/README.md': '',
    'docs/b.yaml': '',
  });
  symlinkSync('/etc/passwd', join(root, 'apps/link.yaml'));
  const { directory, files } = await openLocalArtifact(root, '/docs');
  expect(directory).toBe(root);
  expect([...files.keys()].sort()).toEqual(['.sourceignore', 'apps/a.yaml']);
  expect(files.get('apps/a.yaml')).toBe(createHash('sha256').update('a: 1').digest('hex'));
  expect(new Map(files).get('apps/a.yaml')).toBe(files.get('apps/a.yaml'));
  expect(files.get('apps/link.yaml')).toBeUndefined();
});
