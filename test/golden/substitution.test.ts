// Substitution against the real flux binary: what `flux build kustomization` makes of the same manifests and variables.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonicalJson } from '../../activities/artifact/manifests.ts';
import { buildObjects, planBuild } from '../../activities/build/build-manifests.ts';
import {
  resolveSubstitution,
  type Substitution,
  substituteObjects,
} from '../../activities/build/substitution/substitution.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { createFluxFixture, type FluxFixture, fluxKustomization } from './flux-fixture.ts';
import { createFixture } from './kustomize-fixture.ts';
import { randomTexts } from './random-expressions.ts';
import { long, texts, variables } from './substitution-cases.ts';

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

async function substitutionOf(postBuild: object, strictSubstitution = true): Promise<Substitution | undefined> {
  const references = { get: async () => undefined };
  return await resolveSubstitution(fluxKustomization({ postBuild }), { references, strictSubstitution });
}

async function build(files: Files, spec: Record<string, unknown>, strictSubstitution = true): Promise<KubeObject[]> {
  const artifact = fixture.artifact(files);
  const path = { path: spec.path as string | undefined };
  const objects = await buildObjects(artifact, path, planBuild(artifact, path, fixture.options), fixture.options);
  const substitution = await substitutionOf(spec.postBuild as object, strictSubstitution);
  return substitution ? await substituteObjects(objects, substitution) : objects;
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

  test('for random texts', async () => {
    const substitution = (await substitutionOf(spec.postBuild)) as Substitution;
    const files: Files = {};
    for (const [index, text] of randomTexts(300, 42).entries()) {
      const manifest = thing(`t${String(index).padStart(3, '0')}`, { value: text, list: [text] });
      // One that fails would end the whole build; what fails is compared below.
      const fits = await substituteObjects([JSON.parse(manifest) as KubeObject], substitution).catch(() => undefined);
      if (fits) files[`${index}.yaml`] = manifest;
    }
    const theirs = flux.build(files, spec);

    expect(Object.keys(files).length).toBeGreaterThan(150);
    expect(theirs.error).toBe('');
    expect(sorted(await build(files, spec))).toEqual(sorted(theirs.objects));
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
