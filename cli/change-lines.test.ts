import { describe, expect, it } from 'vitest';
import { changeLinesOf } from './change-lines.ts';

const lines = (before: unknown, after: unknown): string[] => changeLinesOf({ path: 'data.a', before, after });

describe('lines of a change', () => {
  it.each<[string, unknown, unknown, string[]]>([
    ['one line for a value', 2, 3, ['~ data.a: 2 → 3']],
    ['quotes where a text looks like something else', '2', 'true', ['~ data.a: "2" → "true"']],
    ['what is new', undefined, 'x', ['+ data.a: x']],
    ['what goes', ['x', 'y'], undefined, ['- data.a: ["x","y"]']],
    ['a block for an object', undefined, { b: 1, c: [2] }, ['+ data.a:', '    + b: 1', '    + c:', '    +   - 2']],
    [
      'both blocks when a value becomes an object',
      'x',
      { b: 1, c: 2 },
      ['~ data.a:', '    - x', '    + b: 1', '    + c: 2'],
    ],
    [
      'the lines of a text that differ, with a few around them',
      '1\n2\n3\n4\n5\n6\n7\n',
      '1\n2\n3\n4\nfive\n6\n7\n',
      ['~ data.a:', '    …', '      3', '      4', '    - 5', '    + five', '      6', '      7'],
    ],
    [
      'a missing line break',
      'a\nb\n',
      'a\nb',
      ['~ data.a:', '      a', '      b', '    + \\ no line break at the end'],
    ],
  ])('show %s', (_, before, after, expected) => {
    expect(lines(before, after)).toEqual(expected);
  });

  it('cut long values and long texts, and let no text steer the terminal', () => {
    const [long = ''] = lines(1, `\u001b[2J${'x'.repeat(1000)}`);
    expect(long).toMatch(/^~ data\.a: 1 → [^\u001b]+…$/);
    expect(long.length).toBeLessThan(300);
    const many = lines('', Array.from({ length: 1000 }, (_, index) => index).join('\n'));
    expect(many).toHaveLength(202);
    expect(many.at(-1)).toMatch(/and \d+ more lines/);
  });

  it('stay quick for texts that have nothing in common', () => {
    const text = (word: string): string => Array.from({ length: 5000 }, (_, index) => `${word} ${index}`).join('\n');
    expect(lines(text('old'), text('new')).at(-1)).toBe('    … and 9801 more lines');
  });
});
