import { expect, test } from 'vitest';
import { contentEventOf, createFluxObjects } from './flux-objects.ts';
import { parseLabelSelector } from './label-selector.ts';
import type { KubeObject } from './object.ts';
import type { WatchCaches } from './watch-cache.ts';

const object = (rest: object = {}, kind = 'Kustomization'): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name: 'apps', namespace: 'a' },
  ...rest,
});
const empty = object();
const whole = object({ spec: { interval: '1m' } });

test.each([
  ['is made without spec', { type: 'ADDED', object: empty }, undefined],
  ['gets a label and has none', { type: 'MODIFIED', object: empty, previous: empty }, undefined],
  ['goes and had none', { type: 'DELETED', object: empty, previous: empty }, undefined],
  ['gets its spec', { type: 'MODIFIED', object: whole, previous: empty }, { type: 'ADDED', object: whole }],
  [
    'loses its spec',
    { type: 'MODIFIED', object: empty, previous: whole },
    { type: 'DELETED', object: whole, previous: whole },
  ],
  ['goes with its spec', { type: 'DELETED', object: whole, previous: whole }, 'as it is'],
  ['changes', { type: 'MODIFIED', object: whole, previous: whole }, 'as it is'],
  [
    'is an ExternalArtifact, which is its status',
    { type: 'ADDED', object: object({}, 'ExternalArtifact') },
    'as it is',
  ],
] as const)('an object that %s', (_title, event, expected) => {
  expect(contentEventOf(event)).toEqual(expected === 'as it is' ? event : expected);
});

const ours = object({ metadata: { name: 'apps', labels: { shard: 'continuo' } } });
const theirs = object({ metadata: { name: 'apps', labels: { shard: 'other' } } });

test.each([
  ['gets the label', { type: 'MODIFIED', object: ours, previous: theirs }, { type: 'ADDED', object: ours }],
  [
    'loses the label',
    { type: 'MODIFIED', object: theirs, previous: ours },
    { type: 'DELETED', object: ours, previous: ours },
  ],
  ['never had it', { type: 'MODIFIED', object: theirs, previous: theirs }, undefined],
] as const)('to those who serve the objects of a label: one that %s', (_title, event, expected) => {
  const { isServed } = createFluxObjects({} as WatchCaches, parseLabelSelector('shard=continuo'));

  expect(contentEventOf(event, isServed)).toEqual(expected);
});

test('every object is served where no label chooses', () => {
  expect(createFluxObjects({} as WatchCaches, parseLabelSelector('')).isServed(object())).toBe(true);
});
