import { describe, expect, test } from 'vitest';
import { isEqualJson, mergePatch } from './merge-patch.ts';

describe('mergePatch', () => {
  test.each([
    ['equal objects need no patch', { a: 1, b: { c: [1] } }, { b: { c: [1] }, a: 1 }, undefined],
    ['a new member', {}, { a: 1 }, { a: 1 }],
    ['a removed member is null', { a: 1, b: 2 }, { a: 1 }, { b: null }],
    ['an undefined member is removed', { a: 1 }, { a: undefined }, { a: null }],
    ['nested members are patched alone', { m: { x: 1, y: 2 } }, { m: { x: 1, y: 3 } }, { m: { y: 3 } }],
    ['arrays are replaced whole', { l: [1, 2] }, { l: [1] }, { l: [1] }],
    ['an object in place of a scalar', { a: 1 }, { a: { b: 1 } }, { a: { b: 1 } }],
  ])('%s', (_title, from, to, expected) => {
    expect(mergePatch(from, to)).toEqual(expected);
  });
});

describe('isEqualJson', () => {
  test('an undefined member is as good as absent', () => {
    expect(isEqualJson({ a: undefined }, {})).toBe(true);
  });

  test('null is not absent', () => {
    expect(isEqualJson({ a: null }, {})).toBe(false);
  });
});
