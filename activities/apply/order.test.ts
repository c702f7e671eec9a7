import { expect, test } from 'vitest';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { deletionGroups, splitIntoStages, stageOf } from './order.ts';

function object(kind: string, name: string, apiVersion = 'v1'): KubeObject {
  return { apiVersion, kind, metadata: { name, namespace: 'a' } };
}

test.each<[string, number]>([
  ['CustomResourceDefinition', 0],
  ['Namespace', 0],
  ['ClusterRole', 0],
  ['StorageClass', 1],
  ['Widget', 2],
  ['Gadget', 2],
  ['Deployment', 3],
  ['ClusterRoleBinding', 3],
])('%s is of stage %i', (kind, stage) => {
  expect(stageOf({ group: 'example.com', kind }, ['Widget', 'example.com/Gadget'])).toBe(stage);
});

test('orders a set in stages, by rank, then by group, kind, namespace and name', () => {
  const objects = [
    object('ValidatingWebhookConfiguration', 'v'),
    object('Deployment', 'b', 'apps/v1'),
    object('Deployment', 'a', 'apps/v1'),
    object('Widget', 'w', 'example.com/v1'),
    object('Service', 's'),
    object('Namespace', 'n'),
    object('MutatingWebhookConfiguration', 'm'),
    object('CustomResourceDefinition', 'c'),
    object('PriorityClass', 'p'),
    object('ConfigMap', 'cm'),
  ];
  expect(splitIntoStages(objects).map((stage) => stage.map((one) => `${one.kind}/${one.metadata.name}`))).toEqual([
    ['CustomResourceDefinition/c', 'Namespace/n'],
    ['PriorityClass/p'],
    [
      'ConfigMap/cm',
      'Service/s',
      'Deployment/a',
      'Deployment/b',
      'Widget/w',
      'MutatingWebhookConfiguration/m',
      'ValidatingWebhookConfiguration/v',
    ],
  ]);
});

test('deletes in the reverse order, kinds of one rank together', () => {
  const refs = [
    object('Namespace', 'n'),
    object('CustomResourceDefinition', 'c'),
    object('ConfigMap', 'b'),
    object('ConfigMap', 'a'),
    object('Deployment', 'd', 'apps/v1'),
    object('Widget', 'w', 'example.com/v1'),
  ].map(refOf);
  expect(deletionGroups(refs).map((group) => group.map((ref) => `${ref.kind}/${ref.name}`))).toEqual([
    ['Widget/w'],
    ['Deployment/d'],
    ['ConfigMap/b', 'ConfigMap/a'],
    ['Namespace/n'],
    ['CustomResourceDefinition/c'],
  ]);
});
