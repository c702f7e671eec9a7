import { expect, test } from 'vitest';
import type { KubeObject, ManagedFieldsEntry } from '../../k8s/object.ts';
import { cleanupPatch, isStaleManager } from './field-managers.ts';

test.each<[string, 'Apply' | 'Update', string, boolean]>([
  ['kubectl', 'Apply', '', true],
  ['kubectl-client-side-apply', 'Update', '', true],
  ['kubectl-edit', 'Update', '', true],
  ['kubectl-edit', 'Update', 'status', false],
  ['before-first-apply', 'Update', '', true],
  ['before-first-apply', 'Apply', '', false],
  ['kustomize-controller', 'Update', '', true],
  ['kustomize-controller', 'Apply', '', false],
  ['legacy', 'Update', '', true],
  ['legacy', 'Apply', '', true],
  ['other', 'Update', '', false],
])('manager %s with %s %s is stale: %s', (manager, operation, subresource, expected) => {
  expect(isStaleManager({ manager, operation, ...(subresource && { subresource }) }, ['legacy'])).toBe(expected);
});

function live(managedFields: ManagedFieldsEntry[], metadata: Partial<KubeObject['metadata']> = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'x', resourceVersion: '7', managedFields, ...metadata },
  };
}

const ours: ManagedFieldsEntry = {
  manager: 'kustomize-controller',
  operation: 'Apply',
  apiVersion: 'v1',
  fieldsV1: { 'f:data': { 'f:a': {} } },
};
const kubectl: ManagedFieldsEntry = {
  manager: 'kubectl-client-side-apply',
  operation: 'Update',
  apiVersion: 'v1',
  fieldsV1: { 'f:data': { 'f:b': {} }, 'f:metadata': { 'f:labels': {} } },
};
const other: ManagedFieldsEntry = { manager: 'other', operation: 'Update', apiVersion: 'v1', fieldsV1: { 'f:x': {} } };
const precondition = { op: 'replace', path: '/metadata/resourceVersion', value: '7' };

test('asks for nothing on a clean object', () => {
  expect(cleanupPatch(live([ours, other]))).toEqual([]);
});

test('joins the fields of kubectl to our own entry and leaves others alone', () => {
  expect(cleanupPatch(live([kubectl, other, ours]))).toEqual([
    precondition,
    {
      op: 'replace',
      path: '/metadata/managedFields',
      value: [{ ...ours, fieldsV1: { 'f:data': { 'f:a': {}, 'f:b': {} }, 'f:metadata': { 'f:labels': {} } } }, other],
    },
  ]);
});

test('takes over everything when we have no entry yet', () => {
  expect(cleanupPatch(live([kubectl]))[1]?.value).toEqual([
    { ...kubectl, manager: 'kustomize-controller', operation: 'Apply' },
  ]);
});

test('drops an entry of another API version', () => {
  expect(cleanupPatch(live([ours, { ...kubectl, apiVersion: 'v2' }]))[1]?.value).toEqual([ours]);
});

test('removes the bookkeeping of other appliers', () => {
  const metadata = {
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}', keep: '' },
    labels: { 'fluxcd.io/sync-gc-mark': 'x' },
  };
  expect(cleanupPatch(live([ours], metadata))).toEqual([
    precondition,
    { op: 'remove', path: '/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration' },
    { op: 'remove', path: '/metadata/labels/fluxcd.io~1sync-gc-mark' },
  ]);
});
