// What a release makes of the manifests of its chart: patches, images, metadata, CRDs, tests, values, and what is left alone.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { conditionOf, connectCluster, eventually } from './harness.ts';
import {
  chart,
  createReleaseScenario,
  deploymentTemplate,
  reconcileWith,
  releaseName,
  releaseStatusOf,
  type ReleaseScenario,
  states,
} from './release-scenario.ts';
import { manifest } from './scenario.ts';

let client: KubeClient;

beforeAll(() => {
  client = connectCluster();
});
afterAll(() => client.close());

const origin = ({ namespace }: ReleaseScenario) => ({
  'helm.toolkit.fluxcd.io/name': releaseName,
  'helm.toolkit.fluxcd.io/namespace': namespace,
});
const upgraded = async (scenario: ReleaseScenario, spec: object): Promise<KubeObject> => {
  await scenario.change(spec);
  return await scenario.readyIs('True', 'UpgradeSucceeded', 60_000);
};

/** A ConfigMap that is a hook of each action that renders. */
function hook(name: string): string {
  const annotations = { 'helm.sh/hook': 'pre-install,pre-upgrade' };
  return manifest('v1', 'ConfigMap', name, { metadata: { annotations }, data: { v: '{{ .Values.v }}' } });
}

/** A Pod that is a test of the chart. */
function testPod(name: string, command: string): Record<string, string> {
  const containers = [{ name: 'main', image: 'example/test', command: ['sh', '-c', command] }];
  const metadata = { annotations: { 'helm.sh/hook': 'test' } };
  return {
    [`templates/${name}.yaml`]: manifest('v1', 'Pod', name, { metadata, spec: { restartPolicy: 'Never', containers } }),
  };
}

describe.concurrent('a release', { timeout: 120_000 }, () => {
  test('has its manifests changed by post-renderers and common metadata, hooks with them or not', async () => {
    const scenario = await createReleaseScenario(
      client,
      'hr-post',
      chart({ ...deploymentTemplate, 'templates/hook.yaml': hook('hook') }),
    );
    const patch = JSON.stringify([{ op: 'add', path: '/data/patched', value: 'yes' }]);
    const postRenderers = [
      { kustomize: { patches: [{ patch, target: { kind: 'ConfigMap' } }] } },
      { kustomize: { images: [{ name: 'example/web', newName: 'example/other', newTag: '9' }] } },
    ];
    const commonMetadata = {
      labels: { team: 'shop', 'helm.toolkit.fluxcd.io/name': 'stolen' },
      annotations: { note: 'x: "y"' },
    };
    const labels = { team: 'shop', ...origin(scenario) };
    const seen = async (name: string) => {
      const object = await scenario.configMap(name);
      const { labels: found, annotations } = object?.metadata ?? {};
      return { data: object?.data, labels: found, note: annotations?.note };
    };
    await scenario.createRelease({ postRenderers, commonMetadata });
    await scenario.readyIs('True', 'InstallSucceeded', 60_000);
    const changed = { data: { v: 'one', patched: 'yes' }, note: 'x: "y"' };
    expect(await seen('app')).toMatchObject({
      ...changed,
      labels: { ...labels, 'app.kubernetes.io/managed-by': 'Helm' },
    });
    expect(await seen('hook')).toMatchObject({ ...changed, labels });
    const deployment = await scenario.find('apps/v1', 'Deployment', 'app');
    expect(deployment?.spec).toMatchObject({ template: { spec: { containers: [{ image: 'example/other:9' }] } } });

    await upgraded(scenario, { postRenderStrategy: 'nohooks', values: { v: 'two' } });
    expect((await seen('app')).data).toEqual({ v: 'two', patched: 'yes' });
    expect(await seen('hook')).toMatchObject({ data: { v: 'two' }, labels: {}, note: undefined });

    await upgraded(scenario, { postRenderStrategy: 'separate', values: { v: 'three' } });
    expect(await seen('hook')).toMatchObject({ data: { v: 'three', patched: 'yes' }, labels });

    // Without any other change: what is rendered would be another.
    await upgraded(scenario, { commonMetadata: { labels: { team: 'other' } } });
    expect((await seen('app')).labels).toMatchObject({ team: 'other' });
    await upgraded(scenario, { postRenderers: [{ kustomize: { patches: [{ patch, target: { name: 'none' } }] } }] });
    expect((await seen('app')).data).toEqual({ v: 'three' });
    expect(states(scenario).at(-1)).toBe('5 deployed');
    const bad = [{ kustomize: { patches: [{ patch: '- op: nonsense', target: { kind: 'ConfigMap' } }] } }];
    await scenario.change({ postRenderers: bad });
    await scenario.fails('UpgradeFailed', 'spec.postRenderers[0] failed');
  });

  test('whose hook is named like an object needs them rendered apart', async () => {
    const scenario = await createReleaseScenario(client, 'hr-apart', chart({ 'templates/hook.yaml': hook('app') }));
    const patch = JSON.stringify([{ op: 'add', path: '/data/patched', value: 'yes' }]);
    const postRenderers = [{ kustomize: { patches: [{ patch, target: { kind: 'ConfigMap' } }] } }];
    await scenario.createRelease({ postRenderers });
    await scenario.fails('InstallFailed', 'spec.postRenderers[0] failed');
    await scenario.change({ postRenderStrategy: 'separate' });
    await scenario.readyIs('True', 'InstallSucceeded', 60_000);
    expect((await scenario.configMap('app'))?.data).toEqual({ v: 'one', patched: 'yes' });
  });

  test('has the CRDs of its chart skipped, created or replaced as its policies say', async () => {
    const group = `crd${process.pid}.test.dev`;
    const crd = (plural: string, description: string) => ({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `${plural}.${group}` },
      spec: {
        ...{ group, names: { kind: plural.slice(0, -1), plural }, scope: 'Namespaced' },
        versions: [
          { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', description } } },
        ],
      },
    });
    const live = async (plural: string) => {
      const found = await client.get(refOf(crd(plural, '')));
      const spec = found?.spec as ReturnType<typeof crd>['spec'] | undefined;
      return { found, description: spec?.versions[0]?.schema.openAPIV3Schema.description };
    };
    const file = (...all: object[]) => ({ 'crds/all.yaml': all.map((one) => JSON.stringify(one)).join('\n---\n') });
    const stray = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'stray' } };
    const scenario = await createReleaseScenario(client, 'hr-crds', chart(file(crd('ones', 'old'), stray)));
    await scenario.createRelease({ install: { crds: 'Skip' }, upgrade: { crds: 'Skip' } });
    const skipped = await scenario.readyIs('True', 'InstallSucceeded', 60_000);
    expect((await live('ones')).found).toBeUndefined();
    expect(JSON.stringify(releaseStatusOf(skipped).inventory)).not.toContain('ones');

    // Unset for an upgrade: those that are not there are created.
    const created = await upgraded(scenario, { values: { v: 'two' }, upgrade: { crds: null } });
    const one = await live('ones');
    expect(one.description).toBe('old');
    expect(one.found?.metadata.labels).toMatchObject(origin(scenario));
    expect(await scenario.configMap('stray')).toBeUndefined();
    const ids = releaseStatusOf(created).inventory?.entries.map(({ id }) => id);
    expect(ids).toContain(`_ones.${group}_apiextensions.k8s.io_CustomResourceDefinition`);

    const custom = manifest(`${group}/v1`, 'two', 'mine');
    await scenario.push(
      chart({ ...file(crd('ones', 'new'), crd('twos', 'new')), 'templates/two.yaml': custom }, '1.1.0'),
    );
    await eventually('the new kind', () => scenario.find(`${group}/v1`, 'two', 'mine'), 60_000);
    await scenario.readyIs('True', 'UpgradeSucceeded', 60_000);
    expect((await live('ones')).description).toBe('old');

    await upgraded(scenario, { values: { v: 'three' }, upgrade: { crds: 'CreateReplace' } });
    expect((await live('ones')).description).toBe('new');
    await scenario.remove();
    expect((await live('twos')).found).toBeDefined();
    await Promise.all(['ones', 'twos'].map((plural) => client.delete(refOf(crd(plural, '')))));
  });

  test('is tested by the tests that its filters choose; their failures are told, and ignored where that is asked for', async () => {
    const files = chart({ ...testPod('good', 'exit 0'), ...testPod('bad', 'exit 1') });
    const scenario = await createReleaseScenario(client, 'hr-filters', files);
    await scenario.createRelease({ test: { enable: true, filters: [{ name: 'bad', exclude: true }] } });
    const passed = await scenario.readyIs('True', 'TestSucceeded', 60_000);
    expect(releaseStatusOf(passed).history?.[0]?.testHooks).toEqual({
      good: { phase: 'Succeeded', lastStarted: expect.any(String), lastCompleted: expect.any(String) },
    });
    expect(await scenario.find('v1', 'Pod', 'bad')).toBeUndefined();

    await scenario.change({
      values: { v: 'two' },
      test: { enable: true, timeout: '20s', filters: [{ name: 'bad' }] },
      upgrade: { remediation: { retries: 0, remediateLastFailure: true } },
    });
    const failed = await scenario.stalled();
    expect(conditionOf(failed, 'TestSuccess')).toMatchObject({ status: 'False', reason: 'TestFailed' });
    expect(conditionOf(failed, 'Remediated')?.reason).toBe('RollbackSucceeded');
    expect(scenario.history()).toEqual([
      '1 superseded Install complete',
      '2 superseded Upgrade complete',
      '3 deployed Rollback to 1',
    ]);
    const remediation = { retries: 0, remediateLastFailure: true, ignoreTestFailures: true };
    await upgraded(scenario, {
      values: { v: 'three' },
      test: { filters: [{ name: 'bad' }, { name: 'good' }], ignoreFailures: true },
      upgrade: { remediation },
    });
    // Where failures of tests are ignored, Ready does not wait for them either.
    const ignoring = await eventually('the tests to have failed', async () => {
      const object = await scenario.release();
      return conditionOf(object, 'TestSuccess')?.reason === 'TestFailed' && object;
    });
    expect(conditionOf(ignoring, 'Ready')).toMatchObject({ status: 'True', reason: 'UpgradeSucceeded' });
    const { history } = releaseStatusOf(ignoring);
    expect(history?.[0]?.testHooks).toMatchObject({ bad: { phase: 'Failed' } });
    expect(states(scenario).at(-1)).toBe('4 deployed');
  });

  test('gets its values from everywhere, as plain helm would', async () => {
    const scenario = await createReleaseScenario(client, 'hr-from', chart());
    const { namespace } = scenario;
    const create = (kind: string, name: string, data: object): Promise<KubeObject> =>
      client.create({
        apiVersion: 'v1',
        kind,
        metadata: { namespace, name },
        [kind === 'Secret' ? 'stringData' : 'data']: data,
      });
    await create('ConfigMap', 'base', { 'values.yaml': 'map: {a: 1, b: 2}\nlist: [1, 2]\nv: base\n' });
    await create('Secret', 'more', {
      'prod.yaml': 'map: {b: 3}\nlist: [4]\n',
      token: 'a,b={c}',
      number: '7',
      text: "'8'",
    });
    await scenario.createRelease({
      valuesFrom: [
        { kind: 'ConfigMap', name: 'base' },
        { kind: 'Secret', name: 'more', valuesKey: 'prod.yaml' },
        { kind: 'Secret', name: 'more', valuesKey: 'token', targetPath: 'deep.token', literal: true },
        { kind: 'Secret', name: 'more', valuesKey: 'number', targetPath: 'deep.list[1].number' },
        { kind: 'Secret', name: 'more', valuesKey: 'text', targetPath: 'deep.text' },
        { kind: 'ConfigMap', name: 'none', optional: true },
        { kind: 'Secret', name: 'more', valuesKey: 'none', optional: true, targetPath: 'none' },
      ],
      values: { v: 'inline' },
    });
    const ready = await scenario.readyIs('True', 'InstallSucceeded', 60_000);
    const values = JSON.parse(scenario.helm('get', 'values', 'app', '-o', 'json')) as object;
    expect(values).toEqual({
      ...{ map: { a: 1, b: 3 }, list: [4], v: 'inline' },
      deep: { token: 'a,b={c}', list: [null, { number: 7 }], text: '8' },
    });
    expect(releaseStatusOf(ready).history?.[0]?.configDigest).toBe(releaseStatusOf(ready).lastAttemptedConfigDigest);
    await reconcileWith(scenario);
    expect(scenario.history()).toEqual(['1 deployed Install complete']);

    const wrong = { kind: 'Secret', name: 'more', valuesKey: 'token', targetPath: 'a[0][9999999]' };
    await expect(scenario.change({ valuesFrom: [wrong] })).rejects.toThrow('targetPath');
    await scenario.change({ valuesFrom: [{ ...wrong, targetPath: 'list[99999]' }] });
    expect(await scenario.fails('ValuesError', 'list[99999]')).not.toContain('b={c}');
    await scenario.change({ valuesFrom: [{ kind: 'ConfigMap', name: 'none' }] });
    await scenario.fails('ValuesError', `ConfigMap/${namespace}/none`);
  });

  test('leaves drift alone where an object asks for it', async () => {
    const key = 'helm.toolkit.fluxcd.io/driftDetection';
    const other = (name: string, metadata: object) => ({
      [`templates/${name}.yaml`]: manifest('v1', 'ConfigMap', name, { metadata, data: { v: '1' } }),
    });
    const files = {
      ...other('annotated', { annotations: { [key]: 'disabled' } }),
      ...other('labelled', { labels: { [key]: 'disabled' } }),
    };
    const scenario = await createReleaseScenario(client, 'hr-optout', chart(files));
    const { namespace } = scenario;
    await scenario.createRelease({ driftDetection: { mode: 'enabled' } });
    await scenario.readyIs('True', 'InstallSucceeded', 60_000);
    for (const name of ['annotated', 'labelled', 'app']) {
      const ref = { group: '', version: 'v1', kind: 'ConfigMap', namespace, name };
      await client.patch(ref, { data: { v: 'theirs' } }, { type: 'merge', fieldManager: 'someone' });
    }
    const dataOf = async (name: string) => (await scenario.configMap(name))?.data;
    await eventually('the correction', async () => JSON.stringify(await dataOf('app')) === '{"v":"one"}');
    await reconcileWith(scenario);
    expect(await dataOf('annotated')).toEqual({ v: 'theirs' });
    expect(await dataOf('labelled')).toEqual({ v: 'theirs' });
    expect(scenario.history()).toEqual(['1 deployed Install complete']);
  });

  test('that plain helm has installed is taken over by an upgrade', async () => {
    const scenario = await createReleaseScenario(client, 'hr-adopt', chart());
    scenario.helm('install', 'app', `${scenario.repository.directory}/charts/app`, '--set', 'v=byhand');
    await scenario.createRelease();
    const ready = await scenario.readyIs('True', 'UpgradeSucceeded', 60_000);
    expect(scenario.history()).toEqual(['1 superseded Install complete', '2 deployed Upgrade complete']);
    expect((await scenario.configMap('app'))?.data).toEqual({ v: 'one' });
    expect(releaseStatusOf(ready).history?.map(({ version, action }) => [version, action])).toEqual([[2, 'upgrade']]);
  });

  test('waits for any object by an expression', async () => {
    const scenario = await createReleaseScenario(client, 'hr-expr', chart());
    const { namespace } = scenario;
    const readyExpr = "dep.data.phase == 'up' && dep.data.release == self.metadata.name";
    await scenario.createRelease({ dependsOn: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'gate', readyExpr }] });
    await scenario.fails('DependencyNotReady', `ConfigMap/${namespace}/gate does not exist`);
    await client.create({
      ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name: 'gate' } },
      data: { phase: 'up', release: 'app' },
    });
    await scenario.readyIs('True', 'InstallSucceeded', 60_000);
    await scenario.change({ dependsOn: [{ name: 'other', readyExpr: 'dep.(' }] });
    await scenario.fails('InvalidCELExpression', 'dep.(');
    expect(conditionOf(await scenario.release(), 'Stalled')?.reason).toBe('InvalidCELExpression');
  });
});
