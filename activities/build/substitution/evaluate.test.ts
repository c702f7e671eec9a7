import { describe, expect, test } from 'vitest';
import { evaluate } from './evaluate.ts';
import { parseTemplate } from './expression.ts';
import type { Variables } from './variables.ts';

const variables: Variables = new Map([
  ['v', { value: 'value', origin: 'spec.postBuild.substitute' }],
  ['empty', { value: '', origin: 'spec.postBuild.substitute' }],
  ['code', { value: '${v} $$ ${', origin: 'spec.postBuild.substitute' }],
  ['bytes', { value: undefined, origin: 'Secret/apps/keys' }],
  ['large', { value: 'x'.repeat(1_000_000), origin: 'Secret/apps/keys' }],
]);

function evaluated(text: string, isStrict = true): string {
  return evaluate(parseTemplate(text), { variables, isStrict });
}

describe('values are put in', () => {
  test.each([
    ['a ${v} b', 'a value b'],
    ['${v:0:${#empty}}|${v^^}', '|VALUE'],
    ['${unset:=a${v}b}', 'avalueb'],
    ['${unset:=${empty:=deep}}', 'deep'],
    ['${empty}', ''],
    ['${code}', '${v} $$ ${'],
    ['$${v} $v', '${v} $v'],
  ])('%s → %s', (text, expected) => {
    expect(evaluated(text)).toBe(expected);
  });

  test('as nothing for a variable that is not set, where that is allowed', () => {
    expect(evaluated('[${unset}${#unset}${unset^^}]', false)).toBe('[0]');
  });
});

describe('a variable is refused', () => {
  const notSet = /^variable not set \(strict mode\): "unset"; .* "\$\{unset:=value\}", or write "\$\$\{unset\}"/;

  test.each([
    ['that is not set', '${unset}', notSet],
    ['that is not set and would be changed', '${unset/a/b}', notSet],
    ['that is not set in a default that is not used', '${v:=${unset}}', notSet],
    ['that is no text', '${bytes}', /^variable "bytes" of Secret\/apps\/keys is no UTF-8 text$/],
    ['that makes too much text', '${large}'.repeat(17), /longer than the limit/],
  ])('%s', (_, text, message) => {
    expect(() => evaluated(text)).toThrow(message);
  });
});
