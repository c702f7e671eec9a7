// Buckets of Google and Azure, and the token services, against a local server that checks every signature.
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createFileArtifactStore } from '../../activities/artifact/file-store.ts';
import { createBucketSource } from '../../activities/source/bucket/bucket-source.ts';
import { createCloudLogins } from '../../activities/source/cloud/cloud-logins.ts';
import type { SourceDriver } from '../../activities/source/source-driver.ts';
import type { Bucket, BucketSpec } from '../../k8s/api/bucket.ts';
import { type CloudStorage, startCloudStorage } from '../servers/cloud-storage.ts';
import { testPem } from '../servers/git.ts';
import { startTestS3Server, type TestS3Server } from '../servers/s3.ts';

const accountKey = Buffer.from('the key of the account').toString('base64');
const sas = 'sv=2023-11-03&sig=a%2Bsignature';
const account = generateKeyPairSync('rsa', { modulusLength: 2048 });
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pemOf = (key: typeof account.privateKey): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const signal = new AbortController().signal;

let cloud: CloudStorage;
let s3: TestS3Server;
let directory: string;
let driver: SourceDriver<Bucket>;
let secrets: Record<string, Record<string, string>>;
let object: Bucket;

beforeAll(async () => {
  s3 = await startTestS3Server();
  cloud = await startCloudStorage({
    serviceAccountKey: account.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    applicationCertificate: testPem('client.crt'),
    clientSecret: 'secret-of-the-client',
    accountKey,
    sas,
    ldap: { username: 'reader', password: 'pass-word' },
    s3: { accessKeyId: s3.accessKey, secretAccessKey: s3.secretKey },
  });
});
afterAll(async () => {
  await cloud.close();
  await s3.close();
});
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'continuo-clouds-'));
  secrets = {};
  cloud.objects.clear();
  for (const [key, content] of Object.entries({ 'a/a b+1.yaml': 'a', 'b.yaml': 'b', 'c/ü.yaml': 'ü', 'd/': '' })) {
    cloud.objects.set(key, content);
  }
  cloud.requests.length = 0;
  driver = createBucketSource({
    store: createFileArtifactStore({ directory: join(directory, 'artifacts'), advertisedAddress: 'artifacts.test' }),
    dataDirectory: directory,
    logins: createCloudLogins({ env: {} }),
    async readSecret(_, name) {
      const data = secrets[name];
      return data && Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value)]));
    },
  });
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function use(spec: Partial<BucketSpec>, secret?: Record<string, string>): void {
  if (secret) secrets['keys'] = secret;
  object = {
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'Bucket',
    metadata: { namespace: 'apps', name: 'demo', generation: 1 },
    spec: {
      bucketName: 'apps',
      endpoint: cloud.host,
      insecure: true,
      interval: '1m',
      timeout: '20s',
      provider: 'generic',
      ...(secret ? { secretRef: { name: 'keys' } } : {}),
      ...spec,
    },
  };
}

async function archived(): Promise<{ fileCount: number; revision: string }> {
  const fetched = await driver.fetch(object, signal);
  const { artifact, fileCount, observed } = await driver.archive(object, fetched, signal);
  object.status = { artifact, ...observed };
  expect(await driver.fetch(object, signal)).toMatchObject({ isUnchanged: true });
  return { fileCount, revision: artifact.revision };
}

async function failureOf(promise: Promise<unknown>): Promise<{ reason: string; message: string }> {
  const error = (await promise.then(
    () => new Error('did not fail'),
    (thrown: unknown) => thrown,
  )) as Error & { type?: string };
  return { reason: error.type ?? error.name, message: error.message };
}

describe('Google Cloud Storage', () => {
  const serviceAccount = (key: string): Record<string, string> => ({
    serviceaccount: JSON.stringify({
      type: 'service_account',
      client_email: 'reader@project.test',
      private_key_id: 'key-1',
      private_key: key,
      token_uri: `${cloud.url}/token`,
    }),
  });

  it('is read page by page with the token of a service account, which is kept', async () => {
    use({ provider: 'gcp' }, serviceAccount(pemOf(account.privateKey)));
    expect((await archived()).fileCount).toBe(3);
    expect(cloud.requests.filter((path) => path === 'POST /token').length).toBeLessThanOrEqual(1);
    expect(cloud.requests).toContain('GET /storage/v1/b/apps/o/a%2Fa%20b%2B1.yaml');
    use({ provider: 'gcp', prefix: 'c/' }, serviceAccount(pemOf(account.privateKey)));
    expect((await archived()).fileCount).toBe(1);
  });

  it('refuses content that is not what was listed', async () => {
    use({ provider: 'gcp' }, serviceAccount(pemOf(account.privateKey)));
    const fetched = await driver.fetch(object, signal);
    const get = cloud.objects.get.bind(cloud.objects);
    cloud.objects.get = (key) => (key === 'b.yaml' ? 'B' : get(key));
    try {
      // Another generation: it is listed again, and is not as listed again.
      expect(await failureOf(driver.archive(object, fetched, signal))).toMatchObject({
        reason: 'BucketOperationFailed',
        message: expect.stringContaining('"b.yaml" was changed meanwhile, again and again'),
      });
    } finally {
      Reflect.deleteProperty(cloud.objects, 'get');
    }
  });

  it('says what is wrong with the key, and never what it is', async () => {
    use({ provider: 'gcp' }, serviceAccount(pemOf(stranger.privateKey)));
    const failed = await failureOf(driver.fetch(object, signal));
    expect(failed.reason).toBe('AuthenticationFailed');
    expect(failed.message).toBe(`the token service at "${cloud.host}" gave no credentials: Invalid JWT Signature.`);
    for (const [text, message] of [
      ['{"type": "private-thing', 'is no JSON'],
      ['{"type":"authorized_user"}', 'is no key of a service account'],
      [JSON.stringify({ type: 'service_account', client_email: 'a', private_key: 'private-thing' }), 'cannot be read'],
    ] as const) {
      use({ provider: 'gcp' }, { serviceaccount: text });
      const refused = await failureOf(driver.fetch(object, signal));
      expect(refused).toMatchObject({ reason: 'AuthenticationFailed', message: expect.stringContaining(message) });
      expect(refused.message).not.toContain('private-thing');
    }
    use({ provider: 'gcp' }, { other: 'x' });
    expect((await failureOf(driver.fetch(object, signal))).message).toBe(
      'Secret "apps/keys" has keys "other": expected "serviceaccount"',
    );
  });

  it('sends the identity of the worker to Google alone', async () => {
    use({ provider: 'gcp' });
    expect(await failureOf(driver.fetch(object, signal))).toMatchObject({
      reason: 'AuthenticationFailed',
      message: expect.stringContaining('it is not sent the identity of the worker'),
    });
    expect(cloud.requests).toEqual([]);
  });
});

describe('Azure Blob Storage', () => {
  const application = { tenantId: 'tenant-1', clientId: 'client-1' };

  it.each([
    ['the key of the account', () => ({ accountKey })],
    ['a shared access signature', () => ({ sasKey: `?${sas}` })],
    ['a client secret', () => ({ ...application, clientSecret: 'secret-of-the-client', authorityHost: cloud.url })],
    [
      'a client certificate',
      () => ({
        ...application,
        clientCertificate: testPem('client.crt') + testPem('client.key'),
        authorityHost: cloud.url,
      }),
    ],
    [
      'a client certificate whose key is encrypted',
      () => ({
        ...application,
        clientCertificate:
          testPem('client.crt') +
          createPrivateKey(testPem('client.key'))
            .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'of-the-key' })
            .toString(),
        clientCertificatePassword: 'of-the-key',
        authorityHost: cloud.url,
      }),
    ],
  ])('is read page by page with %s', async (_, secret) => {
    use({ provider: 'azure', endpoint: `${cloud.url}/account1` }, secret());
    expect((await archived()).fileCount).toBe(3);
    use({ provider: 'azure', endpoint: `${cloud.url}/account1`, prefix: 'c/' }, secret());
    expect((await archived()).fileCount).toBe(1);
  });

  it('says what is wrong with the credentials, and never what they are', async () => {
    const wrong = Buffer.from('another key').toString('base64');
    use({ provider: 'azure', endpoint: `${cloud.url}/account1` }, { accountKey: wrong });
    const refused = await failureOf(driver.fetch(object, signal));
    expect(refused.reason).toBe('AuthenticationFailed');
    expect(refused.message).toMatch(
      /^listing container "apps" at .* failed \(AuthenticationFailed\): .*; correct the Secret/,
    );
    expect(refused.message).not.toContain(wrong);

    const secret = { ...application, clientSecret: 'wrong-secret', authorityHost: cloud.url };
    use({ provider: 'azure', endpoint: `${cloud.url}/account1` }, secret);
    expect(await failureOf(driver.fetch(object, signal))).toMatchObject({
      reason: 'AuthenticationFailed',
      message: `the token service at "${cloud.host}" gave no credentials: AADSTS7000215: wrong`,
    });
    use({ provider: 'azure', endpoint: `${cloud.url}/account1` }, { sasKey: 'sig=wrong-sas' });
    const bySas = await failureOf(driver.fetch(object, signal));
    expect(bySas.reason).toBe('AuthenticationFailed');
    expect(bySas.message).not.toContain('wrong-sas');
    use({ provider: 'azure', endpoint: `${cloud.url}/account1` }, { ...application, clientCertificate: 'MIIK' });
    expect((await failureOf(driver.fetch(object, signal))).message).toContain('is not PEM');
    use({ provider: 'azure', endpoint: `${cloud.url}/account1` }, { clientId: 'client-1' });
    expect((await failureOf(driver.fetch(object, signal))).message).toContain('is not sent the identity of the worker');
  });
});

describe('the token service of an S3 server', () => {
  it('gives credentials for a user of LDAP, and says when it does not', async () => {
    await s3.createBucket('ldap');
    await s3.put('ldap', { 'a.yaml': 'a' });
    secrets['user'] = { username: 'reader', password: 'pass-word' };
    const sts = { provider: 'ldap' as const, endpoint: `${cloud.url}/sts`, secretRef: { name: 'user' } };
    use({ endpoint: s3.host, bucketName: 'ldap', sts });
    expect((await archived()).fileCount).toBe(1);
    secrets['user'] = { username: 'reader', password: 'wrong-pass' };
    const failed = await failureOf(driver.fetch(object, signal));
    expect(failed).toMatchObject({
      reason: 'AuthenticationFailed',
      message: expect.stringContaining('gave no credentials: No.'),
    });
    expect(failed.message).not.toContain('wrong-pass');
    delete secrets['user'];
    expect((await failureOf(driver.fetch(object, signal))).message).toContain('"apps/user"');
  });
});
