import { describe, expect, test } from 'vitest';
import { readYaml } from '../read-manifests.ts';
import { writeYaml } from './write-yaml.ts';

const words = 'the quick brown fox jumps over the lazy';

describe('a text with an expression is written as Kubernetes writes it', () => {
  test.each([
    ['plain', '${v}', 'a: ${v}\n'],
    ['plain with signs inside', 'x:y${v}#,[]', 'a: x:y${v}#,[]\n'],
    ['quoted for a sign', '# ${v}', "a: '# ${v}'\n"],
    ['quoted for a colon', 'it: ${v}', "a: 'it: ${v}'\n"],
    ['quoted for a comment', 'it #${v}', "a: 'it #${v}'\n"],
    ['quoted for a blank', '${v} ', "a: '${v} '\n"],
    ['quoted with its quotes doubled', '"${v}" it\'s', "a: '\"${v}\" it''s'\n"],
    ['plain with a hyphen', '-${v}', 'a: -${v}\n'],
    ['quoted as an item', '- ${v}', "a: '- ${v}'\n"],
    ['escaped for a tab', 'x\t${v}"\\', 'a: "x\\t${v}\\"\\\\"\n'],
    ['a block', 'x\n${v}\n', 'a: |\n  x\n  ${v}\n'],
    ['a block without end', 'x\n${v}', 'a: |-\n  x\n  ${v}\n'],
    ['a block with blank lines', '\nx\n\n${v}\n\n', 'a: |2+\n\n  x\n\n  ${v}\n\n'],
    ['escaped for a blank before a break', 'x \n${v}', 'a: "x \\n${v}"\n'],
    ['broken behind column 80', `${words} ${words} \${v} ${words}`, `a: ${words} ${words}\n  \${v} ${words}\n`],
    ['not broken at two blanks', `${words} ${words}  \${v} ${words}`, `a: ${words} ${words}  \${v}\n  ${words}\n`],
    ['broken with an escape in double quotes', `\t${words} ${words}  \${v}`, `a: "\\t${words} ${words}\n  \\ \${v}"\n`],
  ])('%s', (_, text, expected) => {
    expect(writeYaml({ a: text })).toBe(expected);
  });

  test.each([
    ['${v}', '${v}: 1\n'],
    ['x: ${v}', "'x: ${v}': 1\n"],
    ['x\n${v}', '"x\\n${v}": 1\n'],
  ])('as the key %s', (key, expected) => {
    expect(writeYaml({ [key]: 1 })).toBe(expected);
  });
});

test('lists and mappings are nested by two blanks', () => {
  const value = {
    spec: { list: ['${v}', { a: '${v}', b: [1, ['${v}', 'x\n${v}']] }, [], {}, null], map: { deep: { v: '${v}' } } },
    kind: 'Thing',
  };

  expect(writeYaml(value)).toBe(`kind: "Thing"
spec:
  list:
  - \${v}
  - a: \${v}
    b:
    - 1
    - - \${v}
      - |-
        x
        \${v}
  - []
  - {}
  - null
  map:
    deep:
      v: \${v}
`);
});

test('whatever is written is read as it was', () => {
  const texts = [
    '',
    ' ',
    'y',
    'no',
    '012',
    '1_0',
    '~',
    'null',
    '2001-01-01',
    '12:30',
    '- a',
    '"',
    "'",
    '\n',
    'a\n b\n\n',
    '\t',
    '🎉\u2028\u0085',
    '<<',
    '=',
    '*a',
    '%',
    '${v} \t',
    ' ${v}\n  x\n\n\n',
    '$$',
    `${words} `.repeat(9) + '${v}',
  ];
  const value = {
    ...Object.fromEntries(texts.map((text) => [text, text])),
    list: texts,
    deep: [[texts], { on: true, off: false, number: -1.5e-7, big: 9007199254740991 }],
  };

  expect(readYaml(writeYaml(value), 'test', undefined, 'kubernetes').documents[0]?.value).toEqual(value);
});
