import { expect, test } from 'vitest';
import type { KubeObject } from '../../k8s/object.ts';
import { type ClaimsDeps, heirRule, rivalRule } from './claims.ts';
import { createApplyJournals } from './journal.ts';
import { ownerLabels } from './owner.ts';

const id = 'apps_x__ConfigMap';
const entries = [{ id, v: 'v1' }];

function kustomization(name: string, options: { listed?: boolean; kubeConfig?: object; deleted?: boolean } = {}) {
  const { listed = true, kubeConfig, deleted } = options;
  return {
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { namespace: 'apps', name, ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}) },
    spec: { kubeConfig },
    status: { inventory: { entries: listed ? entries : [] } },
  } satisfies KubeObject;
}

function labelled(name: string | undefined): KubeObject {
  const labels = name === undefined ? {} : ownerLabels({ namespace: 'apps', name });
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'apps', name: 'x', labels } };
}

function dependencies(others: KubeObject[], journal: object[] = []): ClaimsDeps {
  const stored = Buffer.from(JSON.stringify(journal));
  return {
    kustomization: ({ name }) => others.find((one) => one.metadata.name === name),
    kustomizations: () => others,
    journals: createApplyJournals({
      readBlob: async (key) => (key === 'journal/kustomization/apps/b.json' ? stored : undefined),
      writeBlob: async () => {},
      removeBlob: async () => {},
    }),
  };
}

const remote = { secretRef: { name: 'far' } };
const a = kustomization('a');
const known = new Set([id]);

test.each<[string, KubeObject, KubeObject, ReadonlySet<string>, KubeObject[], object[], string | undefined]>([
  ['its own object', a, labelled('a'), known, [a], [], undefined],
  ['an object of nobody', a, labelled(undefined), known, [], [], undefined],
  ['what another one has and lists', a, labelled('b'), known, [kustomization('b')], [], 'b'],
  [
    'what another one has applied and not reported',
    a,
    labelled('b'),
    known,
    [kustomization('b', { listed: false })],
    entries,
    'b',
  ],
  ['what it claims for the first time', a, labelled('b'), new Set(), [kustomization('b')], [], undefined],
  ['what the other one does not list', a, labelled('b'), known, [kustomization('b', { listed: false })], [], undefined],
  ['what is left of one that is gone', a, labelled('b'), known, [], [], undefined],
  [
    'what one has that is being deleted',
    a,
    labelled('b'),
    known,
    [kustomization('b', { deleted: true })],
    [],
    undefined,
  ],
  [
    'labels of one that applies elsewhere',
    a,
    labelled('b'),
    known,
    [kustomization('b', { kubeConfig: remote })],
    [],
    undefined,
  ],
  [
    'what another one has in the same remote cluster',
    kustomization('a', { kubeConfig: remote }),
    labelled('b'),
    known,
    [kustomization('b', { kubeConfig: remote })],
    [],
    'b',
  ],
])('%s', async (_, self, live, ours, others, journal, expected) => {
  expect((await rivalRule(self, ours, dependencies(others, journal))(id, live))?.name).toBe(expected);
});

test.each<[string, KubeObject[], string | undefined]>([
  ['goes to another one that lists it', [a, kustomization('b')], 'b'],
  ['goes to nobody when nobody else lists it', [a, kustomization('b', { listed: false })], undefined],
  ['does not go to one that is being deleted', [a, kustomization('b', { deleted: true })], undefined],
  ['does not go to one of another cluster', [a, kustomization('b', { kubeConfig: remote })], undefined],
])('what is let go %s', (_, others, expected) => {
  expect(heirRule(a, dependencies(others))(id)?.name).toBe(expected);
});
