import { expect, test } from 'vitest';
import { applyManifests } from '../../activities/apply/apply-manifests.ts';
import { isInSync } from '../../activities/apply/in-sync.ts';
import { readInventory } from '../../activities/apply/inventory-blob.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { compareResourceVersions } from '../../k8s/resource-version.ts';
import { createApplyFixture, useCluster } from '../servers/apply-fixture.ts';
import {
  configMap,
  customResourceDefinition,
  deployment,
  eventually,
  service,
  uniqueName,
} from '../servers/kube-fixture.ts';
import { startRequestLog } from '../servers/request-log.ts';

const prefix = 'kustomize.toolkit.fluxcd.io';
const { client, caches } = useCluster();

function annotated(object: KubeObject, name: string, value: string): KubeObject {
  const annotations = { ...object.metadata.annotations, [`${prefix}/${name}`]: value };
  return { ...object, metadata: { ...object.metadata, annotations } };
}

function app(namespace: string, image = 'web:1'): KubeObject[] {
  return [
    configMap(namespace, 'settings'),
    deployment(namespace, 'web', image),
    service(namespace, 'web'),
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'web', namespace } },
  ];
}

/** Waits until the watch caches have seen the newest version of an object, as they do a moment after a foreign write. */
async function seen(object: KubeObject): Promise<void> {
  const live = await client.get(refOf(object));
  const { namespace = '', name } = object.metadata;
  const cache = caches.opened().find((one) => one.scope.resource.kind === object.kind);
  await eventually(`${object.kind} ${name} in its cache`, () => {
    const cached = cache?.get(namespace, name)?.metadata.resourceVersion ?? '';
    return compareResourceVersions(cached, live?.metadata.resourceVersion ?? '') >= 0;
  });
}

/** The requests about a namespace, without watches, while something is done. */
async function requestsOf(namespace: string, action: () => Promise<unknown>): Promise<string[]> {
  const log = startRequestLog((path) => path.includes(`/namespaces/${namespace}`));
  await action();
  log.stop();
  return log.requests.map((request) => request.replace(/\?(?!.*dryRun).*/, '').replace(/\?.*dryRun.*/, '?dryRun'));
}

test.each([true, false])('creates, leaves alone and configures, with watch caches: %s', async (hasCaches) => {
  const fixture = await createApplyFixture(client, hasCaches ? caches : undefined);
  const { namespace, owner } = fixture;
  expect(await fixture.apply(app(namespace))).toEqual([
    'ServiceAccount/web created',
    'ConfigMap/settings created',
    'Service/web created',
    'Deployment/web created',
  ]);
  const live = await client.get(refOf(deployment(namespace, 'web')));
  expect(live?.metadata.labels).toMatchObject({ [`${prefix}/name`]: owner.name, [`${prefix}/namespace`]: namespace });
  const writers = live?.metadata.managedFields?.filter((entry) => !entry.subresource);
  expect(writers).toMatchObject([{ manager: 'kustomize-controller', operation: 'Apply' }]);

  expect(await fixture.apply(app(namespace))).toEqual([
    'ServiceAccount/web unchanged',
    'ConfigMap/settings unchanged',
    'Service/web unchanged',
    'Deployment/web unchanged',
  ]);
  const changed = app(namespace, 'web:2');
  expect(await fixture.apply(changed)).toContain('Deployment/web configured');
  const result = await fixture.result([...changed, configMap(namespace, 'more')]);
  expect(result.changes.filter(({ action }) => action !== 'unchanged')).toEqual([
    { subject: `ConfigMap/${namespace}/more`, action: 'created' },
  ]);
  expect(result.inventory.map(({ id, v }) => `${id} ${v}`)).toContain(`${namespace}_web_apps_Deployment v1`);
  expect(result.waitFor).toHaveLength(5);
});

test('sends as few requests as the truth allows', async () => {
  const fixture = await createApplyFixture(client, caches);
  const { namespace } = fixture;
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const two = [configMap(namespace, 'a'), configMap(namespace, 'b')];
  expect((await requestsOf(namespace, () => fixture.apply(two))).sort()).toEqual([
    `PATCH ${path}/a`,
    `PATCH ${path}/a?dryRun`,
    `PATCH ${path}/b`,
    `PATCH ${path}/b?dryRun`,
  ]);
  expect(await requestsOf(namespace, () => fixture.apply(two))).toEqual([]);
  expect(await requestsOf(namespace, () => fixture.apply([...two].reverse()))).toEqual([]);
  const one = [configMap(namespace, 'a', { key: 'b' }), configMap(namespace, 'b')];
  expect(await requestsOf(namespace, () => fixture.apply(one))).toEqual([`PATCH ${path}/a`]);
  expect((await requestsOf(namespace, () => fixture.apply(one, { isForced: true }))).sort()).toEqual([
    `GET ${path}/a`,
    `GET ${path}/b`,
    `PATCH ${path}/a?dryRun`,
    `PATCH ${path}/b?dryRun`,
  ]);
});

test('asks nothing at all when manifests, spec, inventory and cluster are as they were', async () => {
  const fixture = await createApplyFixture(client, caches);
  const { namespace, kustomization, memory } = fixture;
  fixture.manifests.set('one', app(namespace));
  const ref = { namespace, name: kustomization.metadata.name };
  const input = { kustomization: ref, generation: 1, revision: 'main@sha1:a', isForced: false, timeoutMs: 60_000 };
  const output = await fixture.run(fixture.activities.applyManifests, { ...input, manifestsDigest: 'one' });
  expect(output).toMatchObject({
    inventoryCount: 4,
    staleCount: 0,
    waitForCount: 4,
    changes: { counts: { created: 4 } },
  });
  expect(output.changes.lines).toHaveLength(4);
  expect(await isInSync(kustomization, 'one', { memory, caches })).toBe(false);
  const entries = await readInventory(fixture.blobs, output.inventoryKey);
  kustomization.status.inventory = { entries };
  const requests = await requestsOf(namespace, async () => {
    expect(await isInSync(kustomization, 'one', { memory, caches })).toBe(true);
    memory.drop({ kind: 'Kustomization', ...ref });
    expect(await isInSync(kustomization, 'one', { memory, caches })).toBe(true);
    expect(await isInSync(kustomization, 'two', { memory, caches })).toBe(false);
    expect(
      await isInSync({ ...kustomization, spec: { ...kustomization.spec, force: true } }, 'one', { memory, caches }),
    ).toBe(false);
  });
  expect(requests).toEqual([]);

  const web = refOf(deployment(namespace, 'web'));
  const patch = (body: unknown) => client.patch(web, body, { type: 'merge', fieldManager: 'somebody' });
  await patch({ metadata: { labels: { foreign: 'x' } } });
  await client.patch(
    web,
    { status: { replicas: 7 } },
    { type: 'merge', subresource: 'status', fieldManager: 'somebody' },
  );
  await expect.poll(() => isInSync(kustomization, 'one', { memory, caches })).toBe(true);
  await patch({ spec: { replicas: 2 } });
  await seen(deployment(namespace, 'web'));
  await expect.poll(() => isInSync(kustomization, 'one', { memory, caches })).toBe(false);
  const repaired = await fixture.run(fixture.activities.applyManifests, { ...input, manifestsDigest: 'one' });
  expect(repaired.drifted).toEqual([`Deployment/${namespace}/web drifted at /spec/replicas (changed by "somebody")`]);
  expect(repaired.changes.lines).toEqual([`Deployment/${namespace}/web configured`]);
});

test.each<[string, string, string[]]>([
  ['reconcile', 'Disabled', ['ConfigMap/x skipped', 'absent']],
  ['ssa', 'ignore', ['ConfigMap/x skipped', 'absent']],
  ['ssa', 'IfNotPresent', ['ConfigMap/x created', 'a', 'ConfigMap/x skipped', 'foreign']],
])('honours the switch %s: %s', async (name, value, expected) => {
  const fixture = await createApplyFixture(client, caches);
  const object = annotated(configMap(fixture.namespace, 'x'), name, value);
  const seen = [...(await fixture.apply([object]))];
  const read = async () => ((await client.get(refOf(object)))?.data as { key?: string } | undefined)?.key ?? 'absent';
  seen.push(await read());
  if (seen[1] !== 'absent') {
    await client.patch(refOf(object), { data: { key: 'foreign' } }, { type: 'merge' });
    seen.push(...(await fixture.apply([object])), await read());
  }
  expect(seen).toEqual(expected);
  const result = await fixture.result([object]);
  expect([result.inventory.length, result.waitFor.length]).toEqual([1, 0]);
});

test('honours a switch that somebody set on the live object', async () => {
  const fixture = await createApplyFixture(client, caches);
  const object = configMap(fixture.namespace, 'x');
  await fixture.apply([object]);
  const metadata = { annotations: { [`${prefix}/reconcile`]: 'disabled' } };
  await client.patch(refOf(object), { metadata, data: { key: 'mine' } }, { type: 'merge', fieldManager: 'me' });
  await seen(object);
  expect(await fixture.apply([object])).toEqual(['ConfigMap/x skipped']);
  expect(await fixture.apply([configMap(fixture.namespace, 'x', { key: 'new' })])).toEqual(['ConfigMap/x skipped']);
  expect((await client.get(refOf(object)))?.data).toEqual({ key: 'mine' });
  await client.patch(
    refOf(object),
    { metadata: { annotations: { [`${prefix}/reconcile`]: null } } },
    { type: 'merge' },
  );
  await seen(object);
  expect(await fixture.apply([object])).toEqual(['ConfigMap/x configured']);
});

/** What `kubectl apply` and `kubectl edit` leave behind. */
async function editLikeKubectl(object: KubeObject, data: Record<string, string>): Promise<void> {
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{}' };
  const body = { metadata: { annotations }, data };
  await client.patch(refOf(object), body, { type: 'merge', fieldManager: 'kubectl-client-side-apply' });
}

test('takes over what kubectl owns, and removes what only kubectl set', async () => {
  const fixture = await createApplyFixture(client, caches);
  const object = configMap(fixture.namespace, 'x');
  await client.create({ ...object, data: { key: 'old' } }, { fieldManager: 'kubectl-client-side-apply' });
  await editLikeKubectl(object, { extra: 'b' });
  expect(await fixture.apply([object])).toEqual(['ConfigMap/x configured']);
  const live = await client.get(refOf(object));
  expect(live?.data).toEqual({ key: 'a' });
  expect(live?.metadata.annotations).toBeUndefined();
  expect(live?.metadata.managedFields).toMatchObject([{ manager: 'kustomize-controller', operation: 'Apply' }]);

  const merged = annotated(object, 'ssa', 'Merge');
  await fixture.apply([merged]);
  await editLikeKubectl(object, { extra: 'b' });
  await seen(object);
  await fixture.apply([merged]);
  expect((await client.get(refOf(object)))?.data).toEqual({ key: 'a', extra: 'b' });
});

test('leaves ignored fields to whoever set them', async () => {
  const fixture = await createApplyFixture(client, caches);
  const { namespace } = fixture;
  const ignore = [{ paths: ['/spec/replicas'], target: { kind: 'Deployment' } }];
  await fixture.apply([deployment(namespace, 'web')], { ignore });
  const ref = refOf(deployment(namespace, 'web'));
  await client.patch(ref, { spec: { replicas: 3 } }, { type: 'merge', fieldManager: 'scaler' });
  await seen(deployment(namespace, 'web'));
  expect(await fixture.apply([deployment(namespace, 'web')], { ignore })).toEqual(['Deployment/web unchanged']);
  expect(await fixture.apply([deployment(namespace, 'web', 'web:2')], { ignore })).toEqual([
    'Deployment/web configured',
  ]);
  expect((await client.get(ref))?.spec).toMatchObject({
    replicas: 3,
    template: { spec: { containers: [{ image: 'web:2' }] } },
  });
  expect(await fixture.apply([deployment(namespace, 'web', 'web:2')])).toEqual(['Deployment/web configured']);
  expect((await client.get(ref))?.spec).toMatchObject({ replicas: 0 });
});

test('refuses a change of an immutable field with a next step, and recreates the object with force', async () => {
  const fixture = await createApplyFixture(client, caches);
  const { namespace } = fixture;
  await fixture.apply([deployment(namespace, 'web')]);
  const ref = refOf(deployment(namespace, 'web'));
  const before = await client.get(ref);
  const other = deployment(namespace, 'web', 'web:1', 'other');
  await expect(fixture.apply([other])).rejects.toMatchObject({
    type: 'ReconciliationFailed',
    nonRetryable: true,
    message: expect.stringMatching(/^Deployment\/.*\/web dry-run failed \(Invalid\): .*immutable.*force: enabled"$/),
  });
  expect((await client.get(ref))?.metadata.uid).toBe(before?.metadata.uid);
  expect(await fixture.apply([other], { force: true })).toEqual(['Deployment/web configured']);
  const after = await client.get(ref);
  expect(after?.metadata.uid).not.toBe(before?.metadata.uid);
  expect(await fixture.apply([annotated(deployment(namespace, 'web'), 'force', 'enabled')])).toEqual([
    'Deployment/web configured',
  ]);
});

test('applies a CRD and its objects, a Namespace and its content, in one pass', async () => {
  const fixture = await createApplyFixture(client, caches);
  const group = `${uniqueName('g')}.example.com`;
  const home = uniqueName('home');
  const widget = {
    apiVersion: `${group}/v1`,
    kind: 'Widget',
    metadata: { name: 'w', namespace: home },
    spec: { size: 1 },
  };
  const set = [
    widget,
    configMap(home, 'settings'),
    customResourceDefinition(group),
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: home } },
  ];
  const expected = [
    `CustomResourceDefinition/widgets.${group}`,
    `Namespace/${home}`,
    `ConfigMap/${home}/settings`,
    `Widget/${home}/w`,
  ];
  expect(await fixture.apply(set)).toEqual(expected.map((subject) => `${subject} created`));
  expect(await fixture.apply(set)).toEqual(expected.map((subject) => `${subject} unchanged`));
  expect(await fixture.apply([{ ...widget, spec: { size: 2 } }, ...set.slice(1)])).toContain(
    `Widget/${home}/w configured`,
  );
});

test('tells every refusal at once, names the next step, and writes nothing', async () => {
  const fixture = await createApplyFixture(client, caches);
  const { namespace } = fixture;
  const home = uniqueName('home');
  const bad = deployment(namespace, 'bad');
  (bad.spec as Record<string, unknown>).bogus = true;
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's', namespace },
    data: { p: { q: 'hunter2!' } },
  };
  const unknown = { apiVersion: 'none.example.com/v1', kind: 'None', metadata: { name: 'x', namespace } };
  const set = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: home } },
    configMap(namespace, 'good'),
    configMap('missing', 'homeless'),
    bad,
    secret,
    unknown,
  ];
  const error = (await fixture.apply(set).catch((reason: unknown) => reason)) as Error & { nonRetryable: boolean };
  expect(error.message.split('\n').sort()).toEqual([
    'ConfigMap/missing/homeless dry-run failed (NotFound): namespaces "missing" not found: create the namespace or add it to the source',
    expect.stringMatching(
      /^Deployment\/.*\/bad dry-run failed \(Invalid\): .*\.spec\.bogus: field not declared in schema$/,
    ),
    expect.stringMatching(
      /^None\/.*\/x dry-run failed \(NoKindMatch\): no matches for kind "None" in version "none.example.com\/v1": install/,
    ),
    expect.stringMatching(/^Secret\/.*\/s dry-run failed \(Invalid\): /),
  ]);
  expect(error.message).not.toContain('hunter2');
  expect(error.nonRetryable).toBe(true);
  expect(await client.get(refOf(configMap(namespace, 'good')))).toBeUndefined();
  expect(await client.get({ group: '', version: 'v1', kind: 'Namespace', namespace: '', name: home })).toBeUndefined();
});

test('tells what was done before a later stage was refused, and does not do it again', async () => {
  const fixture = await createApplyFixture(client, caches);
  const home = uniqueName('home');
  const bad = configMap(home, 'bad');
  (bad as Record<string, unknown>).bogus = true;
  const set = [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: home } }, configMap(home, 'good'), bad];
  await expect(fixture.apply(set)).rejects.toThrow(
    new RegExp(`^ConfigMap/${home}/bad dry-run failed .*bogus.*\nNamespace/${home} created$`),
  );
  expect(await client.get(refOf(configMap(home, 'good')))).toBeUndefined();
  expect(await fixture.apply([...set.slice(0, 2)])).toEqual([
    `Namespace/${home} unchanged`,
    `ConfigMap/${home}/good created`,
  ]);
});

test('applies as the account of the owner, and says what it may not do', async () => {
  const fixture = await createApplyFixture(client, caches);
  const { namespace, owner, memory } = fixture;
  const account = client.impersonate(`system:serviceaccount:${namespace}:deployer`);
  const objects = [configMap(namespace, 'x')];
  const request = { client: account, caches, owner, objects, memory: await memory.load(owner) };
  await expect(applyManifests(request)).rejects.toThrow(
    /^ConfigMap\/.*\/x dry-run failed \(Forbidden\): .*deployer.*: the account that applies needs this permission$/,
  );
  expect(await client.get(refOf(configMap(namespace, 'x')))).toBeUndefined();
});

test('names an object that is in the manifests twice', async () => {
  const fixture = await createApplyFixture(client, caches);
  const object = configMap(fixture.namespace, 'x');
  await expect(fixture.apply([object, object])).rejects.toThrow('is more than once in the manifests');
});

test('says whose object it took over', async () => {
  const [first, second] = await Promise.all([createApplyFixture(client, caches), createApplyFixture(client, caches)]);
  const object = configMap(first.namespace, 'x');
  await first.apply([object]);
  const { takenOver } = await second.result([object]);
  expect(takenOver).toEqual([
    { subject: `ConfigMap/${first.namespace}/x`, from: `${first.namespace}/${first.owner.name}` },
  ]);
  await expect.poll(async () => (await first.result([object])).takenOver).toHaveLength(1);
});

test('stops when it is aborted, remembers what it did, and goes on from there', async () => {
  const fixture = await createApplyFixture(client, caches);
  const { namespace, owner } = fixture;
  const objects = Array.from({ length: 30 }, (_, index) => configMap(namespace, `x-${index}`));
  const aborting = new AbortController();
  const reason = new Error('superseded');
  const memory = await fixture.memory.load(owner);
  const onProgress = (done: number): void => void (done === 10 && aborting.abort(reason));
  await expect(
    applyManifests({ client, caches, owner, objects, memory, signal: aborting.signal, onProgress }),
  ).rejects.toBe(reason);
  const known = memory.entries.size;
  expect(known).toBeGreaterThanOrEqual(10);
  expect(known).toBeLessThan(30);
  const { changes } = await fixture.result(objects);
  expect(changes.filter(({ action }) => action === 'unchanged').length).toBeGreaterThanOrEqual(known);
});

test('applies 2,000 objects, and looks at them again without a request', async () => {
  const fixture = await createApplyFixture(client, caches);
  const { namespace } = fixture;
  const objects = Array.from({ length: 2000 }, (_, index) => configMap(namespace, `x-${index}`));
  const first = await fixture.result(objects);
  expect(first.changes.every(({ action }) => action === 'created')).toBe(true);
  expect(await requestsOf(namespace, () => fixture.result(objects))).toEqual([]);
}, 180_000);
