import { describe, expect, it } from 'vitest';
import { bucketFromFlags, type SourceBucketFlags } from './create-source-bucket.ts';

const common: SourceBucketFlags = {
  namespace: 'flux-system',
  interval: '1m0s',
  waitReady: true,
  timeout: 1,
  provider: 'generic',
  bucketName: 'apps',
  endpoint: 's3.example.org',
};

describe('create source bucket', () => {
  it('makes the object of its flags', () => {
    expect(bucketFromFlags('apps', common)).toEqual([
      {
        apiVersion: 'source.toolkit.fluxcd.io/v1',
        kind: 'Bucket',
        metadata: { name: 'apps', namespace: 'flux-system' },
        spec: { interval: '1m0s', provider: 'generic', bucketName: 'apps', endpoint: 's3.example.org' },
      },
    ]);
    const [object] = bucketFromFlags('apps', {
      ...common,
      region: 'eu-west-1',
      prefix: 'deploy/',
      insecure: true,
      secretRef: 'keys',
      certSecretRef: 'ca',
      proxySecretRef: 'proxy',
      stsProvider: 'ldap',
      stsEndpoint: 'https://sts.example.org',
      stsSecretRef: 'user',
      ignorePaths: ['*.md', '!a.md'],
    });
    expect(object?.spec).toMatchObject({
      region: 'eu-west-1',
      prefix: 'deploy/',
      insecure: true,
      secretRef: { name: 'keys' },
      certSecretRef: { name: 'ca' },
      proxySecretRef: { name: 'proxy' },
      sts: { provider: 'ldap', endpoint: 'https://sts.example.org', secretRef: { name: 'user' } },
      ignore: '*.md\n!a.md',
    });
  });

  it('makes a Secret of keys in flags', () => {
    const [secret, bucket] = bucketFromFlags('apps', { ...common, accessKey: 'a', secretKey: 's' });
    expect(secret).toMatchObject({
      kind: 'Secret',
      metadata: { name: 'bucket-apps' },
      stringData: { accesskey: 'a', secretkey: 's' },
    });
    expect(bucket?.spec).toMatchObject({ secretRef: { name: 'bucket-apps' } });
  });

  it.each([
    [{ bucketName: undefined }, '--bucket-name is missing'],
    [{ endpoint: undefined }, '--endpoint is missing'],
    [{ accessKey: 'a' }, 'expected both of --access-key and --secret-key'],
    [{ accessKey: 'a', secretKey: 's', secretRef: 'x' }, 'got both'],
    [{ accessKey: 'a', secretKey: 's', export: true }, '--export prints no credentials'],
    [{ accessKey: 'a', secretKey: 's', provider: 'gcp' as const }, 'goes with the providers'],
    [{ stsProvider: 'ldap' as const }, 'expected both of --sts-provider and --sts-endpoint'],
    [{ stsProvider: 'aws' as const, stsEndpoint: 'https://x' }, '"aws" goes with --provider=aws'],
  ])('refuses %j', (flags, message) => {
    expect(() => bucketFromFlags('apps', { ...common, ...flags })).toThrow(message);
  });
});
