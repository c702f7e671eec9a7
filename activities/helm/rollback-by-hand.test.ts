import { describe, expect, test } from 'vitest';
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import type { ReleaseRecord } from './release-storage.ts';
import { heldAttemptOf, isHeld, rollbackVersionAsked } from './rollback-by-hand.ts';

const record = (version: number, status: ReleaseRecord['status']): ReleaseRecord => ({
  version,
  status,
  resourceVersion: '1',
  annotations: {},
});
const records = [record(4, 'deployed'), record(3, 'failed'), record(2, 'superseded'), record(1, 'superseded')];

function release(status: object = {}, annotations = {}): HelmRelease {
  const snapshot = (version: number, state: string, chartVersion: string) => ({
    ...{ version, status: state, chartVersion, chartName: 'web', name: 'web', namespace: 'apps' },
    ...{ digest: '', configDigest: '', firstDeployed: '', lastDeployed: '' },
  });
  return {
    apiVersion: 'helm.toolkit.fluxcd.io/v2',
    kind: 'HelmRelease',
    metadata: { namespace: 'apps', name: 'web', generation: 2, annotations },
    spec: { interval: '1m' },
    status: {
      history: [snapshot(4, 'deployed', '1.2.0'), snapshot(3, 'failed', '1.3.0'), snapshot(2, 'superseded', '1.1.0')],
      lastAttemptedRevision: '1.2.0',
      lastAttemptedConfigDigest: 'sha256:c',
      ...status,
    },
  };
}

const found: [string, string | undefined, number][] = [
  ['none', undefined, 2],
  ['a number', '1', 1],
  ['a number as helm writes it', 'v2', 2],
  ['the version of a chart', '1.1.0', 2],
];
test.each(found)('a rollback to %s goes to a good revision', (_, asked, version) => {
  expect(rollbackVersionAsked(release(), records, asked)).toBe(version);
});

const refused: [string, string | undefined, ReleaseRecord[], RegExp][] = [
  ['what is in place', '4', records, /"4" is in place; expected one of 2, 1/],
  ['what has failed', '3', records, /"3" is no good revision; expected one of 2, 1/],
  ['what there never was', '1.9.0', records, /"1\.9\.0" is no good revision/],
  ['nothing', undefined, records.slice(0, 2), /no good revision before the present one; its history has no other/],
  ['anything of no release', '1', [], /^HelmRelease\/apps\/web cannot be rolled back: "1" is no good revision/],
];
test.each(refused)('a rollback to %s is refused', (_, asked, there, message) => {
  expect(() => rollbackVersionAsked(release(), there, asked)).toThrow(message);
});

describe('a rollback by hand', () => {
  const conditions = (changes = {}) => [
    {
      ...{ type: 'Remediated', status: 'True', reason: 'RollbackHeld', observedGeneration: 2 },
      ...{ message: '', lastTransitionTime: '' },
      ...changes,
    },
  ];
  const held = release({ conditions: conditions() });
  const attempt = heldAttemptOf(held);
  const asked = { 'reconcile.fluxcd.io/requestedAt': 't2' };
  const cases: [string, HelmRelease, object, boolean][] = [
    ['while nothing changes', held, {}, true],
    ['not with another chart', held, { chart: { name: 'web', version: '1.4.0' } }, false],
    ['not with other values', held, { configDigest: 'sha256:d' }, false],
    ['not with another spec', release({ conditions: conditions({ observedGeneration: 1 }) }), {}, false],
    ['not after a request', release({ conditions: conditions() }, asked), {}, false],
    ['after an older request', release({ conditions: conditions(), lastHandledReconcileAt: 't2' }, asked), {}, true],
    ['not for a remediation', release({ conditions: conditions({ reason: 'RollbackSucceeded' }) }), {}, false],
  ];
  test.each(cases)('holds %s', (_, object, changes, expected) => {
    expect(isHeld(object, { ...attempt, ...changes })).toBe(expected);
  });
});
