// The build key, and what a build asks the cluster for: with plain folders, which need no process.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { PostBuild } from '../../k8s/api/kustomization.ts';
import type { KubeObject } from '../../k8s/object.ts';
import type { ReferencedKind } from '../../k8s/referenced-objects.ts';
import type { UnpackedArtifact } from '../artifact/artifact.ts';
import { createManifestStore } from '../artifact/manifests.ts';
import { createSealer } from '../artifact/sealing.ts';
import { type BuildDependencies, buildKustomization, createFindBuilt } from './build-activities.ts';

const root = mkdtempSync(join(tmpdir(), 'continuo-build-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const files: Record<string, string> = {
  'app/a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: "x${text:=none}"}\n',
  'app/b.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {a: "$text"}\n',
};

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function unpack(): UnpackedArtifact {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  const digests = Object.entries(files).map(([path, content]): [string, string] => [path, sha256(content)]);
  return { digest: 'sha256:1', directory: root, files: new Map(digests) };
}

type Cluster = Record<string, Record<string, string>>;

interface Scene {
  postBuild?: PostBuild;
  /** `data` of ConfigMaps and Secrets, by `Kind/namespace/name`; values of Secrets are not encoded yet. */
  cluster?: Cluster;
  /** More of them than `data`. */
  metadata?: object;
  strictSubstitution?: boolean;
}

const unpacked = unpack();

/** A worker that builds one Kustomization, with a memory of its own. */
function worker({ postBuild, cluster = {}, metadata = {}, strictSubstitution }: Scene) {
  const requests: string[] = [];
  const blobs = new Map<string, Uint8Array>();
  const store = {
    readBlob: async (key: string) => blobs.get(key),
    writeBlob: async (key: string, content: Uint8Array) => void blobs.set(key, content),
  };
  const kustomization: KubeObject = {
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { namespace: 'apps', name: 'app', generation: 1 },
    spec: { path: './app', postBuild },
  };
  const get = async (kind: ReferencedKind, namespace: string, name: string): Promise<KubeObject | undefined> => {
    const subject = `${kind}/${namespace}/${name}`;
    requests.push(subject);
    const data = Object.entries(cluster[subject] ?? {}).map(([key, value]) => [
      key,
      kind === 'Secret' ? Buffer.from(value).toString('base64') : value,
    ]);
    if (!cluster[subject]) return undefined;
    return { apiVersion: 'v1', kind, metadata: { namespace, name, ...metadata }, data: Object.fromEntries(data) };
  };
  const deps: BuildDependencies = {
    kustomizeBinary: 'never run here',
    kustomizeVersion: 'v5.8.2',
    noRemoteBases: false,
    temporaryDirectory: root,
    unpacked: { get: async () => unpacked, peek: () => unpacked },
    manifests: createManifestStore({ store, sealer: createSealer(Buffer.alloc(32, 1)), maxCachedBytes: 1e6 }),
    kustomization: () => kustomization,
    references: { get },
    strictSubstitution,
  };
  const input = {
    kustomization: { namespace: 'apps', name: 'app' },
    generation: 1,
    artifact: { digest: unpacked.digest, url: 'http://localhost/a.tar.gz', revision: 'main@sha1:1' },
  };
  return {
    requests,
    build: () => buildKustomization(deps, input),
    find: () => createFindBuilt(deps)(kustomization, unpacked),
    text: async () => {
      const { manifestsDigest } = await buildKustomization(deps, input);
      const [object] = await deps.manifests.get(manifestsDigest);
      return (object?.data as Record<string, string> | undefined)?.a;
    },
  };
}

async function keyOf(scene: Scene): Promise<string | undefined> {
  return (await worker(scene).build()).buildKey;
}

const from = (kind: ReferencedKind, name: string, optional = false) => ({ kind, name, optional });
const inline = { postBuild: { substitute: { text: 'a', other: 'b' } } };
const referring: Scene = {
  postBuild: {
    substituteFrom: [from('ConfigMap', 'settings'), from('Secret', 'login'), from('Secret', 'extra', true)],
  },
  cluster: { 'ConfigMap/apps/settings': { text: 'a' }, 'Secret/apps/login': { password: 'hunter2' } },
};
const withData = (changed: Cluster): Scene => ({ ...referring, cluster: { ...referring.cluster, ...changed } });

describe('the build key changes with', () => {
  test.each<[string, Scene, Scene]>([
    ['variables where there were none', {}, inline],
    ['the strategy Always where there are no variables', {}, { postBuild: { substituteStrategy: 'Always' } }],
    ['a value', inline, { postBuild: { substitute: { text: 'b', other: 'b' } } }],
    ['one more variable', inline, { postBuild: { substitute: { text: 'a', other: 'b', more: '' } } }],
    ['the name of a variable', inline, { postBuild: { substitute: { text: 'a', others: 'b' } } }],
    ['values that change places', inline, { postBuild: { substitute: { text: 'b', other: 'a' } } }],
    ['a value in a ConfigMap', referring, withData({ 'ConfigMap/apps/settings': { text: 'b' } })],
    ['a value in a Secret', referring, withData({ 'Secret/apps/login': { password: 'hunter3' } })],
    ['an optional object that appears', referring, withData({ 'Secret/apps/extra': { more: 'x' } })],
    ['strictness', inline, { ...inline, strictSubstitution: false }],
  ])('%s', async (_, before, after) => {
    expect(await keyOf(after)).not.toBe(await keyOf(before));
  });
});

describe('the build key does not change with', () => {
  test.each<[string, Scene, Scene]>([
    ['an empty postBuild', {}, { postBuild: {} }],
    ['empty lists', {}, { postBuild: { substitute: {}, substituteFrom: [], substituteStrategy: 'WithVariables' } }],
    ['optional objects that are not there', {}, { postBuild: { substituteFrom: [from('Secret', 'gone', true)] } }],
    ['strictness where nothing is substituted', {}, { strictSubstitution: false }],
    ['the order of variables', inline, { postBuild: { substitute: { other: 'b', text: 'a' } } }],
    ['newlines in a value', inline, { postBuild: { substitute: { text: 'a\n', other: '\nb' } } }],
    [
      'the strategy where there are variables',
      inline,
      { postBuild: { ...inline.postBuild, substituteStrategy: 'Always' } },
    ],
    [
      'where a value comes from',
      inline,
      {
        postBuild: { substituteFrom: [from('Secret', 'login')], substitute: { other: 'b' } },
        cluster: { 'Secret/apps/login': { text: 'a', other: 'hidden by the inline one' } },
      },
    ],
    [
      'labels and versions of the objects',
      referring,
      { ...referring, metadata: { labels: { a: 'b' }, resourceVersion: '9' } },
    ],
    ['the same Secret in another namespace', referring, withData({ 'Secret/other/login': { password: 'x' } })],
  ])('%s', async (_, before, after) => {
    expect(await keyOf(after)).toBe(await keyOf(before));
  });

  test('the engine: what was stored before there were variables is still found', async () => {
    expect(await keyOf({})).toBe('14bdd4ad01fab48bf24f1dee917b273c8580fa0490aebcd378fb27bc07894d83');
  });
});

test('the build key shows no value', async () => {
  expect(await keyOf(referring)).toMatch(/^[0-9a-f]{64}$/);
});

describe('a build', () => {
  test('puts in what the objects say now', async () => {
    expect(await worker(referring).text()).toBe('xa');
    expect(await worker(withData({ 'ConfigMap/apps/settings': { text: 'b' } })).text()).toBe('xb');
    expect(await worker({ postBuild: { substituteStrategy: 'Always' } }).text()).toBe('xnone');
    expect(await worker({}).text()).toBe('x${text:=none}');
  });

  test('asks for each object once, and for none where there is no substituteFrom', async () => {
    const asking = worker(referring);
    const silent = worker(inline);
    await asking.build();
    await silent.build();

    expect(asking.requests.sort()).toEqual(['ConfigMap/apps/settings', 'Secret/apps/extra', 'Secret/apps/login']);
    expect(silent.requests).toEqual([]);
  });

  test('fails for a missing Secret', async () => {
    await expect(worker({ ...referring, cluster: {} }).build()).rejects.toMatchObject({
      type: 'BuildFailed',
      message: expect.stringContaining('ConfigMap/apps/settings of spec.postBuild.substituteFrom does not exist'),
    });
  });
});

describe('what is built already', () => {
  test.each<[string, Scene, string[]]>([
    ['without postBuild', {}, []],
    ['with inline variables', inline, []],
    ['with objects', referring, ['ConfigMap/apps/settings', 'Secret/apps/login', 'Secret/apps/extra']],
  ])('is found %s', async (_, scene, requests) => {
    const one = worker(scene);
    expect(await one.find()).toBeUndefined();
    const built = await one.build();
    one.requests.length = 0;

    expect(await one.find()).toMatchObject({ manifestsDigest: built.manifestsDigest, buildKey: built.buildKey });
    expect(one.requests).toEqual(requests);
  });

  test('is not found once a value has changed', async () => {
    const cluster: Cluster = { ...referring.cluster };
    const one = worker({ ...referring, cluster });
    await one.build();
    cluster['Secret/apps/login'] = { password: 'changed' };

    expect(await one.find()).toBeUndefined();
  });

  test('is told as nothing when something is wrong', async () => {
    const cluster: Cluster = { ...referring.cluster };
    const one = worker({ ...referring, cluster });
    await one.build();
    delete cluster['Secret/apps/login'];

    expect(await one.find()).toBeUndefined();
  });
});
