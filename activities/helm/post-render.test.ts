import { expect, test } from 'vitest';
import { parse } from 'yaml';
import type { HelmReleaseSpec } from '../../k8s/api/helm-release.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { createPostRender } from './post-render.ts';
import { splitManifests } from './post-render-manifest.ts';

const stream = `---
kind: A
metadata:
  name: a
---
kind: H
metadata:
  name: h
  annotations:
    helm.sh/hook: pre-install
`;

async function labelsAfter(spec: Partial<HelmReleaseSpec>): Promise<object> {
  const object = { metadata: { name: 'web', namespace: 'apps' }, spec: { interval: '1m', ...spec } };
  const postRender = createPostRender(object, {
    kustomize: () => Promise.reject(new Error('not needed')),
    temporaryDirectory: '/nowhere',
  });
  const documents = splitManifests(await postRender(stream, new AbortController().signal));
  const objects = documents.map((text) => parse(text) as KubeObject);
  return Object.fromEntries(objects.map(({ kind, metadata }) => [kind, metadata.labels]));
}

const origin = { 'helm.toolkit.fluxcd.io/name': 'web', 'helm.toolkit.fluxcd.io/namespace': 'apps' };

test('hooks are labelled with the rest, or on their own, or not at all', async () => {
  expect(await labelsAfter({})).toEqual({ A: origin, H: origin });
  expect(await labelsAfter({ postRenderStrategy: 'combined' })).toEqual({ A: origin, H: origin });
  expect(await labelsAfter({ postRenderStrategy: 'separate' })).toEqual({ A: origin, H: origin });
  expect(await labelsAfter({ postRenderStrategy: 'nohooks' })).toEqual({ A: origin, H: undefined });
});

test('a chart without objects is answered by something that is none', async () => {
  const object = { metadata: { name: 'web', namespace: 'apps' }, spec: { interval: '1m' } };
  const options = { kustomize: () => Promise.reject(new Error('not needed')), temporaryDirectory: '/nowhere' };
  expect(await createPostRender(object, options)('', new AbortController().signal)).toMatch(/^#.*\n$/);
});

test('the labels of origin win over the common ones', async () => {
  const labels = { team: 'shop', 'helm.toolkit.fluxcd.io/name': 'other' };
  expect(await labelsAfter({ commonMetadata: { labels } })).toMatchObject({ A: { ...origin, team: 'shop' } });
});
