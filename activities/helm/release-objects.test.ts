import { expect, test } from 'vitest';
import type { ResourceInfo } from '../../k8s/client.ts';
import { inventoryOf, objectsOf, placeObjects } from './release-objects.ts';

const manifest = `apiVersion: v1
kind: ConfigMap
metadata: { name: a }
---
# nothing
---
apiVersion: v1
kind: ConfigMapList
items:
  - { apiVersion: v1, kind: ConfigMap, metadata: { name: b, namespace: other } }
---
apiVersion: v1
kind: Namespace
metadata: { name: c, namespace: apps }
---
apiVersion: example.org/v1
kind: Thing
metadata: { name: d }
`;
const resourceFor = async (group: string, version: string, kind: string): Promise<ResourceInfo | undefined> =>
  kind === 'Thing' ? undefined : { group, version, kind, resource: '', namespaced: kind !== 'Namespace' };

test('objects get the namespace of the release, unless they have one or their kind has none; unknown kinds are told', async () => {
  const unknown: string[] = [];
  const placed = await placeObjects(objectsOf(manifest), 'apps', { resourceFor }, (subject) => unknown.push(subject));
  expect(placed.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? '-'}/${metadata.name}`)).toEqual([
    'ConfigMap apps/a',
    'ConfigMap other/b',
    'Namespace -/c',
    'Thing apps/d',
  ]);
  expect(unknown).toEqual(['Thing/d']);
});

test.each([
  ['kind: Thing', 'a manifest has no kind or no apiVersion'],
  ['apiVersion: v1\nkind: ConfigMap', 'a ConfigMap has no name'],
  ['a: [', 'a manifest is no YAML'],
])('what is no object is refused: %s', (text, message) => {
  expect(() => objectsOf(text)).toThrow(message);
});

test('the inventory knows what Helm has written, and what was not there before', async () => {
  const placed = await placeObjects(objectsOf(manifest).slice(0, 2), 'apps', { resourceFor });
  const written = new Map([
    ['apps_a__ConfigMap', '5'],
    ['other_b__ConfigMap', '6'],
  ]);
  expect(inventoryOf(placed, { written, created: new Set(['other_b__ConfigMap', 'apps_hook_batch_Job']) })).toEqual([
    { id: 'apps_a__ConfigMap', v: 'v1', resourceVersion: '5' },
    { id: 'other_b__ConfigMap', v: 'v1', resourceVersion: '6', isCreated: true },
  ]);
});
