import { expect, test } from 'vitest';
import type { Kustomization } from '../../k8s/api/kustomization.ts';
import { heldManifests } from './held-manifests.ts';

const bad = 'main@sha1:b';
const remediated = { type: 'Remediated', status: 'True', observedGeneration: 2 };
const status = {
  conditions: [remediated],
  lastAppliedRevision: 'main@sha1:a',
  lastAttemptedRevision: bad,
  lastHandledReconcileAt: 't1',
  inventory: { entries: [{ id: 'a_b__ConfigMap', v: 'v1' }] },
  history: [
    { digest: 'sha256:1', lastReconciledStatus: 'HealthCheckFailed', metadata: { revision: bad } },
    { digest: 'sha256:0', lastReconciledStatus: 'ReconciliationSucceeded', metadata: { revision: 'main@sha1:a' } },
  ],
};

function held(changes: { status?: object; metadata?: object } = {}, revision = bad) {
  const object = {
    metadata: { name: 'apps', generation: 2, ...changes.metadata },
    status: { ...status, ...changes.status },
  };
  return heldManifests(object as unknown as Kustomization, revision);
}

test('the last healthy manifests are kept while the bad revision is the newest', () => {
  expect(held()).toEqual({ manifestsDigest: 'sha256:0', count: 1, revision: 'main@sha1:a' });
});

const lifted: [string, Parameters<typeof held>][] = [
  ['a newer revision', [{}, 'main@sha1:c']],
  ['another spec', [{ metadata: { generation: 3 } }]],
  ['a request', [{ metadata: { annotations: { 'reconcile.fluxcd.io/requestedAt': 't2' } } }]],
  ['a rollback that failed', [{ status: { conditions: [{ ...remediated, status: 'False' }] } }]],
  ['no rollback', [{ status: { conditions: [] } }]],
];

test.each(lifted)('%s lifts it', (_, [changes, revision]) => {
  expect(held(changes, revision)).toBeUndefined();
});

test('a request that was answered does not', () => {
  expect(held({ metadata: { annotations: { 'reconcile.fluxcd.io/requestedAt': 't1' } } })).toBeDefined();
});
