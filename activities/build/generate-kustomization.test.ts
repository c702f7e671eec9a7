import { describe, expect, test } from 'vitest';
import { resolveInside, resolveSpecPath } from './file-tree.ts';
import { mergeImages, mergeOverrides } from './generate-kustomization.ts';

describe('mergeImages', () => {
  test.each([
    ['adds an image', [], [{ name: 'a', newTag: '2' }], [{ name: 'a', newTag: '2' }]],
    [
      'a new name leaves the tag',
      [{ name: 'a', newTag: '1' }],
      [{ name: 'a', newName: 'b' }],
      [{ name: 'a', newName: 'b', newTag: '1' }],
    ],
    [
      'a tag takes the place of a digest',
      [{ name: 'a', newName: 'b', digest: 'd' }],
      [{ name: 'a', newTag: '2' }],
      [{ name: 'a', newName: 'b', newTag: '2' }],
    ],
    [
      'a digest takes the place of a tag',
      [{ name: 'a', newTag: '1' }],
      [{ name: 'a', digest: 'd' }],
      [{ name: 'a', digest: 'd' }],
    ],
    [
      'other images stay',
      [{ name: 'x', newTag: '1' }],
      [{ name: 'a', newTag: '2' }],
      [
        { name: 'x', newTag: '1' },
        { name: 'a', newTag: '2' },
      ],
    ],
  ])('%s', (_, original, overrides, expected) => {
    expect(mergeImages(original, overrides)).toEqual(expected);
  });
});

describe('mergeOverrides', () => {
  test('gives back the same object when there is nothing to merge', () => {
    const original = { resources: ['a.yaml'] };

    expect(mergeOverrides(original, { path: 'x', ignoreMissingComponents: true })).toBe(original);
  });

  test('appends patches and components and leaves the original alone', () => {
    const original = { patches: [{ path: 'p.yaml' }], components: ['a'], namespace: 'old' };

    expect(
      mergeOverrides(original, { patches: [{ patch: 'x' }], components: ['a', 'b'], targetNamespace: 'new' }),
    ).toEqual({
      patches: [{ path: 'p.yaml' }, { patch: 'x' }],
      components: ['a', 'b'],
      namespace: 'new',
    });
    expect(original).toEqual({ patches: [{ path: 'p.yaml' }], components: ['a'], namespace: 'old' });
  });

  test('does not hide a field that is no list', () => {
    expect(() => mergeOverrides({ patches: {} }, { patches: [{ patch: 'x' }] })).toThrow(
      '"patches" in the kustomization has to be a list',
    );
  });
});

describe('paths', () => {
  test.each([
    ['./a/', 'a'],
    ['', ''],
    ['/', ''],
    ['.', ''],
    [undefined, ''],
    ['../../a', 'a'],
    ['/a/b', 'a/b'],
  ])('spec.path %j means "%s"', (path, expected) => {
    expect(resolveSpecPath(path)).toBe(expected);
  });

  test.each([
    ['a', '..', ''],
    ['a', '../b/', 'b'],
    ['', './b', 'b'],
    ['a', '../..', undefined],
    ['a', '/b', undefined],
    ['a', 'b\0', undefined],
    ['', '..b', '..b'],
  ])('from "%s", %j leads to %j', (directory, path, expected) => {
    expect(resolveInside(directory, path)).toBe(expected);
  });
});
