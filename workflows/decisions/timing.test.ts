import { describe, expect, test } from 'vitest';
import { backoffMs, withJitter } from './timing.ts';

describe('backoffMs', () => {
  test.each([
    [1, 750],
    [2, 1_500],
    [3, 3_000],
    [11, 768_000],
    [12, 900_000],
    [1_000, 900_000],
  ])('failure %i waits %i ms', (failures, expected) => {
    expect(backoffMs(failures)).toBe(expected);
  });
});

describe('withJitter', () => {
  test.each([
    [0, 95_000],
    [0.5, 100_000],
    [1, 105_000],
  ])('random %f of 100 s gives %i ms', (random, expected) => {
    expect(withJitter(100_000, random)).toBe(expected);
  });
});
