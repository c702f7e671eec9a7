import { expect, test } from 'vitest';
import type { Kustomization } from '../../k8s/api/kustomization.ts';
import { healthyRevisions, lastHealthyRevision, noRollbackTarget } from './rollback-target.ts';

const entry = (digest: string, lastReconciledStatus = 'ReconciliationSucceeded') => ({
  digest,
  lastReconciledStatus,
  metadata: { revision: `main@sha1:${digest.repeat(10)}` },
});
const object = (...history: object[]) =>
  ({ metadata: { namespace: 'team', name: 'apps' }, status: { history } }) as unknown as Kustomization;
const digests = (found: { manifestsDigest: string }[]) => found.map(({ manifestsDigest }) => manifestsDigest);

test('by hand: the healthy ones before the present one, newest first', () => {
  expect(digests(healthyRevisions(object(entry('c'), entry('b'), entry('a'))))).toEqual(['b', 'a']);
  expect(digests(healthyRevisions(object(entry('c', 'BuildFailed'), entry('b'), entry('a'))))).toEqual(['b', 'a']);
  expect(healthyRevisions(object())).toEqual([]);
});

test('a revision is named in full, or by seven characters of it', () => {
  const history = object(entry('c'), entry('b'), entry('a'));
  expect(digests(healthyRevisions(history, 'main@sha1:aaaaaaaaaa'))).toEqual(['a']);
  expect(digests(healthyRevisions(history, 'aaaaaaa'))).toEqual(['a']);
  expect(digests(healthyRevisions(history, 'aaa'))).toEqual([]);
});

test('after a failure: the last healthy one, unless its manifests are the same', () => {
  expect(lastHealthyRevision(object(entry('b'), entry('a')), 'c')?.manifestsDigest).toBe('b');
  expect(lastHealthyRevision(object(entry('c', 'HealthCheckFailed'), entry('b')), 'c')?.manifestsDigest).toBe('b');
  expect(lastHealthyRevision(object(entry('b')), 'b')).toBeUndefined();
  expect(lastHealthyRevision(object(entry('b', 'HealthCheckFailed')), 'c')).toBeUndefined();
});

test('a refusal says what is kept', () => {
  const history = object(entry('c'), entry('b'));
  expect(noRollbackTarget(history, 'x').message).toBe(
    'Kustomization/team/apps cannot be rolled back: "x" is no healthy revision that is kept; expected one of main@sha1:bbbbbbbbbb',
  );
  expect(noRollbackTarget(object(), undefined).message).toMatch(/no healthy revision before the present one is kept/);
});
