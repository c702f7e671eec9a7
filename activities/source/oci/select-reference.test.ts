import { describe, expect, it } from 'vitest';
import { matchingTags, planReference, selectTag } from './select-reference.ts';

const digest = `sha256:${'a'.repeat(64)}`;

describe('planReference', () => {
  it.each([
    [undefined, { type: 'tag', tag: 'latest' }],
    [{}, { type: 'tag', tag: 'latest' }],
    [{ tag: 'v1' }, { type: 'tag', tag: 'v1' }],
    [
      { tag: 'v1', semver: '1.x' },
      { type: 'semver', range: '1.x', filter: undefined },
    ],
    [
      { semver: '1.x', semverFilter: 'a' },
      { type: 'semver', range: '1.x', filter: 'a' },
    ],
    [
      { tag: 'v1', semver: '1.x', digest },
      { type: 'digest', digest },
    ],
  ])('of %j is %j', (ref, expected) => {
    expect(planReference(ref)).toEqual(expected);
  });

  it.each([
    [{ digest: 'sha256:1' }, 'spec.ref.digest'],
    [{ tag: '../x' }, 'spec.ref.tag'],
  ])('refuses %j', (ref, words) => {
    expect(() => planReference(ref)).toThrow(words);
  });
});

describe('selectTag', () => {
  const tags = ['latest', '1.0.0', 'v1.2.0', '1.10.0', '1.11', '2.0.0-rc.1', '20260101', '1.2.0+build'];
  it.each([
    ['1.x', undefined, '1.10.0'],
    ['>=1.0.0-0', undefined, '2.0.0-rc.1'],
    ['*', '^v', 'v1.2.0'],
    ['1.2.x', '^\\d', '1.2.0+build'],
    ['>=1.0.0-0', '(?i)RC', '2.0.0-rc.1'],
  ])('of %s with the filter %s is %s', (range, filter, expected) => {
    expect(selectTag(tags, range, filter)).toBe(expected);
  });

  it('says what a range or a filter is not', () => {
    expect(() => selectTag(tags, '*', '(?i)RC')).toThrow('no match found for semver: *');
    expect(() => selectTag(tags, 'one', undefined)).toThrow('"one" is not a version range');
    expect(() => selectTag(tags, '*', '(?<=a)b')).toThrow('is no regular expression');
  });

  it('stays linear with a filter that makes others backtrack', () => {
    const long = Array.from({ length: 50 }, (_, index) => `${'a'.repeat(120)}${index}!`);
    expect(() => selectTag(long, '*', '^(a+)+$')).toThrow('no match found');
    expect(() => selectTag(long, '*', '^(a|aa)+$')).toThrow('no match found');
  });
});

it('matchingTags keeps the order', () => {
  const tags = ['v2.0.0', 'x', '1.0.0'];
  expect(matchingTags(tags, undefined, undefined)).toEqual(tags);
  expect(matchingTags(tags, '>=1', undefined)).toEqual(['v2.0.0', '1.0.0']);
  expect(matchingTags(tags, undefined, '^[vx]')).toEqual(['v2.0.0', 'x']);
});
