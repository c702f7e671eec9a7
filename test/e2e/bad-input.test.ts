// What is wrong with sources and manifests: each time the cluster stays as it was, Ready says what is wrong and what to
// do, and the next good commit heals without a person.
import { symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { watchedKinds } from '../../k8s/flux-objects.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { startGitServer } from '../../tools/platform/index.ts';
import { startCuttableProxy } from '../servers/cuttable-proxy.ts';
import { conditionOf, configMap, connectCluster, eventually, git, statusOf } from './harness.ts';
import { createAppliedScenario, createScenario, inventoryOf, manifest, type Scenario } from './scenario.ts';

let client: KubeClient;
beforeAll(() => {
  client = connectCluster();
});
afterAll(() => client.close());

const good = { 'one.yaml': configMap('one', { v: '1' }) };
const better = { 'one.yaml': configMap('one', { v: '2' }) };
/** Tests heal by the retry of the object, not by a person. */
const retries = { kustomization: { retryInterval: '1s' } };

/** The ConfigMap that the good commit applied, which nothing bad may touch. */
async function untouched(scenario: Scenario): Promise<() => Promise<void>> {
  const before = await scenario.configMap('one');
  const inventory = inventoryOf(await scenario.kustomization());
  return async () => {
    const after = await scenario.configMap('one');
    expect(after?.metadata.resourceVersion).toBe(before?.metadata.resourceVersion);
    expect(inventoryOf(await scenario.kustomization())).toEqual(inventory);
  };
}

describe('a source that cannot be fetched', () => {
  test('an unreachable host: the source says so and fetches once it is back', async () => {
    const proxy = await startCuttableProxy(Number(new URL(inject('gitUrl')).port));
    try {
      const scenario = await createScenario(client, 'unreachable', {});
      const first = scenario.commit(good);
      const url = scenario.repository.url.replace(/:\d+\//, `:${proxy.port}/`);
      await scenario.createSource({ url, interval: '1s' });
      await scenario.createKustomization();
      await scenario.applied(first);
      const check = await untouched(scenario);

      proxy.refuse(true);
      proxy.cut();
      const second = scenario.commit(better);
      const message = await scenario.refused('GitOperationFailed', scenario.source);
      expect(message).toContain(`"${url}" failed`);
      expect(message).toMatch(/ECONNRESET|UND_ERR_SOCKET/);
      const source = await scenario.source();
      expect(conditionOf(source, 'FetchFailed')).toMatchObject({
        status: 'True',
        reason: 'GitOperationFailed',
        message,
      });
      expect(conditionOf(source, 'Reconciling')?.reason).toBe('ProgressingWithRetry');
      expect(statusOf(source).artifact?.revision).toBe(first);
      expect(conditionOf(await scenario.kustomization(), 'Ready')?.status).toBe('True');
      await check();

      proxy.refuse(false);
      await scenario.applied(second);
      expect(conditionOf(await scenario.source(), 'FetchFailed')).toBeUndefined();
    } finally {
      proxy.close();
    }
  });

  test('a port on which nobody listens is told as refused', async () => {
    const scenario = await createScenario(client, 'refusedport', {});
    await scenario.createSource({ url: 'http://127.0.0.1:1/app.git' });
    expect(await scenario.refused('GitOperationFailed', scenario.source)).toBe(
      'listing the refs of "http://127.0.0.1:1/app.git" failed (ECONNREFUSED): the server refuses connections; check host and port, also those of a proxy',
    );
    await scenario.patch(await scenario.source(), { spec: { url: scenario.repository.url } });
    scenario.commit(good);
    await ready(scenario);
  });

  test('wrong credentials: the Secret that is corrected heals, and no password is told', async () => {
    const password = 'correct-horse';
    const server = await startGitServer({ root: inject('gitRoot'), auth: { username: 'app', password } });
    try {
      const scenario = await createScenario(client, 'login', {});
      const revision = scenario.commit(good);
      const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'login', namespace: scenario.namespace } };
      await client.create({ ...secret, stringData: { username: 'app', password: 'wrong-battery' } });
      const url = `${server.url}/${scenario.namespace}.git`;
      await scenario.createSource({ url, secretRef: { name: 'login' } });
      await scenario.createKustomization();
      const message = await scenario.refused('AuthenticationFailed', scenario.source);
      expect(message).toContain('401');
      expect(message).toContain('login');
      expect(message).not.toContain('wrong-battery');
      await scenario.patch(secret, { stringData: { password } });
      await scenario.applied(revision);

      // Without a Secret at all, and with one that does not exist.
      await scenario.patch(await scenario.source(), { spec: { secretRef: { name: 'absent' } } });
      expect(await scenario.refused('AuthenticationFailed', scenario.source)).toContain('absent');
      await scenario.patch(await scenario.source(), { spec: { secretRef: null } });
      const without = await eventually('401 without a Secret', async () => {
        const found = conditionOf(await scenario.source(), 'Ready');
        return found?.status === 'False' && found.message.includes('401') && found;
      });
      expect(without.reason).toBe('AuthenticationFailed');
      expect(without.message).toContain('spec.secretRef');
    } finally {
      await server.close();
    }
  });

  test('a missing branch: the message names it, and its first push heals', async () => {
    const scenario = await createScenario(client, 'branch', {});
    scenario.commit(good);
    await scenario.createSource({ ref: { branch: 'release' } });
    await scenario.createKustomization();
    const message = await scenario.refused('GitOperationFailed', scenario.source);
    expect(message).toContain('"release"');
    expect(message).toContain('main');
    expect(await scenario.configMap('one')).toBeUndefined();
    git(scenario.repository.directory, 'push', '--quiet', 'origin', 'main:release');
    const commit = git(scenario.repository.directory, 'rev-parse', 'HEAD');
    await scenario.applied(`release@sha1:${commit}`);
  });

  test('an empty repository: the first commit heals', async () => {
    const scenario = await createScenario(client, 'empty', {});
    await scenario.createSource();
    await scenario.createKustomization();
    const message = await scenario.refused('EmptyGitRepository', scenario.source);
    expect(message).toMatch(/no commits|empty/);
    await scenario.applied(scenario.commit(good));
  });
});

describe('manifests that cannot be built', () => {
  test.each([
    ['../x', 'ArtifactFailed', 'kustomization path not found'],
    ['./apps/absent', 'ArtifactFailed', 'kustomization path not found'],
  ])('the path %s is refused, and a commit that brings it heals', async (path, reason, words) => {
    const scenario = await createAppliedScenario(client, 'path', good, retries);
    const check = await untouched(scenario);
    await scenario.patch(await scenario.kustomization(), { spec: { path } });
    const message = await scenario.refused(reason);
    expect(message).toContain(words);
    expect(message).toContain(path);
    await check();
    // `..` stops at the root of the source, as Flux has it: `../x` is the folder `x`.
    const folder = path.replace('../', '').replace('./', '');
    const second = await scenario.push({ [`${folder}/one.yaml`]: configMap('one', { v: '2' }) });
    await scenario.applied(second);
  });

  test.each([
    [
      'a resource outside of the tree',
      { 'kustomization.yaml': 'resources: [one.yaml, ../../../etc/passwd]\n' },
      'etc/passwd',
    ],
    ['an absolute path', { 'kustomization.yaml': 'resources: [one.yaml, /etc/passwd]\n' }, '/etc/passwd'],
    ['a missing file', { 'kustomization.yaml': 'resources: [one.yaml, absent.yaml]\n' }, 'absent.yaml'],
    ['an object without kind', { 'bad.yaml': 'apiVersion: v1\nmetadata: {name: x}\n' }, 'bad.yaml:1'],
    ['a bad field in the kustomization', { 'kustomization.yaml': 'resourcez: [one.yaml]\n' }, 'resourcez'],
  ])('%s is told by name', async (_title, files: Record<string, string>, words) => {
    const scenario = await createAppliedScenario(client, 'tree', good, retries);
    const check = await untouched(scenario);
    await scenario.push(files);
    const message = await scenario.refused('BuildFailed');
    expect(message).toContain(words);
    expect(message).not.toContain('/tmp');
    await check();
    const gone = Object.fromEntries(Object.keys(files).map((path) => [path, null]));
    await scenario.applied(await scenario.push({ ...gone, ...better }));
  });

  test('a symbolic link out of the tree is not followed', async () => {
    const scenario = await createAppliedScenario(client, 'symlink', good, retries);
    const check = await untouched(scenario);
    const link = join(scenario.repository.directory, 'link.yaml');
    symlinkSync('/etc/passwd', link);
    await scenario.push({ 'kustomization.yaml': 'resources: [one.yaml, link.yaml]\n' });
    const message = await scenario.refused('BuildFailed');
    expect(message).toContain('link.yaml');
    expect(message).not.toContain('root:');
    await check();
    await scenario.applied(await scenario.push({ 'kustomization.yaml': null, ...better })); // the link itself may stay
  });

  test('invalid YAML is told with file, line and column', async () => {
    const scenario = await createAppliedScenario(client, 'yaml', good, retries);
    const check = await untouched(scenario);
    await scenario.push({
      'apps/bad.yaml': `${configMap('x', {})}---\napiVersion: v1\nkind: [ConfigMap\nmetadata: {}\n`,
    });
    const message = await scenario.refused('BuildFailed');
    expect(message).toMatch(/^kustomize build failed: apps\/bad\.yaml:[45]:\d+: .*document 2/);
    await check();
    expect(await scenario.configMap('x')).toBeUndefined();
    await scenario.applied(await scenario.push({ 'apps/bad.yaml': null, ...better }));
  });

  test('a file of 100 MB beside the manifests is no hindrance, as a manifest it is refused', async () => {
    const scenario = await createAppliedScenario(client, 'large', good, retries);
    const blob = join(scenario.repository.directory, 'blob.bin');
    writeFileSync(blob, '');
    truncateSync(blob, 100 * 1024 * 1024);
    const second = await scenario.push(better);
    await scenario.applied(second, undefined, 60_000);

    const check = await untouched(scenario);
    const large = join(scenario.repository.directory, 'large.yaml');
    writeFileSync(large, `# ${'x'.repeat(1022)}\n`.repeat(100 * 1024) + configMap('large', {}));
    await scenario.push({ 'blob.bin': null });
    const message = await scenario.refused('BuildFailed', undefined, 60_000);
    expect(message).toMatch(/"large\.yaml" has \d+ bytes, over the limit of \d+ bytes: split it/);
    await check();
    await scenario.applied(await scenario.push({ 'large.yaml': null, ...good }), undefined, 30_000);
  }, 180_000);
});

describe('objects that the API server refuses', () => {
  const cases: [string, Record<string, string>, string[]][] = [
    [
      'an unknown kind',
      { 'bad.yaml': manifest('example.com/v1', 'Nothing', 'x') },
      ['Nothing/', '/x', 'CustomResourceDefinition'],
    ],
    [
      'a missing namespace',
      { 'bad.yaml': manifest('v1', 'ConfigMap', 'x', { metadata: { namespace: 'absent-namespace' } }) },
      ['ConfigMap/absent-namespace/x', 'create the namespace or add it to the source'],
    ],
    [
      'a field of the wrong type',
      { 'bad.yaml': manifest('v1', 'Service', 'x', { spec: { ports: [{ port: 'eighty' }] } }) },
      ['Service/', '/x', 'port'],
    ],
    [
      'a value that validation refuses',
      { 'bad.yaml': manifest('v1', 'Service', 'x', { spec: { ports: [{ port: 99_999 }] } }) },
      ['Service/', '/x', '65535'],
    ],
  ];

  test.each(cases)('%s: nothing of the commit is applied', async (title, files, words) => {
    const isNamespaceOwn = title === 'a missing namespace';
    const scenario = await createScenario(client, 'object', {});
    const one = (v: string) => ({
      'one.yaml': manifest('v1', 'ConfigMap', 'one', { metadata: { namespace: scenario.namespace }, data: { v } }),
    });
    const first = scenario.commit(one('1'));
    await scenario.createSource();
    await scenario.createKustomization({
      retryInterval: '1s',
      targetNamespace: isNamespaceOwn ? undefined : scenario.namespace,
    });
    await scenario.applied(first);
    const check = await untouched(scenario);
    await scenario.push({ ...files, ...one('2') });
    const message = await scenario.refused('ReconciliationFailed');
    for (const word of words) expect(message).toContain(word);
    await check();
    const failed = await scenario.kustomization();
    expect(statusOf(failed).lastAppliedRevision).toBe(first);
    await eventually('the warning', async () =>
      (await scenario.events(failed)).some(
        ({ type, reason }) => type === 'Warning' && reason === 'ReconciliationFailed',
      ),
    );
    await scenario.applied(await scenario.push({ 'bad.yaml': null, ...one('3') }));
  });

  test('an immutable field: the message names the way out, which the next commit takes', async () => {
    const secret = (v: string, annotations = {}): string =>
      manifest('v1', 'Secret', 'fixed', { metadata: { annotations }, immutable: true, stringData: { v } });
    const files = { ...good, 'fixed.yaml': secret('first-value') };
    const scenario = await createAppliedScenario(client, 'immutable', files, retries);
    const check = await untouched(scenario);
    await scenario.push({ 'fixed.yaml': secret('second-value'), ...better });
    const message = await scenario.refused('ReconciliationFailed');
    expect(message).toContain(`Secret/${scenario.namespace}/fixed`);
    expect(message).toContain('kustomize.toolkit.fluxcd.io/force: enabled');
    expect(message).not.toContain('second-value');
    await check();
    const forced = secret('second-value', { 'kustomize.toolkit.fluxcd.io/force': 'enabled' });
    await scenario.applied(await scenario.push({ 'fixed.yaml': forced }));
    const data = (await scenario.find('v1', 'Secret', 'fixed'))?.data as Record<string, string>;
    expect(Buffer.from(data.v ?? '', 'base64').toString()).toBe('second-value');
  });
});

test.each(Object.values(watchedKinds).filter(({ kind }) => kind !== 'ExternalArtifact'))(
  'a $kind without a spec is refused, not stored to be stumbled over',
  async ({ group, version, kind }) => {
    const bare = { apiVersion: `${group}/${version}`, kind, metadata: { name: 'bare', namespace: 'default' } };
    await expect(client.create(bare)).rejects.toThrow(/spec: Required value/);
  },
);

test('an object of another Kustomization is taken over as Flux does, and not pruned by the one that lost it', async () => {
  const scenario = await createScenario(client, 'owner', {});
  const first = scenario.commit({
    'a/one.yaml': configMap('one', { v: 'a' }),
    'b/two.yaml': configMap('two', { v: 'b' }),
  });
  await scenario.createSource();
  await scenario.createKustomization({ path: './a' }, 'a');
  await scenario.createKustomization({ path: './b' }, 'b');
  await Promise.all([scenario.applied(first, 'a'), scenario.applied(first, 'b')]);
  // The object moves from a to b in one commit: what a prunes must not take what b applies.
  const second = await scenario.push({
    'a/one.yaml': null,
    'a/other.yaml': configMap('other', { v: 'a' }),
    'b/one.yaml': configMap('one', { v: 'b' }),
  });
  await Promise.all([scenario.applied(second, 'a'), scenario.applied(second, 'b')]);
  const one = await eventually('b to own it', async () => {
    const found = await scenario.configMap('one');
    return found?.metadata.labels?.['kustomize.toolkit.fluxcd.io/name'] === 'b' && found;
  });
  expect(one.data).toEqual({ v: 'b' });
});

test('two Kustomizations that both claim an object do not write it in turns', async () => {
  const scenario = await createScenario(client, 'claim', {});
  const first = scenario.commit({
    'a/one.yaml': configMap('one', { v: 'a' }),
    'b/one.yaml': configMap('one', { v: 'b' }),
  });
  await scenario.createSource();
  await scenario.createKustomization({ path: './a' }, 'a');
  await scenario.applied(first, 'a');
  await scenario.createKustomization({ path: './b' }, 'b');
  await scenario.applied(first, 'b');
  let last: string | undefined;
  let quietSince = Date.now();
  await eventually('nobody to write any more', async () => {
    const version = (await scenario.configMap('one'))?.metadata.resourceVersion;
    if (version !== last) quietSince = Date.now();
    last = version;
    return Date.now() - quietSince > 3_000;
  });
});

test('2,000 objects in one Kustomization are applied, changed and pruned', async () => {
  const many = (v: string, count: number): Record<string, string> =>
    Object.fromEntries(
      Array.from({ length: 20 }, (_, file) => [
        `many/${file}.yaml`,
        Array.from({ length: count / 20 }, (_entry, index) => configMap(`object-${file}-${index}`, { v })).join(
          '---\n',
        ),
      ]),
    );
  const scenario = await createScenario(client, 'many', {});
  const first = scenario.commit(many('1', 2_000));
  await scenario.createSource();
  await scenario.createKustomization({ timeout: '2m' });
  expect(inventoryOf(await scenario.applied(first, undefined, 120_000))).toHaveLength(2_000);

  const changed = many('1', 2_000);
  const second = await scenario.push({
    ...changed,
    'many/0.yaml': changed['many/0.yaml']?.replace('"v":"1"', '"v":"2"') ?? '',
  });
  await scenario.applied(second, undefined, 60_000);
  expect((await scenario.configMap('object-0-0'))?.data).toEqual({ v: '2' });

  const third = await scenario.push(many('1', 20));
  expect(inventoryOf(await scenario.applied(third, undefined, 120_000))).toHaveLength(20);
  expect(await scenario.configMap('object-0-1')).toBeUndefined();
}, 300_000);

/** Waits until the source has an artifact and Ready says so. */
async function ready(scenario: Scenario): Promise<KubeObject> {
  return await eventually('the source to be Ready', async () => {
    const source = await scenario.source();
    return conditionOf(source, 'Ready')?.status === 'True' && source;
  });
}
