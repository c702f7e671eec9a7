import { describe, expect, test } from 'vitest';
import { formatDuration, parseDuration } from './duration.ts';

describe('parseDuration', () => {
  test.each([
    ['0', 0],
    ['60s', 60_000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['500ms', 500],
    ['1h2m3.5s', 3_723_500],
  ])('%s', (text, expected) => {
    expect(parseDuration(text)).toBe(expected);
  });

  test.each(['', '5', 's', '1 m', '-1s', '1d', '1s2'])('refuses %j', (text) => {
    expect(() => parseDuration(text)).toThrow('invalid duration');
  });
});

describe('formatDuration', () => {
  test.each([
    [0, '0s'],
    [0.4, '0s'],
    [120.4, '120ms'],
    [2_345, '2.345s'],
    [90_000, '1m30s'],
    [600_000, '10m0s'],
    [3_600_000, '1h0m0s'],
  ])('%f ms', (durationMs, expected) => {
    expect(formatDuration(durationMs)).toBe(expected);
  });
});
