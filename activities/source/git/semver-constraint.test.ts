import { describe, expect, it } from 'vitest';
import { highestTag } from './semver-constraint.ts';

const tags = [
  'v0.9.0',
  '1.0.0',
  'v1.1',
  '1.2.0-beta.1',
  'v1.2.0',
  '2.0.0-rc.1',
  'v2.0.0',
  '2.0.1-0',
  '10.0.0',
  'latest',
  'v1.2.3.4',
];

describe('version ranges', () => {
  it.each<[string, string | undefined]>([
    ['*', '10.0.0'],
    ['', '10.0.0'],
    ['1.x', 'v1.2.0'],
    ['1', 'v1.2.0'],
    ['~1.1', 'v1.1'],
    ['^1.0', 'v1.2.0'],
    ['^0.9', 'v0.9.0'],
    ['>=1.0.0 <2.0.0', 'v1.2.0'],
    ['>= 1.0.0, < 2.0.0', 'v1.2.0'],
    ['>=1.0.0,<1.2.0', 'v1.1'],
    ['=>1.0.0 =<1.1.0', 'v1.1'],
    ['1.0.0 - 1.1.0', 'v1.1'],
    ['>=1.0.0 <10.0.0 !=2.0.0', 'v1.2.0'],
    ['<1.0.0 || ^2.0.0', 'v2.0.0'],
    ['>=2.0.0-0, <2.0.0', '2.0.0-rc.1'],
    ['>=2.0.0-0, <2', '2.0.0-rc.1'],
    ['>=1.3, <2.0.0-0', undefined],
    ['>=1.3.0-0, <2 || >99', '2.0.0-rc.1'],
    ['>=2.0.0-0 <2.0.0-zzz', '2.0.0-rc.1'],
    ['>=2.0.1-0 <3.0.0-0', '2.0.1-0'],
    ['>2.0.0 <3.0.0', undefined],
    ['2.0.0-rc.1', '2.0.0-rc.1'],
    ['v1.1.0', 'v1.1'],
    ['>99', undefined],
  ])('takes for "%s" the tag %s', (range, tag) => {
    expect(highestTag(tags, range)).toBe(tag);
  });

  it('breaks ties by build metadata and then by name', () => {
    expect(highestTag(['1.0.0+a', '1.0.0+b', 'v1.0.0+b'], '1.0.0')).toBe('v1.0.0+b');
  });

  it('quotes what is no range', () => {
    expect(() => highestTag(tags, '>=1.0 nonsense')).toThrow('">=1.0 nonsense" is not a version range (at "nonsense")');
  });
});
