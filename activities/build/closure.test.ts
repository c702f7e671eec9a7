import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { UnpackedArtifact } from '../artifact/artifact.ts';
import { type BuildOptions, planBuild } from './build-manifests.ts';
import type { BuildSpec } from './build-spec.ts';

const root = mkdtempSync(join(tmpdir(), 'continuo-closure-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const options: BuildOptions = {
  kustomizeBinary: 'never run here',
  kustomizeVersion: 'v5.8.2',
  noRemoteBases: false,
  temporaryDirectory: root,
};

type Files = Record<string, string>;
let count = 0;

function artifactOf(files: Files): UnpackedArtifact {
  count += 1;
  const directory = join(root, `${count}`);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
  return {
    digest: `sha256:${sha256(JSON.stringify(files))}`,
    directory,
    files: new Map(Object.entries(files).map(([path, content]) => [path, sha256(content)])),
  };
}

const closureOf = (files: Files, path: string) => planBuild(artifactOf(files), { path }, options).closure;
const keyOf = (files: Files, spec: BuildSpec, changed: Partial<BuildOptions> = {}) =>
  planBuild(artifactOf(files), spec, { ...options, ...changed }).buildKey;

describe('closureOf', () => {
  const listed = {
    'app/kustomization.yaml': JSON.stringify({
      resources: ['a.yaml', '../base', './sub/'],
      bases: ['../old'],
      components: ['../component'],
      crds: ['crd.json'],
      configurations: ['config.yaml'],
      patches: [{ path: 'p1.yaml' }, { patch: 'kind: X', target: { kind: 'Y' } }],
      patchesJson6902: [{ path: 'p2.yaml' }],
      patchesStrategicMerge: ['p3.yaml', 'kind: Deployment\nmetadata: {}'],
      replacements: [{ path: 'r.yaml' }, { source: {}, targets: [] }],
      configMapGenerator: [
        { name: 'a', files: ['key=../shared/f.txt', 'g.txt'], envs: ['e.env'], literals: ['x=/etc/passwd'] },
      ],
      secretGenerator: [{ name: 'b', env: 'old.env' }],
      openapi: { path: 'schema.json' },
      generators: ['gen.yaml', 'apiVersion: builtin\nkind: SecretGenerator\nmetadata: {name: x}\nenvs: [gen.env]'],
      transformers: ['../transformers'],
      validators: [],
      namespace: 'apps',
      labels: null,
      vars: [],
    }),
    'base/kustomization.yml': 'resources: [b.yaml]',
    'old/Kustomization': 'resources: [../base]',
    'component/kustomization.yaml': 'kind: Component\npatches: [{path: c.yaml}]',
    'app/sub/kustomization.yaml': 'resources: [../../base]',
    'app/gen.yaml': 'apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: x}\nfiles: [k=gen.txt]\n',
    'transformers/kustomization.yaml': 'resources: [t.yaml]',
    'transformers/t.yaml': 'apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: x}\npath: t.json\n',
    'base/unused.yaml': 'x',
    'README.md': 'x',
    ...Object.fromEntries(
      (
        'app/a.yaml app/crd.json app/config.yaml app/p1.yaml app/p2.yaml app/p3.yaml app/r.yaml shared/f.txt app/g.txt ' +
        'app/e.env app/old.env app/schema.json app/gen.env app/gen.txt app/t.json base/b.yaml component/c.yaml'
      )
        .split(' ')
        .map((path) => [path, path]),
    ),
  };

  test('names every file that a build reads and no other', () => {
    const { files, isComplete, remotes, sharedFile } = closureOf(listed, 'app');
    const expected = Object.keys(listed).filter((path) => !['base/unused.yaml', 'README.md'].includes(path));

    expect(new Set([...files, 'app/kustomization.yaml'])).toEqual(new Set(expected));
    expect({ isComplete, remotes }).toEqual({ isComplete: true, remotes: [] });
    expect(sharedFile).toBe('shared/f.txt');
  });

  test.each([
    ['helmCharts: [{name: x}]'],
    ['someFieldOfTomorrow: 1'],
    ['transformers: ["apiVersion: example.org/v1\\nkind: Mine\\nmetadata: {name: x}"]'],
  ])('%s makes it incomplete', (text) => {
    expect(closureOf({ 'kustomization.yaml': text }, '').isComplete).toBe(false);
  });

  test.each([
    'https://example.org/a.yaml',
    'https://token@github.com/org/repo//base?ref=v1',
    'git::https://example.org/repo',
    'git@example.org:org/repo',
    'ssh://git@example.org/repo',
    'github.com/org/repo',
  ])('%s is remote', (entry) => {
    const { remotes } = closureOf({ 'kustomization.yaml': JSON.stringify({ resources: [entry] }) }, '');

    expect(remotes).toHaveLength(1);
    expect(remotes[0]).not.toMatch(/token|\?/);
  });

  test.each([
    ['resources', ['../x.yaml']],
    ['resources', ['/etc/hosts']],
    ['resources', ['a/../../x']],
    ['resources', ['file:///etc']],
    ['components', ['../../x']],
    ['patches', [{ path: '../x' }]],
    ['patchesJson6902', [{ path: '/x' }]],
    ['patchesStrategicMerge', ['../x']],
    ['replacements', [{ path: '../x' }]],
    ['configMapGenerator', [{ files: ['k=../x'] }]],
    ['secretGenerator', [{ envs: ['../x'] }]],
    ['secretGenerator', [{ env: '/x' }]],
    ['crds', ['../x']],
    ['configurations', ['../x']],
    ['openapi', { path: '../x' }],
    ['generators', ['../x']],
    ['transformers', ['kind: PatchTransformer\npath: ../x']],
    ['validators', ['kind: SecretGenerator\nfiles: [a=/x]']],
    ['transformers', ['kind: ReplacementTransformer\nreplacements: [{path: ../x}]']],
    ['transformers', ['kind: PatchStrategicMergeTransformer\npaths: [../x]']],
  ])('no path of %s leaves the root: %j', (field, value) => {
    const files = { 'kustomization.yaml': JSON.stringify({ [field]: value }) };

    expect(() => closureOf(files, '')).toThrow(/leaves the source's root$/);
  });

  test('a directory of transformers cannot make its paths up', () => {
    const files = {
      'kustomization.yaml': 'transformers: [t]',
      't/kustomization.yaml': 'resources: [t.yaml]\npatches: [{patch: x}]',
      't/t.yaml': '',
    };

    expect(() => closureOf(files, '')).toThrow(
      /a directory of transformers may only list resources, it also has "patches"/,
    );
  });

  test('directories that refer to each other come to an end', () => {
    const files = { 'a/kustomization.yaml': 'resources: [../b]', 'b/kustomization.yaml': 'resources: [../a]' };

    expect(closureOf(files, 'a').files).toEqual(['b/kustomization.yaml']);
  });
});

describe('the build key', () => {
  const files: Files = {
    'app/kustomization.yaml': 'resources: [../base]\npatches: [{path: p.yaml}]\n',
    'app/p.yaml': 'patch',
    'app/README.md': 'readme',
    'base/kustomization.yaml': 'resources: [a.yaml]',
    'base/a.yaml': 'a',
    'base/unused.yaml': 'unused',
    'folder/a.yaml': 'a',
    'folder/sub/b.yml': 'b',
    'folder/notes.txt': 'notes',
    'unknown/kustomization.yaml': 'someFieldOfTomorrow: 1',
    'component/kustomization.yaml': 'kind: Component',
  };
  const app: BuildSpec = { path: './app' };

  test.each<[string, BuildSpec, Files]>([
    ['another file of the source', app, { 'other/x.yaml': 'x' }],
    ['a file beside the kustomization', app, { 'app/README.md': 'changed' }],
    ['a file of the base that is not listed', app, { 'base/unused.yaml': 'changed' }],
    ['a file in the folder that is no manifest', { path: 'folder' }, { 'folder/notes.txt': 'changed' }],
    ['a new file in the folder that is no manifest', { path: 'folder' }, { 'folder/new.txt': 'x' }],
  ])('stays when %s changes', (_, spec, change) => {
    expect(keyOf({ ...files, ...change }, spec)).toBe(keyOf(files, spec));
  });

  test.each<[string, BuildSpec, Files]>([
    ['the kustomization file', app, { 'app/kustomization.yaml': 'resources: [../base]\n' }],
    ['a patch', app, { 'app/p.yaml': 'changed' }],
    ['a manifest of the base', app, { 'base/a.yaml': 'changed' }],
    ['the kustomization of the base', app, { 'base/kustomization.yaml': 'resources: [unused.yaml]' }],
    ['a manifest of the folder', { path: 'folder' }, { 'folder/sub/b.yml': 'changed' }],
    ['a new manifest in the folder', { path: 'folder' }, { 'folder/sub/c.yaml': 'c' }],
    [
      'a new kustomization in the folder',
      { path: 'folder' },
      { 'folder/sub/kustomization.yaml': 'resources: [b.yml]' },
    ],
    ['anything, with a field that is not known', { path: 'unknown' }, { 'other/x.yaml': 'x' }],
    ['a component', { ...app, components: ['../component'] }, { 'component/kustomization.yaml': 'namespace: x' }],
    [
      'a component that was missing',
      { ...app, components: ['../late'], ignoreMissingComponents: true },
      { 'late/kustomization.yaml': 'kind: Component' },
    ],
  ])('changes with %s', (_, spec, change) => {
    expect(keyOf({ ...files, ...change }, spec)).not.toBe(keyOf(files, spec));
  });

  test('differs for every override, path and version, and only for these', () => {
    const specs: BuildSpec[] = [
      app,
      { path: 'base' },
      { ...app, targetNamespace: 'a' },
      { ...app, targetNamespace: 'b' },
      { ...app, namePrefix: 'a' },
      { ...app, nameSuffix: 'a' },
      { ...app, patches: [{ patch: 'a' }] },
      { ...app, patches: [{ patch: 'a', target: { kind: 'A' } }] },
      { ...app, images: [{ name: 'a', newTag: '1' }] },
      { ...app, components: ['../component'] },
      { ...app, buildMetadata: ['originAnnotations'] },
    ];
    const keys = specs.map((spec) => keyOf(files, spec));

    expect(new Set(keys).size).toBe(specs.length);
    expect(keys).not.toContain(keyOf(files, app, { kustomizeVersion: 'v5.9.0' }));
    expect(keyOf(files, { path: 'app/' })).toBe(keyOf(files, app));
    expect(keyOf(files, { ...app, ignoreMissingComponents: true })).toBe(keyOf(files, app));
  });

  test('is none when something comes over the network', () => {
    const remote = { 'app/kustomization.yaml': 'resources: ["https://example.org/a.yaml"]' };

    expect(keyOf(remote, app)).toBeUndefined();
  });

  test('does not depend on the artifact', () => {
    expect(artifactOf(files).digest).not.toBe(artifactOf({ ...files, x: 'x' }).digest);
    expect(keyOf({ ...files, x: 'x' }, app)).toBe(keyOf(files, app));
  });
});

describe('where no remote bases are allowed', () => {
  const url = 'https://user:hunter2@example.org/x.yaml';

  test.each([
    ['resources', { resources: [url] }],
    ['resources of a Git repository', { resources: ['git@example.org:team/x//base?ref=v1'] }],
    ['resources of GitHub without a scheme', { resources: ['github.com/team/x//base'] }],
    ['bases', { bases: [url] }],
    ['components', { components: [url] }],
    ['crds', { crds: [url] }],
    ['configurations', { configurations: [url] }],
    ['patches', { patches: [{ path: url }] }],
    ['patchesStrategicMerge', { patchesStrategicMerge: [url] }],
    ['replacements', { replacements: [{ path: url }] }],
    ['openapi', { openapi: { path: url } }],
    ['configMapGenerator', { configMapGenerator: [{ name: 'a', files: [`key=${url}`] }] }],
    ['secretGenerator', { secretGenerator: [{ name: 'a', envs: [url] }] }],
    ['generators', { generators: [url] }],
    ['transformers', { transformers: [url] }],
    ['validators', { validators: [url] }],
    ['a base of a base', { resources: ['../base'] }],
  ])('%s are refused', (_, fields) => {
    const files = {
      'app/kustomization.yaml': JSON.stringify(fields),
      'base/kustomization.yaml': JSON.stringify({ resources: [url] }),
    };
    const refusing = (): unknown => planBuild(artifactOf(files), { path: 'app' }, { ...options, noRemoteBases: true });

    expect(refusing).toThrow(expect.objectContaining({ type: 'BuildFailed' }));
    expect(refusing).toThrow(/remote base ".*" is not allowed: this installation runs with no remote bases; vendor it/);
    expect(refusing).not.toThrow(/hunter2/);
  });
});
