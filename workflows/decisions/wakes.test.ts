import { describe, expect, test } from 'vitest';
import { mergeWakes } from './wakes.ts';

describe('mergeWakes', () => {
  test('ten equal wakes are one, with the newest resource version', () => {
    let wakes = mergeWakes([], []);
    for (let i = 1; i <= 10; i++) wakes = mergeWakes(wakes, [{ type: 'artifact', resourceVersion: String(i) }]);

    expect(wakes).toEqual([{ type: 'artifact', resourceVersion: '10' }]);
  });

  test('drift of different objects is kept apart', () => {
    const wakes = mergeWakes([{ type: 'drift', subject: 'Service/a/b' }], [{ type: 'drift', subject: 'Service/a/c' }]);

    expect(wakes).toHaveLength(2);
  });

  test('the list stays bounded', () => {
    const many = Array.from({ length: 500 }, (_, i) => ({ type: 'drift' as const, subject: `Service/a/${i}` }));

    expect(mergeWakes([], many)).toHaveLength(50);
  });
});
