import { expect, test } from 'vitest';
import type { ReconciledRef } from '../messages.ts';
import { addDependants } from './dependants.ts';

const ref = (name: string): ReconciledRef => ({ kind: 'Kustomization', namespace: 'team', name });

test('each one waits once', () => {
  expect(addDependants([ref('a')], [ref('b'), ref('a')])).toEqual([ref('a'), ref('b')]);
});

test('the list stays small enough for the input of a run', () => {
  const many = Array.from({ length: 1_000 }, (_, index) => ref(`application-with-a-long-name-${index}`));
  const kept = addDependants([], many);
  expect(kept[0]).toEqual(many[0]);
  expect(JSON.stringify(kept).length).toBeLessThan(32 * 1024);
});
