import { expect, test } from 'vitest';
import type { HelmReleaseSpec } from '../../k8s/api/helm-release.ts';
import { helmChartRefOf, isReleaseSecretName, releaseNamesOf, releaseSecretName } from './names.ts';

function names(spec: Partial<HelmReleaseSpec>, name = 'web') {
  return releaseNamesOf({ metadata: { name, namespace: 'apps' }, spec: { interval: '1m', ...spec } });
}

test.each<[Partial<HelmReleaseSpec>, object]>([
  [{}, { releaseName: 'web', namespace: 'apps', storageNamespace: 'apps' }],
  [{ targetNamespace: 'shop' }, { releaseName: 'shop-web', namespace: 'shop', storageNamespace: 'apps' }],
  [
    { targetNamespace: 'shop', releaseName: 'w' },
    { releaseName: 'w', namespace: 'shop', storageNamespace: 'apps' },
  ],
  [{ storageNamespace: 'state' }, { releaseName: 'web', namespace: 'apps', storageNamespace: 'state' }],
])('%o', (spec, expected) => {
  expect(names(spec)).toEqual(expected);
});

test('a name that Helm would refuse is cut, and told from others by its digest', () => {
  expect(names({}, 'a'.repeat(53)).releaseName).toBe('a'.repeat(53));
  expect(names({}, 'a'.repeat(54)).releaseName).toBe(`${'a'.repeat(40)}-a3f01b693925`);
  expect(names({}, 'a'.repeat(54)).releaseName).toHaveLength(53);
});

test('the Secret of a revision is found by its name', () => {
  expect(releaseSecretName('web', 12)).toBe('sh.helm.release.v1.web.v12');
  expect(isReleaseSecretName('sh.helm.release.v1.web.v12')).toBe(true);
  expect(isReleaseSecretName('web')).toBe(false);
});

test('the HelmChart is in the namespace of its source, and absent for a chartRef', () => {
  const metadata = { name: 'web', namespace: 'apps' };
  const sourceRef = { kind: 'HelmRepository', name: 'charts', namespace: 'sources' } as const;
  const chart = { spec: { chart: 'web', version: '*', reconcileStrategy: 'ChartVersion', sourceRef } } as const;
  expect(helmChartRefOf({ metadata, spec: { interval: '1m', chart } })).toEqual({
    namespace: 'sources',
    name: 'apps-web',
  });
  expect(helmChartRefOf({ metadata, spec: { interval: '1m' } })).toBeUndefined();
});
