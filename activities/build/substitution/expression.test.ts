import { describe, expect, test } from 'vitest';
import { hasExpressions, namesIn, parseTemplate, type Segment } from './expression.ts';

const bare = (name: string): Segment => ({ name, operator: '', operands: [] });
const with_ = (operator: string, ...operands: Segment[]): Segment => ({ name: 'v', operator, operands }) as Segment;

describe('a text is read', () => {
  test.each<[string, Segment[]]>([
    ['', []],
    ['plain', ['plain']],
    ['$v $ $(v) {v} }', ['$v $ $(v) {v} }']],
    ['$$', ['$']],
    ['$$$$', ['$$']],
    ['$${v}', ['${v}']],
    ['$$${v}', ['$', bare('v')]],
    ['$$$${v}', ['$${v}']],
    ['ends in $', ['ends in $']],
    ['${v}', [bare('v')]],
    ['a${v}b${w}c', ['a', bare('v'), 'b', bare('w'), 'c']],
    ['${v}}', [bare('v'), '}']],
    ['${_1}${1}${ä}', [bare('_1'), bare('1'), bare('ä')]],
    ['${#v}', [with_('length')]],
    ['${v,}${v,,}${v^}${v^^}', [with_(','), with_(',,'), with_('^'), with_('^^')]],
    ['${v,^}', [bare('v')]],
    ['${v:1}', [with_(':', '1')]],
    ['${v:1:2}', [with_(':', '1', '2')]],
    ['${v: -1}', [with_(':', ' -1')]],
    ['${v:1::2:3}', [with_(':', '1', '2:3')]],
    ['${v:${a}:${b}}', [with_(':', bare('a'), bare('b'))]],
    ['${v#a*}', [with_('#', 'a*')]],
    ['${v##a}', [with_('##', 'a')]],
    ['${v###a}', [with_('##', '#a')]],
    ['${v%a}', [with_('%', 'a')]],
    ['${v%%${a}}', [with_('%%', bare('a'))]],
    ['${v=}', [with_('default')]],
    ['${v=x}${v:=x}${v:-x}${v:+x}${v:?x}', Array<Segment>(5).fill(with_('default', 'x'))],
    ['${v:=a${w}b}', [with_('default', 'a', bare('w'), 'b')]],
    ['${v:=${w:=${x}}}', [with_('default', { name: 'w', operator: 'default', operands: [bare('x')] })]],
    ['${v:={}}', [with_('default', '{'), '}']],
    ['${v:=$${w}}', [with_('default', '$', bare('w'))]],
    ['${v:=a\nb}', [with_('default', 'a\nb')]],
    ['${v/a/b}', [with_('/', 'a', 'b')]],
    ['${v//a/b}${v/#a/b}${v/%a/b}', [with_('//', 'a', 'b'), with_('/#', 'a', 'b'), with_('/%', 'a', 'b')]],
    ['${v/a/}', [with_('/', 'a')]],
    ['${v/a//}', [with_('/', 'a')]],
    ['${v/a/b/c}', [with_('/', 'a', 'b/c')]],
    ['${v/\\//\\\\}', [with_('/', '/', '\\')]],
    ['${v/$$/$$}', [with_('/', '$', '$')]],
    ['${v/\\a/\\b}', [with_('/', '\\a', '\\b')]],
    ['${v/}/x}', [with_('/', '}', 'x')]],
    ['${v/${a}/${b}}', [with_('/', bare('a'), bare('b'))]],
  ])('%s', (text, expected) => {
    expect(parseTemplate(text)).toEqual(expected);
  });
});

describe('a text is refused', () => {
  test.each([
    ['${', '"${" is not followed by the name of a variable'],
    ['${}', '"${" is not followed by the name of a variable'],
    ['${ v}', '"${" is not followed by the name of a variable'],
    ['${-v}', '"${" is not followed by the name of a variable'],
    ['${#}', '"${" is not followed by the name of a variable'],
    ['${##v}', '"${" is not followed by the name of a variable'],
    ['${v', 'expression of variable "v" is not understood: "}" is missing'],
    ['${v\nmore', 'expression of variable "v" is not understood: "}" is missing'],
    ['${v:=a', 'expression of variable "v" is not understood: "}" is missing'],
    ['${v:', 'expression of variable "v" is not understood: "}" is missing'],
    ['${v:}', 'expression of variable "v" is not understood: something is missing in it'],
    ['${v:1:}', 'expression of variable "v" is not understood: something is missing in it'],
    ['${v#}', 'expression of variable "v" is not understood: something is missing in it'],
    ['${v%%}', 'expression of variable "v" is not understood: something is missing in it'],
    ['${v///x}', 'expression of variable "v" is not understood: something is missing in it'],
    ['${v/a}', 'expression of variable "v" is not understood: a replacement is written "${name/pattern/text}"'],
    ['${v-a}', expect.stringMatching(/"v" is not understood: expected "}" or one of .* a default is written/)],
    ['${v+a}', expect.stringContaining('expected "}"')],
    ['${v?a}', expect.stringContaining('expected "}"')],
    ['${v.w}', expect.stringContaining('expected "}"')],
    ['${v[0]}', expect.stringContaining('expected "}"')],
    ['${v^^^}', expect.stringContaining('expected "}"')],
    ['${#v:1}', expect.stringContaining('expected "}"')],
    ['${v#a${w}}', expect.stringContaining('expected "}"')],
    ['${v:1${w}}', expect.stringContaining('expected "}"')],
    ['${a:='.repeat(60), 'expressions are nested deeper than 50 levels'],
    [`\${${'n'.repeat(5000)}-}`, expect.stringMatching(/^expression of variable "n{100}…" is not understood/)],
  ])('%s', (text, message) => {
    expect(() => parseTemplate(text)).toThrow(expect.objectContaining({ name: 'SubstitutionError', message }));
  });
});

test('only "${" and "$$" make a text one with expressions', () => {
  expect(['a', '$a', '$', '$ {a}', '{}'].some(hasExpressions)).toBe(false);
  expect(['${', 'a$$', '$${a}'].every(hasExpressions)).toBe(true);
});

test('names are found in operands, too', () => {
  expect(namesIn(parseTemplate('${a:=${b}${c#${d}}} $${e} $f'))).toEqual(['a', 'b', 'c', 'd']);
});
