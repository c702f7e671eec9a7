import { expect, test } from 'vitest';
import type { ArtifactGeneratorSpec } from '../../../k8s/api/artifact-generator.ts';
import { specProblem } from './spec-problem.ts';

const copy = [{ from: '@a/**', to: '@artifact/' }];
const source = (alias: string, more: object = {}) => ({ alias, kind: 'GitRepository' as const, name: alias, ...more });

function problemOf(spec: Partial<ArtifactGeneratorSpec>): string | undefined {
  return specProblem({
    apiVersion: 'source.extensions.fluxcd.io/v1beta1',
    kind: 'ArtifactGenerator',
    metadata: { namespace: 'ns', name: 'x' },
    spec: { sources: [source('a')], artifacts: [{ name: 'out', copy }], ...spec },
  });
}

test.each<[spec: Partial<ArtifactGeneratorSpec>, problem: string]>([
  [{}, ''],
  [{ pathPattern: '@a/{app}' }, ''],
  [{ sources: [source('a'), source('a')] }, 'duplicate source alias "a" found'],
  [
    {
      artifacts: [
        { name: 'x', copy },
        { name: 'x', copy },
      ],
    },
    'duplicate artifact name "x" found',
  ],
  [{ artifacts: [{ name: 'x', copy, revision: '@b' }] }, 'revision of artifact "x" names the source alias "b"'],
  [{ artifacts: [{ name: 'x', copy, originRevision: '@b' }] }, 'originRevision of artifact "x" names the source alias'],
  [
    { artifacts: [{ name: 'x', copy: [{ from: '@b/x', to: '@artifact/' }] }] },
    'copy.from of artifact "x" names the source alias "b", which spec.sources has not',
  ],
  [{ artifacts: [{ name: 'x', copy: [{ from: '@a/../b', to: '@artifact/' }] }] }, 'leaves the archive by ".."'],
  [{ artifacts: [{ name: 'x', copy: [{ from: '@a/b', to: '@artifact/../x' }] }] }, 'leaves the archive by ".."'],
  [{ artifacts: [{ name: 'x', copy: [{ from: '@a/b', to: '@artifact//etc' }] }] }, 'has an absolute path'],
  [{ pathPattern: '@b/{app}' }, 'spec.pathPattern names the source alias "b"'],
  [
    { sources: [source('a', { kind: 'ExternalArtifact', name: 'out' })] },
    'ExternalArtifact "out" is a source and an artifact of this object',
  ],
  [{ sources: [source('a', { kind: 'ExternalArtifact', name: 'out', namespace: 'other' })] }, ''],
  [{ artifacts: [{ name: 'x', copy: Array<(typeof copy)[0]>(10_001).fill(copy[0]!) }] }, 'more than the 10000 copies'],
])('%#', (spec, problem) => {
  const told = problemOf(spec) ?? '';
  expect([told.includes(problem), told === ''], told).toEqual([true, problem === '']);
});
