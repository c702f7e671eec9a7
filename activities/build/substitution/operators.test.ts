import { describe, expect, test } from 'vitest';
import type { Operator } from './expression.ts';
import { maxTextLength, operate } from './operators.ts';

describe('an operator makes of a value', () => {
  test.each<[value: string, operator: Operator, operands: string[], expected: string]>([
    ['abc', '', [], 'abc'],
    ['abc', 'length', [], '3'],
    ['', 'length', [], '0'],
    ['äö', 'length', [], '4'],
    ['', 'default', ['x', 'y'], 'xy'],
    ['v', 'default', ['x'], 'v'],
    ['', 'default', [], ''],
    ['HELLO', ',', [], 'hELLO'],
    ['HELLO', ',,', [], 'hello'],
    ['hello', '^', [], 'Hello'],
    ['hello', '^^', [], 'HELLO'],
    ['', '^', [], ''],
    ['äß', '^^', [], 'Äß'],
    ['İΣ', ',,', [], 'iσ'],
    ['🎉a', '^', [], '🎉a'],
    ['abcdef', ':', ['2'], 'cdef'],
    ['abcdef', ':', ['+2'], 'cdef'],
    ['abcdef', ':', ['02', '03'], 'cde'],
    ['abcdef', ':', ['0', '0'], ''],
    ['abcdef', ':', ['-2'], 'ef'],
    ['abcdef', ':', ['-2', '1'], 'e'],
    ['abcdef', ':', ['-9', '2'], 'ab'],
    ['abcdef', ':', ['9'], ''],
    ['abcdef', ':', ['9', '1'], ''],
    ['abcdef', ':', ['2', '99'], 'cdef'],
    ['abcdef', ':', [' -2'], 'abcdef'],
    ['abcdef', ':', ['x'], 'abcdef'],
    ['abcdef', ':', ['1', 'x'], 'abcdef'],
    ['abcdef', ':', ['1.5'], 'abcdef'],
    ['abcdef', ':', ['0x1'], 'abcdef'],
    ['abcdef', ':', ['99999999999999999999'], 'abcdef'],
    ['äbc', ':', ['2'], 'bc'],
    ['a/b/c', '#', ['*/'], 'b/c'],
    ['a/b/c', '##', ['*/'], 'c'],
    ['a/b/c', '%', ['/*'], 'a/b'],
    ['a/b/c', '%%', ['/*'], 'a'],
    ['abc', '#', ['x'], 'abc'],
    ['abc', '#', ['['], 'abc'],
    ['abc', '#', [''], 'abc'],
    ['abc', '#', ['*'], 'bc'],
    ['abc', '%', ['*'], 'ab'],
    ['abc', '%', ['[a-c]'], 'abc'],
    ['abc', '%', ['?'], 'ab'],
    ['ab🎉', '%', ['🎉'], 'ab'],
    ['', '#', ['*'], ''],
    ['hello', '/', ['l', 'L'], 'heLlo'],
    ['hello', '//', ['l', 'L'], 'heLLo'],
    ['hello', '/', ['l'], 'helo'],
    ['hello', '//', ['l'], 'heo'],
    ['hello', '//', ['x', 'y'], 'hello'],
    ['hello', '//', ['*', 'y'], 'hello'],
    ['hello', '/', ['l', '$&$1'], 'he$&$1lo'],
    ['hi', '//', ['', '-'], '-h-i-'],
    ['hi', '/', ['', '-'], '-hi'],
    ['hello', '/#', ['he', 'x'], 'xllo'],
    ['hello', '/#', ['lo', 'x'], 'hello'],
    ['hello', '/#', ['he'], 'hello'],
    ['hello', '/%', ['lo', 'x'], 'helx'],
    ['hello', '/%', ['he', 'x'], 'hello'],
    ['hello', '/%', ['lo'], 'hello'],
  ])('%s %s %j → %s', (value, operator, operands, expected) => {
    expect(operate(operator, value, operands)).toBe(expected);
  });
});

test.each<[string, Operator, string[], RegExp]>([
  ['äbc', ':', ['1'], /cuts a character in two/],
  ['äbc', ':', ['0', '1'], /cuts a character in two/],
  ['abcdef', ':', ['2', '-1'], /negative length/],
  ['a'.repeat(5000), '//', ['a', 'b'.repeat(5000)], /longer than the limit of 16777216 characters/],
  ['a'.repeat(50_000), '#', ['?'.repeat(1000)], /a pattern of 1000 parts is too long/],
])('%.10s… %s is refused', (value, operator, operands, message) => {
  expect(value.length).toBeLessThan(maxTextLength);
  expect(() => operate(operator, value, operands)).toThrow(message);
});
