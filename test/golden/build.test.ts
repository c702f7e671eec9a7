// Builds through the real kustomize binary: the same objects as kustomize itself gives, for what a person would have
// written by hand instead of the overrides of a Kustomization.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import { canonicalJson, createManifestStore } from '../../activities/artifact/manifests.ts';
import { createSealer } from '../../activities/artifact/sealing.ts';
import { buildKustomization, createFindBuilt } from '../../activities/build/build-activities.ts';
import { buildObjects, planBuild } from '../../activities/build/build-manifests.ts';
import type { BuildSpec } from '../../activities/build/build-spec.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { createFixture } from './kustomize-fixture.ts';

const fixture = createFixture();
const sealer = createSealer(Buffer.alloc(32, 1));
afterAll(() => fixture.remove());

type Files = Record<string, string>;

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: nginx:1.0, envFrom: [{configMapRef: {name: settings}}]}
`;
const binding = `apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: web}
subjects: [{kind: ServiceAccount, name: default, namespace: x}, {kind: ServiceAccount, name: web, namespace: x}]
`;
const config = (name: string, text = 'a: b'): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: {${text}}\n`;

const tree: Files = {
  'shared/settings.env': 'A=1\nB=yes\n',
  'base/kustomization.yaml':
    'resources: [web.yaml, binding.yaml]\nconfigMapGenerator: [{name: settings, envs: [../shared/settings.env]}]\n',
  'base/web.yaml': deployment,
  'base/binding.yaml': binding,
  'debug/kustomization.yaml':
    'apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches: [{path: debug.yaml, target: {kind: Deployment}}]\n',
  'debug/debug.yaml': '- {op: add, path: /spec/replicas, value: 5}\n',
  'prod/kustomization.yaml':
    'resources: [../base]\nimages: [{name: nginx, newTag: "2.0"}]\npatches: [{path: patches/limit.yaml}]\n',
  'prod/patches/limit.yaml': 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {limited: "yes"}}\n',
};

async function build(files: Files, spec: BuildSpec): Promise<KubeObject[]> {
  const artifact = fixture.artifact(files);
  return buildObjects(artifact, spec, planBuild(artifact, spec, fixture.options), fixture.options);
}

function sorted(objects: KubeObject[]): string[] {
  return objects.map((object) => canonicalJson(object)).sort();
}

async function messageOfBuild(files: Files, spec: BuildSpec, options = fixture.options): Promise<string> {
  const artifact = fixture.artifact(files);
  try {
    await buildObjects(artifact, spec, planBuild(artifact, spec, options), options);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('the build was expected to fail');
}

describe('a build gives what kustomize gives for the same thing written by hand', () => {
  const patch = '- {op: replace, path: /spec/template/spec/containers/0/name, value: renamed}';
  const cases: { title: string; files: Files; spec: BuildSpec; byHand: Files; directory: string }[] = [
    { title: 'an overlay as it stands', files: tree, spec: { path: './prod' }, byHand: {}, directory: 'prod' },
    {
      title: 'all overrides on an overlay',
      files: tree,
      spec: {
        path: 'prod/',
        targetNamespace: 'apps',
        namePrefix: 'pre-',
        nameSuffix: '-suf',
        patches: [{ patch, target: { kind: 'Deployment' } }],
        images: [{ name: 'nginx', newName: 'example.org/nginx' }],
        components: ['../debug'],
        buildMetadata: ['originAnnotations'],
      },
      byHand: {
        'prod/kustomization.yaml': JSON.stringify({
          resources: ['../base'],
          namespace: 'apps',
          namePrefix: 'pre-',
          nameSuffix: '-suf',
          images: [{ name: 'nginx', newName: 'example.org/nginx', newTag: '2.0' }],
          patches: [{ path: 'patches/limit.yaml' }, { patch, target: { kind: 'Deployment' } }],
          components: ['../debug'],
          buildMetadata: ['originAnnotations'],
        }),
      },
      directory: 'prod',
    },
    {
      title: 'a folder of manifests without a kustomization file, with a kustomization below it',
      files: {
        'apps/a.yaml': config('a'),
        'apps/deep/b.yml': config('b'),
        'apps/notes.txt': '',
        ...nested('apps/nested'),
      },
      spec: { path: 'apps', targetNamespace: 'apps' },
      byHand: { 'apps/kustomization.yaml': 'namespace: apps\nresources: [a.yaml, deep/b.yml, nested]' },
      directory: 'apps',
    },
    {
      title: 'a folder with name affixes',
      files: { 'a.yaml': config('a'), 'web.yaml': deployment.replace('settings', 'a') },
      spec: { namePrefix: 'pre-', nameSuffix: '-suf' },
      byHand: { 'kustomization.yaml': 'namePrefix: pre-\nnameSuffix: -suf\nresources: [a.yaml, web.yaml]' },
      directory: '',
    },
    {
      title: 'kinds whose namespace stands in several places',
      files: { 'binding.yaml': binding, 'ns.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n' },
      spec: { targetNamespace: 'apps' },
      byHand: { 'kustomization.yaml': 'namespace: apps\nresources: [binding.yaml, ns.yaml]' },
      directory: '',
    },
    {
      title: 'yaml that kustomize renders in its own way',
      files: {
        'a.yaml':
          'apiVersion: v1\nkind: List\nitems:\n- &a {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: &d {x: 2001-01-01}}\n' +
          '- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {<<: *d, y: !!str 1}}\n',
      },
      spec: {},
      byHand: { 'kustomization.yaml': 'resources: [a.yaml]' },
      directory: '',
    },
    {
      title: 'texts that hold what looks like the end of a document',
      files: {
        'a.yaml': `${config('a')}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata:\n  x: "a\\n---\\nb\\n"\n  y: |-\n    a\n    ---\n    b\n  z: "\\n---\\n"\n`,
      },
      spec: { namePrefix: 'x-' },
      byHand: { 'kustomization.yaml': 'namePrefix: x-\nresources: [a.yaml]' },
      directory: '',
    },
    {
      title: 'texts that end in blank lines, at the end of an object',
      files: {
        'a.yaml': JSON.stringify({
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'b' },
          data: { x: 'a\n\n\n' },
        }),
        'b.yaml': config('c', 'x: "a\\n\\n"'),
      },
      spec: { namePrefix: 'x-' },
      byHand: { 'kustomization.yaml': 'namePrefix: x-\nresources: [a.yaml, b.yaml]' },
      directory: '',
    },
    {
      title: 'generators, transformers and validators of kustomize itself',
      files: {
        'kustomization.yml':
          'resources: [web.yaml]\ntransformers: [t]\ngenerators: [g.yaml]\nsecretGenerator: [{name: s, files: [k=f.txt]}]\n',
        'web.yaml': deployment,
        'f.txt': 'secret',
        't/kustomization.yaml': 'resources: [patch.yaml]\n',
        't/patch.yaml':
          'apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: p}\npath: t/p.json\ntarget: {kind: Deployment}\n',
        't/p.json': '[{"op": "add", "path": "/spec/replicas", "value": 7}]',
        'g.yaml': 'apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: g}\nfiles: [f.txt]\n',
      },
      spec: {},
      byHand: {},
      directory: '',
    },
  ];

  test.each(cases)('$title', async ({ files, spec, byHand, directory }) => {
    const built = await build(files, spec);
    const expected = fixture.kustomize({ ...files, ...byHand }, directory);

    expect(sorted(built)).toEqual(sorted(expected));
  });

  test('an empty folder builds nothing', async () => {
    expect(await build({ 'apps/README.md': 'nothing here' }, { path: 'apps' })).toEqual([]);
  });

  test('a missing component is left out when the spec says so', async () => {
    const objects = await build(tree, {
      path: 'prod',
      components: ['../debug', '../gone'],
      ignoreMissingComponents: true,
    });

    expect(objects.find((object) => object.kind === 'Deployment')?.spec).toMatchObject({ replicas: 5 });
  });

  test('leaves neither its private directory nor a trace in the artifact', async () => {
    const artifact = fixture.artifact(tree);
    const spec = { path: 'prod', namePrefix: 'x-' };
    const plan = planBuild(artifact, spec, fixture.options);

    const first = await buildObjects(artifact, spec, plan, fixture.options);
    const second = await buildObjects(artifact, spec, plan, fixture.options);

    expect(second).toEqual(first);
    expect(fixture.leftovers()).toEqual([]);
    expect(planBuild(artifact, { path: 'prod' }, fixture.options).input.fields).not.toHaveProperty('namePrefix');
  });
});

function nested(directory: string): Files {
  return {
    [`${directory}/kustomization.yaml`]: 'resources: [c.yaml]\nnamePrefix: nested-\n',
    [`${directory}/c.yaml`]: config('c'),
    [`${directory}/unused.yaml`]: 'not: a manifest\n',
  };
}

describe('a build that cannot be done says where and why', () => {
  test.each<[string, Files, BuildSpec, RegExp]>([
    [
      'a path out of the source',
      { 'a/kustomization.yaml': 'resources: [../../x.yaml]' },
      { path: 'a' },
      /^kustomize build failed: path "\.\.\/\.\.\/x\.yaml" in resources of a\/kustomization\.yaml leaves the source's root$/,
    ],
    [
      'an absolute path',
      { 'kustomization.yaml': 'configMapGenerator: [{name: a, files: [x=/etc/passwd]}]' },
      {},
      /path "\/etc\/passwd" in configMapGenerator\.files of kustomization\.yaml leaves the source's root/,
    ],
    ['a file URL', { 'kustomization.yaml': 'resources: ["file:///etc"]' }, {}, /leaves the source's root/],
    [
      'a path out of the source in a transformer',
      {
        'kustomization.yaml': 'transformers: [t.yaml]',
        't.yaml': 'apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: a}\npath: ../../etc/passwd\n',
      },
      {},
      /path "\.\.\/\.\.\/etc\/passwd" in path of t\.yaml leaves the source's root/,
    ],
    [
      'a component out of the source',
      { 'a/a.yaml': config('a') },
      { path: 'a', components: ['../../x'] },
      /spec\.components "\.\.\/\.\.\/x" has to be a relative path inside the source/,
    ],
    [
      'a remote component',
      { 'a.yaml': config('a') },
      { components: ['https://example.org/x'] },
      /has to be a relative path/,
    ],
    [
      'a missing file',
      { 'a/kustomization.yaml': 'resources: [gone.yaml]' },
      { path: 'a' },
      /a\/kustomization\.yaml: "gone\.yaml" in resources does not exist in the source/,
    ],
    [
      'a base without a kustomization',
      { 'a/kustomization.yaml': 'resources: [../b]', 'b/x.yaml': config('x') },
      { path: 'a' },
      /"\.\.\/b" in resources is a directory without a kustomization file/,
    ],
    [
      'broken yaml in a folder',
      { 'apps/web.yaml': `${config('a')}---\napiVersion: v1\nkind: [\n` },
      { path: 'apps' },
      /^kustomize build failed: apps\/web\.yaml:\d+:\d+: .* \(document 2\)/,
    ],
    [
      'a file that is no manifest',
      { 'apps/values.yaml': 'replicas: 1\n' },
      { path: 'apps' },
      /apps\/values\.yaml:1:1: object has no apiVersion: "replicas: 1"/,
    ],
    [
      'broken yaml in a kustomization',
      { 'kustomization.yaml': 'resources:\n- a\n b: c\n' },
      {},
      /kustomization\.yaml:\d:\d: /,
    ],
    [
      'an unknown field',
      { 'kustomization.yaml': 'resourses: [a.yaml]', 'a.yaml': config('a') },
      {},
      /unknown field "resourses"/,
    ],
    [
      'two kustomization files',
      { 'kustomization.yaml': '', 'kustomization.yml': '' },
      {},
      /more than one kustomization file: kustomization\.yaml, kustomization\.yml/,
    ],
    [
      'an object that is there twice',
      { 'a.yaml': config('a'), 'b.yaml': config('a') },
      {},
      /already registered id: ConfigMap.*a/,
    ],
    [
      'a broken file beside a folder with a kustomization',
      { ...nested('nested'), 'web.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n' },
      {},
      /^kustomize build failed: web\.yaml:1:1: ConfigMap has no metadata\.name/,
    ],
    [
      'a patch without a target',
      { 'a.yaml': config('a') },
      { patches: [{ patch: '- {op: remove, path: /data}' }] },
      /patch/,
    ],
  ])('%s', async (_, files, spec, expected) => {
    expect(await messageOfBuild(files, spec)).toMatch(expected);
  });

  test('a missing path, with what is there instead', async () => {
    const artifact = fixture.artifact({ 'apps/prod/a.yaml': config('a'), 'apps/test/a.yaml': config('a') });

    const plan = (): unknown => planBuild(artifact, { path: './apps/staging' }, fixture.options);

    expect(plan).toThrow(
      expect.objectContaining({
        type: 'ArtifactFailed',
        message:
          'kustomization path not found: "./apps/staging" is not in the source; "apps" has the directories prod, test',
      }),
    );
  });

  test('a remote base where there may be none, without its password', async () => {
    const files = { 'kustomization.yaml': 'resources: ["https://user:hunter2@example.org/repo//base?ref=v1"]' };

    const message = await messageOfBuild(files, {}, { ...fixture.options, noRemoteBases: true });

    expect(message).toContain('remote base "https://example.org/repo//base" is not allowed');
    expect(message).not.toContain('hunter2');
  });

  test('a Secret that cannot be rendered, without its data', async () => {
    const text = 'apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: hunter2, n: .inf}\n';

    const message = await messageOfBuild({ 'kustomization.yaml': 'resources: [a.yaml]', 'a.yaml': text }, {});

    expect(message).toMatch(/a\.yaml:4:\d+: \.inf is not a number/);
    expect(message).not.toContain('hunter2');
  });

  test('a build that takes too long or is cancelled', async () => {
    const artifact = fixture.artifact(tree);
    const plan = planBuild(artifact, { path: 'prod' }, fixture.options);
    const aborted = AbortSignal.abort(new Error('a newer revision is there'));

    await expect(buildObjects(artifact, { path: 'prod' }, plan, fixture.options, aborted)).rejects.toThrow(
      'a newer revision is there',
    );
    await expect(buildObjects(artifact, { path: 'prod' }, plan, { ...fixture.options, timeoutMs: 0 })).rejects.toThrow(
      /not done after 0s/,
    );
    await expect(
      buildObjects(artifact, { path: 'prod' }, plan, { ...fixture.options, maxOutputBytes: 10 }),
    ).rejects.toThrow(/printed more than 10 bytes/);
  });
});

describe('a remote base', () => {
  test('is fetched at every build, and cannot be used to read files of this machine', async () => {
    let served = config('remote');
    const server = createServer((_, response) => response.end(served)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.yaml`;
    const files = { 'app/kustomization.yaml': `resources: ["${url}", a.yaml]`, 'app/a.yaml': config('a') };
    try {
      const first = await build(files, { path: 'app' });
      served = config('changed');
      const second = await build(files, { path: 'app' });
      const shared = { ...files, 'app/kustomization.yaml': `resources: ["${url}", ../b.yaml]`, 'b.yaml': config('b') };

      expect(first.map(({ metadata }) => metadata.name).sort()).toEqual(['a', 'remote']);
      expect(second.map(({ metadata }) => metadata.name).sort()).toEqual(['a', 'changed']);
      expect(planBuild(fixture.artifact(files), { path: 'app' }, fixture.options).buildKey).toBeUndefined();
      expect(await messageOfBuild(shared, { path: 'app' })).toContain('cannot be used together with "b.yaml"');
    } finally {
      server.close();
    }
  });
});

describe('buildKustomization', () => {
  function setup(spec: Record<string, unknown>, files: Files) {
    const blobs = new Map<string, Uint8Array>();
    const store = {
      readBlob: async (key: string) => blobs.get(key),
      writeBlob: async (key: string, content: Uint8Array) => void blobs.set(key, content),
    };
    const unpacked = fixture.artifact(files);
    const object: KubeObject = {
      apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
      kind: 'Kustomization',
      metadata: { namespace: 'flux-system', name: 'apps', generation: 2 },
      spec,
    };
    const makeDeps = () => ({
      ...fixture.options,
      unpacked: { get: async () => unpacked, peek: () => unpacked },
      manifests: createManifestStore({ store, sealer, maxCachedBytes: 1e6 }),
      references: { get: async () => undefined },
      kustomization: () => object,
    });
    const input = {
      kustomization: { namespace: 'flux-system', name: 'apps' },
      generation: 2,
      artifact: { digest: unpacked.digest, url: 'http://localhost/a.tar.gz', revision: 'main@sha1:1' },
    };
    return { blobs, unpacked, object, makeDeps, input };
  }

  test('builds once, and finds the manifests again in another process', async () => {
    const { makeDeps, input, object, unpacked } = setup({ path: './prod' }, tree);
    const first = makeDeps();
    expect(await createFindBuilt(first)(object, unpacked)).toBeUndefined();

    const built = await buildKustomization(first, input);
    const again = await buildKustomization(first, input);
    const second = makeDeps();
    const elsewhere = await buildKustomization(second, input);

    expect(built).toMatchObject({ count: 3, isCached: false });
    expect(again).toEqual({ ...built, isCached: true });
    expect(elsewhere).toEqual({ ...built, isCached: true });
    expect(await createFindBuilt(second)(object, unpacked)).toEqual({
      manifestsDigest: built.manifestsDigest,
      count: 3,
      buildKey: built.buildKey,
    });
    expect((await second.manifests.get(built.manifestsDigest)).map(({ kind }) => kind)).toEqual([
      'ConfigMap',
      'Deployment',
      'RoleBinding',
    ]);
  });

  test('builds again when the stored manifests are lost', async () => {
    const { blobs, makeDeps, input } = setup({ path: './prod' }, tree);
    const built = await buildKustomization(makeDeps(), input);
    for (const key of blobs.keys()) if (key.startsWith('manifests/')) blobs.delete(key);

    await expect(makeDeps().manifests.get(built.manifestsDigest)).rejects.toThrow(/lost or damaged/);
    expect(await buildKustomization(makeDeps(), input)).toEqual(built);
  });
});
