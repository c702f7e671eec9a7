import { describe, expect, test } from 'vitest';
import { setAtPath } from './set-path.ts';
import type { Values } from './values-map.ts';

/** Path, value, the values before, and after. `test/golden/helm-set-path.test.ts` asks the real helm the same. */
const cases: [path: string, text: string, before: Values, after: Values][] = [
  ['a', 'x', {}, { a: 'x' }],
  ['a.b.c', 'x', { a: { d: 1 } }, { a: { d: 1, b: { c: 'x' } } }],
  ['a', '8080', {}, { a: 8080 }],
  ['a', '-5', {}, { a: -5 }],
  ['a', '0', {}, { a: 0 }],
  ['a', '0644', {}, { a: '0644' }],
  ['a', '1.5', {}, { a: '1.5' }],
  ['a', 'TRUE', {}, { a: true }],
  ['a', 'false', {}, { a: false }],
  ['a', 'null', { a: 1 }, { a: null }],
  ['a', '', {}, { a: '' }],
  ['a', '{x,1,true}', {}, { a: ['x', 1, true] }],
  ['a', '{}', {}, { a: [''] }],
  ['a[1]', 'x', {}, { a: [null, 'x'] }],
  ['a[0].b', 'x', { a: [{ c: 1 }, 2] }, { a: [{ c: 1, b: 'x' }, 2] }],
  ['a[0][1]', 'x', {}, { a: [[null, 'x']] }],
  ['a\\.b', 'x', {}, { 'a.b': 'x' }],
  ['a', 'x\\,y', {}, { a: 'x,y' }],
  ['a', 'x,b=y', {}, { a: 'x', b: 'y' }],
  ['a', 'x=y', {}, { a: 'x=y' }],
  ['a', 'x.y[0]', {}, { a: 'x.y[0]' }],
];

test.each(cases)('%s=%s', (path, text, before, after) => {
  const values = structuredClone(before);
  setAtPath(values, path, text);
  expect(values).toEqual(after);
});

describe('a value in quotes', () => {
  test.each([
    ["'8080'", '8080'],
    ['"true"', 'true'],
    ["''", ''],
    ['"it\'s"', "it's"],
  ])('%s is a string', (text, expected) => {
    const values: Values = {};
    setAtPath(values, 'a', text);
    expect(values).toEqual({ a: expected });
  });
});

test.each(['a,b', '{"x": [1, 2]}', 'back\\slash', 'a=b', '[server]\nport=1\n', '8080', "'quoted'"])(
  'a literal value is taken as it is: %s',
  (text) => {
    const values: Values = {};
    setAtPath(values, 'a.b\\.c[0]', text, { isLiteral: true });
    expect(values).toEqual({ a: { 'b.c': [text] } });
  },
);

test('whole numbers beyond a double keep their digits', () => {
  const values: Values = {};
  setAtPath(values, 'a', '9223372036854775807');
  setAtPath(values, 'b', '9223372036854775808');
  expect(values).toEqual({ a: 9223372036854775807n, b: '9223372036854775808' });
});

test.each([
  ['a.b', 'x', { a: 'text' }, '"a" holds no map'],
  ['a[0]', 'x', { a: {} }, '"a" holds no list'],
  ['a[x]', 'x', {}, 'index "x" is no number'],
  ['a[70000]', 'x', {}, 'greater than 65536'],
  ['a[0', 'x', {}, 'has no "]"'],
  ['a', '{secret', {}, 'the value begins with "{" and has no "}"'],
  ['a', 'x,secret', {}, 'key in the value has no value'],
  [Array.from({ length: 40 }, () => 'a').join('.'), 'x', {}, 'deeper than 30'],
])('%s=%s is refused', (path, text, before, message) => {
  const act = (): void => setAtPath(structuredClone(before) as Values, path, text);
  expect(act).toThrow(message);
  expect(act).not.toThrow('secret');
});

test('a path cannot reach the prototype of all objects', () => {
  const values: Values = {};
  setAtPath(values, '__proto__.polluted', 'yes');
  expect(({} as Values).polluted).toBeUndefined();
});
