// Compared with the real helm in test/golden/chart-package.test.ts.
import { describe, expect, it } from 'vitest';
import { compileHelmIgnore, withoutIgnored } from './helm-ignore.ts';

const paths = ['Chart.yaml', 'README.md', 'docs/a.md', 'docs/deep/b.txt', 'templates/.swp', 'templates/a.yaml'];

describe('a .helmignore', () => {
  it.each([
    ['', ['Chart.yaml', 'README.md', 'docs/a.md', 'docs/deep/b.txt', 'templates/a.yaml']],
    ['*.md', ['Chart.yaml', 'docs/deep/b.txt', 'templates/a.yaml']],
    ['docs/', ['Chart.yaml', 'README.md', 'templates/a.yaml']],
    ['deep', ['Chart.yaml', 'README.md', 'docs/a.md', 'templates/a.yaml']],
    ['/deep', ['Chart.yaml', 'README.md', 'docs/a.md', 'docs/deep/b.txt', 'templates/a.yaml']],
    ['docs/?.md', ['Chart.yaml', 'README.md', 'docs/deep/b.txt', 'templates/a.yaml']],
    ['# *.md\n\n  README.*  ', ['Chart.yaml', 'docs/a.md', 'docs/deep/b.txt', 'templates/a.yaml']],
  ])('%j leaves', (rules, left) => {
    expect(withoutIgnored(paths, compileHelmIgnore(rules))).toEqual(left);
  });

  it('answers for patterns made to be slow, and refuses too many of them', () => {
    const isIgnored = compileHelmIgnore(`${'*a'.repeat(60)}b\n`);
    expect(isIgnored('a'.repeat(250), false)).toBe(false);
    expect(isIgnored(`${'a'.repeat(249)}b`, false)).toBe(true);
    expect(() => compileHelmIgnore('a\n'.repeat(1_001))).toThrow('more than the 1000 lines allowed');
    const many = compileHelmIgnore('a\n'.repeat(900));
    const paths = Array.from({ length: 10_000 }, (_, at) => `f${at}`);
    expect(() => withoutIgnored(paths, many)).toThrow('too many patterns for so many files');
  });

  it.each(['**/x', '[a', '[z-a]'])('with "%s" is refused as Helm does', (rule) => {
    expect(() => compileHelmIgnore(rule)).toThrow('.helmignore has "');
  });
});
