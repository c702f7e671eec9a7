import { expect, test } from 'vitest';
import { type HelmReleaseFlags, helmReleaseFromFlags } from './create-helmrelease.ts';

function flags(more: Partial<HelmReleaseFlags>): HelmReleaseFlags {
  return { namespace: 'apps', interval: '1m0s', waitReady: true, timeout: 1, ...more };
}

const chart = { chart: 'podinfo', source: 'HelmRepository/podinfo' };
const sourceRef = { kind: 'HelmRepository', name: 'podinfo' };

test('the least that is needed', () => {
  expect(helmReleaseFromFlags('web', flags(chart))).toEqual({
    apiVersion: 'helm.toolkit.fluxcd.io/v2',
    kind: 'HelmRelease',
    metadata: { name: 'web', namespace: 'apps' },
    spec: { interval: '1m0s', chart: { spec: { chart: 'podinfo', sourceRef } } },
  });
});

test.each<[Partial<HelmReleaseFlags>, object]>([
  [
    { ...chart, chartVersion: '>6', chartInterval: '5m', reconcileStrategy: 'Revision' },
    { chart: { spec: { chart: 'podinfo', version: '>6', sourceRef, interval: '5m', reconcileStrategy: 'Revision' } } },
  ],
  [
    { chart: './web', source: 'gitrepository/demo.sources' },
    { chart: { spec: { chart: './web', sourceRef: { kind: 'GitRepository', name: 'demo', namespace: 'sources' } } } },
  ],
  [
    { chartRef: 'OCIRepository/podinfo.sources' },
    { chartRef: { kind: 'OCIRepository', name: 'podinfo', namespace: 'sources' } },
  ],
  [
    { ...chart, targetNamespace: 'shop', createTargetNamespace: true, crds: 'CreateReplace' },
    {
      targetNamespace: 'shop',
      storageNamespace: 'shop',
      install: { createNamespace: true, crds: 'Create' },
      upgrade: { crds: 'CreateReplace' },
    },
  ],
  [
    { ...chart, releaseName: 'w', storageNamespace: 's', serviceAccount: 'sa', kubeconfigSecretRef: 'kc' },
    { releaseName: 'w', storageNamespace: 's', serviceAccountName: 'sa', kubeConfig: { secretRef: { name: 'kc' } } },
  ],
  [
    { ...chart, dependsOn: ['db', 'infra/db', 'ks/infra/base'] },
    {
      dependsOn: [
        { name: 'db' },
        { name: 'db', namespace: 'infra' },
        { kind: 'Kustomization', name: 'base', namespace: 'infra' },
      ],
    },
  ],
  [
    { ...chart, valuesFrom: ['ConfigMap/a', 'secret/b/c.yaml'] },
    {
      valuesFrom: [
        { kind: 'ConfigMap', name: 'a' },
        { kind: 'Secret', name: 'b', valuesKey: 'c.yaml' },
      ],
    },
  ],
])('%o', (given, spec) => {
  expect(helmReleaseFromFlags('web', flags(given)).spec).toMatchObject(spec);
});

test('values files merge in their order', () => {
  const files = [
    { path: 'a.yaml', text: 'a: {b: 1, c: 2}\nl: [1]\n' },
    { path: 'b.yaml', text: 'a: {c: 3}\nl: [2]\n' },
    { path: 'c.yaml', text: '' },
  ];
  expect(helmReleaseFromFlags('web', flags(chart), files).spec).toMatchObject({
    values: { a: { b: 1, c: 3 }, l: [2] },
  });
});

test.each<[Partial<HelmReleaseFlags>, string]>([
  [{}, '--chart is missing: give --chart and --source, or --chart-ref'],
  [{ chart: 'x' }, '--source is missing'],
  [{ chart: 'x', source: 'OCIRepository/x' }, '--source "OCIRepository/x": expected "<kind>/<name>[.<namespace>]"'],
  [{ chartRef: 'podinfo' }, '--chart-ref "podinfo": expected'],
  [{ chart: 'x', chartRef: 'OCIRepository/x' }, '--chart-ref names the chart'],
  [{ ...chart, createTargetNamespace: true }, 'give --target-namespace as well'],
  [{ ...chart, valuesFrom: ['Deployment/a'] }, '--values-from "Deployment/a"'],
  [{ ...chart, dependsOn: ['a//b'] }, '--depends-on "a//b"'],
])('what is wrong is told by its flag: %o', (given, message) => {
  expect(() => helmReleaseFromFlags('web', flags(given))).toThrow(message);
});

test('a values file that is no mapping is told by its path', () => {
  expect(() => helmReleaseFromFlags('web', flags(chart), [{ path: 'v.yaml', text: '- a' }])).toThrow(
    '--values "v.yaml"',
  );
  expect(() => helmReleaseFromFlags('web', flags(chart), [{ path: 'v.yaml', text: 'a: [' }])).toThrow(
    '--values "v.yaml"',
  );
});
