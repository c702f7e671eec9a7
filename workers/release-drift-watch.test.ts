import { expect, test } from 'vitest';
import type { KubeObject } from '../k8s/object.ts';
import { driftOf } from './release-drift-watch.ts';

type Entry = { manager: string; operation: 'Apply' | 'Update'; time: string; subresource?: string };
const helm: Entry = { manager: 'helm-controller', operation: 'Apply', time: '2026-01-01T00:00:00Z' };
const someone: Entry = { manager: 'someone', operation: 'Update', time: '2026-01-01T00:00:00Z' };

function object(generation: number | undefined, managedFields: Entry[], labels = {}): KubeObject {
  const metadata = { name: 'a', namespace: 'b', generation, managedFields, labels };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata };
}

const told: [string, KubeObject, KubeObject, string | undefined][] = [
  ['another spec by somebody else', object(2, [helm, someone]), object(1, [helm]), 'someone'],
  ['another spec by Helm', object(2, [{ ...helm, time: '2026-01-01T00:00:01Z' }]), object(1, [helm]), undefined],
  ['a status', object(1, [helm, { ...someone, subresource: 'status' }]), object(1, [helm]), undefined],
  ['a label', object(1, [helm, someone], { x: 'y' }), object(1, [helm]), 'someone'],
  ['a change of a kind without generation', object(undefined, [helm, someone]), object(undefined, [helm]), 'someone'],
];

test.each(told)('%s', (_, now, previous, manager) => {
  const expected = manager ? { type: 'drift', subject: 'Deployment/b/a', manager } : undefined;
  expect(driftOf({ type: 'MODIFIED', object: now, previous })).toEqual(expected);
});

test('a deletion is drift, a creation is not', () => {
  expect(driftOf({ type: 'DELETED', object: object(1, [helm]) })).toEqual({ type: 'drift', subject: 'Deployment/b/a' });
  expect(driftOf({ type: 'ADDED', object: object(1, [helm]) })).toBeUndefined();
});
