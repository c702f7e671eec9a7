import { describe, expect, it, test } from 'vitest';
import { compileGlob, isGlob } from './glob.ts';

describe('compileGlob', () => {
  test.each([
    ['*.yaml', ['a.yaml', '.yaml'], ['a/b.yaml', 'a.yml']],
    ['**/*.yaml', ['a.yaml', 'a/b.yaml', 'a/b/c.yaml'], ['a.yml', 'a/yaml']],
    ['apps/**', ['apps/a', 'apps/a/b.yaml'], ['apps', 'other/a']],
    ['apps/**/values.yaml', ['apps/values.yaml', 'apps/a/b/values.yaml'], ['values.yaml', 'apps/a/my-values.yaml']],
    ['**', ['a', 'a/b', '.hidden/x'], []],
    ['a**b', ['ab', 'axxb'], ['a/b']],
    ['a?c', ['abc', 'a.c'], ['a/c', 'ac']],
    ['[a-c]x', ['ax', 'cx'], ['dx', '-x']],
    ['[!a-c]x', ['dx'], ['ax', '/x']],
    ['[a\\]]x', ['ax', ']x'], ['\\x']],
    ['{dev,prod}/*', ['dev/a', 'prod/b'], ['stage/a', 'dev/a/b']],
    ['x{,.bak}', ['x', 'x.bak'], ['xx']],
    ['{a/**,b}', ['a/x/y', 'b'], ['a', 'b/c']],
    ['\\*', ['*'], ['a']],
    ['a.b+(c)', ['a.b+(c)'], ['axb+(c)', 'a.bb(c)']],
    ['a,b}', ['a,b}'], ['a']],
    ['日*', ['日本'], ['本']],
    ['**/🙂?.md', ['🙂x.md', 'd/🙂x.md'], ['x.md']],
  ])('%s', (pattern, fitting, other) => {
    const matches = compileGlob(pattern);

    expect(fitting.filter((path) => !matches(path))).toEqual([]);
    expect(other.filter((path) => matches(path))).toEqual([]);
  });

  test.each([
    ['[a-', 'pattern "[a-" has a "[" without its "]"'],
    ['{a,b', 'pattern "{a,b" has a "{" without its "}"'],
    ['a\\', 'pattern "a\\" ends with "\\"'],
    ['[z-a]', 'pattern "[z-a]" is no valid glob'],
    ['a'.repeat(1025), `pattern "${'a'.repeat(200)}" is longer than 1024 characters`],
  ])('refuses %s', (pattern, message) => {
    expect(() => compileGlob(pattern)).toThrow(message);
  });

  it('takes patterns that would keep a backtracking matcher busy for years', () => {
    expect(compileGlob(`${'*a'.repeat(200)}b`)('a'.repeat(250))).toBe(false);
    expect(compileGlob('{a,a}'.repeat(200))('a'.repeat(199))).toBe(false);
  });
});

describe('isGlob', () => {
  test.each([
    ['a/*', true],
    ['a?', true],
    ['[a]', true],
    ['{a,b}', false],
    ['a/b.yaml', false],
  ])('%s: %s', (path, expected) => {
    expect(isGlob(path)).toBe(expected);
  });
});
