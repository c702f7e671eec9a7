import { expect, test } from 'vitest';
import type { KubeObject } from '../../k8s/object.ts';
import { type AppliedEntry, fingerprintOf, isEntryInSync } from './fingerprint.ts';

const keys = { labelKeys: ['app'], annotationKeys: ['note'] };
const deployment: KubeObject = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: {
    name: 'web',
    uid: 'u1',
    generation: 3,
    resourceVersion: '50',
    labels: { app: 'web' },
    annotations: { note: 'a' },
  },
  spec: { replicas: 1 },
};
const { generation: _, ...serviceMetadata } = deployment.metadata;
const service: KubeObject = { apiVersion: 'v1', kind: 'Service', metadata: serviceMetadata, spec: { clusterIP: 'x' } };
const configMap: KubeObject = { apiVersion: 'v1', kind: 'ConfigMap', metadata: serviceMetadata };

type Change = (object: KubeObject) => void;
const changes: Record<string, Change> = {
  status: (object) => Object.assign(object, { status: { ready: true } }),
  version: (object) => Object.assign(object.metadata, { resourceVersion: '60' }),
  'a foreign annotation': (object) => Object.assign(object.metadata.annotations ?? {}, { foreign: 'x' }),
  'a foreign label': (object) => Object.assign(object.metadata.labels ?? {}, { foreign: 'x' }),
  managers: (object) => Object.assign(object.metadata, { managedFields: [{ manager: 'x', operation: 'Update' }] }),
  'our label': (object) => Object.assign(object.metadata.labels ?? {}, { app: 'other' }),
  'our annotation': (object) => Object.assign(object.metadata, { annotations: {} }),
  uid: (object) => Object.assign(object.metadata, { uid: 'u2' }),
  spec: (object) => Object.assign(object, { spec: { replicas: 9 } }),
  generation: (object) => Object.assign(object.metadata, { generation: 4 }),
};

test.each<[string, KubeObject, boolean, string[]]>([
  ['a kind with generation', deployment, false, ['our label', 'our annotation', 'uid', 'generation']],
  ['its metadata', deployment, true, ['our label', 'our annotation', 'uid', 'generation']],
  ['a kind without generation', service, false, ['our label', 'our annotation', 'uid', 'spec', 'generation']],
  ['metadata without generation', configMap, true, ['version', 'our label', 'our annotation', 'uid', 'generation']],
])('the fingerprint of %s changes with what we applied, and nothing else', (_, object, isMetadataOnly, expected) => {
  const before = fingerprintOf(object, keys, isMetadataOnly);
  const seen = Object.entries(changes).filter(([, change]) => {
    const copy = structuredClone(object);
    change(copy);
    return fingerprintOf(copy, keys, isMetadataOnly) !== before;
  });
  expect(seen.map(([name]) => name)).toEqual(expected);
});

const entry: AppliedEntry = {
  ...keys,
  type: 'apps/v1/Deployment',
  namespace: 'a',
  name: 'web',
  desiredDigest: 'd',
  fingerprint: fingerprintOf(deployment, keys, false),
  uid: 'u1',
  resourceVersion: '50',
};
const disabled = structuredClone(deployment);
disabled.metadata.annotations = { 'kustomize.toolkit.fluxcd.io/reconcile': 'disabled' };
const edited = structuredClone(deployment);
edited.metadata.managedFields = [{ manager: 'kubectl-edit', operation: 'Update' }];
const merged = structuredClone(edited);
merged.metadata.labels = { ...merged.metadata.labels, 'kustomize.toolkit.fluxcd.io/ssa': 'Merge' };

test.each<[string, Partial<AppliedEntry>, KubeObject | undefined, boolean]>([
  ['the same object', {}, deployment, true],
  ['no object', {}, undefined, false],
  ['a cache that is behind our write', { resourceVersion: '100' }, deployment, false],
  [
    'an object that is being deleted',
    {},
    { ...deployment, metadata: { ...deployment.metadata, deletionTimestamp: 'x' } },
    false,
  ],
  ['another fingerprint', { fingerprint: 'x' }, deployment, false],
  ['a field manager to clean up', {}, edited, false],
  ['a field manager that may stay', {}, merged, true],
  ['a switch that came', {}, disabled, false],
  ['a switch that is still there', { skip: 'live' }, disabled, true],
  ['a switch that went', { skip: 'live' }, deployment, false],
  ['a create-only object that is there', { skip: 'present', fingerprint: '' }, deployment, true],
  ['a create-only object that is missing', { skip: 'present' }, undefined, false],
  ['an object switched off in the source', { skip: 'desired' }, undefined, true],
])('judges %s', (_, change, cached, expected) => {
  expect(isEntryInSync({ ...entry, ...change }, cached, false)).toBe(expected);
});
