import { describe, expect, it } from 'vitest';
import { selectEvents } from './events.ts';

function event(name: string, kind: string, apiVersion: string, lastTimestamp: string, type = 'Normal') {
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name },
    involvedObject: { apiVersion, kind, name: 'web' },
    lastTimestamp,
    type,
  };
}

const events = [
  event('late', 'Kustomization', 'kustomize.toolkit.fluxcd.io/v1', '2026-11-22T12:00:02Z'),
  event('early', 'GitRepository', 'source.toolkit.fluxcd.io/v1', '2026-11-22T12:00:01Z', 'Warning'),
  event('foreign', 'Deployment', 'apps/v1', '2026-11-22T12:00:00Z'),
];

describe('selection of events', () => {
  it.each([
    ['those of our kinds, oldest first', {}, ['early', 'late']],
    ['those of a type', { types: ['Warning'] }, ['early']],
    [
      'those of one object of any kind, however it is written',
      { for: { kind: 'deployment', name: 'web' } },
      ['foreign'],
    ],
    ['none of another object', { for: { kind: 'Deployment', name: 'api' } }, []],
  ])('gives %s', (_, flags, names) => {
    expect(selectEvents(events, flags).map((each) => each.metadata.name)).toEqual(names);
  });
});
