import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../k8s/object.ts';
import { consequenceOf } from './delete.ts';
import { asWritten } from './export.ts';

function kustomization(spec: object, count = 2): KubeObject {
  const entries = Array.from({ length: count }, (_, index) => ({ id: `a_${index}__ConfigMap`, v: 'v1' }));
  return {
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { name: 'apps', namespace: 'flux-system' },
    spec,
    status: { inventory: { entries } },
  };
}

describe('what a person is told before an object is deleted', () => {
  it.each([
    ['what goes with it', { prune: true }, ' and the 2 objects that it has applied'],
    [
      'what stays without prune',
      { prune: false },
      ' and leave the 2 objects that it has applied, as it does not prune',
    ],
    [
      'what stays by its policy',
      { prune: true, deletionPolicy: 'Orphan' },
      ' and leave the 2 objects that it has applied, as its deletionPolicy is Orphan',
    ],
    ['what goes by its policy', { prune: false, deletionPolicy: 'Delete' }, ' and the 2 objects that it has applied'],
    [
      'what stays as it is suspended',
      { prune: true, suspend: true },
      ' and leave the 2 objects that it has applied, as it is suspended',
    ],
  ])('is %s', (_, spec, expected) => {
    expect(consequenceOf(kustomization(spec))).toBe(expected);
  });

  it('is nothing where nothing was applied', () => {
    expect(consequenceOf(kustomization({ prune: true }, 0))).toBe('');
  });
});

it('exports what a person has written, without the bookkeeping of tools', () => {
  const object = kustomization({ prune: true });
  object.metadata = {
    ...object.metadata,
    uid: 'x',
    resourceVersion: '1',
    labels: { team: 'web' },
    annotations: { 'reconcile.fluxcd.io/requestedAt': 'now', mine: 'yes' },
    managedFields: [{ manager: 'x' }],
  };
  expect(asWritten(object)).toEqual({
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { name: 'apps', namespace: 'flux-system', labels: { team: 'web' }, annotations: { mine: 'yes' } },
    spec: { prune: true },
  });
});
