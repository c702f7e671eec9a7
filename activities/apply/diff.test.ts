import { expect, test } from 'vitest';
import type { KubeObject } from '../../k8s/object.ts';
import { differingPaths } from './diff.ts';
import { parsePointer } from './json-pointer.ts';

const base: KubeObject = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', labels: { a: '1' }, generation: 1, resourceVersion: '5' },
  spec: { replicas: 1, template: { containers: [{ name: 'c', image: 'a' }] } },
  status: { replicas: 0 },
};

test.each<[string, Partial<KubeObject>, string[]]>([
  ['nothing', {}, []],
  ['status', { status: { replicas: 9 } }, []],
  ['other metadata', { metadata: { ...base.metadata, generation: 2, finalizers: ['x'] } }, []],
  ['a label', { metadata: { ...base.metadata, labels: { a: '2' } } }, ['/metadata/labels/a']],
  [
    'an annotation with a slash',
    { metadata: { ...base.metadata, annotations: { 'x.io/y': '' } } },
    ['/metadata/annotations/x.io~1y'],
  ],
  [
    'a deep field',
    { spec: { replicas: 1, template: { containers: [{ name: 'c', image: 'b' }] } } },
    ['/spec/template/containers/0/image'],
  ],
  ['a removed field', { spec: { template: { containers: [{ name: 'c', image: 'a' }] } } }, ['/spec/replicas']],
  ['a longer list', { spec: { replicas: 1, template: { containers: [] } } }, ['/spec/template/containers']],
  ['a field of the top', { data: { x: 'y' } }, ['/data']],
])('sees a change of %s', (_, change, paths) => {
  expect(differingPaths(base, { ...base, ...change })).toEqual(paths);
});

test('leaves out what is ignored', () => {
  const live = { ...base, spec: { replicas: 7, template: { containers: [{ name: 'c', image: 'b' }] } } };
  expect(differingPaths(base, live, [parsePointer('/spec/replicas')])).toEqual(['/spec/template/containers/0/image']);
  expect(base.spec).toHaveProperty('replicas', 1);
});

test('names at most 20 paths', () => {
  const data = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`k${index}`, '']));
  expect(differingPaths({ ...base, data: {} }, { ...base, data })).toHaveLength(20);
});
