import { expect, test } from 'vitest';
import type { HelmSnapshot } from '../../k8s/api/helm-release.ts';
import { decodeRelease, encodeRelease, type StoredRelease } from './release-storage-codec.ts';
import {
  matchesSnapshot,
  newestSnapshots,
  previousSnapshot,
  releaseDigestOf,
  snapshotOf,
  testHooksOf,
  truncateSnapshots,
  withSnapshot,
} from './snapshot.ts';

/** One with everything in it that Go writes in a way of its own. */
const release: StoredRelease = {
  name: 'web',
  info: {
    first_deployed: '2026-11-22T22:53:28.123456789Z',
    last_deployed: '2026-11-22T22:54:28.5Z',
    description: 'Upgrade "complete" <b> & more\u2028',
    status: 'deployed',
    notes: 'hello\n',
  },
  chart: {
    metadata: {
      version: '1.2.3+abc',
      name: 'web',
      appVersion: '7',
      apiVersion: 'v2',
      type: 'application',
      description: 'a <small> chart',
      keywords: ['b', 'a'],
      maintainers: [{ email: 'a@example.org', name: 'a' }, { name: 'b' }],
      annotations: { z: '1', a: '2' },
      dependencies: [
        { name: 'redis', version: '1.x', repository: '', condition: 'redis.enabled', tags: ['db'], enabled: true },
        {
          name: 'lib',
          repository: 'https://charts.example.org',
          'import-values': ['data', { parent: 'a', child: 'b' }],
        },
      ],
    },
    templates: [{ name: 'x', data: 'eA==' }],
  },
  config: { z: 1, a: { y: 1.5, b: [1e21, 1e-7, null, true, '<&>'] }, n: 12345678901234567000 },
  manifest: '---\nkind: A\n',
  hooks: [
    {
      name: 'before',
      kind: 'Job',
      path: 'web/templates/hook.yaml',
      manifest: 'kind: Job\n',
      events: ['pre-install'],
      last_run: { started_at: '2026-11-22T22:53:28Z', completed_at: '2026-11-22T22:53:29Z', phase: 'Succeeded' },
      weight: -5,
      delete_policies: ['before-hook-creation'],
    },
    {
      name: 'check',
      kind: 'Pod',
      events: ['test'],
      last_run: { started_at: '2026-11-22T22:55:00.9Z', completed_at: '2026-11-22T22:55:01Z', phase: 'Failed' },
    },
    { name: 'other', kind: 'Pod', events: ['test'], last_run: { phase: '' } },
  ],
  version: 2,
  namespace: 'shop',
  apply_method: 'ssa',
};

test('the digest is the one that Flux makes', () => {
  expect(releaseDigestOf(release, undefined)).toBe(
    'sha256:a09dc43d992812132aeb64b64056cf75b4c0b9fd6401c173be6cecec7e182517',
  );
  expect(releaseDigestOf(release, 'sha256:0123')).toBe(
    'sha256:07735dff4fac045943df85161b7e60b0bf8fce29edfd202b25aa3aeedecb3281',
  );
});

test('a snapshot tells the release', () => {
  expect(snapshotOf(release, { action: 'upgrade' })).toEqual({
    apiVersion: 'v2',
    digest: releaseDigestOf(release, undefined),
    name: 'web',
    namespace: 'shop',
    version: 2,
    status: 'deployed',
    action: 'upgrade',
    chartName: 'web',
    chartVersion: '1.2.3+abc',
    appVersion: '7',
    configDigest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    firstDeployed: '2026-11-22T22:53:28Z',
    lastDeployed: '2026-11-22T22:54:28Z',
  });
});

test('a snapshot fits its release, as long as nobody changes more of it than its tests', () => {
  const snapshot = snapshotOf(release, { ociDigest: 'sha256:0123' });
  expect(matchesSnapshot(snapshot, release)).toBe(true);
  expect(matchesSnapshot(snapshot, { ...release, hooks: release.hooks?.slice(0, 1) })).toBe(true);
  expect(matchesSnapshot(snapshot, { ...release, version: 3 })).toBe(false);
  expect(matchesSnapshot(snapshot, { ...release, manifest: 'kind: B\n' })).toBe(false);
  const failed = { ...release, info: { ...release.info, status: 'failed' as const } };
  expect(matchesSnapshot(snapshot, failed)).toBe(false);
  expect(matchesSnapshot({ ...snapshot, apiVersion: undefined }, failed), 'of an older way').toBe(true);
});

test('tests are told with how they ended, as far as the filters choose them', () => {
  const check = { phase: 'Failed', lastStarted: '2026-11-22T22:55:00Z', lastCompleted: '2026-11-22T22:55:01Z' };
  expect(testHooksOf(release)).toEqual({ check, other: {} });
  expect(testHooksOf(release, [{ name: 'check' }])).toEqual({ check });
  expect(testHooksOf(release, [{ name: 'check', exclude: true }])).toEqual({ other: {} });
});

test('a release survives being stored', () => {
  expect(decodeRelease(encodeRelease(release))).toEqual(release);
  const plain = Buffer.from(Buffer.from(JSON.stringify(release)).toString('base64'));
  expect(decodeRelease(plain), 'of a Helm without compression').toEqual(release);
});

test.each(['', '\0\0\0', Buffer.from('{"a": "top-secret"').toString('base64')])(
  'what is no release is refused without a word of it: %s',
  (data) => {
    expect(() => decodeRelease(Buffer.from(data))).toThrow(
      /^the stored release (?:is no JSON|has no name|cannot be unpacked)/,
    );
  },
);

function snapshots(...statuses: string[]): HelmSnapshot[] {
  return statuses.map((status, at) => {
    const [name = '', phase] = status.split(' ');
    const testHooks = phase ? { check: { phase } } : undefined;
    return { ...snapshotOf(release), version: statuses.length - at, status: name, testHooks };
  });
}

function versions(history: readonly HelmSnapshot[]): number[] {
  return history.map(({ version }) => version);
}

test.each<[string[], boolean, number | undefined]>([
  [['deployed'], false, undefined],
  [['failed', 'deployed', 'superseded'], false, 2],
  [['failed', 'failed', 'superseded'], false, 1],
  [['failed', 'superseded Failed', 'superseded'], false, 1],
  [['failed', 'superseded Failed', 'superseded'], true, 2],
  [['failed', 'uninstalled'], false, undefined],
])('a rollback from %o (tests ignored: %s) goes to %s', (statuses, areTestsIgnored, expected) => {
  expect(previousSnapshot(snapshots(...statuses).toReversed(), areTestsIgnored)?.version).toBe(expected);
});

test('a history ends at the release that a rollback would go to, and has five entries at most without one', () => {
  expect(versions(truncateSnapshots(snapshots('deployed', 'failed', 'superseded', 'superseded'), false))).toEqual([
    4, 3, 2,
  ]);
  expect(versions(truncateSnapshots(snapshots(...Array(7).fill('failed')), false))).toEqual([7, 6, 5, 4, 3]);
  expect(versions(newestSnapshots(snapshots(...Array(7).fill('superseded'))))).toEqual([7, 6, 5, 4, 3]);
});

test('a snapshot takes the place of an older one of its revision', () => {
  const [two, one] = snapshots('deployed', 'superseded') as [HelmSnapshot, HelmSnapshot];
  expect(withSnapshot([one, two], { ...one, status: 'failed' })).toEqual([two, { ...one, status: 'failed' }]);
});
