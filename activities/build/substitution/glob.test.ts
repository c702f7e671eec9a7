import { describe, expect, test } from 'vitest';
import { matchingPrefixes, parseGlob } from './glob.ts';

function prefixes(pattern: string, text: string): [string, string] | undefined {
  const characters = [...text];
  const found = matchingPrefixes(parseGlob(pattern) ?? [], characters);
  return found && [characters.slice(0, found.shortest).join(''), characters.slice(0, found.longest).join('')];
}

describe('the shortest and the longest beginning that a glob matches', () => {
  test.each<[string, string, [string, string] | undefined]>([
    ['a', 'abc', ['a', 'a']],
    ['b', 'abc', undefined],
    ['abc', 'abc', ['abc', 'abc']],
    ['abcd', 'abc', undefined],
    ['', 'abc', undefined],
    ['*', 'abc', ['a', 'abc']],
    ['*', '', undefined],
    ['**', 'abc', ['a', 'abc']],
    ['?', 'äbc', ['ä', 'ä']],
    ['??', '🎉bc', ['🎉b', '🎉b']],
    ['*.', 'a.b.c', ['a.', 'a.b.']],
    ['*/', '/a/b/c', ['/', '/a/b/']],
    ['a*c', 'abcabc', ['abc', 'abcabc']],
    ['a*b*c', 'axbxcxbxc', ['axbxc', 'axbxcxbxc']],
    ['?*b', 'bab', ['bab', 'bab']],
    ['[abc]', 'cab', ['c', 'c']],
    ['[a-c]*', 'bcd', ['b', 'bcd']],
    ['[^a-c]', 'dab', ['d', 'd']],
    ['[^a-c]', 'bcd', undefined],
    ['[a-cx-z]', 'yes', ['y', 'y']],
    ['[[]', '[a]', ['[', '[']],
    ['[\\]]', ']a', [']', ']']],
    ['[\\^a]', '^', ['^', '^']],
    ['[*]', '*a', ['*', '*']],
    ['[c-a]', 'b', undefined],
    [']', ']a', [']', ']']],
    ['\\*', '*a', ['*', '*']],
    ['\\*', 'a*', undefined],
    ['\\a', 'ab', ['a', 'a']],
    ['-^', '-^x', ['-^', '-^']],
  ])('%s in %s', (pattern, text, expected) => {
    expect(prefixes(pattern, text)).toEqual(expected);
  });

  test('is found in time for a pattern that is made to take long', () => {
    expect(prefixes(`${'*a'.repeat(50)}b`, 'a'.repeat(5000))).toBeUndefined();
  });
});

test.each(['[', '[]', '[]a]', '[a', '[a-', '[a-]', '[^]', '[-a]', 'a\\', '[\\', '*[', '[a-\\'])(
  '%s is malformed',
  (pattern) => {
    expect(parseGlob(pattern)).toBeUndefined();
  },
);
