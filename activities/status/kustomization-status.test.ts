import { describe, expect, test } from 'vitest';
import type { Kustomization } from '../../k8s/api/kustomization.ts';
import { statusAfterFailure, statusAfterRollback, statusAfterSuccess } from './kustomization-status.ts';

const object = (spec: object = {}, status: object = {}): Kustomization =>
  ({
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { name: 'apps', namespace: 'flux-system', generation: 2 },
    spec: { interval: '10m', prune: true, sourceRef: { kind: 'GitRepository', name: 'repo' }, ...spec },
    status,
  }) as Kustomization;

const context = {
  generation: 2,
  request: 't1',
  revision: 'main@sha1:b',
  manifestsDigest: 'sha256:1',
  lostFights: [],
  durationMs: 1234,
  now: '2026-01-01T00:00:00Z',
};

const typesOf = (status: { conditions?: { type: string; status: string }[] }) =>
  Object.fromEntries((status.conditions ?? []).map((c) => [c.type, c.status]));

describe('statusAfterSuccess', () => {
  test('a first success is Ready, observed, and echoes the request', () => {
    const status = statusAfterSuccess(object(), context, { inventory: [{ id: 'a_b__ConfigMap', v: 'v1' }] });

    expect(typesOf(status)).toEqual({ Ready: 'True' });
    expect(status).toMatchObject({
      observedGeneration: 2,
      lastHandledReconcileAt: 't1',
      lastAppliedRevision: 'main@sha1:b',
      lastAttemptedRevision: 'main@sha1:b',
      inventory: { entries: [{ id: 'a_b__ConfigMap', v: 'v1' }] },
    });
    expect(status.conditions?.[0]).toMatchObject({
      reason: 'ReconciliationSucceeded',
      message: 'Applied revision: main@sha1:b',
    });
  });

  test('a success ends Reconciling and Stalled', () => {
    const failed = statusAfterFailure(object(), context, { reason: 'BuildFailed', message: 'm', isStalled: false });

    expect(typesOf(statusAfterSuccess(object({}, failed), context, {}))).toEqual({ Ready: 'True' });
  });

  test('Healthy is there only while there are health checks', () => {
    const checked = statusAfterSuccess(object({ wait: true }), context, { health: { durationMs: 2345 } });

    expect(checked.conditions?.find((c) => c.type === 'Healthy')?.message).toBe('Health check passed in 2.345s');
    expect(typesOf(statusAfterSuccess(object({}, checked), context, {}))).toEqual({ Ready: 'True' });
  });

  test('a repeat counts up in the history and moves to the front', () => {
    const first = statusAfterSuccess(object(), context, {});
    const other = statusAfterSuccess(object({}, first), { ...context, manifestsDigest: 'sha256:2' }, {});
    const again = statusAfterSuccess(object({}, other), context, {});

    expect(again.history?.map((entry) => [entry.digest, entry.totalReconciliations])).toEqual([
      ['sha256:1', 2],
      ['sha256:2', 1],
    ]);
  });

  test('the history keeps five entries', () => {
    let status = {};
    for (let i = 0; i < 9; i++) {
      status = statusAfterSuccess(object({}, status), { ...context, manifestsDigest: `sha256:${i}` }, {});
    }

    expect((status as { history: unknown[] }).history).toHaveLength(5);
  });

  test('a lost fight names the other writer', () => {
    const lostFights = [{ subject: 'Deployment/a/web', manager: 'keda', rounds: 3, lastAtMs: 0 }];

    const status = statusAfterSuccess(object(), { ...context, lostFights }, {});

    expect(status.conditions?.find((c) => c.type === 'DriftConflict')?.message).toContain("written by 'keda'");
  });

  test('what was left to another Kustomization is named until an apply gets it', () => {
    const yielded = [{ subject: 'ConfigMap/a/x', to: 'apps/b' }];
    const left = statusAfterSuccess(object(), context, { yielded });
    const messageOf = (status: object) =>
      (status as typeof left).conditions?.find((c) => c.type === 'OwnerConflict')?.message;

    expect(messageOf(left)).toBe(
      'not applied, as another Kustomization has it in its source too: ConfigMap/a/x (Kustomization/apps/b); remove each object from one of the two',
    );
    expect(messageOf(statusAfterSuccess(object({}, left), context, {}))).toBe(messageOf(left));
    expect(typesOf(statusAfterSuccess(object({}, left), context, { yielded: [] }))).toEqual({ Ready: 'True' });
  });
});

test('the name in the origin goes with its revision, also back with a rollback', () => {
  const first = { ...context, revision: 'latest@sha256:a', originRevision: 'main@sha1:a', manifestsDigest: 'sha256:1' };
  const applied = statusAfterSuccess(object(), first, {});
  expect(applied).toMatchObject({
    lastAppliedOriginRevision: 'main@sha1:a',
    history: [{ metadata: { revision: 'latest@sha256:a', originRevision: 'main@sha1:a' } }],
  });
  const second = {
    ...context,
    revision: 'latest@sha256:b',
    originRevision: 'main@sha1:b',
    manifestsDigest: 'sha256:2',
  };
  const next = statusAfterSuccess(object({}, applied), second, {});
  const target = { revision: 'latest@sha256:a', manifestsDigest: 'sha256:1' };
  const back = statusAfterRollback(object({}, next), { ...context, revision: 'latest@sha256:b' }, { target });
  expect(back).toMatchObject({ lastAppliedOriginRevision: 'main@sha1:a' });
  expect(statusAfterSuccess(object({}, next), context, {}).lastAppliedOriginRevision).toBeUndefined();
});

describe('statusAfterFailure', () => {
  test('keeps what was applied, and does not observe the generation', () => {
    const applied = statusAfterSuccess(object(), { ...context, generation: 1, revision: 'main@sha1:a' }, {});

    const status = statusAfterFailure(object({}, applied), context, {
      reason: 'BuildFailed',
      message: 'no such file',
      isStalled: false,
    });

    expect(status).toMatchObject({
      observedGeneration: 1,
      lastAppliedRevision: 'main@sha1:a',
      lastAttemptedRevision: 'main@sha1:b',
      lastHandledReconcileAt: 't1',
    });
    expect(typesOf(status)).toMatchObject({ Ready: 'False', Reconciling: 'True' });
  });

  test('a failed health check is told in Healthy too', () => {
    const failed = { reason: 'HealthCheckFailed', message: 'timeout', isStalled: false };

    expect(typesOf(statusAfterFailure(object({ wait: true }), context, failed))).toMatchObject({ Healthy: 'False' });
  });
});

describe('statusAfterRollback', () => {
  const healthy = statusAfterSuccess(
    object(),
    { ...context, revision: 'main@sha1:a', manifestsDigest: 'sha256:0' },
    {},
  );
  const target = { revision: 'main@sha1:a', manifestsDigest: 'sha256:0' };
  const failed = { reason: 'HealthCheckFailed', message: 'timeout' };
  const inventory = [{ id: 'a_b__ConfigMap', v: 'v1' }];
  const rolledBack = statusAfterRollback(object({}, healthy), context, {
    target,
    failed,
    failedDigest: 'sha256:1',
    inventory,
  });

  test('says what failed, what is in place and what is held', () => {
    expect(typesOf(rolledBack)).toEqual({ Ready: 'False', Stalled: 'True', Remediated: 'True' });
    expect(rolledBack).toMatchObject({
      observedGeneration: 2,
      lastAppliedRevision: 'main@sha1:a',
      lastAttemptedRevision: 'main@sha1:b',
      inventory: { entries: inventory },
    });
    expect(rolledBack.history?.map((entry) => [entry.digest, entry.lastReconciledStatus])).toEqual([
      ['sha256:0', 'ReconciliationSucceeded'],
      ['sha256:1', 'HealthCheckFailed'],
    ]);
  });

  test('by hand is no failure', () => {
    const byHand = statusAfterRollback(object({}, healthy), context, { target });
    expect(typesOf(byHand)).toEqual({ Ready: 'True', Remediated: 'True' });
  });

  test('ends with the next revision, whatever becomes of it', () => {
    const next = { ...context, revision: 'main@sha1:c' };
    expect(typesOf(statusAfterSuccess(object({}, rolledBack), next, {}))).toEqual({ Ready: 'True' });
    const broken = { reason: 'BuildFailed', message: 'm', isStalled: false };
    expect(typesOf(statusAfterFailure(object({}, rolledBack), next, broken))).not.toHaveProperty('Remediated');
  });

  test('stays while what is held cannot be kept in place, and while the source is away', () => {
    const broken = { reason: 'ReconciliationFailed', message: 'm', isStalled: false };
    expect(typesOf(statusAfterFailure(object({}, rolledBack), context, { ...broken, isHeld: true }))).toMatchObject({
      Remediated: 'True',
    });
    const away = { ...context, revision: undefined };
    expect(typesOf(statusAfterFailure(object({}, rolledBack), away, broken))).toMatchObject({ Remediated: 'True' });
  });

  test('that failed as well is no hold', () => {
    const broken = { reason: 'RollbackFailed', message: 'm', isStalled: false };
    expect(typesOf(statusAfterFailure(object({}, healthy), context, broken))).toMatchObject({ Remediated: 'False' });
  });
});
