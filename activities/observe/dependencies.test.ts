import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../k8s/object.ts';
import {
  cycleThrough,
  type DependencyTarget,
  dependencyExpressionError,
  dependencyTargets,
  judgeDependency,
  waitingMessage,
} from './dependencies.ts';

const revision = 'main@sha1:b';
const sourceRef = { kind: 'GitRepository', name: 'apps' };
const self = kustomization('web', { spec: { sourceRef } });
const target: DependencyTarget = { kind: 'Kustomization', namespace: 'team', name: 'infra' };
const ready = { observedGeneration: 2, lastAppliedRevision: revision, conditions: [{ type: 'Ready', status: 'True' }] };

function kustomization(name: string, fields: { spec?: object; status?: object } = {}): KubeObject {
  return {
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { namespace: 'team', name, generation: 2 },
    ...fields,
  };
}

function judge(dependency: KubeObject | undefined, readyExpr?: string, isAdditive = false) {
  const options = { sourceRevision: revision, isAdditive, isHealthy: () => true };
  return judgeDependency(self, { ...target, readyExpr }, dependency, options);
}

const infra = (status: object, spec: object = { sourceRef }) => kustomization('infra', { spec, status });

const cases: [string, KubeObject | undefined, string | undefined, boolean | undefined][] = [
  ['one that is Ready at the revision of the same source is ready', infra(ready), undefined, undefined],
  ['one that does not exist is not ready', undefined, 'does not exist', false],
  [
    'one that was never reconciled may be ready in a moment',
    infra({}),
    'is not ready: it has not been reconciled yet',
    true,
  ],
  [
    'one whose generation was not observed may be ready in a moment',
    infra({ ...ready, observedGeneration: 1 }),
    'has not reconciled its generation 2 yet',
    true,
  ],
  [
    'one that failed says why',
    infra({ ...ready, conditions: [{ type: 'Ready', status: 'False', message: 'build failed' }] }),
    'is not ready: build failed',
    false,
  ],
  [
    'one at an older revision of the same source is behind',
    infra({ ...ready, lastAppliedRevision: 'main@sha1:a' }),
    'is at revision "main@sha1:a", expected "main@sha1:b"',
    true,
  ],
  [
    'one of another source may be at any revision',
    infra({ ...ready, lastAppliedRevision: 'other' }, { sourceRef: { ...sourceRef, name: 'infra' } }),
    undefined,
    undefined,
  ],
  [
    'a source in another namespace is another source',
    infra({ ...ready, lastAppliedRevision: 'other' }, { sourceRef: { ...sourceRef, namespace: 'elsewhere' } }),
    undefined,
    undefined,
  ],
];

describe('a dependency by the built-in rule', () => {
  test.each(cases)('%s', (_, dependency, why, isLagging) => {
    expect(judge(dependency)).toEqual(why === undefined ? undefined : { why, isLagging });
  });

  test('an object of another kind is ready when it is healthy', () => {
    const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'db' } };
    const options = { sourceRevision: revision, isAdditive: false };
    expect(judgeDependency(self, target, deployment, { ...options, isHealthy: () => true })).toBeUndefined();
    expect(judgeDependency(self, target, deployment, { ...options, isHealthy: () => false })?.why).toMatch(
      /not healthy/,
    );
  });
});

describe('a dependency by expression', () => {
  const failing = infra({ conditions: [{ type: 'Ready', status: 'False' }], phase: 'up' });

  test('the expression replaces the built-in rule', () => {
    expect(judge(failing, 'dep.status.phase == "up"')).toBeUndefined();
    expect(judge(infra(ready), 'dep.status.observedGeneration == 3')?.why).toMatch(/does not fulfil/);
  });

  test('it sees both objects', () => {
    expect(judge(infra(ready), 'dep.metadata.namespace == self.metadata.namespace')).toBeUndefined();
  });

  test('with the additive option both have to hold', () => {
    expect(judge(failing, 'dep.status.phase == "up"', true)?.why).toMatch(/is not ready/);
  });

  test('a field that is not there yet is waited for', () => {
    expect(judge(infra(ready), 'dep.status.phase == "up"')?.why).toMatch(/cannot be judged by its readyExpr yet/);
  });

  test('one that does not compile is named', () => {
    const object = kustomization('web', { spec: { dependsOn: [{ name: 'a' }, { name: 'b', readyExpr: 'dep.' }] } });
    expect(dependencyExpressionError(object)).toMatch(/^spec\.dependsOn\[1\]\.readyExpr "dep\." does not compile: /);
  });
});

test('targets have the kind and namespace of the object unless they say otherwise', () => {
  const dependsOn = [{ name: 'a' }, { name: 'b', namespace: 'infra', kind: 'HelmRelease' }];
  expect(dependencyTargets(kustomization('web', { spec: { dependsOn } }))).toMatchObject([
    { kind: 'Kustomization', namespace: 'team', name: 'a' },
    { kind: 'HelmRelease', namespace: 'infra', name: 'b' },
  ]);
});

const cycles: [string, Record<string, string[]>, string[] | undefined][] = [
  ['a chain is no cycle', { a: ['b'], b: ['c'] }, undefined],
  ['two that share a dependency are no cycle', { a: ['b', 'c'], b: ['d'], c: ['d'] }, undefined],
  ['a cycle that the object is not part of is not its own', { a: ['b'], b: ['c'], c: ['b'] }, undefined],
  ['itself', { a: ['a'] }, ['a', 'a']],
  ['two', { a: ['b'], b: ['a'] }, ['a', 'b', 'a']],
  ['the short way round', { a: ['x', 'b'], x: [], b: ['c'], c: ['a'] }, ['a', 'b', 'c', 'a']],
];

test.each(cycles)('cycle: %s', (_, graph, expected) => {
  expect(cycleThrough('a', (subject) => graph[subject] ?? [])).toEqual(expected);
});

test('the message names the first few and counts the rest', () => {
  const unready = Array.from({ length: 7 }, (_, index) => ({
    target: { ...target, name: `d${index}` },
    why: 'does not exist',
  }));
  const message = waitingMessage(unready, '2026-01-01T00:00:00Z');
  expect(message).toMatch(
    /^waiting since 2026-01-01T00:00:00Z for dependencies: Kustomization\/team\/d0 does not exist;/,
  );
  expect(message).toMatch(/; and 2 more$/);
});
