import { expect, test } from 'vitest';
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import { helmChartOf } from './chart-template.ts';

const metadata = { name: 'web', namespace: 'apps' };
type Chart = NonNullable<HelmRelease['spec']['chart']>;

function chart(spec: Partial<Chart['spec']> = {}, more: Partial<Chart> = {}): Chart {
  const sourceRef = { kind: 'HelmRepository', name: 'charts' } as const;
  return { ...more, spec: { chart: 'web', version: '*', reconcileStrategy: 'ChartVersion', sourceRef, ...spec } };
}

const labels = { 'helm.toolkit.fluxcd.io/name': 'web', 'helm.toolkit.fluxcd.io/namespace': 'apps' };

test('the HelmChart has the defaults of the contract and says whose it is', () => {
  expect(helmChartOf({ metadata, spec: { interval: '10m', chart: chart() } })).toEqual({
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'HelmChart',
    metadata: { namespace: 'apps', name: 'apps-web', labels },
    spec: {
      chart: 'web',
      version: '*',
      sourceRef: { kind: 'HelmRepository', name: 'charts' },
      interval: '10m',
      reconcileStrategy: 'ChartVersion',
    },
  });
});

test('every field of the template is passed on', () => {
  const template = chart(
    {
      version: '1.x',
      interval: '1m',
      reconcileStrategy: 'Revision',
      sourceRef: { kind: 'GitRepository', name: 'charts', namespace: 'sources' },
      valuesFiles: ['a.yaml'],
      ignoreMissingValuesFiles: true,
      verify: { provider: 'notation', secretRef: { name: 'keys' } },
    },
    { metadata: { labels: { team: 'shop', 'helm.toolkit.fluxcd.io/name': 'x' }, annotations: { a: 'b' } } },
  );
  expect(helmChartOf({ metadata, spec: { interval: '10m', chart: template } })).toMatchObject({
    metadata: { namespace: 'sources', labels: { ...labels, team: 'shop' }, annotations: { a: 'b' } },
    spec: {
      version: '1.x',
      interval: '1m',
      reconcileStrategy: 'Revision',
      sourceRef: { kind: 'GitRepository', name: 'charts' },
      valuesFiles: ['a.yaml'],
      ignoreMissingValuesFiles: true,
      verify: { provider: 'notation', secretRef: { name: 'keys' } },
    },
  });
});

test('a release with chartRef has no HelmChart of its own', () => {
  expect(helmChartOf({ metadata, spec: { interval: '10m' } })).toBeUndefined();
});
