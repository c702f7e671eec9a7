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

  it.each(['**/x', '[a'])('with "%s" is refused as Helm does', (rule) => {
    expect(() => compileHelmIgnore(rule)).toThrow('.helmignore has "');
  });
});
