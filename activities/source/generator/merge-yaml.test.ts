import { describe, expect, it, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { maxMergedBytes, mergeYaml } from './merge-yaml.ts';

const yaml = {
  read: (text: string) => (parse(text) ?? {}) as Record<string, unknown>,
  write: (value: unknown) => stringify(value, { sortMapEntries: true }),
};
const merged = (base: string, over: string): string =>
  Buffer.from(mergeYaml(Buffer.from(base), Buffer.from(over), yaml)).toString();

describe('mergeYaml', () => {
  test.each([
    ['maps key by key', 'a: {x: 1, y: 2}\nb: 1', 'a: {y: 3, z: 4}', { a: { x: 1, y: 3, z: 4 }, b: 1 }],
    ['lists as a whole', 'a: [1, 2]', 'a: [3]', { a: [3] }],
    ['a scalar over a map', 'a: {x: 1}', 'a: 1', { a: 1 }],
    ['null as a value', 'a: 1', 'a: null', { a: null }],
    ['documents in their order', '---\na: 1\n--- # two\nb: 1', 'a: 2\n---\na: 3', { a: 3, b: 1 }],
    ['a separator in a text as text', 'a: |\n  ---\n  x\n', 'b: 1', { a: '---\nx\n', b: 1 }],
    ['an empty file', '', 'a: 1', { a: 1 }],
    ['__proto__ as a key', 'a: 1', '"__proto__": {polluted: 1}', JSON.parse('{"a": 1, "__proto__": {"polluted": 1}}')],
  ])('merges %s', (_what, base, over, expected) => {
    expect(parse(merged(base, over))).toEqual(expected);
  });

  it('says which file is no YAML', () => {
    expect(() => merged('a: [', 'a: 1')).toThrow('the file that is there is no YAML map');
    expect(() => merged('a: 1', 'a: [')).toThrow('the file to merge is no YAML map');
    expect(() => mergeYaml(Buffer.from('a: 1'), Buffer.from([0xff]), yaml)).toThrow('the file to merge is no YAML map');
    expect(() => merged('a: 1', `#${' '.repeat(maxMergedBytes)}`)).toThrow('larger than the 4194304 bytes allowed');
  });
});
