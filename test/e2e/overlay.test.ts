// What a Kustomization's spec makes of its source: overlays, overrides, ignore rules, accounts, several of one source.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import {
  conditionOf,
  configMap,
  connectCluster,
  createNamespace,
  eventually,
  requestReconcile,
  statusOf,
} from './harness.ts';
import { createAppliedScenario, createScenario, deployment, inventoryOf, manifest } from './scenario.ts';

let client: KubeClient;
beforeAll(() => {
  client = connectCluster();
});
afterAll(() => client.close());

test('an overlay with components and every override of the spec builds as kustomize would', async () => {
  const target = await createNamespace(client, 'target');
  const scenario = await createAppliedScenario(
    client,
    'overlay',
    {
      'base/kustomization.yaml': 'resources: [web.yaml]\nconfigMapGenerator: [{name: settings, literals: [a=1]}]\n',
      'base/web.yaml': deployment('web', { image: 'example/web:1' }),
      'overlays/prod/kustomization.yaml':
        'resources: [../../base]\npatches: [{target: {kind: Deployment}, patch: "- {op: replace, path: /spec/replicas, value: 2}"}]\n',
      'components/extra/kustomization.yaml':
        'apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [extra.yaml]\n',
      'components/extra/extra.yaml': configMap('extra', { v: '1' }),
    },
    {
      kustomization: {
        path: './overlays/prod',
        targetNamespace: target,
        namePrefix: 'pre-',
        nameSuffix: '-suf',
        components: ['../../components/extra', '../../components/absent'],
        ignoreMissingComponents: true,
        commonMetadata: { labels: { team: 'blue' }, annotations: { note: 'common' } },
        images: [{ name: 'example/web', newName: 'example/other', newTag: '2' }],
        patches: [
          {
            target: { kind: 'Deployment', name: 'web' },
            patch: '- {op: add, path: /metadata/annotations, value: {patched: "yes"}}',
          },
        ],
      },
    },
  );
  const web = (await client.get({
    group: 'apps',
    version: 'v1',
    kind: 'Deployment',
    namespace: target,
    name: 'pre-web-suf',
  })) as KubeObject;
  expect(web.metadata.labels).toMatchObject({ team: 'blue', 'kustomize.toolkit.fluxcd.io/name': 'app' });
  expect(web.metadata.annotations).toMatchObject({ note: 'common', patched: 'yes' });
  expect(web.spec).toMatchObject({ replicas: 2, template: { spec: { containers: [{ image: 'example/other:2' }] } } });
  const ids = inventoryOf(await scenario.kustomization());
  expect(ids).toEqual([
    `${target}_pre-extra-suf__ConfigMap v1`,
    expect.stringMatching(new RegExp(`^${target}_pre-settings-suf-[a-z0-9]{10}__ConfigMap v1$`)),
    `${target}_pre-web-suf_apps_Deployment v1`,
  ]);
});

test('a folder without kustomization takes every manifest below it, and kustomizations in it as a whole', async () => {
  const scenario = await createAppliedScenario(
    client,
    'folder',
    {
      'README.md': '# not a manifest\n',
      'apps/a.yaml': configMap('a', { v: '1' }),
      'apps/deep/b.yml': configMap('b', { v: '1' }),
      'apps/own/kustomization.yaml': 'resources: [c.yaml]\nnamePrefix: own-\n',
      'apps/own/c.yaml': configMap('c', { v: '1' }),
      'apps/own/ignored.yaml': configMap('ignored', { v: '1' }),
    },
    { kustomization: { path: './apps' } },
  );
  expect(inventoryOf(await scenario.kustomization())).toEqual(
    ['a', 'b', 'own-c'].map((name) => `${scenario.namespace}_${name}__ConfigMap v1`),
  );
});

test('what .sourceignore and spec.ignore name is not in the artifact', async () => {
  const scenario = await createAppliedScenario(
    client,
    'ignore',
    {
      '.sourceignore': '/drafts/\n',
      'a.yaml': configMap('a', { v: '1' }),
      'drafts/b.yaml': configMap('b', { v: '1' }),
      'old/c.yaml': configMap('c', { v: '1' }),
    },
    { source: { ignore: '/old/\n' } },
  );
  expect(inventoryOf(await scenario.kustomization())).toEqual([`${scenario.namespace}_a__ConfigMap v1`]);

  // The revision stays the same, so that consumers need not look by themselves (contract 2.1, "watch rule").
  const { artifact } = statusOf(await scenario.source());
  await scenario.patch(await scenario.source(), { spec: { ignore: null } });
  await eventually(
    'a new artifact',
    async () => statusOf(await scenario.source()).artifact?.digest !== artifact?.digest,
  );
  await requestReconcile(client, await scenario.kustomization());
  await eventually('what is no longer ignored', () => scenario.configMap('c'));
});

test('two Kustomizations of one source apply their own paths, and a commit to one leaves the other alone', async () => {
  const scenario = await createScenario(client, 'two', {});
  const first = scenario.commit({ 'a/a.yaml': configMap('a', { v: '1' }), 'b/b.yaml': configMap('b', { v: '1' }) });
  await scenario.createSource();
  await scenario.createKustomization({ path: './a' }, 'a');
  await scenario.createKustomization({ path: './b' }, 'b');
  await Promise.all([scenario.applied(first, 'a'), scenario.applied(first, 'b')]);
  const before = await scenario.configMap('b');
  const second = await scenario.push({ 'a/a.yaml': configMap('a', { v: '2' }) });
  await Promise.all([scenario.applied(second, 'a'), scenario.applied(second, 'b')]);
  expect((await scenario.configMap('a'))?.data).toEqual({ v: '2' });
  expect((await scenario.configMap('b'))?.metadata.resourceVersion).toBe(before?.metadata.resourceVersion);
});

test('a Kustomization that is there before its source becomes Ready when the source appears', async () => {
  const scenario = await createScenario(client, 'late', {});
  const revision = scenario.commit({ 'one.yaml': configMap('one', { v: '1' }) });
  await scenario.createKustomization({ retryInterval: '10m' });
  expect(await scenario.refused('ArtifactFailed')).toMatch(/^Source 'GitRepository\/late-.*\/app' not found/);
  expect(await scenario.events(await scenario.kustomization())).toEqual([]);
  await scenario.createSource();
  const applied = await scenario.applied(revision);
  expect(conditionOf(applied, 'Reconciling')).toBeUndefined();
});

test('an account without rights is told so, and the Kustomization heals once it has them', async () => {
  const scenario = await createScenario(client, 'account', {});
  const { namespace } = scenario;
  const revision = scenario.commit({ 'one.yaml': configMap('one', { v: '1' }) });
  await client.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'deployer', namespace } });
  await scenario.createSource();
  await scenario.createKustomization({ serviceAccountName: 'deployer', retryInterval: '1s' });
  const message = await scenario.refused('ReconciliationFailed');
  expect(message).toContain(`ConfigMap/${namespace}/one`);
  expect(message).toContain('Forbidden');
  expect(message).toContain(`system:serviceaccount:${namespace}:deployer`);
  expect(message).toContain('needs this permission');
  expect(await scenario.configMap('one')).toBeUndefined();

  await client.create({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'deployer', namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
    subjects: [{ kind: 'ServiceAccount', name: 'deployer', namespace }],
  });
  await scenario.applied(revision);
  expect(await scenario.configMap('one')).toBeDefined();
});

test('custom resources are applied with their definition, in one commit', async () => {
  const group = `${`g${process.pid}`}.example.com`;
  const scenario = await createAppliedScenario(client, 'crd', {
    'a-widget.yaml': manifest(`${group}/v1`, 'Widget', 'mine', { spec: { size: 3 } }),
    'crd.yaml': manifest('apiextensions.k8s.io/v1', 'CustomResourceDefinition', `widgets.${group}`, {
      spec: {
        group,
        scope: 'Namespaced',
        names: { kind: 'Widget', plural: 'widgets', singular: 'widget' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        ],
      },
    }),
  });
  expect((await scenario.find(`${group}/v1`, 'Widget', 'mine'))?.spec).toEqual({ size: 3 });
});

test('a changed spec is reconciled at once, with no new commit', async () => {
  const scenario = await createAppliedScenario(
    client,
    'spec',
    {
      'a/one.yaml': configMap('one', { v: '1' }),
      'b/two.yaml': configMap('two', { v: '1' }),
    },
    { kustomization: { path: './a' } },
  );
  await scenario.patch(await scenario.kustomization(), { spec: { path: './b' } });
  await eventually('the other path', () => scenario.configMap('two'));
  await scenario.applied(scenario.first);
  expect(await scenario.configMap('one')).toBeUndefined();
  await requestReconcile(client, await scenario.kustomization());
  await scenario.applied(scenario.first);
});
