// What `continuo diff helmrelease` tells, against the real API server, which must be left as it was.
import { expect, test } from 'vitest';
import { compareRelease } from '../../activities/apply/compare-release.ts';
import type { ObjectError } from '../../activities/apply/refusals.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { useCluster } from '../servers/apply-fixture.ts';
import {
  configMap,
  createNamespace,
  customResourceDefinition,
  deployment,
  service,
  uniqueName,
} from '../servers/kube-fixture.ts';

const { client } = useCluster();
const fieldManager = 'helm-controller';

async function release(...objects: KubeObject[]): Promise<void> {
  for (const object of objects) await client.apply(object, { fieldManager, force: true });
}

async function compare(desired: KubeObject[], deployed: KubeObject[] = []) {
  const { differences, errors, unchangedCount } = await compareRelease({
    client,
    desired,
    deployed,
    fieldManager,
    concurrency: 4,
  });
  const lines = differences.map(({ subject, action }) => `${subject} ${action}`);
  return { lines, differences, errors: (errors as ObjectError[]).map(({ message }) => message), unchangedCount };
}

test('an install creates all, in the order of application, and nothing of it is there afterwards', async () => {
  const namespace = await createNamespace(client, 'compare');
  const desired = [deployment(namespace, 'web'), service(namespace, 'web'), configMap(namespace, 'web')];
  expect(await compare(desired)).toMatchObject({
    lines: [
      `ConfigMap/${namespace}/web created`,
      `Service/${namespace}/web created`,
      `Deployment/${namespace}/web created`,
    ],
    errors: [],
    unchangedCount: 0,
  });
  for (const object of desired) expect(await client.get(refOf(object))).toBeUndefined();
});

test('an upgrade changes, creates and deletes; what is as it should be is only counted', async () => {
  const namespace = await createNamespace(client, 'compare');
  const kept = configMap(namespace, 'kept-by-policy');
  kept.metadata.annotations = { 'helm.sh/resource-policy': 'keep' };
  const deployed = [
    configMap(namespace, 'same'),
    configMap(namespace, 'other', { key: 'a', gone: 'b' }),
    configMap(namespace, 'old'),
    configMap(namespace, 'deleted-by-hand'),
    kept,
  ];
  await release(...deployed);
  await client.delete(refOf(configMap(namespace, 'deleted-by-hand')));
  const before = await client.get(refOf(configMap(namespace, 'other')));

  const desired = [
    configMap(namespace, 'same'),
    configMap(namespace, 'other', { key: 'c' }),
    configMap(namespace, 'new'),
  ];
  const { lines, differences, errors, unchangedCount } = await compare(desired, deployed);
  expect(lines).toEqual([
    `ConfigMap/${namespace}/new created`,
    `ConfigMap/${namespace}/other drifted`,
    `ConfigMap/${namespace}/old deleted`,
  ]);
  expect(differences[1]?.before).toMatchObject({ data: { key: 'a', gone: 'b' } });
  expect(differences[1]?.after).toMatchObject({ data: { key: 'c' } });
  expect(differences[1]?.after?.['data']).toEqual({ key: 'c' });
  expect({ errors, unchangedCount }).toEqual({ errors: [], unchangedCount: 1 });
  const after = await client.get(refOf(configMap(namespace, 'other')));
  expect(after?.metadata.resourceVersion).toBe(before?.metadata.resourceVersion);
  expect(await client.get(refOf(configMap(namespace, 'old')))).toBeDefined();
});

test('what the chart brings with it is created: a kind with its definition, objects in a namespace of the install', async () => {
  const group = `${uniqueName('g')}.example.test`;
  const namespace = uniqueName('compare-later');
  const widget: KubeObject = {
    apiVersion: `${group}/v1`,
    kind: 'Widget',
    metadata: { name: 'w', namespace },
    spec: { size: 1 },
  };
  const { lines, errors } = await compare([customResourceDefinition(group), widget, configMap(namespace, 'a')]);
  expect(errors).toEqual([]);
  expect(lines.toSorted()).toEqual(
    [
      `ConfigMap/${namespace}/a created`,
      `CustomResourceDefinition/widgets.${group} created`,
      `Widget/${namespace}/w created`,
    ].toSorted(),
  );
});

test('what the server refuses is told for each object, and the others are compared all the same', async () => {
  const namespace = await createNamespace(client, 'compare');
  const broken = deployment(namespace, 'broken');
  (broken.spec as { replicas: number }).replicas = -1;
  const unknown: KubeObject = { apiVersion: 'example.test/v1', kind: 'Nothing', metadata: { name: 'n', namespace } };
  const { lines, errors } = await compare([broken, unknown, configMap(namespace, 'a')]);
  expect(lines).toEqual([`ConfigMap/${namespace}/a created`]);
  expect(errors).toHaveLength(2);
  expect(errors.find((text) => text.includes('broken'))).toMatch(
    /^Deployment\/.*\/broken dry-run failed \(Invalid\): .*spec\.replicas/,
  );
  expect(errors.find((text) => text.includes('Nothing'))).toMatch(
    /^Nothing\/.*\/n dry-run failed \(NoKindMatch\): .*install its CustomResourceDefinition first/,
  );
});
