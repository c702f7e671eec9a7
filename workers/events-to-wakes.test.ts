import { describe, expect, test } from 'vitest';
import type { ExternalArtifact } from '../k8s/api/external-artifact.ts';
import type { KubeObject } from '../k8s/object.ts';
import {
  generatorOf,
  hasNewArtifact,
  hasCaughtUp,
  hasNewFailure,
  hasReadyExpr,
  isConsumerOf,
  isRelabelled,
  refersTo,
  wakeOf,
  wakeOfReference,
} from './events-to-wakes.ts';

const object = (metadata: object = {}, rest: object = {}): KubeObject => ({
  apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
  kind: 'Kustomization',
  metadata: { name: 'apps', namespace: 'a', uid: 'u1', generation: 1, resourceVersion: '2', ...metadata },
  ...rest,
});
const requested = (value: string) => ({ annotations: { 'reconcile.fluxcd.io/requestedAt': value } });

describe('wakeOf', () => {
  test.each([
    ['a new object', object(), undefined, 'created'],
    ['the same name with another uid', object({ uid: 'u2' }), object(), 'created'],
    ['a deletion that waits for finalizers', object({ deletionTimestamp: 't' }), object(), 'deleted'],
    ['a new generation', object({ generation: 2 }), object(), 'spec'],
    ['a request', object(requested('t1')), object(), 'request'],
    ['another request', object(requested('t2')), object(requested('t1')), 'request'],
    ['the same request again', object(requested('t1')), object(requested('t1')), undefined],
    ['a status write', object({ resourceVersion: '3' }, { status: { x: 1 } }), object(), undefined],
    ['another annotation', object({ annotations: { note: 'x' } }), object(), undefined],
    [
      'the end of the suspension of an ArtifactGenerator',
      object(),
      object({ annotations: { 'source.extensions.fluxcd.io/reconcile': 'disabled' } }),
      'dependency',
    ],
  ])('%s', (_title, is, was, type) => {
    expect(wakeOf({ type: was ? 'MODIFIED' : 'ADDED', object: is, previous: was })?.type).toBe(type);
  });

  test('an object that is gone', () => {
    expect(wakeOf({ type: 'DELETED', object: object(), previous: object() })?.type).toBe('deleted');
  });

  test('carries the resource version that the observation must have seen', () => {
    const wake = wakeOf({
      type: 'MODIFIED',
      object: object({ generation: 2, resourceVersion: '7' }),
      previous: object(),
    });

    expect(wake?.resourceVersion).toBe('7');
  });
});

describe('hasNewArtifact', () => {
  const source = (artifact?: object) => object({}, { kind: 'GitRepository', status: { artifact } });
  const artifact = { revision: 'main@sha1:a', digest: 'sha256:1', url: 'http://x/1' };

  test.each([
    ['the first artifact', source(artifact), source(), true],
    ['another revision', source({ ...artifact, revision: 'main@sha1:b' }), source(artifact), true],
    ['another address', source({ ...artifact, url: 'http://y/1' }), source(artifact), true],
    ['the same artifact', source({ ...artifact }), source(artifact), false],
    ['no artifact yet', source(), source(), false],
  ])('%s', (_title, is, was, expected) => {
    expect(hasNewArtifact({ type: 'MODIFIED', object: is, previous: was })).toBe(expected);
  });

  test.each([
    ['a source, whose consumers have to say so', source(artifact), true],
    ['a Kustomization, from which nothing is made', object(), false],
  ])('the deletion of %s', (_title, gone, expected) => {
    expect(hasNewArtifact({ type: 'DELETED', object: gone, previous: gone })).toBe(expected);
  });
});

test.each([
  ['an ArtifactGenerator', { sourceRef: { kind: 'ArtifactGenerator', name: 'gen' } }, 'ArtifactGenerator/a/gen'],
  ['a stranger', { sourceRef: { kind: 'Factory', name: 'gen' } }, undefined],
  ['nobody it names', undefined, undefined],
])('an ExternalArtifact that is made by %s', (_title, spec, expected) => {
  const made = generatorOf(object({}, { kind: 'ExternalArtifact', spec }) as ExternalArtifact);

  expect(made && `${made.kind}/${made.namespace}/${made.name}`).toBe(expected);
});

describe('hasNewArtifact of a HelmRepository of type oci, which never has one', () => {
  const registry = (generation: number) =>
    object({ generation }, { kind: 'HelmRepository', spec: { type: 'oci', url: 'oci://host/charts' } });

  test.each([
    ['a new object', registry(1), undefined, true],
    ['another spec', registry(2), registry(1), true],
    ['a status write', registry(1), registry(1), false],
  ])('%s', (_title, is, was, expected) => {
    expect(hasNewArtifact({ type: 'MODIFIED', object: is, previous: was })).toBe(expected);
  });
});

describe('isRelabelled', () => {
  test.each([
    ['another label', object({ labels: { a: '2' } }), object({ labels: { a: '1' } }), true],
    ['a label that is gone', object(), object({ labels: { a: '1' } }), true],
    ['another annotation', object({ annotations: { note: 'x' } }), object(), true],
    ['a request', object(requested('t2')), object(requested('t1')), false],
    ['a status write', object({ resourceVersion: '3' }, { status: { x: 1 } }), object(), false],
  ])('%s', (_title, is, was, expected) => {
    expect(isRelabelled({ type: 'MODIFIED', object: is, previous: was })).toBe(expected);
  });
});

test('hasNewFailure tells each new reason of a source once', () => {
  const chart = (status: string, message: string): KubeObject =>
    object({}, { kind: 'HelmChart', status: { conditions: [{ type: 'Ready', status, message }] } });
  const told = (is: KubeObject, was?: KubeObject) => hasNewFailure({ type: 'MODIFIED', object: is, previous: was });
  const missing = chart('False', 'no such chart');
  expect([told(missing), told(missing, chart('Unknown', '')), told(missing, chart('False', 'other'))]).toEqual([
    true,
    true,
    true,
  ]);
  expect([told(missing, missing), told(chart('True', 'stored'), missing)]).toEqual([false, false]);
});

test('hasCaughtUp tells once that a spec was observed', () => {
  const chart = (generation: number, observedGeneration: number): KubeObject =>
    object({ generation }, { kind: 'HelmChart', status: { observedGeneration } });
  const told = (is: KubeObject, was: KubeObject) => hasCaughtUp({ type: 'MODIFIED', object: is, previous: was });
  expect([told(chart(2, 2), chart(2, 1)), told(chart(2, 2), chart(2, 2)), told(chart(2, 1), chart(1, 1))]).toEqual([
    true,
    false,
    false,
  ]);
});

test('hasReadyExpr is for those who wait by an expression', () => {
  const waiting = (dependsOn: object[]) => hasReadyExpr(object({}, { spec: { dependsOn } }));
  expect([waiting([{ name: 'a' }]), waiting([{ name: 'a' }, { name: 'b', readyExpr: 'true' }])]).toEqual([false, true]);
  expect(hasReadyExpr(object({}, { kind: 'GitRepository', spec: {} }))).toBe(false);
});

describe('isConsumerOf', () => {
  const source = { ...object({ name: 'repo' }), kind: 'GitRepository' };
  const consumer = (sourceRef: object) => object({}, { spec: { sourceRef } });

  test.each([
    ['by name in its own namespace', { kind: 'GitRepository', name: 'repo' }, true],
    ['by name and namespace', { kind: 'GitRepository', name: 'repo', namespace: 'a' }, true],
    ['not in another namespace', { kind: 'GitRepository', name: 'repo', namespace: 'b' }, false],
    ['not by another name', { kind: 'GitRepository', name: 'other' }, false],
    ['not of another kind', { kind: 'Bucket', name: 'repo' }, false],
  ])('%s', (_title, sourceRef, expected) => {
    expect(isConsumerOf(consumer(sourceRef), source)).toBe(expected);
  });
});

describe('refersTo', () => {
  const used = (kind: string, name = 'x', namespace = 'a'): KubeObject => ({
    apiVersion: 'v1',
    kind,
    metadata: { name, namespace },
  });
  const substituteFrom = (kind: string) => ({ postBuild: { substituteFrom: [{ kind, name: 'x' }] } });

  test.each([
    ['variables of a ConfigMap', substituteFrom('ConfigMap'), used('ConfigMap'), true],
    ['variables of a Secret', substituteFrom('Secret'), used('Secret'), true],
    ['a key for decryption', { decryption: { secretRef: { name: 'x' } } }, used('Secret'), true],
    ['a stored kubeconfig', { kubeConfig: { secretRef: { name: 'x' } } }, used('Secret'), true],
    ['settings of a cluster', { kubeConfig: { configMapRef: { name: 'x' } } }, used('ConfigMap'), true],
    ['the same name of another kind', substituteFrom('Secret'), used('ConfigMap'), false],
    ['another name', substituteFrom('Secret'), used('Secret', 'y'), false],
    ['the same name in another namespace', substituteFrom('Secret'), used('Secret', 'x', 'b'), false],
    ['nothing', {}, used('Secret'), false],
  ])('%s', (_title, spec, changed, expected) => {
    expect(refersTo(object({}, { spec }), changed)).toBe(expected);
  });

  test.each([
    ['HelmRepository', { secretRef: { name: 'x' } }],
    ['HelmRepository', { certSecretRef: { name: 'x' } }],
    ['HelmChart', { verify: { secretRef: { name: 'x' } } }],
  ])('a %s with %j', (kind, spec) => {
    expect(refersTo({ ...object({}, { spec }), kind }, used('Secret'))).toBe(true);
    expect(refersTo({ ...object({}, { spec: {} }), kind }, used('Secret'))).toBe(false);
  });

  test('is false for a kind without references', () => {
    const source = { ...object({}, { spec: substituteFrom('Secret') }), kind: 'ExternalArtifact' };
    expect(refersTo(source, used('Secret'))).toBe(false);
  });

  test.each([
    ['its credentials', { secretRef: { name: 'x' } }],
    ['its proxy', { proxySecretRef: { name: 'x' } }],
    ['the keys of its signatures', { verify: { secretRef: { name: 'x' } } }],
  ])('a GitRepository to %s', (_title, spec) => {
    const source = { ...object({}, { spec }), kind: 'GitRepository' };
    expect(refersTo(source, used('Secret'))).toBe(true);
    expect(refersTo(source, used('Secret', 'y'))).toBe(false);
  });

  test.each([
    ['its credentials', { secretRef: { name: 'x' } }],
    ['its certificates', { certSecretRef: { name: 'x' } }],
    ['its proxy', { proxySecretRef: { name: 'x' } }],
    ['the keys of its signatures', { verify: { provider: 'cosign', secretRef: { name: 'x' } } }],
    ['the instance that its signatures are of', { verify: { trustedRootSecretRef: { name: 'x' } } }],
  ])('an OCIRepository to %s', (_title, spec) => {
    expect(refersTo({ ...object({}, { spec }), kind: 'OCIRepository' }, used('Secret'))).toBe(true);
  });
});

describe('wakeOfReference', () => {
  const values = (data: object, resourceVersion: string, labels = {}): KubeObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'values', namespace: 'a', resourceVersion, labels },
    data,
  });

  test('names the object and the version that an observation must have seen', () => {
    const event = { type: 'MODIFIED' as const, object: values({ a: '2' }, '9'), previous: values({ a: '1' }, '8') };
    expect(wakeOfReference(event)).toEqual({
      type: 'dependency',
      subject: 'ConfigMap/a/values',
      resourceVersion: '9',
    });
  });

  test.each([
    ['a new object', { type: 'ADDED' as const, object: values({ a: '1' }, '8') }, true],
    ['a deleted one', { type: 'DELETED' as const, object: values({ a: '1' }, '8') }, true],
    [
      'another label',
      { type: 'MODIFIED' as const, object: values({ a: '1' }, '9', { x: 'y' }), previous: values({ a: '1' }, '8') },
      false,
    ],
  ])('%s', (_title, event, isToWake) => {
    expect(wakeOfReference(event) !== undefined).toBe(isToWake);
  });
});
