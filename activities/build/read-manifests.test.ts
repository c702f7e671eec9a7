import { describe, expect, test } from 'vitest';
import { defaultReadLimits, readManifests, readYaml } from './read-manifests.ts';

const config = (name: string): string => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\n`;

describe('readManifests', () => {
  test('reads many documents, skips empty ones, flattens lists', () => {
    const list =
      'apiVersion: v1\nkind: ConfigMapList\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n';
    const text = `# nothing\n---\n${config('a')}---\n---\n# still nothing\n---\n${config('b')}---\n${list}`;

    const { objects, isDelicate } = readManifests(text, 'a.yaml');

    expect(objects.map(({ metadata }) => metadata.name)).toEqual(['a', 'b', 'c']);
    expect(isDelicate).toBe(true);
  });

  test('expands anchors and merge keys, the own key winning', () => {
    const text = `${config('a')}x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [*x, {c: 4}]}\n`;

    expect(readManifests(text, 'a.yaml').objects[0]).toMatchObject({ y: { a: 1, b: 3 }, z: { a: 1, b: 2, c: 4 } });
  });

  test('keeps the bounds of a schema although they are no exact doubles', () => {
    const text =
      'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\nspec: {maximum: 9223372036854775807}\n';

    expect(readManifests(text, 'a.yaml').objects[0]?.spec).toEqual({ maximum: 2 ** 63 });
  });

  test('takes unquoted words and keys as Kubernetes does, where it is asked to', () => {
    const text = 'yes: yes\n0x10: on\n1.50: "no"\n"n": n\n';

    expect(readYaml(text, 'a', undefined, 'kubernetes').documents[0]?.value).toEqual({
      true: true,
      16: true,
      1.5: 'no',
      n: false,
    });
    expect(readYaml(text, 'a').documents[0]?.value).toEqual({ yes: 'yes', '0x10': 'on', '1.50': 'no', n: 'n' });
    expect(() => readYaml('~: a', 'a', undefined, 'kubernetes')).toThrow(/a key has to be text/);
  });

  test('takes a key named __proto__ for a key', () => {
    const [object] = readManifests(`${config('a')}data: {__proto__: {polluted: "1"}}\n`, 'a.yaml').objects;

    const data = object?.data as { polluted?: string };

    expect(Object.keys(data)).toEqual(['__proto__']);
    expect(data.polluted).toBeUndefined();
  });

  test.each([
    ['a: [1', /^apps\/a\.yaml:1:\d+: /],
    [
      `${config('a')}---\nkind: ConfigMap\n`,
      /^apps\/a\.yaml:5:1: object has no apiVersion \(document 2\): "kind: ConfigMap"$/,
    ],
    ['- a', /expected a Kubernetes object, got something that is not a mapping/],
    ['apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n', /ConfigMap has no metadata\.name/],
    ['apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 12}\n', /metadata\.name that is not text; quote it/],
    [`${config('a')}data:\n  a: x\n  a: y\n`, /^apps\/a\.yaml:6:3: key "a" is there twice: "a: y"$/],
    [`${config('a')}data: {a: 9007199254740993}\n`, /^apps\/a\.yaml:4:11: whole number 9007199254740993/],
    [`${config('a')}data: *nothing\n`, /alias|anchor/i],
    [`${config('a')}data: &d {a: *d}\n`, /anchor "&d" contains itself/],
  ])('says where %j is wrong', (text, message) => {
    expect(() => readManifests(text, 'apps/a.yaml')).toThrow(message);
  });

  test('shows no value of a text that may hold secrets', () => {
    const text = 'apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  a: hunter2\n  a: hunter3\n';

    expect(() => readManifests(text, 'a.yaml')).toThrow(/^a\.yaml:6:3: key "a" is there twice: "a: …"$/);
  });

  test('stops at an alias bomb, at depth and at size', () => {
    const levels = Array.from(
      { length: 12 },
      (_, level) => `l${level + 1}: &l${level + 1} [${`*l${level},`.repeat(10)}]`,
    );
    const bomb = `l0: &l0 [x]\n${levels.join('\n')}\n`;

    expect(() => readYaml(bomb, 'a.yaml', { ...defaultReadLimits, nodes: 10_000 })).toThrow(/more than 10000 values/);
    expect(() => readYaml('['.repeat(50) + ']'.repeat(50), 'a.yaml', { ...defaultReadLimits, depth: 20 })).toThrow(
      /nested deeper than 20 levels/,
    );
    expect(() => readYaml('a: b', 'a.yaml', { ...defaultReadLimits, sizeBytes: 2 })).toThrow(
      /over the limit of 2 bytes/,
    );
  });
});
