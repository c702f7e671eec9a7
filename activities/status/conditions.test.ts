import { describe, expect, test } from 'vitest';
import type { Condition } from '../../k8s/api/shared/status.ts';
import { failureWishes, withConditions } from './conditions.ts';

const before = '2026-01-01T00:00:00Z';
const now = '2026-01-01T00:01:00Z';
const ready = (status: 'True' | 'False', message = 'm'): Condition => ({
  type: 'Ready',
  status,
  reason: 'Succeeded',
  message,
  observedGeneration: 1,
  lastTransitionTime: before,
});

describe('withConditions', () => {
  test('a condition that keeps its status keeps its transition time', () => {
    const wish = { type: 'Ready', status: 'True' as const, reason: 'Other', message: 'new' };

    expect(withConditions([ready('True')], [wish], [], 2, now)).toEqual([
      { ...wish, observedGeneration: 2, lastTransitionTime: before },
    ]);
  });

  test('a condition that changes its status changed now', () => {
    const wish = { type: 'Ready', status: 'False' as const, reason: 'BuildFailed', message: 'x' };

    expect(withConditions([ready('True')], [wish], [], 2, now)[0]?.lastTransitionTime).toBe(now);
  });

  test('removed types go, those of other writers stay', () => {
    const foreign: Condition = { ...ready('True'), type: 'example.com/Audited' };
    const reconciling: Condition = { ...ready('True'), type: 'Reconciling' };

    const types = withConditions([reconciling, foreign], [ready('True')], ['Reconciling'], 1, now).map((c) => c.type);

    expect(types).toEqual(['Ready', 'example.com/Audited']);
  });

  test('a message over the API server’s limit is cut', () => {
    const wish = { type: 'Ready', status: 'False' as const, reason: 'BuildFailed', message: 'x'.repeat(40_000) };

    expect(withConditions([], [wish], [], 1, now)[0]?.message).toHaveLength(32_768);
  });
});

describe('failureWishes', () => {
  test('a failure that is tried again is Reconciling with retry', () => {
    expect(failureWishes('BuildFailed', 'm', false).map(({ type, reason }) => [type, reason])).toEqual([
      ['Reconciling', 'ProgressingWithRetry'],
      ['Ready', 'BuildFailed'],
    ]);
  });

  test('a failure that waits for a person is Stalled with its reason', () => {
    expect(failureWishes('AccessDenied', 'm', true).map(({ type, reason }) => [type, reason])).toEqual([
      ['Stalled', 'AccessDenied'],
      ['Ready', 'AccessDenied'],
    ]);
  });
});
