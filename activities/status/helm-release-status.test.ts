import { describe, expect, test } from 'vitest';
import type { HelmRelease, HelmSnapshot } from '../../k8s/api/helm-release.ts';
import type { Attempt, ReleaseActionResult } from '../helm/release-types.ts';
import {
  historyAfter,
  readyOf,
  statusAfterAction,
  statusAfterRelease,
  statusAfterReleaseFailure,
  verdictOf,
} from './helm-release-status.ts';

const context = { generation: 2, request: 't1', now: '2026-01-01T00:00:00Z' };
const release = { name: 'app', namespace: 'apps', storageNamespace: 'flux' };
const attempt: Attempt = {
  generation: 2,
  chart: { name: 'web', version: '1.2.0', appVersion: '7' },
  configDigest: 'sha256:c',
  failures: 1,
  installFailures: 0,
  upgradeFailures: 1,
};

function snapshot(version: number, status = 'deployed', changes: Partial<HelmSnapshot> = {}): HelmSnapshot {
  const times = { firstDeployed: '2026-01-01T00:00:00Z', lastDeployed: '2026-01-01T00:00:00Z' };
  const chart = { chartName: 'web', chartVersion: '1.1.0', configDigest: 'sha256:b' };
  return {
    name: 'app',
    namespace: 'apps',
    digest: `sha256:${version}`,
    version,
    status,
    ...chart,
    ...times,
    ...changes,
  };
}

function result(changes: Partial<ReleaseActionResult> = {}): ReleaseActionResult {
  const made = snapshot(3, 'deployed', { chartVersion: '1.2.0' });
  return { action: 'upgrade', release, snapshot: made, timeoutMs: 1_000, durationMs: 1_500, ...changes };
}

function object(changes: { spec?: object; status?: object } = {}): HelmRelease {
  const history = [snapshot(2), snapshot(1, 'superseded')];
  return {
    apiVersion: 'helm.toolkit.fluxcd.io/v2',
    kind: 'HelmRelease',
    metadata: { namespace: 'flux', name: 'app', generation: 2 },
    spec: { interval: '1m', ...changes.spec },
    status: { history, lastAttemptedReleaseAction: 'upgrade', ...changes.status },
  };
}

const failure = { message: 'no' };
const messages: [string, Partial<ReleaseActionResult>, string, string, string][] = [
  [
    'install',
    { action: 'install', snapshot: snapshot(1) },
    'Released',
    'InstallSucceeded',
    'Helm install succeeded for release apps/app.v1 with chart web@1.2.0',
  ],
  [
    'install',
    { action: 'install', failure },
    'Released',
    'InstallFailed',
    'Helm install failed for release apps/app with chart web@1.2.0: no',
  ],
  [
    'upgrade',
    {},
    'Released',
    'UpgradeSucceeded',
    'Helm upgrade succeeded for release apps/app.v3 with chart web@1.2.0',
  ],
  [
    'upgrade',
    { failure, snapshot: undefined },
    'Released',
    'UpgradeFailed',
    'Helm upgrade failed for release apps/app with chart web@1.2.0: no',
  ],
  [
    'test',
    { action: 'test' },
    'TestSuccess',
    'TestSucceeded',
    'Helm test succeeded for release apps/app.v3 with chart web@1.2.0: no test hooks',
  ],
  [
    'test',
    { action: 'test', failure },
    'TestSuccess',
    'TestFailed',
    'Helm test failed for release apps/app.v3 with chart web@1.2.0: no',
  ],
  [
    'rollback',
    { action: 'rollback', isRemediation: true, toVersion: 1, snapshot: snapshot(4) },
    'Remediated',
    'RollbackSucceeded',
    'Helm rollback to previous release apps/app.v1 with chart web@1.1.0 succeeded',
  ],
  [
    'rollback',
    { action: 'rollback', toVersion: 1, snapshot: snapshot(4) },
    'Remediated',
    'RollbackHeld',
    'Helm rollback to previous release apps/app.v1 with chart web@1.1.0 succeeded: chart web@1.2.0 with its values is held until chart, values or spec change, or a reconcile is requested',
  ],
  [
    'uninstall',
    { action: 'uninstall', isRemediation: true },
    'Remediated',
    'UninstallSucceeded',
    'Helm uninstall remediation for release apps/app.v3 with chart web@1.2.0 succeeded',
  ],
  [
    'uninstall',
    { action: 'uninstall' },
    'Released',
    'UninstallSucceeded',
    'Helm uninstall succeeded for release apps/app.v3 with chart web@1.2.0',
  ],
];

test.each(messages)('an action is told in the words of the contract: %s', (_, changes, condition, reason, message) => {
  expect(verdictOf(result(changes), attempt.chart)).toMatchObject({ condition, reason, message });
});

describe('after an action', () => {
  test('a failure that left a release counts for its action, one that left none counts as a failure alone', () => {
    const failed = statusAfterAction(object(), context, attempt, result({ failure }));
    expect(failed).toMatchObject({ failures: 2, upgradeFailures: 2 });
    const nothing = statusAfterAction(object(), context, attempt, result({ failure, snapshot: undefined }));
    expect(nothing).toMatchObject({ failures: 2, upgradeFailures: 1 });
    expect(nothing.history).toHaveLength(2);
  });

  test('a failed test counts against the last action, unless it is ignored', () => {
    const failed = result({ action: 'test', failure });
    const status = { lastAttemptedReleaseAction: 'install' };
    const counted = statusAfterAction(object({ status, spec: { test: { enable: true } } }), context, attempt, failed);
    expect(counted).toMatchObject({ failures: 2, installFailures: 1, upgradeFailures: 1 });
    const spec = { test: { enable: true, ignoreFailures: true } };
    expect(statusAfterAction(object({ status, spec }), context, attempt, failed).installFailures).toBeUndefined();
  });

  test('an upgrade takes the words of a remediation away and waits for tests', () => {
    const remediated = {
      type: 'Remediated',
      status: 'True',
      reason: 'x',
      message: 'x',
      lastTransitionTime: context.now,
    };
    const spec = { test: { enable: true } };
    const { conditions } = statusAfterAction(
      object({ spec, status: { conditions: [remediated] } }),
      context,
      attempt,
      result(),
    );
    expect(conditions?.map(({ type, status }) => `${type} ${status}`).sort()).toEqual([
      'Ready Unknown',
      'Released True',
      'TestSuccess Unknown',
    ]);
  });
});

describe('the history', () => {
  const known = [snapshot(2), snapshot(1, 'superseded')];
  const told = (history: HelmSnapshot[]): string[] => history.map(({ version, status }) => `${version} ${status}`);

  test('begins anew with an install', () => {
    expect(told(historyAfter(known, result({ action: 'install', snapshot: snapshot(1) })))).toEqual(['1 deployed']);
  });
  test('takes older revisions as the action has left them', () => {
    const others = [snapshot(2, 'superseded')];
    expect(told(historyAfter(known, result({ others })))).toEqual(['3 deployed', '2 superseded', '1 superseded']);
  });
  test('keeps an uninstalled release after a remediation, and nothing after another uninstall', () => {
    const uninstalled = result({ action: 'uninstall', snapshot: snapshot(2, 'uninstalled') });
    expect(told(historyAfter(known, { ...uninstalled, isRemediation: true }))[0]).toBe('2 uninstalled');
    expect(historyAfter(known, uninstalled)).toEqual([]);
  });
  test('keeps five', () => {
    const five = [6, 5, 4, 3, 2].map((version) => snapshot(version, 'failed'));
    expect(told(historyAfter(five, result({ snapshot: snapshot(7) })))).toHaveLength(5);
  });
});

const condition = (type: string, status: string, observedGeneration = 2) => ({
  type,
  status: status as 'True',
  reason: `${type}Reason`,
  message: type,
  observedGeneration,
  lastTransitionTime: context.now,
});

const readiness: [string, ReturnType<typeof condition>[], object, string][] = [
  ['a release', [condition('Released', 'True')], {}, 'True ReleasedReason'],
  [
    'a remediation is never ready',
    [condition('Released', 'False'), condition('Remediated', 'True')],
    {},
    'False RemediatedReason',
  ],
  [
    'a test goes before the release',
    [condition('Released', 'True'), condition('TestSuccess', 'False')],
    { test: { enable: true } },
    'False TestSuccessReason',
  ],
  [
    'an ignored test does not',
    [condition('Released', 'True'), condition('TestSuccess', 'False')],
    { test: { enable: true, ignoreFailures: true } },
    'True ReleasedReason',
  ],
  [
    'the newer generation goes first',
    [condition('Released', 'True', 3), condition('Remediated', 'True', 2)],
    {},
    'True ReleasedReason',
  ],
];
test.each(readiness)('Ready is the most relevant condition: %s', (_, conditions, spec, expected) => {
  const ready = readyOf(object({ spec }), conditions);
  expect(`${ready?.status} ${ready?.reason}`).toBe(expected);
});

test('at the end counters are gone, the request is answered and old history is cut', () => {
  const status = {
    failures: 1,
    upgradeFailures: 1,
    history: [snapshot(3), snapshot(2, 'superseded'), snapshot(1, 'superseded')],
  };
  const next = statusAfterRelease(
    object({ status: { ...status, conditions: [condition('Released', 'True', 1)] } }),
    context,
    attempt,
    {},
  );
  expect(next).toMatchObject({ observedGeneration: 2, lastHandledReconcileAt: 't1' });
  expect(next.failures).toBeUndefined();
  expect(next.history?.map(({ version }) => version)).toEqual([3, 2]);
  expect(next.conditions?.find(({ type }) => type === 'Ready')).toMatchObject({
    status: 'True',
    observedGeneration: 2,
  });
});

test('what was rolled back, and is what is wanted by now, is ready again', () => {
  const conditions = [condition('Released', 'False', 1), condition('Remediated', 'True', 1)];
  const history = [snapshot(3), snapshot(2, 'failed')];
  const { conditions: next = [] } = statusAfterRelease(
    object({ status: { history, conditions } }),
    context,
    attempt,
    {},
  );
  expect(next.map(({ type, status, reason }) => `${type} ${status} ${reason}`)).toEqual([
    'Ready True UpgradeSucceeded',
    'Released True UpgradeSucceeded',
  ]);
});

test('what a person went back to is ready, and stays so', () => {
  const held = { ...condition('Remediated', 'True', 2), reason: 'RollbackHeld' };
  const conditions = [condition('Released', 'True', 2), held];
  const { conditions: next = [] } = statusAfterRelease(object({ status: { conditions } }), context, attempt, {
    isHeld: true,
  });
  expect(next.map(({ type, status, reason }) => `${type} ${status} ${reason}`)).toEqual([
    'Ready True RollbackHeld',
    'Released True ReleasedReason',
    'Remediated True RollbackHeld',
  ]);
});

test('a writer that does not give up is named until it does', () => {
  const lostFights = [{ subject: 'Service/apps/web', manager: 'rival', rounds: 3, lastAtMs: 0 }];
  const told = statusAfterRelease(object(), context, attempt, { lostFights });
  const conflict = told.conditions?.find(({ type }) => type === 'DriftConflict');
  expect(conflict).toMatchObject({ status: 'True', reason: 'FieldManagerConflict' });
  expect(conflict?.message).toContain(
    "fields of this HelmRelease, which are now corrected on the interval only: Service/apps/web (written by 'rival')",
  );
  const quiet = statusAfterRelease(object({ status: { conditions: told.conditions } }), context, attempt, {});
  expect(quiet.conditions?.map(({ type }) => type)).not.toContain('DriftConflict');
});

test('a stall is observed and keeps Ready as the action has told it; what is tried again is not', () => {
  const conditions = [condition('Released', 'False')];
  const failed = { reason: 'RetriesExceeded', message: 'used up', isStalled: true, isTold: true };
  const stalled = statusAfterReleaseFailure(object({ status: { conditions } }), context, failed);
  expect(stalled.observedGeneration).toBe(2);
  expect(stalled.conditions?.map(({ type, reason }) => `${type} ${reason}`)).toEqual([
    'Stalled RetriesExceeded',
    'Ready ReleasedReason',
    'Released ReleasedReason',
  ]);
  const again = { reason: 'ValuesError', message: 'x', isStalled: false, isTold: false };
  const retried = statusAfterReleaseFailure(object(), context, again);
  expect(retried.observedGeneration).toBeUndefined();
  expect(retried.conditions?.map(({ type, reason }) => `${type} ${reason}`)).toEqual([
    'Reconciling ProgressingWithRetry',
    'Ready ValuesError',
  ]);
});

test('a failure without an action begins to count anew at another attempt, and keeps what was counted at the same', () => {
  const counted = { failures: 2, upgradeFailures: 2 };
  const told = { reason: 'ReconcileError', message: 'x', isStalled: false, isTold: false };
  const first = { ...attempt, failures: 0, upgradeFailures: 0 };
  const other = { lastAttemptedGeneration: 1, lastAttemptedRevision: '1.2.0', lastAttemptedConfigDigest: 'sha256:b' };
  const anew = statusAfterReleaseFailure(object({ status: { ...counted, ...other } }), context, {
    ...told,
    attempt: first,
  });
  expect(anew).toMatchObject({ lastAttemptedConfigDigest: 'sha256:c' });
  expect([anew.failures, anew.upgradeFailures]).toEqual([undefined, undefined]);

  // With kept values the digest tells what is deployed.
  const kept = object({
    status: { ...counted, ...other },
    spec: { interval: '1m', upgrade: { preserveValues: true } },
  });
  const nothingMade = statusAfterReleaseFailure(kept, context, { ...told, attempt: first });
  expect(nothingMade).toMatchObject({ lastAttemptedGeneration: 2, lastAttemptedConfigDigest: 'sha256:b' });

  const same = { lastAttemptedGeneration: 2, lastAttemptedRevision: '1.2.0', lastAttemptedConfigDigest: 'sha256:c' };
  const again = statusAfterReleaseFailure(object({ status: { ...counted, ...same } }), context, { ...told, attempt });
  expect(again).toMatchObject(counted);
});
