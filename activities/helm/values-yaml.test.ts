import { expect, test } from 'vitest';
import { commonMetadataDigestOf, configDigestOf, postRenderersDigestOf } from './config-digest.ts';
import { readValuesYaml, writeValuesYaml } from './values-yaml.ts';

/** What Go's YAML library writes; 3,400 random values were compared with it when this was written. */
const written: [value: unknown, text: string][] = [
  [{ b: 1, a: { d: [1, [2], { e: {} }], c: [] } }, 'a:\n  c: []\n  d:\n  - 1\n  - - 2\n  - e: {}\nb: 1\n'],
  [{ a: null, b: true, c: '' }, 'a: null\nb: true\nc: ""\n'],
  [
    { a: 'yes', b: '1', c: '0644', d: '1:30', e: '2026-01-01', f: '~' },
    'a: "yes"\nb: "1"\nc: "0644"\nd: "1:30"\ne: "2026-01-01"\nf: "~"\n',
  ],
  [{ a: 'x: y', b: '#x', c: "it's", d: '- x', e: ' x' }, "a: 'x: y'\nb: '#x'\nc: it's\nd: '- x'\ne: ' x'\n"],
  [
    { a: 'one\ntwo\n', b: 'one\ntwo', c: 'one\n\n', d: ' x\ny' },
    'a: |\n  one\n  two\nb: |-\n  one\n  two\nc: |+\n  one\n\nd: |2-\n   x\n  y\n',
  ],
  [{ a: 'tab\there', b: '😀', c: '\u0007' }, 'a: "tab\\there"\nb: "\\U0001F600"\nc: "\\a"\n'],
  [{ a: 1e6, b: 1234567.5, c: 0.00001, d: 1.5, e: 1e21 }, 'a: 1000000\nb: 1.2345675e+06\nc: 1e-05\nd: 1.5\ne: 1e+21\n'],
  [{ [`k${'x'.repeat(128)}`]: { a: 1, b: 2 } }, `? k${'x'.repeat(128)}\n: a: 1\n  b: 2\n`],
  [{ a: 'word '.repeat(20).trim() }, `a: ${'word '.repeat(16).trim()}\n  ${'word '.repeat(4).trim()}\n`],
];

test.each(written)('writes as Go does: %o', (value, text) => {
  expect(writeValuesYaml(value)).toBe(text);
});

const read: [text: string, values: object][] = [
  ['', {}],
  ['# nothing\n', {}],
  ['a: yes\nb: 0644\nc: 1_000\nd: 1:30\n', { a: true, b: 420, c: 1000, d: '1:30' }],
  ['a: "yes"\nb: ~\nc:\nd: !!str 1\n', { a: 'yes', b: null, c: null, d: '1' }],
  ['1: a\ntrue: b\n', { 1: 'a', true: 'b' }],
  ['a: &x {b: 1}\nc:\n  <<: *x\n  d: 2\n', { a: { b: 1 }, c: { b: 1, d: 2 } }],
  ['a: |\n  x\n  y\nb: >\n  x\n  y\n', { a: 'x\ny\n', b: 'x y\n' }],
  ['{"a": [1, {"b": null}]}', { a: [1, { b: null }] }],
];

test.each(read)('reads as Helm does: %s', (text, values) => {
  expect(readValuesYaml(text)).toEqual(values);
});

test.each([
  ['- secret', 'the YAML is no map of values'],
  ['secret', 'the YAML is no map of values'],
  ['a: [secret', 'no valid YAML at line 1, column'],
  ['a: *secret', 'YAML alias without its anchor'],
  ['a: .inf', '.inf is not a number'],
  ['? [secret]\n: b', 'a key in the YAML is null, a map or a list'],
])('refuses %s and quotes none of it', (text, message) => {
  const act = (): unknown => readValuesYaml(text);
  expect(act).toThrow(message);
  expect(act).not.toThrow('secret');
});

test('aliases cannot grow without end', () => {
  const text = Array.from(
    { length: 12 },
    (_, at) => `l${at}: &l${at} [${Array.from({ length: 9 }, () => (at ? `*l${at - 1}` : 'x')).join(', ')}]`,
  );
  expect(() => readValuesYaml(text.join('\n'))).toThrow('more than 100000 values');
});

test('the digest of values does not depend on the order of keys', () => {
  const ports = [
    { protocol: 'TCP', port: 8080 },
    { port: 9090, protocol: 'UDP' },
  ];
  const values = { replicas: 3, image: { tag: 'latest', repository: 'nginx' }, ports };
  const digest = 'sha256:fcdc2b0de1581a3633ada4afee3f918f6eaa5b5ab38c3fef03d5b48d3f85d9f6';
  expect(configDigestOf(values)).toBe(digest);
  expect(configDigestOf({ ports, image: { repository: 'nginx', tag: 'latest' }, replicas: 3 })).toBe(digest);
});

test('no values have the digest of nothing', () => {
  expect(configDigestOf({})).toBe('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

test('digests of post-renderers and metadata are empty when there are none, and tell a change', () => {
  expect([postRenderersDigestOf(undefined), commonMetadataDigestOf(undefined)]).toEqual(['', '']);
  const images = [{ name: 'web', newTag: '2' }];
  const one = postRenderersDigestOf([{ kustomize: { images } }]);
  expect(postRenderersDigestOf([{ kustomize: { images: [{ newTag: '2', name: 'web' }], patches: [] } }])).toBe(one);
  expect(postRenderersDigestOf([{ kustomize: { images: [{ name: 'web', newTag: '3' }] } }])).not.toBe(one);
  expect(commonMetadataDigestOf({ labels: { b: '1', a: '2' } })).toBe(
    commonMetadataDigestOf({ labels: { a: '2', b: '1' } }),
  );
});
