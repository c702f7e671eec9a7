import { expect, test } from 'vitest';
import type { KubeObject } from '../../k8s/object.ts';
import { normaliseObject } from './normalise.ts';

const owner = { kind: 'Kustomization', namespace: 'flux-system', name: 'apps' };
const labels = { 'kustomize.toolkit.fluxcd.io/name': 'apps', 'kustomize.toolkit.fluxcd.io/namespace': 'flux-system' };

function normalised(object: Partial<KubeObject>): KubeObject {
  return normaliseObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, ...object }, owner);
}

test('adds the labels of the owner, which win over all others', () => {
  const own = { a: '1', 'kustomize.toolkit.fluxcd.io/name': 'other' };
  expect(normalised({ metadata: { name: 'x', labels: own } }).metadata.labels).toEqual({ a: '1', ...labels });
});

test('stamps the common metadata over the object’s own', () => {
  const object: KubeObject = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'x', labels: { a: '1', b: '1' }, annotations: { c: '1' } },
  };
  const result = normaliseObject(object, owner, { labels: { b: '2' }, annotations: { d: '2' } });
  expect(result.metadata.labels).toEqual({ a: '1', b: '2', ...labels });
  expect(result.metadata.annotations).toEqual({ c: '1', d: '2' });
  expect(object.metadata.labels).toEqual({ a: '1', b: '1' });
});

test('removes status, creationTimestamp and managedFields, but keeps the status of a CRD', () => {
  const metadata = { name: 'x', creationTimestamp: '2020-01-01T00:00:00Z', managedFields: [] };
  expect(normalised({ metadata, status: { phase: 'x' } })).toEqual({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'x', labels },
  });
  const crd = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', status: { conditions: [] } };
  expect(normalised(crd).status).toEqual({ conditions: [] });
});

test('folds stringData into data, over what data says', () => {
  const secret = normalised({ kind: 'Secret', data: { a: 'eA==', b: 'eQ==' }, stringData: { b: 'ü' } });
  expect(secret.data).toEqual({ a: 'eA==', b: 'w7w=' });
  expect(secret).not.toHaveProperty('stringData');
});

test('leaves a malformed stringData for the server to refuse', () => {
  expect(normalised({ kind: 'Secret', stringData: { a: 1 } }).stringData).toEqual({ a: 1 });
});

test.each<[string, string, string[]]>([
  ['v1', 'Pod', ['spec']],
  ['apps/v1', 'Deployment', ['spec', 'template', 'spec']],
  ['apps/v1', 'StatefulSet', ['spec', 'template', 'spec']],
  ['apps/v1', 'DaemonSet', ['spec', 'template', 'spec']],
  ['apps/v1', 'ReplicaSet', ['spec', 'template', 'spec']],
  ['batch/v1', 'Job', ['spec', 'template', 'spec']],
  ['batch/v1', 'CronJob', ['spec', 'jobTemplate', 'spec', 'template', 'spec']],
])('gives the container ports of a %s %s their protocol', (apiVersion, kind, path) => {
  const wrap = (ports: unknown): object =>
    path.reduceRight((inner: object, step) => ({ [step]: inner }), { containers: [{ name: 'c', ports }] });
  const given = wrap([{ containerPort: 1 }, { containerPort: 2, protocol: 'UDP' }]);
  expect(normalised({ apiVersion, kind, ...given })).toMatchObject(
    wrap([
      { containerPort: 1, protocol: 'TCP' },
      { containerPort: 2, protocol: 'UDP' },
    ]),
  );
});

test('gives Service ports their protocol, and no other kind’s', () => {
  expect(normalised({ kind: 'Service', spec: { ports: [{ port: 80 }] } }).spec).toEqual({
    ports: [{ port: 80, protocol: 'TCP' }],
  });
  const other = { apiVersion: 'example.com/v1', kind: 'Service', spec: { ports: [{ port: 80 }] } };
  expect(normalised(other).spec).toEqual({ ports: [{ port: 80 }] });
});

test('passes malformed fields through', () => {
  const spec = { ports: 'none' };
  expect(normalised({ kind: 'Service', spec }).spec).toEqual(spec);
  expect(normalised({ kind: 'Pod', spec: { containers: [null] } }).spec).toEqual({ containers: [null] });
});
