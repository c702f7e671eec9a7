import { expect, test } from 'vitest';
import type { KubeObject } from '../../k8s/object.ts';
import { adoptIgnored, compileIgnoreRules, type IgnoreSpec } from './ignore-rules.ts';

const web: KubeObject = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'apps', labels: { app: 'web' }, annotations: { team: 'a' } },
  spec: { replicas: 2, paused: false },
};

test.each<[IgnoreSpec['target'], boolean]>([
  [undefined, true],
  [{ kind: 'Deployment' }, true],
  [{ kind: 'Deploy' }, false],
  [{ kind: 'Deploy.*' }, true],
  [{ group: 'apps', version: 'v1', name: 'web|db', namespace: 'apps' }, true],
  [{ name: 'web', namespace: 'other' }, false],
  [{ labelSelector: 'app in (web,db)' }, true],
  [{ labelSelector: 'app=db' }, false],
  [{ annotationSelector: 'team=a' }, true],
  [{ annotationSelector: '!team' }, false],
])('the target %j chooses the object: %s', (target, expected) => {
  const paths = compileIgnoreRules([{ paths: ['/spec/replicas'], target }])(web);
  expect(paths).toEqual(expected ? [['spec', 'replicas']] : []);
});

test.each<[IgnoreSpec, string]>([
  [{ paths: ['spec'] }, 'spec.ignore[0] is not valid: JSON pointer "spec" must start with "/"'],
  [{ paths: [], target: { kind: '(' } }, 'spec.ignore[0] is not valid: Invalid regular expression'],
  [{ paths: [], target: { labelSelector: 'a b' } }, 'label selector requirement "a b"'],
])('refuses %j', (spec, message) => {
  expect(() => compileIgnoreRules([spec])).toThrow(message);
});

test('adopts the live value, and leaves a path to another applier', () => {
  const live: KubeObject = {
    ...web,
    metadata: {
      ...web.metadata,
      managedFields: [{ manager: 'scaler', operation: 'Apply', fieldsV1: { 'f:spec': { 'f:replicas': {} } } }],
    },
    spec: { replicas: 7, paused: true },
  };
  expect(
    adoptIgnored(web, live, [
      ['spec', 'replicas'],
      ['spec', 'paused'],
      ['spec', 'none'],
    ]).spec,
  ).toEqual({
    paused: true,
  });
  expect(web.spec).toEqual({ replicas: 2, paused: false });
});

test('omits a path that the live object does not have', () => {
  expect(adoptIgnored(web, { ...web, spec: {} }, [['spec', 'replicas']]).spec).toEqual({ paused: false });
});
