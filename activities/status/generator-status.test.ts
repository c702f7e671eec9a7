import { describe, expect, it } from 'vitest';
import { generatorStatusAfterFailure, generatorStatusAfterSuccess } from './generator-status.ts';

const inventory = [{ name: 'a', namespace: 'ns', digest: 'sha256:1', filename: '1.tar.gz' }];
const context = { generation: 3, request: 'now', now: '2026-01-02T00:00:00Z' };

describe('generatorStatusAfterSuccess', () => {
  it('is Ready, says how many there are, answers the request and keeps the inventory', () => {
    const failed = generatorStatusAfterFailure({}, context, { reason: 'BuildFailed', message: 'm', isStalled: true });
    const status = generatorStatusAfterSuccess({ status: { ...failed, inventory } }, context, {
      count: 1,
      sourcesDigest: 'sha256:s',
    });

    expect(status).toEqual({
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'Succeeded',
          message: 'reconciliation succeeded, generated 1 artifact(s)',
          observedGeneration: 3,
          lastTransitionTime: '2026-01-02T00:00:00Z',
        },
      ],
      inventory,
      observedSourcesDigest: 'sha256:s',
      lastHandledReconcileAt: 'now',
    });
  });
});

describe('generatorStatusAfterFailure', () => {
  it.each([
    [true, 'Stalled', 'ValidationFailed'],
    [false, 'Reconciling', 'ProgressingWithRetry'],
  ])('stalled %s: %s is True for %s, what was made stays', (isStalled, type, reason) => {
    const before = { inventory, observedSourcesDigest: 'sha256:s' };
    const status = generatorStatusAfterFailure(
      { status: before },
      { ...context, request: undefined },
      {
        reason: 'ValidationFailed',
        message: 'm',
        isStalled,
      },
    );

    expect(status.conditions?.map((one) => [one.type, one.status, one.reason, one.message])).toEqual([
      [type, 'True', reason, 'm'],
      ['Ready', 'False', 'ValidationFailed', 'm'],
    ]);
    expect(status).toMatchObject(before);
    expect(status.lastHandledReconcileAt).toBeUndefined();
  });
});
