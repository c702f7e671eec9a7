// Buckets that are read with the identity of the worker or of a service account, and the token services of spec.sts, through
// a proxy and with certificates of their own.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createFileArtifactStore } from '../../activities/artifact/file-store.ts';
import { createBucketSource } from '../../activities/source/bucket/bucket-source.ts';
import { createCloudLogins } from '../../activities/source/cloud/cloud-logins.ts';
import type { SourceDriver } from '../../activities/source/source-driver.ts';
import type { Bucket, BucketSpec } from '../../k8s/api/bucket.ts';
import { cloudCa, type CloudFront, cloudHosts, startCloudFront } from '../servers/cloud-front.ts';
import {
  checkTestToken,
  cloudEnvironment,
  startTestClouds,
  testAccounts,
  type TestClouds,
} from '../servers/cloud-login.ts';
import { type CloudStorage, startCloudStorage } from '../servers/cloud-storage.ts';
import { testPem } from '../servers/git.ts';
import { startTestS3Server, type TestS3Server } from '../servers/s3.ts';
import { failureOf } from './oci-fixture.ts';

const role = 'arn:aws:iam::123456789012:role/read';
const annotations = {
  'eks.amazonaws.com/role-arn': role,
  'azure.workload.identity/tenant-id': 'tenant-1',
  'azure.workload.identity/client-id': 'client-1',
  'gcp.auth.fluxcd.io/workload-identity-provider':
    'projects/1/locations/global/workloadIdentityPools/pool/providers/cluster',
  'iam.gke.io/gcp-service-account': 'reader@my-project.iam.gserviceaccount.com',
};
const signal = new AbortController().signal;

let clouds: TestClouds;
let storage: CloudStorage;
let s3: TestS3Server;
let front: CloudFront;
let directory: string;
let secrets: Record<string, Record<string, string>>;
let attempt = 0;

beforeAll(async () => {
  clouds = await startTestClouds(checkTestToken);
  s3 = await startTestS3Server();
  await s3.createBucket('apps');
  await s3.put('apps', { 'a.yaml': 'a', 'b.yaml': 'b' });
  storage = await startCloudStorage({
    serviceAccountKey: '',
    applicationCertificate: '',
    clientSecret: '',
    accountKey: '',
    sas: 'none',
    ldap: { username: 'reader', password: 'pass-word' },
    s3: { accessKeyId: s3.accessKey, secretAccessKey: s3.secretKey },
  });
  for (const name of ['a.yaml', 'b.yaml']) storage.objects.set(name, name);
  front = await startCloudFront(clouds, {
    [cloudHosts.gcs]: storage.url,
    [cloudHosts.blob]: `${storage.url}/account1`,
  });
  clouds.givenKey = { id: s3.accessKey, secret: s3.secretKey };
});
afterAll(async () => {
  await front.close();
  await storage.close();
  await s3.close();
  await clouds.close();
});
beforeEach(() => {
  attempt += 1;
  directory = mkdtempSync(join(tmpdir(), 'continuo-bucket-identity-'));
  secrets = { ca: { 'ca.crt': cloudCa }, proxy: { address: front.proxy.url } };
  clouds.requests.length = 0;
  clouds.faults = {};
  clouds.trusted = {};
  front.proxy.requests.length = 0;
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function driverWith(env: Record<string, string>, isAllowed = false): SourceDriver<Bucket> {
  return createBucketSource({
    store: createFileArtifactStore({ directory: join(directory, 'artifacts'), advertisedAddress: 'artifacts.test' }),
    dataDirectory: directory,
    logins: createCloudLogins({
      env: { ...cloudEnvironment(clouds), ATTEMPT: String(attempt), ...env },
      accounts: isAllowed ? testAccounts({ 'apps/reader': { ...annotations, at: String(attempt) } }) : undefined,
    }),
    async readSecret(_, name) {
      const data = secrets[name];
      return data && Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value)]));
    },
  });
}

function bucket(spec: Partial<BucketSpec>): Bucket {
  return {
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'Bucket',
    metadata: { namespace: 'apps', name: 'demo', generation: 1 },
    spec: {
      bucketName: 'apps',
      endpoint: s3.host,
      insecure: true,
      interval: '1m',
      timeout: '20s',
      provider: 'generic',
      ...spec,
    },
  };
}

async function fileCount(driver: SourceDriver<Bucket>, object: Bucket): Promise<number> {
  return (await driver.archive(object, await driver.fetch(object, signal), signal)).fileCount;
}

describe('the provider aws', () => {
  it('reads with what the token service gives the worker, and the account of an object', async () => {
    clouds.trusted[role] = 'the worker';
    const env = { AWS_ROLE_ARN: role, AWS_WEB_IDENTITY_TOKEN_FILE: clouds.tokenFile };
    expect(await fileCount(driverWith(env), bucket({ provider: 'aws', region: 'us-east-1' }))).toBe(2);
    clouds.trusted[role] = 'apps:reader';
    const object = bucket({ provider: 'aws', region: 'us-east-1', serviceAccountName: 'reader' });
    expect(await fileCount(driverWith({}, true), object)).toBe(2);
    expect(new Set(clouds.requests)).toEqual(
      new Set(['POST /sts continuo', 'POST /sts reader.apps.us-east-1.fluxcd.io']),
    );
  });

  it('asks the token service that spec.sts names, where it is one of AWS, through the proxy', async () => {
    clouds.trusted[role] = 'apps:reader';
    const sts = { provider: 'aws' as const, endpoint: 'https://sts.eu-west-1.amazonaws.com' };
    const spec = { provider: 'aws' as const, serviceAccountName: 'reader', proxySecretRef: { name: 'proxy' } };
    const failed = await failureOf(driverWith({}, true).fetch(bucket({ ...spec, sts }), signal));
    expect(failed.reason).toBe('AuthenticationFailed'); // there is no such host here
    expect(front.proxy.requests).toEqual(['CONNECT sts.eu-west-1.amazonaws.com:443']);
    for (const endpoint of [
      'https://sts.example.org',
      'http://sts.amazonaws.com',
      'https://x.execute-api.eu-west-1.amazonaws.com',
    ]) {
      const other = bucket({ ...spec, sts: { ...sts, endpoint } });
      expect(await failureOf(driverWith({}, true).fetch(other, signal))).toMatchObject({
        reason: 'InvalidSTSConfiguration',
      });
    }
    expect(clouds.requests).toEqual([]);
  });
});

describe.each([
  ['gcp', cloudHosts.gcs, 'GET /computeMetadata/v1/instance/service-accounts/default/token'],
  ['azure', `https://${cloudHosts.blob}`, 'GET /metadata/identity/oauth2/token https://storage.azure.com'],
] as const)('the provider %s', (provider, endpoint, asked) => {
  const spec = {
    provider,
    endpoint,
    insecure: false,
    certSecretRef: { name: 'ca' },
    proxySecretRef: { name: 'proxy' },
  };

  it('reads with the identity of the worker', async () => {
    expect(await fileCount(driverWith({}), bucket(spec))).toBe(2);
    expect(clouds.requests).toEqual([asked]);
  });

  it('reads with the identity of a service account, and not without a word from the installation', async () => {
    const object = bucket({ ...spec, serviceAccountName: 'reader' });
    const pool = `//iam.googleapis.com/${annotations['gcp.auth.fluxcd.io/workload-identity-provider']}`;
    clouds.trusted = {
      [pool]: 'apps:reader',
      [annotations['iam.gke.io/gcp-service-account']]: pool,
      'client-1': 'apps:reader',
    };
    expect(await fileCount(driverWith({}, true), object)).toBe(2);
    expect(await failureOf(driverWith({}).fetch(object, signal))).toMatchObject({ reason: 'FeatureGateDisabled' });
    const unknown = bucket({ ...spec, serviceAccountName: 'nobody' });
    expect(await failureOf(driverWith({}, true).fetch(unknown, signal))).toEqual({
      reason: 'AuthenticationFailed',
      message: 'ServiceAccount "apps/nobody" named by spec.serviceAccountName does not exist',
    });
  });
});

it('the token service of a storage is trusted by the CA of spec.sts.certSecretRef, and not without', async () => {
  const tls = createServer({ cert: testPem('server.crt'), key: testPem('server.key') }, (incoming, response) => {
    incoming.resume().on('end', () => {
      const keys = `<AccessKeyId>${s3.accessKey}</AccessKeyId><SecretAccessKey>${s3.secretKey}</SecretAccessKey>`;
      response.end(
        `<AssumeRoleWithLDAPIdentityResponse><Credentials>${keys}</Credentials></AssumeRoleWithLDAPIdentityResponse>`,
      );
    });
  });
  await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
  const endpoint = `https://127.0.0.1:${(tls.address() as AddressInfo).port}`;
  try {
    secrets['user'] = { username: 'reader', password: 'pass-word' };
    secrets['sts'] = { 'ca.crt': testPem('ca.crt') };
    const sts = { provider: 'ldap' as const, endpoint, secretRef: { name: 'user' } };
    expect(await failureOf(driverWith({}).fetch(bucket({ sts }), signal))).toMatchObject({
      reason: 'AuthenticationFailed',
      message: expect.stringMatching(/gave no credentials .*(unknown CA|self-signed)/) as string,
    });
    expect(await fileCount(driverWith({}), bucket({ sts: { ...sts, certSecretRef: { name: 'sts' } } }))).toBe(2);
  } finally {
    tls.closeAllConnections();
    tls.close();
  }
});
