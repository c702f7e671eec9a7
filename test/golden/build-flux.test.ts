// Whole builds against the real flux binary: what it makes of a Kustomization's overrides, and of everything that
// kustomize can generate.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { canonicalJson } from '../../activities/artifact/manifests.ts';
import { buildObjects, planBuild } from '../../activities/build/build-manifests.ts';
import { buildSpecOf } from '../../activities/build/build-spec.ts';
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

async function build(files: Files, spec: Record<string, unknown>): Promise<KubeObject[]> {
  const artifact = fixture.artifact(files);
  const buildSpec = buildSpecOf(fluxKustomization(spec));
  const plan = planBuild(artifact, buildSpec, fixture.options);
  return buildObjects(artifact, buildSpec, plan, fixture.options);
}

function sorted(objects: readonly KubeObject[]): string[] {
  return objects.map((object) => canonicalJson(object)).sort();
}

const configMap = (name: string): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: {a: b}\n`;
const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx:1.0
        envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: login}}]
`;
const component = (patch: string): string =>
  JSON.stringify({
    apiVersion: 'kustomize.config.k8s.io/v1alpha1',
    kind: 'Component',
    patches: [{ patch, target: { kind: 'Deployment' } }],
  });
const generated: Files = {
  'app/kustomization.yaml': JSON.stringify({
    resources: ['web.yaml'],
    generatorOptions: { labels: { generated: 'yes' }, annotations: { note: 'by kustomize' } },
    configMapGenerator: [
      {
        name: 'settings',
        literals: ['a=1', 'b=x=y', 'c="quoted"'],
        envs: ['some.env'],
        files: ['run.sh', 'k=data.bin'],
      },
      {
        name: 'plain',
        literals: ['a=1'],
        options: { disableNameSuffixHash: true, immutable: true, labels: { own: 'x' } },
      },
      { name: 'elsewhere', namespace: 'other', literals: ['a=1'] },
      { name: 'empty' },
    ],
    secretGenerator: [
      { name: 'login', literals: ['password=hunter2'], envs: ['some.env'], files: ['cert=run.sh'] },
      { name: 'tls', type: 'kubernetes.io/tls', files: ['tls.crt=run.sh', 'tls.key=some.env'] },
    ],
    generators: ['generator.yaml'],
    transformers: ['transformer.yaml'],
    replacements: [
      {
        source: { kind: 'ConfigMap', name: 'plain', fieldPath: 'data.a' },
        targets: [
          { select: { kind: 'Deployment' }, fieldPaths: ['metadata.annotations.a'], options: { create: true } },
        ],
      },
    ],
    labels: [{ pairs: { team: 'blue' }, includeSelectors: true, includeTemplates: true }],
    commonAnnotations: { owner: 'me' },
    replicas: [{ name: 'web', count: 3 }],
  }),
  'app/web.yaml': deployment,
  'app/some.env': '# comment\nA=1\nB=two words\n\nC="x"\n',
  'app/run.sh': '#!/bin/sh\necho "hi"\n\n',
  'app/data.bin': 'a\u0000b',
  'app/generator.yaml':
    'apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: inner}\nliterals: [x=1]\n---\n' +
    'apiVersion: builtin\nkind: SecretGenerator\nmetadata: {name: hidden}\nenvs: [some.env]\n',
  'app/transformer.yaml':
    'apiVersion: builtin\nkind: AnnotationsTransformer\nmetadata: {name: t}\nannotations: {transformed: "yes"}\nfieldSpecs: [{path: metadata/annotations, create: true}]\n',
  'overlay/kustomization.yaml': JSON.stringify({
    resources: ['../app'],
    configMapGenerator: [
      { name: 'settings', behavior: 'merge', literals: ['a=2', 'd=4'] },
      { name: 'plain', behavior: 'replace', literals: ['z=1'] },
    ],
    secretGenerator: [{ name: 'login', behavior: 'merge', literals: ['password=changed'] }],
    nameSuffix: '-v2',
  }),
};
const overlay: Files = {
  'base/kustomization.yaml': 'resources: [web.yaml]\n',
  'base/web.yaml': deployment,
  'prod/kustomization.yaml': 'resources: [../base]\nimages: [{name: nginx, newTag: "2.0"}]\n',
  'components/scale/kustomization.yaml': component('- {op: add, path: /spec/replicas, value: 5}'),
  'components/label/kustomization.yaml': component('- {op: add, path: /metadata/labels, value: {a: b}}'),
};

const overrides = {
  targetNamespace: 'apps',
  namePrefix: 'pre-',
  nameSuffix: '-suf',
  patches: [
    { patch: '- {op: add, path: /metadata/annotations, value: {patched: "yes"}}', target: { kind: 'Deployment' } },
    { patch: 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {paused: true}\n' },
  ],
  images: [{ name: 'nginx', newName: 'example.org/nginx', digest: `sha256:${'a'.repeat(64)}` }],
};

test.each<[string, Files, Record<string, unknown>]>([
  ['every generator of kustomize', generated, { path: 'app' }],
  ['generators that merge and replace', generated, { path: 'overlay' }],
  ['generators with overrides', generated, { path: 'overlay', targetNamespace: 'apps', namePrefix: 'pre-' }],
  ['every override', overlay, { path: 'prod', ...overrides }],
  ['components', overlay, { path: 'prod', components: ['../components/scale', '../components/label'] }],
  [
    'components that are missing, where that is allowed',
    overlay,
    { path: 'prod', components: ['../components/gone', '../components/scale'], ignoreMissingComponents: true },
  ],
  [
    'components that are all missing',
    overlay,
    { path: 'prod', components: ['../components/gone'], ignoreMissingComponents: true },
  ],
  ['annotations of origin', overlay, { path: 'prod', buildMetadata: ['originAnnotations'] }],
  ['annotations of origin of what is generated', generated, { path: 'app', buildMetadata: ['originAnnotations'] }],
  [
    'annotations of transformers',
    overlay,
    { path: 'prod', buildMetadata: ['transformerAnnotations', 'originAnnotations'], ...overrides },
  ],
  [
    'annotations of a folder',
    { 'app/a.yaml': configMap('a'), 'app/sub/b.yaml': configMap('b') },
    { path: 'app', buildMetadata: ['originAnnotations'] },
  ],
  [
    'a folder with overrides',
    { 'app/a.yaml': configMap('a'), 'app/web.yaml': deployment, 'app/notes.txt': 'x' },
    { path: 'app', ...overrides },
  ],
  [
    'a folder with components',
    {
      'app/web.yaml': deployment,
      'scale/kustomization.yaml': component('- {op: add, path: /spec/replicas, value: 5}'),
    },
    { path: 'app', components: ['../scale', '../gone'], ignoreMissingComponents: true },
  ],
])('a build gives what flux gives for %s', async (_, files, spec) => {
  const theirs = flux.build(files, spec);

  expect(theirs.error).toBe('');
  expect(sorted(await build(files, spec))).toEqual(sorted(theirs.objects));
});

test.each<[string, Files, Record<string, unknown>, RegExp]>([
  [
    'a missing component',
    overlay,
    { path: 'prod', components: ['../gone'] },
    /"\.\.\/gone" in components does not exist/,
  ],
  [
    'a component that is none',
    overlay,
    { path: 'prod', components: ['../components'], ignoreMissingComponents: true },
    /"\.\.\/components" in components is a directory without a kustomization file/,
  ],
  [
    'a generator with a literal that is none',
    { 'app/kustomization.yaml': 'secretGenerator: [{name: a, literals: [hunter2]}]' },
    { path: 'app' },
    /literal/,
  ],
  [
    'a generator of a missing file',
    { 'app/kustomization.yaml': 'configMapGenerator: [{name: a, files: [gone.txt]}]' },
    { path: 'app' },
    /"gone\.txt" in configMapGenerator\.files does not exist/,
  ],
  [
    'a generator that merges into nothing',
    { 'app/kustomization.yaml': 'configMapGenerator: [{name: a, behavior: merge, literals: [a=1]}]' },
    { path: 'app' },
    /merge/,
  ],
  [
    'a chart that has to be inflated',
    { 'app/kustomization.yaml': 'helmCharts: [{name: podinfo, repo: "https://example.org"}]' },
    { path: 'app' },
    /helm/,
  ],
  [
    'a generator that is a program',
    {
      'app/kustomization.yaml': 'generators: [g.yaml]',
      'app/g.yaml':
        'apiVersion: example.com/v1\nkind: Run\nmetadata: {name: a, annotations: {config.kubernetes.io/function: "exec: {path: ./run.sh}"}}\n',
      'app/run.sh': '#!/bin/sh\n',
    },
    { path: 'app' },
    /./,
  ],
])('a build refuses what flux refuses: %s', async (_, files, spec, message) => {
  expect(flux.build(files, spec).error).not.toBe('');
  const building = build(files, spec);

  await expect(building).rejects.toMatchObject({ type: 'BuildFailed' });
  await expect(building).rejects.toThrow(message);
  await expect(building).rejects.not.toThrow('hunter2');
});
