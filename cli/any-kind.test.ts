import { describe, expect, it } from 'vitest';
import { kinds } from '../k8s/api/index.ts';
import { parseAnyTarget } from './any-kind.ts';

describe('the objects that words name', () => {
  it.each([
    [['deploy', 'web'], [{ kind: 'deploy', name: 'web' }]],
    [
      ['deploy/web', 'ks/demo'],
      [
        { kind: 'deploy', name: 'web' },
        { kind: kinds.Kustomization, name: 'demo' },
      ],
    ],
    [['source', 'git', 'demo'], [{ kind: kinds.GitRepository, name: 'demo' }]],
    [
      ['namespace', 'a', 'b'],
      [
        { kind: 'namespace', name: 'a' },
        { kind: 'namespace', name: 'b' },
      ],
    ],
  ])('%j', (words, expected) => {
    expect(parseAnyTarget(words)).toEqual(expected);
  });

  it.each([[['deploy']], [['deploy/']], [['a/b/c']], [['deploy/web', 'other']]])('%j is no object', (words) => {
    expect(() => parseAnyTarget(words)).toThrow(/^expected /);
  });
});
