import { expect, test } from 'vitest';
import type { KubeObject, ManagedFieldsEntry } from '../../k8s/object.ts';
import { parsePointer } from './json-pointer.ts';
import { isAppliedByOther, isLastWriteOurs, lastForeignManager } from './managed-fields.ts';

function withManagers(managedFields: ManagedFieldsEntry[]): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', managedFields },
    spec: {
      replicas: 1,
      containers: [
        { name: 'a', image: 'x' },
        { name: 'b', image: 'y' },
      ],
      args: ['p', 'q'],
    },
  };
}

const ours: ManagedFieldsEntry = { manager: 'kustomize-controller', operation: 'Apply', time: '2026-01-01T00:00:05Z' };
const scaler: ManagedFieldsEntry = { manager: 'scaler', operation: 'Update', time: '2026-01-01T00:00:09Z' };
const kubectl: ManagedFieldsEntry = { manager: 'kubectl-edit', operation: 'Update', time: '2026-01-01T00:00:03Z' };
const status: ManagedFieldsEntry = { ...scaler, manager: 'kcm', subresource: 'status', time: '2026-01-01T00:01:00Z' };

test.each<[string, ManagedFieldsEntry[], string | undefined, boolean]>([
  ['us alone', [ours], undefined, true],
  ['us and a controller’s status', [ours, status], undefined, true],
  ['us after kubectl', [kubectl, ours], 'kubectl-edit', true],
  ['a scaler after us', [kubectl, ours, scaler], 'scaler', false],
  ['a scaler in the same second', [ours, { ...scaler, time: ours.time }], 'scaler', false],
])('tells the last writer of %s', (_, entries, foreign, isOursLast) => {
  expect(lastForeignManager(withManagers(entries))).toBe(foreign);
  expect(isLastWriteOurs(withManagers(entries))).toBe(isOursLast);
});

test('tells of two writers of one second the one who came', () => {
  const sameSecond = { ...scaler, time: kubectl.time };
  const before = withManagers([kubectl, ours]);
  expect(lastForeignManager(withManagers([kubectl, sameSecond, ours]), before)).toBe('scaler');
  expect(lastForeignManager(withManagers([sameSecond, kubectl, ours]), before)).toBe('scaler');
});

test.each<[string, boolean]>([
  ['/spec/replicas', true],
  ['/spec/containers/1/image', true],
  ['/spec/containers/1', true],
  ['/spec/containers/0/image', false],
  ['/spec/containers/9/image', false],
  ['/spec/args/1', true],
  ['/spec/args/0', false],
  ['/spec', true],
  ['/data', false],
])('tells whether another applier owns %s', (pointer, expected) => {
  const fieldsV1 = {
    'f:spec': {
      'f:replicas': {},
      'f:containers': { 'k:{"name":"b"}': { '.': {}, 'f:image': {} } },
      'f:args': { 'v:"q"': {} },
    },
  };
  const steps = parsePointer(pointer);
  expect(isAppliedByOther(withManagers([{ manager: 'x', operation: 'Apply', fieldsV1 }]), steps)).toBe(expected);
  expect(isAppliedByOther(withManagers([{ manager: 'x', operation: 'Update', fieldsV1 }]), steps)).toBe(false);
  expect(isAppliedByOther(withManagers([{ ...ours, fieldsV1 }]), steps)).toBe(false);
});
