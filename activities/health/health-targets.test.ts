import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../k8s/object.ts';
import { type AppliedObject, healthTargets } from './health-targets.ts';

const ref = (group: string, kind: string, namespace: string, name: string) => ({
  group,
  version: 'v1',
  kind,
  namespace,
  name,
});
const applied: AppliedObject[] = [
  { ref: ref('apps', 'Deployment', 'apps', 'web'), resourceVersion: '7' },
  { ref: ref('batch', 'Job', 'apps', 'migrate'), mayVanish: true },
  { ref: ref('', 'ConfigMap', 'apps', 'skipped'), isSkipped: true },
  { ref: ref('kustomize.toolkit.fluxcd.io', 'Kustomization', 'flux-system', 'self') },
];

function kustomization(spec: object): KubeObject {
  return {
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { namespace: 'flux-system', name: 'self' },
    spec,
  };
}

describe('healthTargets', () => {
  test('with wait, all that was applied except what was skipped and itself', () => {
    expect(healthTargets(kustomization({ wait: true, healthChecks: [{ kind: 'Pod', name: 'x' }] }), applied)).toEqual([
      { ref: applied[0]?.ref, minResourceVersion: '7', mayVanish: undefined, isApplied: true },
      { ref: applied[1]?.ref, minResourceVersion: undefined, mayVanish: true, isApplied: true },
    ]);
  });

  test('without wait and healthChecks, nothing', () => {
    expect(healthTargets(kustomization({}), applied)).toEqual([]);
  });

  test.each([
    [
      { kind: 'Deployment', name: 'web' },
      { namespace: 'apps', isApplied: true, minResourceVersion: '7' },
    ],
    [
      { kind: 'Deployment', name: 'web', namespace: 'apps', apiVersion: 'apps/v1' },
      { namespace: 'apps', isApplied: true },
    ],
    [
      { kind: 'Deployment', name: 'web', namespace: 'other' },
      { namespace: 'other', isApplied: false },
    ],
    [
      { kind: 'HelmRelease', name: 'x', namespace: 'apps' },
      { group: 'helm.toolkit.fluxcd.io', version: 'v2', isApplied: false },
    ],
    [
      { kind: 'Thing', name: 'x', apiVersion: 'example.org/v1' },
      { group: 'example.org', namespace: '', isApplied: false },
    ],
  ])('finds the object of the check %j', (check, expected) => {
    const [target] = healthTargets(kustomization({ healthChecks: [check, check] }), applied);

    expect({ ...target, ...target?.ref }).toMatchObject(expected);
    expect(healthTargets(kustomization({ healthChecks: [check, check] }), applied)).toHaveLength(1);
  });
});
