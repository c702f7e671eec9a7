// What `continuo diff` tells of an apply, and that the apply then does just that.
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { compareManifests, type Comparison } from '../../activities/apply/compare-manifests.ts';
import type { KubeClient } from '../../k8s/client.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import { inventoryEntryOf, type KubeObject, refOf } from '../../k8s/object.ts';
import { type ApplyFixture, createApplyFixture } from '../servers/apply-fixture.ts';
import { configMap, customResourceDefinition, deployment, service, uniqueName } from '../servers/kube-fixture.ts';

let client: KubeClient;
beforeAll(() => {
  client = createKubeClient({ kubeconfig: inject('kubeconfig') });
});
afterAll(() => client.close());

async function compare(
  { owner }: ApplyFixture,
  objects: KubeObject[],
  before: KubeObject[] = [],
  rest: Partial<Parameters<typeof compareManifests>[0]> = {},
): Promise<Comparison> {
  const inventory = before.map((object) => inventoryEntryOf(refOf(object)));
  return await compareManifests({ client, owner, objects, inventory, isPruned: true, ...rest });
}

function told({ differences }: Comparison, { namespace }: ApplyFixture): string[] {
  return differences.map(({ subject, action }) => `${subject.replace(`/${namespace}/`, '/')} ${action}`);
}

test('tells what is created, changed and deleted, and changes nothing', async () => {
  const fixture = await createApplyFixture(client, undefined);
  const { namespace } = fixture;
  const old = [
    configMap(namespace, 'a'),
    configMap(namespace, 'gone'),
    deployment(namespace, 'web'),
    service(namespace, 'web'),
  ];
  await fixture.apply(old);
  const now = [
    configMap(namespace, 'a'),
    configMap(namespace, 'new'),
    deployment(namespace, 'web', 'web:2'),
    service(namespace, 'web'),
  ];
  const found = await compare(fixture, now, old);
  expect(told(found, fixture)).toEqual(['ConfigMap/new created', 'Deployment/web drifted', 'ConfigMap/gone deleted']);
  expect(found).toMatchObject({ errors: [], unchangedCount: 2 });
  const [, drifted] = found.differences;
  expect(drifted?.before).toMatchObject({ spec: { template: { spec: { containers: [{ image: 'web:1' }] } } } });
  expect(drifted?.after).toMatchObject({ spec: { template: { spec: { containers: [{ image: 'web:2' }] } } } });

  expect(await client.get(refOf(configMap(namespace, 'new')))).toBeUndefined();
  expect(await client.get(refOf(configMap(namespace, 'gone')))).toBeDefined();
  expect((await client.get(refOf(deployment(namespace, 'web'))))?.spec).toMatchObject({
    template: { spec: { containers: [{ image: 'web:1' }] } },
  });
  const without = await compare(fixture, now, old, { isPruned: false });
  expect(told(without, fixture)).not.toContain('ConfigMap/gone deleted');
});

test('tells fields that kubectl has added and an apply takes away, but none that the server fills in', async () => {
  const fixture = await createApplyFixture(client, undefined);
  const { namespace } = fixture;
  const web = deployment(namespace, 'web');
  // As somebody makes it by hand who later puts it into a source: kubectl owns all fields, the defaults too.
  const byHand = structuredClone(web);
  byHand.metadata.labels = { hand: 'made' };
  Object.assign(byHand.spec as object, { minReadySeconds: 5 });
  await client.create(byHand, { fieldManager: 'kubectl-create' });

  const found = await compare(fixture, [web]);
  expect(told(found, fixture)).toEqual(['Deployment/web drifted']);
  const [{ before, after } = {}] = found.differences;
  expect(before).toMatchObject({ metadata: { labels: { hand: 'made' } }, spec: { minReadySeconds: 5 } });

  expect(await fixture.apply([web])).toEqual(['Deployment/web configured']);
  const live = (await client.get(refOf(web))) as KubeObject;
  // Annotations are left out: the Deployment's controller sets its own at some time.
  expect(after).toMatchObject({ metadata: { labels: live.metadata.labels } });
  expect(after?.spec).toEqual(live.spec);
  expect(live.metadata.labels).not.toHaveProperty('hand');
  expect(await compare(fixture, [web])).toEqual({ differences: [], errors: [], unchangedCount: 1 });
});

test('leaves out what an apply leaves alone, and what a prune keeps', async () => {
  const fixture = await createApplyFixture(client, undefined);
  const { namespace } = fixture;
  const annotated = (name: string, annotations: Record<string, string>): KubeObject => {
    const object = configMap(namespace, name);
    return { ...object, metadata: { ...object.metadata, annotations } };
  };
  const kept = annotated('kept', { 'kustomize.toolkit.fluxcd.io/prune': 'disabled' });
  const ignored = configMap(namespace, 'ignored', { mine: '1', theirs: '1' });
  await fixture.apply([kept, ignored]);
  await client.patch(refOf(ignored), { data: { theirs: '2' } }, { type: 'merge', fieldManager: 'somebody' });
  const foreign = configMap(namespace, 'foreign');
  await client.create(foreign);
  const off = { ...annotated('off', { 'kustomize.toolkit.fluxcd.io/reconcile': 'disabled' }), data: { key: 'b' } };
  const found = await compare(fixture, [ignored, off], [kept, foreign, configMap(namespace, 'never')], {
    options: { ignore: [{ paths: ['/data/theirs'] }] },
  });
  expect(found).toEqual({ differences: [], errors: [], unchangedCount: 2 });
});

test('asks for nothing that cannot be there yet', async () => {
  const fixture = await createApplyFixture(client, undefined);
  const namespace = uniqueName('new');
  const group = `${uniqueName('compare')}.test`;
  const widget = { apiVersion: `${group}/v1`, kind: 'Widget', metadata: { name: 'w', namespace }, spec: { size: 1 } };
  const found = await compare(fixture, [
    widget,
    configMap(namespace, 'a'),
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    customResourceDefinition(group),
  ]);
  expect(found.differences.map(({ subject, action }) => `${subject} ${action}`)).toEqual([
    `CustomResourceDefinition/widgets.${group} created`,
    `Namespace/${namespace} created`,
    `ConfigMap/${namespace}/a created`,
    `Widget/${namespace}/w created`,
  ]);
});

test('tells all refusals at once, beside the differences', async () => {
  const fixture = await createApplyFixture(client, undefined);
  const { namespace } = fixture;
  const web = deployment(namespace, 'web');
  await fixture.apply([web]);
  const other = deployment(namespace, 'web', 'web:1', 'other');
  const broken = { ...service(namespace, 'broken'), spec: { ports: [{ port: 100_000 }] } };
  const unknown = { apiVersion: 'nobody.test/v1', kind: 'Thing', metadata: { name: 'a', namespace } };
  const { differences, errors } = await compare(fixture, [other, broken, unknown, configMap(namespace, 'a')]);
  expect(differences.map(({ action }) => action)).toEqual(['created']);
  const messages = errors.map((error) => (error as Error).message);
  expect(messages).toEqual([
    expect.stringMatching(/^Deployment\/.*\/web dry-run failed \(Invalid\): .*immutable.*force: enabled"$/),
    expect.stringMatching(/^Service\/.*\/broken dry-run failed \(Invalid\): .*100000/),
    expect.stringMatching(/^Thing\/.*\/a dry-run failed \(NoKindMatch\): /),
  ]);
  const forced = await compare(fixture, [other], [], { options: { force: true } });
  expect(told(forced, fixture)).toEqual(['Deployment/web recreated']);
});
