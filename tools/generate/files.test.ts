import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { generatedFiles, staleFiles, writeStaleFiles } from './files.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'generate-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

test('writes what is missing or differs, removes what is left over, and then finds nothing stale', async () => {
  const files = generatedFiles('1.0.0');
  await mkdir(join(root, 'k8s/crds'), { recursive: true });
  await writeFile(join(root, 'k8s/crds/old.yaml'), 'left over');
  await writeFile(join(root, 'k8s/crds/kustomize.toolkit.fluxcd.io_kustomizations.yaml'), 'edited by hand');

  const written = await writeStaleFiles(root, files);

  expect(written).toEqual([...files.keys(), 'k8s/crds/old.yaml'].sort());
  expect(await readdir(join(root, 'k8s/crds'))).toHaveLength(15);
  expect(await staleFiles(root, files)).toEqual([]);
});

test('names the files that are stale', async () => {
  const files = generatedFiles('1.0.0');
  await writeStaleFiles(root, files);
  await writeFile(join(root, 'docs/errors.md'), '# edited');

  expect(await staleFiles(root, files)).toEqual(['docs/errors.md']);
});

test('is the same at every generation and parses as YAML', async () => {
  const files = generatedFiles('1.0.0');

  expect([...generatedFiles('1.0.0')]).toEqual([...files]);
  await writeStaleFiles(root, files);
  const text = await readFile(join(root, 'k8s/crds/source.toolkit.fluxcd.io_buckets.yaml'), 'utf8');
  expect(parse(text)).toMatchObject({ metadata: { name: 'buckets.source.toolkit.fluxcd.io' } });
});
