import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { KubeObject } from '../../k8s/object.ts';
import {
  compileHealthExpressions,
  healthExpressionError,
  type HealthExpression,
  isJudgedByExpression,
} from './health-expressions.ts';

const thing = (body: string): KubeObject => ({
  apiVersion: 'example.org/v1',
  kind: 'Thing',
  metadata: { name: 'a', generation: 2 },
  ...(parse(body) as object),
});

const byPhase: HealthExpression = {
  apiVersion: 'example.org/v1',
  kind: 'Thing',
  inProgress: 'status.phase == "Working"',
  failed: 'status.phase == "Broken" || status.?count.orValue(0) > 3',
  current:
    'status.conditions.filter(e, e.type == "Ok").all(e, e.status == "True" && e.observedGeneration == metadata.generation)',
};

describe('compileHealthExpressions', () => {
  test.each([
    ['status: {phase: Working, count: 9, conditions: []}', 'InProgress'],
    ['status: {phase: Broken, conditions: []}', 'Failed'],
    ['status: {phase: x, count: 4, conditions: []}', 'Failed'],
    ['status: {phase: x, conditions: [{type: Ok, status: "True", observedGeneration: 2}]}', 'Current'],
    ['status: {phase: x, conditions: [{type: Ok, status: "False", observedGeneration: 2}]}', 'InProgress'],
    ['status: {phase: Broken, observedGeneration: 1}', 'InProgress'],
    ['{}', 'InProgress'],
  ])('judges %s as %s', (body, status) => {
    expect(compileHealthExpressions([byPhase])(thing(body))).toMatchObject({ status });
  });

  test('an entry without a kind holds for the whole group and version, one with a kind goes first', () => {
    const evaluate = compileHealthExpressions([
      { apiVersion: 'example.org/v1', current: 'false' },
      { apiVersion: 'example.org/v1', kind: 'Thing', current: 'true' },
    ]);

    expect(evaluate(thing('{}')).status).toBe('Current');
    expect(evaluate({ ...thing('{}'), kind: 'Other' }).status).toBe('InProgress');
    expect(evaluate({ ...thing('{}'), apiVersion: 'other.org/v1' }).status).toBe('Current');
    expect(evaluate(undefined).status).toBe('NotFound');
  });

  test.each([
    ['status.phase ==', /^spec\.healthCheckExprs\[0\]\.current "status\.phase ==" does not compile: /],
    ['"text"', /expected a bool, got string/],
    ['1 + "a" == 2', /does not compile/],
  ])('refuses %s', (current, message) => {
    const compile = (): unknown => compileHealthExpressions([{ apiVersion: 'v1', kind: 'Thing', current }]);

    expect(compile).toThrow(
      expect.objectContaining({ type: 'InvalidCELExpression', message: expect.stringMatching(message) }),
    );
  });
});

test.each([
  [{ group: 'example.org', version: 'v1', kind: 'Thing' }, true],
  [{ group: 'example.org', version: 'v1', kind: 'Other' }, false],
  [{ group: 'example.org', version: 'v2', kind: 'Thing' }, false],
  [{ group: '', version: 'v1', kind: 'Secret' }, true],
])('tells whether an entry holds for %o', (ref, expected) => {
  const expressions = [byPhase, { apiVersion: 'v1', current: 'true' }];
  expect(isJudgedByExpression(expressions, { ...ref, namespace: 'apps', name: 'a' })).toBe(expected);
});

test('says why entries do not compile, and nothing of those that do', () => {
  expect(healthExpressionError([{ apiVersion: 'v1', kind: 'Pod', current: 'has(status.phase)' }])).toBe('');
  expect(healthExpressionError([{ apiVersion: 'v1', current: 'not cel (' }])).toMatch(
    /^spec\.healthCheckExprs\[0\]\.current "not cel \(" does not compile: /,
  );
});
