import { describe, expect, it } from 'vitest';
import { helmChartFromFlags, type SourceChartFlags } from './create-source-chart.ts';
import { helmRepositoryFromFlags, type SourceHelmFlags } from './create-source-helm.ts';

const common = { namespace: 'apps', interval: '1m0s', waitReady: true, timeout: 1 };
const repository = (flags: Partial<SourceHelmFlags>) => helmRepositoryFromFlags('charts', { ...common, ...flags });
const chart = (flags: Partial<SourceChartFlags>) => helmChartFromFlags('web', { ...common, ...flags }).spec;

describe('create source helm', () => {
  it('makes a HelmRepository', () => {
    expect(repository({ url: 'https://host/charts', passCredentials: true, secretRef: 'login' })).toEqual([
      {
        apiVersion: 'source.toolkit.fluxcd.io/v1',
        kind: 'HelmRepository',
        metadata: { name: 'charts', namespace: 'apps' },
        spec: { interval: '1m0s', url: 'https://host/charts', passCredentials: true, secretRef: { name: 'login' } },
      },
    ]);
  });

  it('makes Secrets of credentials, for a server and for a registry', () => {
    const [login, tls, made] = repository({ url: 'https://host', username: 'ann', password: 'pw', caFile: 'CA' });
    expect(login).toMatchObject({ metadata: { name: 'helm-charts' }, stringData: { username: 'ann', password: 'pw' } });
    expect(tls).toMatchObject({ metadata: { name: 'helm-charts-tls' }, stringData: { 'ca.crt': 'CA' } });
    expect(made?.spec).toMatchObject({
      secretRef: { name: 'helm-charts' },
      certSecretRef: { name: 'helm-charts-tls' },
    });

    const [config, registry] = repository({ url: 'oci://host:5000/charts', username: 'ann', password: 'pw' });
    expect(config).toMatchObject({ type: 'kubernetes.io/dockerconfigjson' });
    const text = (config as unknown as { stringData: Record<string, string> }).stringData['.dockerconfigjson'] ?? '';
    expect(JSON.parse(text)).toEqual({
      auths: { 'host:5000': { username: 'ann', password: 'pw', auth: Buffer.from('ann:pw').toString('base64') } },
    });
    expect(registry?.spec).toMatchObject({ type: 'oci', secretRef: { name: 'helm-charts' } });
  });

  it.each<[Partial<SourceHelmFlags>, string]>([
    [{}, '--url is missing'],
    [{ url: 'charts' }, '--url has to be an address'],
    [{ url: 'https://ann:pw@host' }, '--url must hold no password'],
    [{ url: 'https://host', username: 'ann' }, 'expected both of --username and --password'],
    [{ url: 'https://host', certFile: 'x' }, 'expected both of --cert-file and --key-file'],
    [{ url: 'https://host', caFile: 'x', secretRef: 'y' }, 'expected --secret-ref or credentials in flags, got both'],
  ])('refuses %j', (flags, message) => {
    expect(() => repository(flags)).toThrow(message);
  });
});

describe('create source chart', () => {
  it('makes a HelmChart', () => {
    expect(chart({ source: 'helmrepository/charts', chart: 'web', chartVersion: '1.x' })).toEqual({
      interval: '1m0s',
      chart: 'web',
      version: '1.x',
      sourceRef: { kind: 'HelmRepository', name: 'charts' },
    });
    expect(
      chart({ source: 'GitRepository/app', chart: './web', reconcileStrategy: 'Revision', valuesFile: ['a.yaml'] }),
    ).toMatchObject({ reconcileStrategy: 'Revision', valuesFiles: ['a.yaml'] });
    expect(
      chart({
        source: 'HelmRepository/c',
        chart: 'web',
        verifyProvider: 'cosign',
        verifyIssuer: 'i',
        verifySubject: 's',
      }),
    ).toMatchObject({ verify: { provider: 'cosign', matchOIDCIdentity: [{ issuer: 'i', subject: 's' }] } });
  });

  it.each<[Partial<SourceChartFlags>, string]>([
    [{ chart: 'web' }, '--source: expected "<kind>/<name>"'],
    [{ source: 'ConfigMap/x', chart: 'web' }, '--source: expected "<kind>/<name>"'],
    [{ source: 'Bucket/x' }, '--chart is missing'],
    [{ source: 'Bucket/x', chart: 'web', verifySecretRef: 'k' }, '--verify-provider is missing'],
    [
      { source: 'Bucket/x', chart: 'web', verifyProvider: 'cosign', verifyIssuer: 'i' },
      'expected both of --verify-issuer and --verify-subject',
    ],
  ])('refuses %j', (flags, message) => {
    expect(() => chart(flags)).toThrow(message);
  });
});
