import { expect, it } from 'vitest';
import { kinds } from '../k8s/api/index.ts';
import { parseObjectFile } from './object-file.ts';

const text = `
apiVersion: v1
kind: Namespace
metadata: {name: apps}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: apps}
spec:
  interval: 10m
  prune: true
  sourceRef: {kind: GitRepository, name: demo}
  unknown: field
`;
const parse = (source: string, name = 'apps'): unknown =>
  parseObjectFile(source, 'a.yaml', kinds.Kustomization, name, 'flux-system');

it('finds the Kustomization among other objects, with the defaults of its schema', () => {
  expect(parse(text)).toEqual({
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { name: 'apps', namespace: 'flux-system' },
    spec: { interval: '10m', prune: true, force: false, sourceRef: { kind: 'GitRepository', name: 'demo' } },
  });
});

it.each([
  ['has no Kustomization "other" of kustomize.toolkit.fluxcd.io: it has "apps"', text, 'other'],
  ['it has none', 'kind: Kustomization\napiVersion: kustomize.config.k8s.io/v1beta1', 'apps'],
  ['"a.yaml" is no valid YAML', 'a: [', 'apps'],
  ['spec.sourceRef', text.replace(/ {2}sourceRef.*/, ''), 'apps'],
])('says "%s"', (message, source, name) => {
  expect(() => parse(source, name)).toThrow(message);
});

it('finds an object of another kind', () => {
  const release = `
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: apps, namespace: web}
spec: {interval: 1m, chartRef: {kind: OCIRepository, name: chart}}
`;
  expect(parseObjectFile(`${text}---${release}`, 'a.yaml', kinds.HelmRelease, 'apps', 'flux-system')).toMatchObject({
    apiVersion: 'helm.toolkit.fluxcd.io/v2',
    kind: 'HelmRelease',
    metadata: { name: 'apps', namespace: 'web' },
    spec: { chartRef: { kind: 'OCIRepository', name: 'chart' } },
  });
});
