import { describe, expect, it } from 'vitest';
import { exitCodes } from './exit.ts';
import { kindOf, parseObjectTarget, parseTarget } from './kinds.ts';

describe('words for kinds', () => {
  it.each([
    ['ks', 'Kustomization'],
    ['Kustomizations', 'Kustomization'],
    ['kustomizations.kustomize.toolkit.fluxcd.io', 'Kustomization'],
    ['gitrepo', 'GitRepository'],
    ['source git', 'GitRepository'],
    ['sources git', 'GitRepository'],
    ['source chart', 'HelmChart'],
    ['hr', 'HelmRelease'],
    ['image policies', 'ImagePolicy'],
    ['images update', 'ImageUpdateAutomation'],
    ['artifact generators', 'ArtifactGenerator'],
    ['alert-providers', 'Provider'],
    ['bucket', 'Bucket'],
  ])('"%s" is a %s', (word, kind) => {
    expect(kindOf(word)?.kind).toBe(kind);
  });

  it.each([
    [['ks'], 'Kustomization', []],
    [['ks', 'a', 'b'], 'Kustomization', ['a', 'b']],
    [['ks/a', 'kustomization/b'], 'Kustomization', ['a', 'b']],
    [['source', 'git', 'demo'], 'GitRepository', ['demo']],
    [['image', 'update'], 'ImageUpdateAutomation', []],
    [[], undefined, []],
  ])('%j names a kind and objects of it', (words, kind, names) => {
    const target = parseTarget(words);
    expect(target.definition?.kind).toBe(kind);
    expect(target.names).toEqual(names);
  });

  it.each([
    [
      ['sources', 'all'],
      ['GitRepository', 'OCIRepository', 'HelmRepository', 'HelmChart', 'Bucket', 'ExternalArtifact'],
    ],
    [
      ['image', 'all'],
      ['ImageRepository', 'ImagePolicy', 'ImageUpdateAutomation'],
    ],
    [['all'], undefined],
  ])('%j names several kinds', (words, kinds) => {
    const target = parseTarget(words);
    expect(target.definition).toBeUndefined();
    expect(target.definitions?.map(({ kind }) => kind)).toEqual(kinds);
  });

  it.each([
    [['pods'], 'unknown kind "pods"'],
    [['source', 'svn', 'a'], 'unknown kind "source svn"'],
    [['ks/a', 'hr/b'], 'several kinds'],
    [['ks/a', 'b'], 'expected "<kind>/<name>"'],
    [['ks', '../a'], 'invalid name of a Kustomization'],
    [['ks/'], 'invalid name of a Kustomization'],
  ])('%j is wrong usage', (words, message) => {
    expect(() => parseTarget(words)).toThrow(expect.objectContaining({ exitCode: exitCodes.usage }));
    expect(() => parseTarget(words)).toThrow(message);
  });

  it('wants exactly one name where one object is meant', () => {
    expect(() => parseObjectTarget(['ks'])).toThrow('expected one name of a Kustomization, got none');
    expect(() => parseObjectTarget(['ks', 'a', 'b'])).toThrow('got 2');
    expect(() => parseObjectTarget([])).toThrow('kind is missing');
    expect(parseObjectTarget(['gitrepo/a']).name).toBe('a');
  });
});
