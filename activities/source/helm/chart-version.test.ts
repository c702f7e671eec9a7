// The ranges themselves are compared with the real helm in test/golden/chart-package.test.ts.
import { describe, expect, it } from 'vitest';
import { isExactVersion, selectVersion } from './chart-version.ts';

const candidates = ['0.9.0', '1.0.0', 'v1.1.0', '1.2.0-rc.1', '2.0.0', 'nonsense'].map((version) => ({ version }));

describe('the version that a range selects', () => {
  it.each([
    ['*', '2.0.0'],
    ['', '2.0.0'],
    ['1.x', 'v1.1.0'],
    ['1.1.0', 'v1.1.0'],
    ['1.2.0-rc.1', '1.2.0-rc.1'],
    ['>=1.0.0-0 <2', '1.2.0-rc.1'],
    ['nonsense', 'nonsense'],
    ['>9', undefined],
  ])('"%s": %s', (range, version) => {
    expect(selectVersion(candidates, range)?.version).toBe(version);
  });

  it('of versions that differ in build metadata only is the one that was made last', () => {
    const builds = [
      { version: '1.0.0+b', createdMs: 1 },
      { version: '1.0.0+a', createdMs: 2 },
    ];
    expect(selectVersion(builds, '*')?.version).toBe('1.0.0+a');
    expect(selectVersion(builds, '1.0.0+b')?.version).toBe('1.0.0+b');
  });

  it('a range that is none is quoted', () => {
    expect(() => selectVersion(candidates, 'latest please')).toThrow('"latest please"');
  });
});

it.each([
  ['1.2.3', true],
  ['v1.2.3-rc.1+build', true],
  ['1.2', false],
  ['1.x', false],
  ['*', false],
  ['^1.2.3', false],
])('%s is spelled out: %s', (range, isExact) => {
  expect(isExactVersion(range)).toBe(isExact);
});
