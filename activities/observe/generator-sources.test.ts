import { expect, it, test } from 'vitest';
import type { ArtifactGenerator } from '../../k8s/api/artifact-generator.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { generatorSourcesOf, observedSourcesDigest } from './generator-sources.ts';

it('gives the same digest as Flux for the same sources, in any order', () => {
  const first = {
    digest: 'sha256:1b1452058f747245f79b4d45d589ad5693c516987e678d13231ddfdf26979208',
    revision: 'main@sha1:28deef923f4da39062d2902cb640011a36d52e19',
    url: 'https://example.com/repo1.git',
  };
  const second = {
    digest: 'sha256:966a0b26898be9448d927312d81f9221edac224e383f131a6451f22b918bd66d',
    revision: 'main@sha1:4b94f17f5ceb13341bdfe15d4d9249bb0a3a011e',
    url: 'https://example.com/repo2.git',
  };
  const sources = [
    { alias: 'source2', artifact: second },
    { alias: 'source1', artifact: first },
  ];

  expect(observedSourcesDigest(sources)).toBe(
    'sha256:0dd16ff06ef2efe7bbc5b6a356eb9f3b59467d76617969eb7bb34e094abbd58e',
  );
});

const generator = (...sources: ArtifactGenerator['spec']['sources']): ArtifactGenerator => ({
  apiVersion: 'source.extensions.fluxcd.io/v1beta1',
  kind: 'ArtifactGenerator',
  metadata: { namespace: 'ns', name: 'x' },
  spec: { sources, artifacts: [] },
});
const artifact = { digest: 'sha256:d', url: 'http://x/a', revision: 'r', path: 'a', lastUpdateTime: 't' };
const objects: Record<string, KubeObject> = {
  'GitRepository/ns/a': {
    apiVersion: 'v1',
    kind: 'GitRepository',
    metadata: { name: 'a' },
    status: { artifact: { ...artifact, metadata: { 'org.opencontainers.image.revision': 'main@sha1:1' } } },
  },
  'GitRepository/ns/fresh': {
    apiVersion: 'v1',
    kind: 'GitRepository',
    metadata: { name: 'fresh', creationTimestamp: new Date().toISOString() },
  },
  'Bucket/other/b': { apiVersion: 'v1', kind: 'Bucket', metadata: { name: 'b' }, status: { conditions: [{}] } },
};
const look = async (object: ArtifactGenerator, isCrossNamespaceAllowed = true) =>
  await generatorSourcesOf(object, {
    isCrossNamespaceAllowed,
    objects: {
      get: async (kind: string, { namespace, name }: { namespace: string; name: string }) =>
        objects[`${kind}/${namespace}/${name}`],
    } as never,
  });

test('the artifact of every source is found, with its revision in the origin', async () => {
  expect(await look(generator({ alias: 'src', kind: 'GitRepository', name: 'a' }))).toMatchObject({
    sources: [
      {
        alias: 'src',
        subject: 'GitRepository/ns/a',
        artifact: { digest: 'sha256:d', url: 'http://x/a', revision: 'r', originRevision: 'main@sha1:1' },
      },
    ],
  });
});

test.each([
  [
    'one that is missing',
    { alias: 'm', kind: 'GitRepository' as const, name: 'm' },
    true,
    'SourceFetchFailed',
    'not found',
  ],
  [
    'one without an artifact',
    { alias: 'b', kind: 'Bucket' as const, name: 'b', namespace: 'other' },
    true,
    'SourceFetchFailed',
    'source @b: Bucket/other/b has no artifact yet',
  ],
  [
    'one of another namespace, whether it exists or not',
    { alias: 'b', kind: 'Bucket' as const, name: 'none', namespace: 'other' },
    false,
    'AccessDenied',
    "can't access 'Bucket/other/none', cross-namespace references have been blocked",
  ],
])('%s is in the way', async (_what, source, isAllowed, reason, message) => {
  expect(await look(generator(source), isAllowed)).toMatchObject({ reason, message: expect.stringContaining(message) });
});

test('one that was made a moment ago is waited for', async () => {
  expect(await look(generator({ alias: 'f', kind: 'GitRepository', name: 'fresh' }))).toMatchObject({ awaitMs: 1000 });
});
