import { describe, expect, it } from 'vitest';
import { ociRepositoryFromFlags, type SourceOciFlags } from './create-source-oci.ts';

const common = { namespace: 'flux-system', interval: '1m0s', waitReady: true, timeout: 1 };
const flags: SourceOciFlags = { ...common, url: 'oci://ghcr.io/org/app', tag: 'latest' };

describe('create source oci', () => {
  it('makes the object of its flags', () => {
    const object = ociRepositoryFromFlags('app', {
      ...flags,
      tagSemver: '1.x',
      layerSelector: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip:copy',
      provider: 'generic',
      secretRef: 'login',
      serviceAccount: 'puller',
      certRef: 'tls',
      proxySecretRef: 'proxy',
      ignorePaths: ['a', 'b'],
      insecure: true,
      verifyProvider: 'cosign',
      verifyIssuer: '^https://issuer$',
      verifySubject: '^me$',
    });
    expect(object).toEqual({
      apiVersion: 'source.toolkit.fluxcd.io/v1',
      kind: 'OCIRepository',
      metadata: { name: 'app', namespace: 'flux-system' },
      spec: {
        interval: '1m0s',
        url: 'oci://ghcr.io/org/app',
        ref: { tag: 'latest', semver: '1.x' },
        layerSelector: { mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip', operation: 'copy' },
        provider: 'generic',
        secretRef: { name: 'login' },
        serviceAccountName: 'puller',
        certSecretRef: { name: 'tls' },
        proxySecretRef: { name: 'proxy' },
        ignore: 'a\nb',
        insecure: true,
        verify: { provider: 'cosign', matchOIDCIdentity: [{ issuer: '^https://issuer$', subject: '^me$' }] },
      },
    });
  });

  it('leaves out what is not asked for', () => {
    expect(ociRepositoryFromFlags('app', flags).spec).toEqual({
      interval: '1m0s',
      url: 'oci://ghcr.io/org/app',
      ref: { tag: 'latest' },
    });
  });

  it.each<[string, Partial<SourceOciFlags>]>([
    ['what to take is missing', { tag: undefined }],
    ['--url is missing', { url: undefined }],
    ['--url: expected "oci://<host>/<repository>"', { url: 'https://ghcr.io/a' }],
    ['must not contain a tag', { url: 'oci://ghcr.io/a:v1' }],
    ['--layer-selector: expected', { layerSelector: 'type:keep' }],
    ['--verify-provider is missing', { verifySecretRef: 'keys' }],
    ['expected both of --verify-issuer', { verifyProvider: 'cosign', verifyIssuer: 'x' }],
    ['spec.ref.digest', { digest: 'sha256:1' }],
  ])('says "%s"', (words, wrong) => {
    expect(() => ociRepositoryFromFlags('app', { ...flags, ...wrong })).toThrow(words);
  });
});
