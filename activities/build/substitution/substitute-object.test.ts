import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../../k8s/object.ts';
import { substituteObject } from './substitute-object.ts';
import type { Variables } from './variables.ts';

const values = {
  text: 'hello',
  number: '42',
  version: '1.10',
  yes: 'yes',
  date: '2001-01-01',
  list: '[a, 1]',
  quoted: '"1.10"',
  empty: '',
  secret: 'hunter2: s3cret',
  open: '"hunter2',
  huge: '12345678901234567890',
};
const variables: Variables = new Map(
  Object.entries(values).map(([name, value]) => [name, { value, origin: 'spec.postBuild.substitute' }]),
);

function thing(rest: object, metadata: object = {}): KubeObject {
  return {
    apiVersion: 'example.com/v1',
    kind: 'Thing',
    metadata: { name: 'a', namespace: 'apps', ...metadata },
    ...rest,
  };
}

function substituted(object: KubeObject, isStrict = true): KubeObject {
  return substituteObject(object, { variables, isStrict });
}

describe('an object', () => {
  test('takes values as YAML takes them', () => {
    const object = thing({
      spec: {
        text: '${text}',
        number: '${number}',
        version: '${version}',
        yes: '${yes}',
        date: '${date}',
        list: '${list}',
        quoted: '${quoted}',
        empty: '${empty}',
        mixed: 'v${number}',
        block: 'x\n${number}\n',
        items: ['${secret}', '${number}'],
        '${text}-${number}': '$${text}',
        same: 'no $expression, not even 012',
      },
    });

    expect(substituted(object).spec).toEqual({
      text: 'hello',
      number: 42,
      version: 1.1,
      yes: true,
      date: '2001-01-01',
      list: ['a', 1],
      quoted: '1.10',
      empty: null,
      mixed: 'v42',
      block: 'x\n42\n',
      items: [{ hunter2: 's3cret' }, 42],
      'hello-42': '${text}',
      same: 'no $expression, not even 012',
    });
  });

  test('is the very same without an expression', () => {
    const object = thing({ spec: { a: '$text', b: ['${'.slice(1)] } });

    expect(substituted(object)).toBe(object);
  });

  test.each([
    ['annotation', { annotations: { 'kustomize.toolkit.fluxcd.io/substitute': 'disabled' } }],
    ['label', { labels: { 'kustomize.toolkit.fluxcd.io/substitute': 'disabled' } }],
  ])('is the very same with the %s that opts out', (_, metadata) => {
    const object = thing({ spec: { a: '${unset' } }, metadata);

    expect(substituted(object)).toBe(object);
  });

  test.each(['Disabled', 'true', '', 'enabled'])('does not opt out with "%s"', (value) => {
    const metadata = { annotations: { 'kustomize.toolkit.fluxcd.io/substitute': value } };

    expect(substituted(thing({ spec: '${text}' }, metadata)).spec).toBe('hello');
  });
});

describe('what fails is told with object, field and variable', () => {
  const start = 'post build failed for Thing/apps/a';
  const noYaml = 'the text is no valid YAML with the values put in';

  test.each<[string, object, object, string]>([
    ['an unset variable', { spec: { a: [{ b: '${nope}' }] } }, {}, `${start} at spec.a[0].b: variable not set`],
    ['the first of several', { spec: { a: '${text}', b: '${nope}', c: '${nope2}' } }, {}, `${start} at spec.b: `],
    [
      'a key',
      { spec: { 'x ${nope}': 1 } },
      {},
      `${start} at spec."x \${nope}": variable not set (strict mode): "nope"`,
    ],
    [
      'an open brace',
      { data: { 'run.sh': '#!/bin/sh\n${a' } },
      {},
      `${start} at data."run.sh": expression of variable "a"`,
    ],
    ['a value that breaks the text', { spec: { a: '${secret}' } }, {}, `${start} at spec.a: ${noYaml} ("secret")`],
    ['a value with a quote', { spec: { a: '${open}' } }, {}, `${start} at spec.a: ${noYaml} ("open")`],
    ['a number with too many digits', { spec: { a: '${huge}' } }, {}, `${start} at spec.a: ${noYaml} ("huge")`],
    ['a name that is a number', {}, { name: '${number}' }, 'metadata.name is a number with the values put in'],
    ['a name that is empty', {}, { name: '${empty}' }, 'metadata.name is empty with the values put in'],
    ['a namespace that is a number', {}, { namespace: '${number}' }, 'metadata.namespace is a number'],
    ['a kind that is empty', { kind: '${empty}' }, {}, 'kind is empty'],
    ['a label that is a number', {}, { labels: { v: '${version}' } }, '"v" in metadata.labels is a number'],
    ['an annotation that is true', {}, { annotations: { v: '${yes}' } }, '"v" in metadata.annotations is a boolean'],
    ['a key of a label', {}, { labels: { '${text}': '${number}' } }, 'a key in metadata.labels is a number'],
  ])('%s', (_, rest, metadata, expected) => {
    const substitute = (): KubeObject => substituted(thing(rest, metadata));

    expect(substitute).toThrow(expect.objectContaining({ type: 'BuildFailed', nonRetryable: true }));
    expect(substitute).toThrow(expected);
    expect(substitute).not.toThrow(/hunter2|s3cret|1\.10|12345/);
  });
});
