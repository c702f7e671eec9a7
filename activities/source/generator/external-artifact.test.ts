import { expect, it } from 'vitest';
import type { ArtifactGenerator } from '../../../k8s/api/artifact-generator.ts';
import { externalArtifactOf, externalArtifactStatus, isMadeBy } from './external-artifact.ts';

const generator: ArtifactGenerator = {
  apiVersion: 'source.extensions.fluxcd.io/v1beta1',
  kind: 'ArtifactGenerator',
  metadata: { namespace: 'ns', name: 'gen', uid: 'uid-1' },
  spec: {
    sources: [],
    artifacts: [],
    commonMetadata: {
      labels: { team: 'web', app: 'mine', 'app.kubernetes.io/managed-by': 'me' },
      annotations: { note: 'x' },
    },
  },
};

it('has the labels of the contract, whatever the spec says', () => {
  expect(externalArtifactOf(generator, 'out', { app: 'api', env: 'dev' })).toEqual({
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'ExternalArtifact',
    metadata: {
      name: 'out',
      namespace: 'ns',
      labels: {
        team: 'web',
        app: 'mine',
        env: 'dev',
        'app.kubernetes.io/managed-by': 'source-watcher',
        'source.extensions.fluxcd.io/generator': 'uid-1',
      },
      annotations: { note: 'x' },
    },
    spec: {
      sourceRef: {
        apiVersion: 'source.extensions.fluxcd.io/v1beta1',
        kind: 'ArtifactGenerator',
        name: 'gen',
        namespace: 'ns',
      },
    },
  });
});

it('is ready with its artifact, and keeps the time since when, and what others wrote', () => {
  const artifact = { digest: 'd', path: 'p', url: 'u', revision: 'r', lastUpdateTime: '2026-01-02T00:00:00Z' };
  const object = externalArtifactOf(generator, 'out', {});
  const first = externalArtifactStatus(object, artifact);
  const other = { type: 'Other', status: 'True' as const, reason: 'X', message: '', lastTransitionTime: '' };
  const status = { ...first, conditions: [...(first.conditions ?? []), other] };
  const next = externalArtifactStatus({ ...object, status }, { ...artifact, lastUpdateTime: '2026-01-03T00:00:00Z' });

  expect(first.conditions).toEqual([
    {
      type: 'Ready',
      status: 'True',
      reason: 'Succeeded',
      message: 'Artifact is ready',
      observedGeneration: 1,
      lastTransitionTime: '2026-01-02T00:00:00Z',
    },
  ]);
  expect(next.conditions).toEqual([first.conditions?.[0], other]);
  expect(next.artifact?.lastUpdateTime).toBe('2026-01-03T00:00:00Z');
});

it('belongs to the generator of its label alone', () => {
  const object = externalArtifactOf(generator, 'out', {});

  expect(isMadeBy(object, generator)).toBe(true);
  expect(isMadeBy(object, { ...generator, metadata: { ...generator.metadata, uid: 'uid-2' } })).toBe(false);
  expect(isMadeBy({ metadata: { name: 'out' } }, generator)).toBe(false);
});
