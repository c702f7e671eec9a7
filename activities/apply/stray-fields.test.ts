import { expect, test } from 'vitest';
import type { KubeObject, ManagedFieldsEntry } from '../../k8s/object.ts';
import { withoutStrayFields } from './stray-fields.ts';

const kubectl = (fieldsV1: Record<string, unknown>, apiVersion = 'v1'): ManagedFieldsEntry => ({
  manager: 'kubectl-edit',
  operation: 'Update',
  apiVersion,
  fieldsV1,
});
const ours: ManagedFieldsEntry = {
  manager: 'kustomize-controller',
  operation: 'Apply',
  apiVersion: 'v1',
  fieldsV1: { 'f:data': { 'f:a': {} } },
};
const other = (fieldsV1: Record<string, unknown>): ManagedFieldsEntry => ({
  manager: 'other',
  operation: 'Update',
  apiVersion: 'v1',
  fieldsV1,
});

function object(fields: Record<string, unknown>, managedFields: ManagedFieldsEntry[] = []): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', managedFields }, ...fields };
}

test.each<[string, Record<string, unknown>, Record<string, unknown>, ManagedFieldsEntry[], Record<string, unknown>]>([
  [
    'a field that kubectl alone owns goes',
    { data: { a: '1', b: '2' } },
    { data: { a: '1' } },
    [ours, kubectl({ 'f:data': { 'f:a': {}, 'f:b': {} } })],
    { data: { a: '1' } },
  ],
  [
    'a field that somebody else owns as well stays',
    { data: { b: '2' } },
    { data: {} },
    [ours, kubectl({ 'f:data': { 'f:b': {} } }), other({ 'f:data': { 'f:b': {} } })],
    { data: { b: '2' } },
  ],
  [
    'a whole map goes when nobody else has anything in it',
    { data: { a: '1' }, extra: { b: '2' } },
    { data: { a: '1' } },
    [ours, kubectl({ 'f:extra': { '.': {}, 'f:b': {} } })],
    { data: { a: '1' } },
  ],
  [
    'a map that others have something in loses only what was kubectl’s',
    { extra: { b: '2', c: '3' } },
    {},
    [ours, kubectl({ 'f:extra': { '.': {}, 'f:b': {} } }), other({ 'f:extra': { 'f:c': {} } })],
    { extra: { c: '3' } },
  ],
  [
    'items of lists are found by their keys',
    { ports: [{ port: 1 }, { port: 2 }, { port: 3 }] },
    { ports: [{ port: 2 }] },
    [
      ours,
      kubectl({ 'f:ports': { 'k:{"port":1}': { '.': {} }, 'k:{"port":2}': { '.': {} }, 'k:{"port":3}': { '.': {} } } }),
    ],
    { ports: [{ port: 2 }] },
  ],
  [
    'values of sets are found by themselves',
    { finalizers: ['a', 'b'] },
    { finalizers: ['a'] },
    [ours, kubectl({ 'f:finalizers': { 'v:"a"': {}, 'v:"b"': {} } })],
    { finalizers: ['a'] },
  ],
  [
    'fields of another version stay, as they cannot be joined with ours',
    { data: { b: '2' } },
    { data: {} },
    [ours, kubectl({ 'f:data': { 'f:b': {} } }, 'v2')],
    { data: { b: '2' } },
  ],
  [
    'fields of managers that are not stale stay',
    { data: { b: '2' } },
    { data: {} },
    [ours, other({ 'f:data': { 'f:b': {} } })],
    { data: { b: '2' } },
  ],
])('%s', (_, fields, desired, managers, expected) => {
  const dryRun = object(fields, managers);
  const { metadata, ...rest } = withoutStrayFields(dryRun, object(desired));
  expect(rest).toEqual({ apiVersion: 'v1', kind: 'ConfigMap', ...expected });
  expect(metadata).toEqual(dryRun.metadata);
});

test('bookkeeping of other appliers goes', () => {
  const dryRun = object({});
  dryRun.metadata.annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{}', mine: 'x' };
  expect(withoutStrayFields(dryRun, object({})).metadata.annotations).toEqual({ mine: 'x' });
});
