// Substitution against the real flux binary: what `flux build kustomization` makes of the same manifests and variables.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonicalJson } from '../../activities/artifact/manifests.ts';
import { buildObjects, planBuild } from '../../activities/build/build-manifests.ts';
import { resolveSubstitution, substituteObjects } from '../../activities/build/substitution/substitution.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { createFluxFixture, type FluxFixture, fluxKustomization } from './flux-fixture.ts';
import { createFixture } from './kustomize-fixture.ts';

const fixture = createFixture();
let flux: FluxFixture;
beforeAll(async () => {
  flux = await createFluxFixture();
});
afterAll(() => {
  flux.remove();
  fixture.remove();
});

type Files = Record<string, string>;

const long = 'the quick brown fox jumps over the lazy dog and then some';

const variables: Record<string, string> = {
  word: 'hello',
  Mixed: 'hELLO wORLD',
  path: '/srv/data/app.tar.gz',
  dotted: 'a.b.c.d',
  empty: '',
  lines: 'one\ntwo\n',
  blanks: '  two  ',
  int: '42',
  minus: '-7',
  octal: '0644',
  octalTwo: '0o17',
  hex: '0x1F',
  eight: '08',
  underscore: '1_000',
  float: '1.50',
  exponent: '1e3',
  sha: '12e4567',
  yes: 'yes',
  on: 'On',
  n: 'n',
  false: 'False',
  null: 'null',
  tilde: '~',
  date: '2001-12-14',
  time: '12:30:45',
  quoted: '"1.0"',
  single: "'yes'",
  flowList: '[a, 1, {b: c}]',
  flowMap: '{a: 1, b: [x, y]}',
  json: '{"a": "b", "c": [1, true, null]}',
  pair: 'a: b',
  comment: 'text # comment',
  dollar: '$word ${word} $${word}',
  slash: 'a/b/c',
  backslash: 'a\\b',
  utf: 'grüße',
  sharp: 'straße',
  emoji: '🎉 party 🎉',
  stars: 'a*b*c',
  brackets: 'x[1]y',
  long,
  longer: `${long} ${long} ${long}`,
};

async function build(files: Files, spec: Record<string, unknown>, strictSubstitution = true): Promise<KubeObject[]> {
  const artifact = fixture.artifact(files);
  const path = { path: spec.path as string | undefined };
  const objects = await buildObjects(artifact, path, planBuild(artifact, path, fixture.options), fixture.options);
  const references = { get: async () => undefined };
  const substitution = await resolveSubstitution(fluxKustomization(spec), { references, strictSubstitution });
  return substitution ? substituteObjects(objects, substitution) : objects;
}

function sorted(objects: readonly KubeObject[]): string[] {
  return objects.map((object) => canonicalJson(object)).sort();
}

function configMap(name: string, data: unknown): string {
  return `${JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data })}\n`;
}

/** A custom resource, in which any value may be anything. */
function thing(name: string, spec: unknown): string {
  return `${JSON.stringify({ apiVersion: 'example.com/v1', kind: 'Thing', metadata: { name }, spec })}\n`;
}

const spec = { postBuild: { substitute: variables } };

/** Texts whose values are put in one object each, so that one difference does not hide another. */
const texts: Record<string, string[]> = {
  'a bare value': ['${word}', 'a${word}b', '${word}${word}', '${word}-${int}/${word}'],
  'literal dollars': [
    '$word',
    '$',
    '$$',
    '$$$',
    '$$$$',
    '$${word}',
    '$$${word}',
    '$$$${word}',
    '$ {word}',
    'a$$b',
    '$$$word',
    '{${word}}',
    '${word}}',
    '$(word)',
    '$${word}${word}',
    '${dollar}',
  ],
  length: ['${#word}', '${#empty}', '${#utf}', '${#emoji}', '${#lines}'],
  case: [
    '${Mixed,}',
    '${Mixed,,}',
    '${Mixed^}',
    '${Mixed^^}',
    '${utf^^}',
    '${utf^}',
    '${sharp^^}',
    '${empty^}',
    '${emoji^}',
    '${Mixed,^}',
    '${Mixed^,}',
  ],
  substrings: [
    '${word:1}',
    '${word:0:2}',
    '${word:1:3}',
    '${word:-2}x',
    '${word: -2}',
    '${word:9}x',
    '${word:2:99}',
    '${word:9:1}x',
    '${word:x}',
    '${word:1:x}',
    '${word:+1}',
    '${word:01:02}',
    '${word:${empty:=2}}',
    '${word:1:${empty:=2}}',
    '${word:0::3}',
    '${word:0:5}x',
    '${utf:4}',
    '${word:99999999999999999999}',
    '${word:0:0}x',
  ],
  'prefixes and suffixes': [
    '${path#/}',
    '${path#*/}',
    '${path##*/}',
    '${path%.*}',
    '${path%%.*}',
    '${dotted#*.}',
    '${dotted##*.}',
    '${dotted%.*}',
    '${dotted%%.*}',
    '${word#x}',
    '${word#hello}x',
    '${word#*}',
    '${word##*}x',
    '${word%*}',
    '${word%%*}x',
    '${word#?}',
    '${word%?}',
    '${word#[a-h]}',
    '${word#[^a-h]}',
    '${word#[^x]}',
    '${word%[a-z]}',
    '${word#[}',
    '${word#[]}',
    '${word#[a-]}',
    '${word#h\\}',
    '${word#\\h}',
    '${stars#a\\*}',
    '${stars%\\*c}',
    '${stars#*\\*}',
    '${brackets#x\\[}',
    '${brackets%]y}',
    '${word#he*l}',
    '${word##he*l}',
    '${word%l*o}',
    '${word%%l*o}',
    '${slash#*/*}',
    '${slash##a*b}',
    '${word#${word:0:2}}',
    '${empty#a}x',
    '${word###h}',
    '${word#[[]h}',
    '${word#[h\\]]}',
  ],
  defaults: [
    '${unset:=x}',
    '${unset:-x}',
    '${unset=x}',
    '${unset:+x}',
    '${unset:?x}',
    '${empty:=x}',
    '${empty=x}',
    '${empty:+x}',
    '${word:=x}',
    '${word:+x}',
    '${word:?x}',
    '${unset:=}x',
    '${unset:-}x',
    '${unset=}x',
    '${unset==x}',
    '${unset:=a b c}',
    'x${unset:={a}}',
    '${unset:=${word}}',
    '${unset:=a${word}b${int}c}',
    '${unset:=${other:-deep}}',
    '${unset:=$$}',
    '${unset:=$word}',
    '${unset:=a:b=c}',
    '${unset:=/a/b#c}',
    "${unset:='a'}",
    '${unset:="a"}',
    '${unset:=1}',
    '${unset:=a\\b}',
  ],
  replacements: [
    '${word/l/L}',
    '${word//l/L}',
    '${word/#he/HE}',
    '${word/%lo/LO}',
    '${word/#lo/LO}',
    '${word/%he/HE}',
    '${word/l/}',
    '${word//l/}',
    '${word/#he/}',
    '${word/%lo/}',
    '${word/x/y}',
    '${slash//\\//-}',
    '${slash/\\//-}',
    '${backslash/\\\\/-}',
    '${word//l//x}',
    '${word/l/${int}}',
    '${word//${word:2:1}/x}',
    '${word/l/$$}',
    '${word/l/a/b}',
    '${word/[hl]/x}',
    '${word/*/x}',
    '${word//h/}',
    '${word/l/\\/}',
    '${word//${empty}/-}',
    '${word/${empty}/-}',
    '${word/}/x}',
  ],
  'what YAML makes of a value': [
    ...Object.keys(variables).filter((name) => !['pair', 'dollar', 'emoji'].includes(name)),
  ].map((name) => `\${${name}}`),
  'what YAML makes of a part': [
    '${int}${int}',
    'v${int}',
    '${int}.0',
    '-${int}',
    '"${int}"',
    "'${int}'",
    '${yes}!',
    '${int} ',
  ],
  'values in texts that need quotes': [
    ': ${word}',
    'a: ${word}',
    '- ${int}',
    '# ${word}',
    'a #${word}',
    '{${word}',
    '[${int}]',
    '*${word}',
    '&${word}',
    '!${word}',
    '@${word}',
    '%${word}',
    '|${word}',
    '>${word}',
    '`${word}`',
    ' ${word}',
    '${word} ',
    '${word}:',
    'a\t${word}',
    '"${word}',
    "it's ${word}",
    'x: ${word}',
    '? ${word}',
    '?${word}',
    '-${word}',
    '---${word}',
    '...${word}',
    ', ${word}',
    '${word}: ${word}',
    '\\${word}',
    'ü ${word}',
    '🎉 ${word}',
    'tab\t${backslash}',
  ],
  'values in blocks': [
    'a\n${word}\n',
    'a\n${word}',
    'a\n${word}\n\n',
    '\n${word}',
    '  a\n${word}\n',
    'a\n  ${word}\n    b\n',
    'a\n\n\n${word}\n',
    '${int}\n',
    '${empty}\n a\n',
    'a\n${comment}\n${pair}\n${flowMap}\n',
    '#!/bin/sh\nfoo=${word}\necho "$foo" $${foo}\n',
    'a \n${word}\n',
    'a\n${word} ',
    'a\n${empty}\n',
    'key: ${int}\nlist:\n- ${pair}\n',
    'a\t${word}\nb\n',
  ],
  'values in long lines': [
    `${long} ${long} \${word} ${long}`,
    `${long} ${long}  \${word}  ${long}`,
    `${long} \${longer} ${long} \${blanks} ${long}`,
    `${long} ${long} ${long} \${unset:=${long} ${long}}`,
    `: ${long} \${longer} it's ${long} \${blanks} ${long}`,
    `\t${long} \${longer} "quoted" ${long}  \${blanks} ${long} ${long}`,
    `${long} ${long} ${long} \${empty} \${empty} ${long}`,
    `${long}\n${long} ${long} ${long} \${word}\n`,
  ],
};

describe('a substitution gives what flux gives', () => {
  test.each(Object.keys(texts))('for %s', async (group) => {
    const files: Files = {};
    for (const [index, text] of (texts[group] ?? []).entries()) {
      files[`${index}.yaml`] = thing(`t${String(index).padStart(3, '0')}`, { value: text, list: [text, 'x'] });
    }

    const ours = await build(files, spec);
    const theirs = flux.build(files, spec);

    expect(theirs.error).toBe('');
    expect(sorted(ours)).toEqual(sorted(theirs.objects));
  });

  test('for values anywhere in an object', async () => {
    const files = {
      'a.yaml': thing('${word}-${int}', {
        '${word}': { '${int}': 'a', '${yes}': 'b', '${float}': { c: '${word}' } },
        list: ['${int}', ['${int}', ['${word}', 'a\n${word}\n']], { a: '${int}', b: { c: ['${flowMap}', '${pair}'] } }],
        'multi\nline ${word}': 1,
        empty: { map: {}, list: [], text: '', null: null, zero: 0, float: 1.5, big: 9007199254740991, no: false },
        y: 'y',
        on: 'on',
        '123': '123',
        nested: { deep: { script: 'a\n  ${word}\nb', [`${long}`.slice(0, 40)]: `${long} ${long} \${word}` } },
        flow: '${flowList}',
        json: '${json}',
      }),
      'b.yaml': thing('plain', { a: 'no expression $here', b: '{"x": 1}', c: 'a\nb\n' }),
    };

    expect(sorted(await build(files, spec))).toEqual(sorted(flux.build(files, spec).objects));
  });

  test('for objects that opt out, and those that nearly do', async () => {
    const key = 'kustomize.toolkit.fluxcd.io/substitute';
    const object = (name: string, metadata: object): string =>
      `${JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data: { a: '${word}' } })}\n`;
    const files = {
      'a.yaml': object('a', { annotations: { [key]: 'disabled' } }),
      'b.yaml': object('b', { labels: { [key]: 'disabled' } }),
      'c.yaml': object('c', { annotations: { [key]: 'Disabled' } }),
      'd.yaml': object('d', { labels: { [key]: 'true' } }),
      'e.yaml': object('e', { annotations: { [key]: 'disabled' }, labels: { a: '${unset' } }),
    };

    expect(sorted(await build(files, spec))).toEqual(sorted(flux.build(files, spec).objects));
  });

  test.each([
    ['no variable', { substitute: {} }],
    ['no variable, whatever else is there', {}],
    ['no variable and the strategy Always', { substituteStrategy: 'Always' }],
    ['a variable and the strategy Always', { substitute: { word: 'x' }, substituteStrategy: 'Always' }],
    ['a variable and the strategy WithVariables', { substitute: { other: 'x' }, substituteStrategy: 'WithVariables' }],
    ['values of several lines', { substitute: { word: 'a\nb\n\nc\n', other: '\n' } }],
  ])('with %s', async (_, postBuild) => {
    const files = { 'a.yaml': configMap('a', { a: 'x${word:=y}z', b: '$$', c: '${other:-${word:-1}}' }) };

    expect(sorted(await build(files, { postBuild }))).toEqual(sorted(flux.build(files, { postBuild }).objects));
  });

  test('where variables that are not set are empty', async () => {
    const files = {
      'a.yaml': configMap('a', { a: 'x${unset}', b: '${unset}', c: '${#unset}', d: 'x${unset^^}${unset:1}' }),
    };
    const theirs = flux.build(files, spec, { isStrict: false });

    expect(theirs.error).toBe('');
    expect(sorted(await build(files, spec, false))).toEqual(sorted(theirs.objects));
  });

  test('in what kustomize generates and patches', async () => {
    const files = {
      'kustomization.yaml': JSON.stringify({
        resources: ['web.yaml'],
        namePrefix: '${word}-',
        configMapGenerator: [{ name: 'settings', literals: ['a=${word}', 'b=$${word}'], files: ['run.sh'] }],
        secretGenerator: [{ name: 'login', literals: ['password=${word}'], options: { disableNameSuffixHash: true } }],
        images: [{ name: 'web', newTag: '${float}' }],
        patches: [{ patch: '- {op: add, path: /spec/replicas, value: "${int}"}', target: { kind: 'Deployment' } }],
      }),
      'run.sh': '#!/bin/sh\necho ${word}\n',
      'web.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: web, args: ["--level=\${unset:=info}", "\${int}"], envFrom: [{configMapRef: {name: settings}}]}
`,
    };

    expect(sorted(await build(files, spec))).toEqual(sorted(flux.build(files, spec).objects));
  });
});

describe('what flux refuses is refused', () => {
  test.each<[string, string, RegExp]>([
    ['a variable that is not set', 'a ${unset} b', /variable not set \(strict mode\): "unset"/],
    ['the length of one', '${#unset}', /"unset"/],
    ['another case of one', '${unset^^}', /"unset"/],
    ['a part of one', '${unset:1}', /"unset"/],
    ['a replacement in one', '${unset/a/b}', /"unset"/],
    ['the end of one', '${unset%b}', /"unset"/],
    ['one in a default that is not used', '${word:=${unset}}', /"unset"/],
    ['a number as a name', '${1}', /"1"/],
    ['a name in another script', '${größe}', /"größe"/],
    ['no name', '${}', /not followed by the name/],
    ['a blank name', '${ word }', /not followed by the name/],
    ['a blank after the name', '${word }', /variable "word" is not understood: expected "}"/],
    ['a default with - alone', '${unset-x}', /a default is written "\$\{name:=value\}"/],
    ['a default with + alone', '${word+x}', /"word"/],
    ['an array', '${word[0]}', /"word"/],
    ['an indirection', '${!word}', /not followed by the name/],
    ['an open brace', 'a ${word', /"word" is not understood: "}" is missing/],
    ['an open default', 'a ${word:=b', /"}" is missing/],
    ['an open default with an expression', '${word:=a ${word} b', /"}" is missing/],
    ['an empty pattern', '${word#}', /something is missing in it/],
    ['an empty offset', '${word:}', /something is missing/],
    ['an empty length', '${word:1:}', /something is missing/],
    ['an empty pattern to replace', '${word///x}', /something is missing/],
    ['a replacement without its second slash', '${word/l}', /"\$\{name\/pattern\/text\}"/],
    ['an expression behind an offset', '${word:1${int}}', /expected "}"/],
    ['an expression behind a pattern', '${word#h${int}}', /expected "}"/],
    ['a length with an operator', '${#word:1}', /"word"/],
    ['three signs of case', '${word^^^}', /"word"/],
    ['a shell script of an array', 'a=(1 2)\necho ${a[@]}\n', /"a"/],
    ['a pair', 'x ${pair}', /no valid YAML with the values put in \("pair"\)/],
    ['a brace that is open', '${unset:={a}', /no valid YAML/],
    ['a quote in quotes', '"${single}"', /no valid YAML/],
    ['a tag that is open', '${unset:=!<a}', /no valid YAML/],
    ['a quote that is open', '${unset:="a}', /no valid YAML/],
    ['a bracket that is open', '${unset:=[a}', /no valid YAML/],
    ['an alias without anchor', '${unset:=*a}', /no valid YAML/],
    ['an infinite number', '${unset:=.inf}', /no valid YAML/],
    ['a character cut in two', '${utf:0:3}', /cuts a character in two/],
  ])('%s', async (_, text, message) => {
    const files = { 'a.yaml': thing('a', { ok: '${word}', bad: text }) };

    expect(flux.build(files, spec).error).not.toBe('');
    await expect(build(files, spec)).rejects.toMatchObject({
      type: 'BuildFailed',
      message: expect.stringMatching(/^post build failed for Thing\/a at spec\.bad: /),
    });
    await expect(build(files, spec)).rejects.toThrow(message);
  });

  test.each([
    ['a name with a hyphen', { 'a-b': 'x' }],
    ['a name with a dot', { 'tls.crt': 'x' }],
    ['a name with a digit first', { '1a': 'x' }],
    ['an empty name', { '': 'x' }],
    ['a name in another script', { größe: 'x' }],
  ])('%s', async (_, substitute) => {
    const files = { 'a.yaml': configMap('a', { a: 'b' }) };

    expect(flux.build(files, { postBuild: { substitute } }).error).toContain('var name is invalid');
    await expect(build(files, { postBuild: { substitute } })).rejects.toThrow(
      /^post build failed: ".*" in spec\.postBuild\.substitute is no name of a variable/,
    );
  });

  test('two objects that get the same name', async () => {
    const files = { 'a.yaml': configMap('${word}', { a: '1' }), 'b.yaml': configMap('hello', { a: '2' }) };

    expect(flux.build(files, spec).error).not.toBe('');
    await expect(build(files, spec)).rejects.toThrow('post build failed for ConfigMap/hello: more than one object');
  });
});
