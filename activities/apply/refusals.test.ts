import { ApplicationFailure } from '@temporalio/common';
import { expect, test } from 'vitest';
import { KubeApiError } from '../../k8s/client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import {
  isDefinitive,
  isImmutable,
  isTransientRefusal,
  joinErrors,
  maskSecretValues,
  objectError,
} from './refusals.ts';

const configMap: KubeObject = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', namespace: 'a' } };

test.each<[string, number, string, string, { immutable?: boolean; transient?: boolean; definitive?: boolean }]>([
  ['a conflict', 409, 'Conflict', 'x', { immutable: true }],
  ['an invalid object', 422, 'Invalid', 'x', { immutable: true, definitive: true }],
  ['an immutable field by message', 403, 'Forbidden', 'updates to a: immutable field', { immutable: true }],
  [
    'a schema error',
    500,
    '',
    'failed to create typed patch object (a/b): .spec.x: field not declared',
    { definitive: true },
  ],
  ['a trouble of the server', 500, 'InternalError', 'etcdserver: leader changed', { transient: true }],
  ['no answer', 0, 'ECONNRESET', 'x', { transient: true }],
  ['throttling', 429, 'TooManyRequests', 'x', { transient: true }],
  ['a missing namespace', 404, 'NotFound', 'namespaces "x" not found', { definitive: true }],
  ['a forbidden object', 403, 'Forbidden', 'x', {}],
])('classifies %s', (_, status, reason, message, expected) => {
  const error = new KubeApiError(message, status, reason);
  expect(isImmutable(error)).toBe(expected.immutable ?? false);
  expect(isTransientRefusal(error)).toBe(expected.transient ?? false);
  expect(isDefinitive(error)).toBe(expected.definitive ?? false);
});

test.each<[string, number, string, string]>([
  [
    'namespaces "a" not found',
    404,
    'NotFound',
    'ConfigMap/a/x dry-run failed (NotFound): namespaces "a" not found: create the namespace or add it to the source',
  ],
  [
    'no matches for kind "X" in version "y/v1"',
    404,
    'NoKindMatch',
    'ConfigMap/a/x dry-run failed (NoKindMatch): no matches for kind "X" in version "y/v1": install its CustomResourceDefinition first, or add it to the source',
  ],
  [
    'data: field is immutable when `immutable` is set',
    422,
    'Invalid',
    'ConfigMap/a/x dry-run failed (Invalid): data: field is immutable when `immutable` is set: to have it deleted and created again, set the annotation "kustomize.toolkit.fluxcd.io/force: enabled"',
  ],
  ['no', 400, 'BadRequest', 'ConfigMap/a/x dry-run failed (BadRequest): no'],
])('says what to do about "%s"', (message, status, reason, expected) => {
  const error = new KubeApiError(message, status, reason);
  expect(objectError(configMap, 'ConfigMap/a/x', 'dry-run', error, true).message).toBe(expected);
});

test('tells all errors in one failure, with the changes so far, and is transient only when all are', () => {
  const transient = objectError(configMap, 'ConfigMap/a/x', 'apply', new KubeApiError('gone', 0, ''));
  const final = objectError(configMap, 'ConfigMap/a/y', 'apply', new KubeApiError('bad', 400, 'BadRequest'));
  const both = joinErrors([transient, final], ['Namespace/a created'], 'ReconciliationFailed') as ApplicationFailure;
  expect(both).toBeInstanceOf(ApplicationFailure);
  expect(both.message).toBe(
    'ConfigMap/a/x apply failed: gone\nConfigMap/a/y apply failed (BadRequest): bad\nNamespace/a created',
  );
  expect([both.type, both.nonRetryable]).toEqual(['ReconciliationFailed', true]);
  expect((joinErrors([transient], [], 'PruneFailed') as ApplicationFailure).nonRetryable).toBe(false);
  expect(joinErrors(Array(25).fill(final), [], 'PruneFailed').message).toContain('and 5 more errors');
});

test('never repeats a value of a Secret', () => {
  const secret: KubeObject = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's' },
    data: { a: Buffer.from('hunter2').toString('base64'), b: { c: 'not-base64!' } },
    stringData: { d: 'quote"d' },
  };
  const message = `got aHVudGVyMg== or hunter2, {"c":"not-base64!"}, ${JSON.stringify('quote"d')}`;
  expect(maskSecretValues(secret, message)).toBe('got *** or ***, {"c":"***"}, "***"');
  expect(maskSecretValues({ ...secret, kind: 'ConfigMap' }, message)).toBe(message);
});
