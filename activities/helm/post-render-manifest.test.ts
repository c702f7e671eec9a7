import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { isHookManifest, setManifestMetadata, splitManifests } from './post-render-manifest.ts';

const metadata = { labels: { 'helm.toolkit.fluxcd.io/name': 'web', app: 'new' }, annotations: { note: 'yes' } };

/** Each is to have the labels and the annotation afterwards, and to be otherwise as it was. */
const manifests: Record<string, string> = {
  'without labels': 'kind: A\nmetadata:\n  name: a\ndata:\n  octal: 0644\n',
  'with labels': 'kind: A\nmetadata:\n  labels:\n    x: "1"\n    app: old\n  name: a\n',
  'with annotations too':
    'metadata:\n  annotations:\n    helm.sh/hook: test\n  labels:\n    x: y\n  name: a\nkind: A\n',
  'with comments and blank lines':
    '# Source: a\nkind: A\nmetadata:\n  # name\n  name: a\n\n  labels:\n\n    x: y\n\nspec: {}\n',
  'with flow maps': 'kind: A\nmetadata: {name: a, labels: {x: y}}\n',
  'with all of it in one line':
    'kind: A\nmetadata: { name: "a}", labels: {app: old}, annotations: {} }\nspec: {metadata: {}}\n',
  'with an anchor in that line': 'kind: A\nmetadata: {name: &n a}\nother: *n\n',
  'with an empty label map': 'kind: A\nmetadata:\n  name: a\n  labels: {}\n',
  'with quoted keys': 'kind: A\nmetadata:\n  "labels":\n    "app": old\n    \'x\': y\n  name: a\n',
  'with a label over two lines': 'kind: A\nmetadata:\n  labels:\n    x: "a\n      b"\n  name: a\n',
  'with a block scalar':
    'kind: A\nmetadata:\n  annotations:\n    text: |\n      metadata:\n        labels:\n  name: a\n',
  'with an anchor': 'kind: A\nmetadata:\n  labels: &l\n    x: y\n  name: a\nspec:\n  labels: *l\n',
  'with a list of the same indent': 'kind: A\nmetadata:\n  finalizers:\n  - a\n  labels:\n    x: y\n  name: a\n',
  'with null labels': 'kind: A\nmetadata:\n  labels:\n  name: a\n',
  'with windows line ends': 'kind: A\r\nmetadata:\r\n  name: a\r\n',
  'without metadata': 'kind: A\n',
  'as JSON': '{"kind": "A", "metadata": {"name": "a"}}',
};

test.each(Object.entries(manifests))('a manifest %s gets labels and annotations', (_name, text) => {
  const before = parse(text, { schema: 'failsafe' });
  const after = parse(setManifestMetadata(text, metadata), { schema: 'failsafe' });
  const labels = before.metadata?.labels ? before.metadata.labels : {};
  const annotations = before.metadata?.annotations ?? {};
  expect(after).toEqual({
    ...before,
    metadata: {
      ...before.metadata,
      labels: { ...labels, ...metadata.labels },
      annotations: { ...annotations, ...metadata.annotations },
    },
    ...(before.spec?.labels && { spec: { labels: after.spec.labels } }),
  });
});

test('scalars keep the way in which they are written', () => {
  const text = 'kind: A\nmetadata: {name: a}\ndata:\n  a: 0644\n  b: yes\n  c: 1.10\n  d: |\n    x\n  e: "1"\n  f: ~\n';
  expect(setManifestMetadata(text, metadata)).toContain(
    'a: 0644\n  b: yes\n  c: 1.10\n  d: |\n    x\n  e: "1"\n  f: ~\n',
  );
});

test('what is no object is refused without a word of it', () => {
  expect(() => setManifestMetadata('- top-secret\n', metadata)).toThrow('a rendered manifest is no YAML mapping');
  expect(() => setManifestMetadata('a: [top-secret\n', metadata)).toThrow(
    /^a rendered manifest is no valid YAML \(\w+\)$/,
  );
});

test('a stream is split into what holds anything, and lists into their items', () => {
  const list =
    'apiVersion: v1\nkind: ConfigMapList\nitems:\n- kind: ConfigMap\n  metadata: {name: a}\n- kind: ConfigMap\n  metadata: {name: b}\n';
  const documents = splitManifests(`---\n# nothing\n---\nkind: A\n--- # with a comment\n${list}---\n\n`);
  expect(documents.map((text) => parse(text))).toEqual([
    { kind: 'A' },
    { kind: 'ConfigMap', metadata: { name: 'a' } },
    { kind: 'ConfigMap', metadata: { name: 'b' } },
  ]);
});

test('a separator within a block scalar separates nothing', () => {
  expect(splitManifests('kind: A\ndata:\n  text: |\n    ---\n    x\n')).toHaveLength(1);
});

test('hooks are told by their annotation', () => {
  expect(isHookManifest('metadata:\n  annotations:\n    helm.sh/hook: test\n')).toBe(true);
  expect(isHookManifest('metadata:\n  annotations:\n    note: helm.sh/hook\n')).toBe(false);
});
