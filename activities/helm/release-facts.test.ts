import { describe, expect, test } from 'vitest';
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import { configDigestOf } from './config-digest.ts';
import { areTestsIgnored, attemptOf, factsOf, movedFrom } from './release-facts.ts';
import type { ReadRelease } from './release-storage.ts';

const digest = configDigestOf({ v: 1 });
const chart = { name: 'web', version: '1.0.0' };
const snapshot = {
  name: 'app',
  namespace: 'apps',
  version: 2,
  status: 'deployed',
  digest: 'sha256:x',
  apiVersion: 'other',
  chartName: 'web',
  chartVersion: '1.0.0',
  configDigest: digest,
  firstDeployed: '',
  lastDeployed: '',
};
const counted = { failures: 3, installFailures: 1, upgradeFailures: 2 };
const attempted = { lastAttemptedGeneration: 1, lastAttemptedRevision: '1.0.0', lastAttemptedConfigDigest: digest };

function object(spec: object = {}, status: object = {}, annotations: Record<string, string> = {}): HelmRelease {
  return {
    apiVersion: 'helm.toolkit.fluxcd.io/v2',
    kind: 'HelmRelease',
    metadata: { namespace: 'apps', name: 'app', generation: 1, annotations },
    spec: { interval: '1m', ...spec },
    status: { observedGeneration: 1, history: [snapshot], storageNamespace: 'apps', ...status },
  } as unknown as HelmRelease;
}

function stored(changes: { version?: string; name?: string; config?: object; status?: string } = {}): ReadRelease {
  const { version = '1.0.0', name = 'web', config = { v: 1 }, status = 'deployed' } = changes;
  const release = {
    name: 'app',
    namespace: 'apps',
    version: 2,
    info: { status },
    chart: { metadata: { name, version } },
    config,
  };
  return { version: 2, status, resourceVersion: '1', annotations: {}, release } as unknown as ReadRelease;
}

describe('failures count', () => {
  const asked = { 'reconcile.fluxcd.io/resetAt': 't1', 'reconcile.fluxcd.io/requestedAt': 't1' };
  const cases: [string, Parameters<typeof object>, string, number][] = [
    ['for the same chart, values and spec', [{}, { ...attempted, ...counted }], digest, 2],
    ['no more with other values', [{}, { ...attempted, ...counted }], 'sha256:other', 0],
    ['no more with another chart', [{}, { ...attempted, ...counted, lastAttemptedRevision: '0.9.0' }], digest, 0],
    ['no more with another spec', [{}, { ...attempted, ...counted, lastAttemptedGeneration: 0 }], digest, 0],
    ['no more after a reset', [{}, { ...attempted, ...counted }, asked], digest, 0],
    [
      'on after a reset that was answered',
      [{}, { ...attempted, ...counted, lastHandledResetAt: 't1' }, asked],
      digest,
      2,
    ],
    [
      'on after a reset without a request',
      [{}, { ...attempted, ...counted }, { 'reconcile.fluxcd.io/resetAt': 't1' }],
      digest,
      2,
    ],
  ];
  test.each(cases)('%s', (_, parts, configDigest, expected) => {
    expect(attemptOf(object(...parts), chart, configDigest).upgradeFailures).toBe(expected);
  });
});

const differences: [string, HelmRelease, ReadRelease, string | undefined][] = [
  ['nothing', object(), stored(), undefined],
  ['the version of the chart', object(), stored({ version: '0.9.0' }), "chart version '0.9.0' is to be '1.0.0'"],
  ['the chart', object(), stored({ name: 'old' }), "chart 'old' is to be 'web'"],
  ['the values', object(), stored({ config: { v: 2 } }), 'the values have changed'],
  [
    'kept values are judged by what was asked for',
    object({ upgrade: { preserveValues: true } }, attempted),
    stored({ config: { v: 1, kept: true } }),
    undefined,
  ],
  [
    'what was asked for with kept values, once it was rolled back',
    object(
      { upgrade: { preserveValues: true } },
      { ...attempted, history: [{ ...snapshot, action: 'rollback' }, snapshot] },
    ),
    stored({ config: { v: 0 } }),
    'the values have changed',
  ],
  [
    'the post-renderers of a new spec',
    object({ postRenderers: [{ kustomize: { images: [{ name: 'a', newTag: '2' }] } }] }, { observedGeneration: 0 }),
    stored(),
    'the post-renderers have changed',
  ],
];
test.each(differences)('what differs: %s', (_, release, read, expected) => {
  expect(factsOf(release, attemptOf(release, chart, digest), read).difference).toBe(expected);
});

test('a chart of another name is installed anew, unless it is to be upgraded in place', () => {
  const facts = (release: HelmRelease) => factsOf(release, attemptOf(release, chart, digest), stored({ name: 'old' }));
  expect(facts(object()).mustReinstall).toBe(true);
  expect(facts(object({ upgrade: { chartNameChangeStrategy: 'InPlaceUpdate' } })).mustReinstall).toBeUndefined();
});

test('the policies have the defaults of the contract', () => {
  const release = object({ upgrade: { remediation: { retries: 2 } } });
  const facts = factsOf(release, attemptOf(release, chart, digest), stored());
  expect(facts.install).toEqual({ failures: 0, retries: 0, remediateLastFailure: false, remedy: 'uninstall' });
  expect(facts.upgrade).toEqual({ failures: 0, retries: 2, remediateLastFailure: true, remedy: 'rollback' });
  const retrying = object({ install: { strategy: { name: 'RetryOnFailure' } } });
  const policy = factsOf(retrying, attemptOf(retrying, chart, digest), stored()).install;
  expect(policy.retryIntervalMs).toBe(300_000);
});

test('a release has moved when its name or a namespace is another', () => {
  expect(movedFrom(object())).toBeUndefined();
  expect(movedFrom(object({ targetNamespace: 'other' }))).toEqual({
    name: 'app',
    namespace: 'apps',
    storageNamespace: 'apps',
  });
  expect(movedFrom(object({ storageNamespace: 'other' }))).toBeDefined();
  expect(movedFrom(object({ releaseName: 'b' }, { history: [] }))).toBeUndefined();
});

test('whether failed tests count is said by the last action, else by the tests', () => {
  expect(areTestsIgnored(object({ test: { ignoreFailures: true } }))).toBe(true);
  const install = { remediation: { ignoreTestFailures: false } };
  const status = { lastAttemptedReleaseAction: 'install' };
  expect(areTestsIgnored(object({ test: { ignoreFailures: true }, install }, status))).toBe(false);
});
