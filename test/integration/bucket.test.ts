// Bucket to artifact against a real S3 server; no Kubernetes and no Temporal.
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ArtifactStore } from '../../activities/artifact/artifact.ts';
import { createBucketSource } from '../../activities/source/bucket/bucket-source.ts';
import type { BucketLimits } from '../../activities/source/bucket/object-index.ts';
import { createCloudLogins } from '../../activities/source/cloud/cloud-logins.ts';
import { createSourceActivities, type SourceActivities } from '../../activities/source/source-activities.ts';
import type { ArchivedRevision, FetchedRevision } from '../../activities/source/source-driver.ts';
import type { Bucket, BucketSpec } from '../../k8s/api/bucket.ts';
import { otherCaPem, testPem } from '../servers/git.ts';
import { startHttpProxy } from '../servers/http-proxy.ts';
import { startTestS3Server, type TestS3Server } from '../servers/s3.ts';
import { createSourceFixture, failureOf, type SourceFixture } from '../servers/source-fixture.ts';

const source = { kind: 'Bucket', namespace: 'apps', name: 'demo' };

let fixture: SourceFixture;
let directory: string;
let store: ArtifactStore;
let activities: SourceActivities;
let object: Bucket | undefined;
let secrets: SourceFixture['secrets'];
let abort: AbortController;

function use(
  server: Pick<TestS3Server, 'host' | 'url' | 'accessKey' | 'secretKey'>,
  bucketName: string,
  spec: Partial<BucketSpec> = {},
): void {
  object = {
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'Bucket',
    metadata: { ...source, generation: 1 },
    spec: {
      endpoint: server.host,
      bucketName,
      interval: '1m',
      timeout: '20s',
      provider: 'generic',
      insecure: server.url.startsWith('http:'),
      secretRef: { name: 'keys' },
      ...spec,
    },
  };
  secrets['apps/keys'] ??= { accesskey: server.accessKey, secretkey: server.secretKey };
}

function open(options: { limits?: Partial<BucketLimits>; env?: Record<string, string> } = {}): SourceActivities {
  const driver = createBucketSource({
    store,
    dataDirectory: join(directory, 'data'),
    limits: options.limits,
    logins: createCloudLogins({ env: options.env ?? {} }),
    readSecret: fixture.readSecret,
  });
  return createSourceActivities({
    store,
    drivers: { Bucket: driver },
    source: async () => object,
    heartbeat: () => undefined,
    signal: () => abort.signal,
  });
}

const fetchRevision = (): Promise<FetchedRevision> => activities.fetchRevision({ source, generation: 1 });

async function reconcile(): Promise<ArchivedRevision> {
  const fetched = await fetchRevision();
  const archived = await activities.archiveRevision({ source, generation: 1, ...fetched });
  if (object) object.status = { artifact: archived.artifact, ...archived.observed };
  return archived;
}

function files(archived: ArchivedRevision): string[] {
  return fixture.list(archived).filter((name) => !name.endsWith('/'));
}

const md5 = (content: string): string => createHash('md5').update(content).digest('hex');

beforeEach(() => {
  fixture = createSourceFixture();
  ({ directory, store, secrets } = fixture);
  abort = new AbortController();
  activities = open();
});

afterEach(() => fixture.close());

describe('an S3 server', () => {
  let server: TestS3Server;
  let bucket: string;
  let count = 0;
  const reads = (): string[] =>
    server.requests.filter(({ path }) => !path.includes('list-type')).map(({ method, path }) => `${method} ${path}`);
  const lists = (): number => server.requests.filter(({ path }) => path.includes('list-type')).length;

  beforeAll(async () => {
    server = await startTestS3Server();
  });
  afterAll(() => server.close());
  beforeEach(async () => {
    for (const key of Object.keys(server.faults)) delete server.faults[key as keyof typeof server.faults];
    bucket = `bucket-${++count}`;
    await server.createBucket(bucket);
    await server.put(bucket, {
      'app/deployment.yaml': 'kind: Deployment\n',
      'app/kustomization.yaml': 'resources: [deployment.yaml]\n',
      'logo.png': 'not a picture',
    });
    server.requests.length = 0;
    use(server, bucket);
  });

  it('archives the objects, with the digest over keys and ETags as revision', async () => {
    const archived = await reconcile();

    const lines = `app/deployment.yaml ${md5('kind: Deployment\n')}\napp/kustomization.yaml ${md5('resources: [deployment.yaml]\n')}\n`;
    const hex = createHash('sha256').update(lines).digest('hex');
    expect(archived).toMatchObject({
      isNew: true,
      message: `stored artifact with 2 fetched files from '${bucket}' bucket`,
      conditionMessage: `stored artifact: revision 'sha256:${hex}'`,
      fileCount: 2,
      artifact: { revision: `sha256:${hex}`, path: `bucket/apps/demo/${hex}.tar.gz` },
      observed: { url: 'http://artifacts.test/bucket/apps/demo/latest.tar.gz' },
    });
    expect(files(archived)).toEqual(['app/deployment.yaml', 'app/kustomization.yaml']);
    expect(fixture.read(archived, 'app/kustomization.yaml')).toBe('resources: [deployment.yaml]\n');
    expect([lists(), reads().length]).toEqual([1, 2]);
  });

  it('asks an unchanged bucket for one listing, and downloads of a changed one only what changed', async () => {
    await server.put(bucket, { '.sourceignore': '*.png\n' });
    await reconcile();
    server.requests.length = 0;

    expect(await fetchRevision()).toMatchObject({ isUnchanged: true });
    expect([lists(), reads()]).toEqual([1, []]);

    await server.put(bucket, { 'app/deployment.yaml': 'kind: StatefulSet\n' });
    server.requests.length = 0;
    const archived = await reconcile();
    expect(fixture.read(archived, 'app/deployment.yaml')).toBe('kind: StatefulSet\n');
    expect([lists(), reads()]).toEqual([1, [`GET /${bucket}/app/deployment.yaml`]]);
  });

  it('gives the same artifact on a worker that has never seen the bucket', async () => {
    const first = await reconcile();
    rmSync(join(directory, 'data'), { recursive: true });
    activities = open();
    if (object) delete object.status;
    expect((await reconcile()).artifact.digest).toBe(first.artifact.digest);
  });

  it('archives again when the file is lost or the rules change', async () => {
    const { artifact } = await reconcile();
    await store.removeAll(source);
    expect(await fetchRevision()).toMatchObject({ isUnchanged: false });
    await reconcile();
    if (object) object.spec.ignore = '# nothing\n';
    expect(await fetchRevision()).toMatchObject({ isUnchanged: false, revision: artifact.revision });
  });

  it('reads all pages of a long listing', async () => {
    const many = Object.fromEntries(Array.from({ length: 1100 }, (_, i) => [`many/${i}.yaml`, `${i}`]));
    await server.put(bucket, many);
    server.requests.length = 0;
    expect(await fetchRevision()).toMatchObject({ isUnchanged: false });
    expect(lists()).toBe(2);
    activities = open({ limits: { maxObjects: 1000 } });
    expect(await failureOf(fetchRevision())).toMatchObject({
      reason: 'BucketOperationFailed',
      message: expect.stringContaining('there are more than the 1000 objects allowed'),
    });
  });

  it('takes the prefix and the patterns of the bucket and of the spec', async () => {
    await server.put(bucket, { '.sourceignore': '/app/deployment.yaml\n', 'other/a b+ü(1).yaml': 'x', 'other/': '' });
    expect(files(await reconcile())).toEqual(['app/kustomization.yaml', 'logo.png', 'other/a b+ü(1).yaml']);
    use(server, bucket, { prefix: 'app/' });
    expect(files(await reconcile())).toEqual(['app/kustomization.yaml']);
    use(server, bucket, { ignore: '/*\n!/logo.png\n' });
    expect(files(await reconcile())).toEqual(['logo.png']);
  });

  it('lists again when an object changes between listing and download', async () => {
    let isChanged = false;
    server.faults.before = async (method, path) => {
      if (isChanged || method !== 'GET' || path.includes('list-type')) return;
      isChanged = true;
      await server.put(bucket, { 'app/deployment.yaml': 'kind: Changed\n', 'app/kustomization.yaml': null });
    };
    const archived = await reconcile();
    expect(files(archived)).toEqual(['app/deployment.yaml']);
    expect(fixture.read(archived, 'app/deployment.yaml')).toBe('kind: Changed\n');
    expect(await fetchRevision()).toMatchObject({ isUnchanged: true, revision: archived.artifact.revision });
  });

  it('says when the region is wrong', async () => {
    use(server, bucket, { region: 'eu-nowhere-1' });
    expect(await failureOf(fetchRevision())).toMatchObject({
      reason: 'BucketOperationFailed',
      message: expect.stringMatching(/\(AuthorizationHeaderMalformed\): .*; correct spec.region, or leave it out$/),
    });
  });

  it('refuses content that was changed on its way, and keeps nothing of it', async () => {
    server.faults.isTampered = true;
    expect(await failureOf(reconcile())).toMatchObject({
      reason: 'BucketOperationFailed',
      message: expect.stringContaining('does not have its checksum'),
    });
    server.faults.isTampered = false;
    expect(fixture.read(await reconcile(), 'app/deployment.yaml')).toBe('kind: Deployment\n');
  });

  it.each([
    ['a missing Secret', {}, 'AuthenticationFailed', 'Secret "apps/keys" named by spec.secretRef does not exist'],
    [
      'a Secret without keys',
      { keys: { username: 'x' } },
      'AuthenticationFailed',
      'Secret "apps/keys" has keys "username": expected "accesskey" and "secretkey"',
    ],
    [
      'a wrong secret key',
      { keys: { accesskey: 'continuo-test', secretkey: 'wrong-secret-value' } },
      'AuthenticationFailed',
      /^listing bucket "bucket-\d+" at "127.0.0.1:\d+" failed \(SignatureDoesNotMatch\): .*; correct the Secret of spec.secretRef$/,
    ],
    [
      'an unknown access key',
      { keys: { accesskey: 'nobody', secretkey: 'x' } },
      'AuthenticationFailed',
      /\(XAdminUserNotFound\): .*; correct the Secret of spec.secretRef$/,
    ],
  ])('says what to do about %s', async (_, given, reason, message) => {
    delete secrets['apps/keys'];
    for (const [name, data] of Object.entries(given)) secrets[`apps/${name}`] = data;
    const failed = await failureOf(fetchRevision());
    expect(failed.reason).toBe(reason);
    expect(failed.message).toMatch(message);
    expect(failed.message).not.toContain('wrong-secret-value');
  });

  it('says what to do about a bucket that is not there, and about one that is not public', async () => {
    use(server, 'no-such-bucket');
    expect(await failureOf(fetchRevision())).toMatchObject({
      reason: 'BucketOperationFailed',
      message: expect.stringMatching(/\(NoSuchBucket\): .*; create the bucket, or correct spec.bucketName$/),
    });
    use(server, bucket, { secretRef: undefined });
    expect(await failureOf(fetchRevision())).toMatchObject({
      reason: 'BucketOperationFailed',
      message: expect.stringMatching(/\(AccessDenied\): .*; name a Secret with credentials in spec.secretRef$/),
    });
  });

  it('refuses content that is cut off or longer than listed, and tells a server that is away, slow or elsewhere', async () => {
    server.faults.cutAfterBytes = 3;
    expect(await failureOf(reconcile())).toMatchObject({
      reason: 'BucketOperationFailed',
      message: expect.stringMatching(/^downloading from bucket .* failed .*cut the connection$/),
    });
    server.faults.cutAfterBytes = undefined;
    server.faults.redirectTo = 'http://127.0.0.1:1';
    expect(await failureOf(fetchRevision())).toMatchObject({
      reason: 'BucketOperationFailed',
      message: expect.stringContaining('redirects are not followed'),
    });
    server.faults.redirectTo = undefined;
    server.faults.status = 503;
    expect((await failureOf(fetchRevision())).message).toContain('(HTTP 503)');
    server.faults.status = undefined;
    server.faults.delayMs = 2_000;
    use(server, bucket, { timeout: '200ms' });
    expect(await failureOf(fetchRevision())).toMatchObject({
      reason: 'BucketOperationFailed',
      message: expect.stringContaining('did not answer within spec.timeout (200ms)'),
    });
    use(server, bucket, { endpoint: '127.0.0.1:1' });
    expect(await failureOf(fetchRevision())).toMatchObject({
      reason: 'BucketOperationFailed',
      message: expect.stringContaining('(ECONNREFUSED): the server refuses connections'),
    });
  });

  it('ends at once when it is cancelled', async () => {
    server.faults.delayMs = 5_000;
    const fetching = fetchRevision();
    setTimeout(() => abort.abort(new Error('enough')), 50);
    await expect(fetching).rejects.toThrow('enough');
  });

  it('refuses a token service that does not fit, and workload identity for one object', async () => {
    const sts = { provider: 'aws' as const, endpoint: 'https://sts.amazonaws.com' };
    const ldap = { provider: 'ldap' as const, endpoint: 'ftp://x' };
    const refused: [Partial<BucketSpec>, string, string][] = [
      [{ sts }, 'InvalidSTSConfiguration', '"aws" does not go with spec.provider "generic"'],
      [{ provider: 'gcp', sts }, 'InvalidSTSConfiguration', '"aws" does not go with spec.provider "gcp"'],
      [
        { provider: 'aws', secretRef: undefined, sts: { ...sts, endpoint: 'https://evil.example' } },
        'InvalidSTSConfiguration',
        'expected "https://sts.<region>.amazonaws.com"',
      ],
      [{ sts: ldap }, 'URLInvalid', 'spec.sts.endpoint is not valid: expected "https://<host>"'],
      [
        { provider: 'aws', secretRef: undefined, serviceAccountName: 'x' },
        'FeatureGateDisabled',
        'CONTINUO_OBJECT_LEVEL_WORKLOAD_IDENTITY',
      ],
    ];
    for (const [spec, reason, words] of refused) {
      use(server, bucket, spec);
      expect(await failureOf(fetchRevision())).toEqual({ reason, message: expect.stringContaining(words) as string });
    }
  });

  it('takes the credentials of the worker for the provider aws', async () => {
    activities = open({ env: { AWS_ACCESS_KEY_ID: server.accessKey, AWS_SECRET_ACCESS_KEY: server.secretKey } });
    use(server, bucket, { provider: 'aws', secretRef: undefined });
    expect(await fetchRevision()).toMatchObject({ isUnchanged: false });
    activities = open({ env: { AWS_EC2_METADATA_DISABLED: 'true' } });
    expect(await failureOf(fetchRevision())).toMatchObject({
      reason: 'AuthenticationFailed',
      message: expect.stringContaining('the worker has no AWS credentials of its own'),
    });
  });
});

describe('an S3 server with TLS', () => {
  let server: TestS3Server;
  beforeAll(async () => {
    server = await startTestS3Server({ tls: 'server' });
    await server.createBucket('secure');
    await server.put('secure', { 'a.yaml': 'a' });
  });
  afterAll(() => server.close());

  it('is trusted by the CA in the Secret, and not without', async () => {
    use(server, 'secure', { certSecretRef: { name: 'ca' } });
    secrets['apps/ca'] = { 'ca.crt': testPem('ca.crt') };
    expect(files(await reconcile())).toEqual(['a.yaml']);
    use(server, 'secure');
    expect(await failureOf(fetchRevision())).toMatchObject({
      reason: 'BucketOperationFailed',
      message: expect.stringMatching(/unknown CA|self-signed/),
    });
    secrets['apps/other'] = { 'ca.crt': otherCaPem() };
    use(server, 'secure', { certSecretRef: { name: 'other' } });
    expect((await failureOf(fetchRevision())).message).toContain('put the CA into key "ca.crt" of the Secret');
    use(server, 'secure', { certSecretRef: { name: 'none' } });
    expect(await failureOf(fetchRevision())).toEqual({
      reason: 'AuthenticationFailed',
      message: 'Secret "apps/none" named by spec.certSecretRef does not exist',
    });
    use(server, 'secure', { endpoint: `http://${server.host}` });
    expect(await failureOf(fetchRevision())).toMatchObject({
      message: expect.stringContaining('spec.endpoint begins with "http://"'),
    });
  });
});

it('shows the client certificate of the Secret to a server that demands one, and says when there is none', async () => {
  const server = await startTestS3Server({ tls: 'mutual' });
  try {
    await server.createBucket('mutual');
    await server.put('mutual', { 'a.yaml': 'a' });
    const ca = { 'ca.crt': testPem('ca.crt') };
    secrets['apps/tls'] = { ...ca, 'tls.crt': testPem('client.crt'), 'tls.key': testPem('client.key') };
    use(server, 'mutual', { certSecretRef: { name: 'tls' } });
    expect(files(await reconcile())).toEqual(['a.yaml']);
    secrets['apps/tls'] = ca;
    expect(await failureOf(fetchRevision())).toMatchObject({
      reason: 'BucketOperationFailed',
      message: expect.stringContaining('client certificate') as string,
    });
  } finally {
    await server.close();
  }
});

it('goes through the proxy of spec.proxySecretRef, and says when that refuses or is not there', async () => {
  const [server, proxy] = await Promise.all([startTestS3Server(), startHttpProxy('me:pr0xy-pw')]);
  try {
    await server.createBucket('behind');
    await server.put('behind', { 'a.yaml': 'a' });
    use(server, 'behind', { proxySecretRef: { name: 'proxy' } });
    secrets['apps/proxy'] = { address: proxy.url, username: 'me', password: 'pr0xy-pw' };
    expect(files(await reconcile())).toEqual(['a.yaml']);
    expect(proxy.requests.every((line) => line.includes(server.host))).toBe(true);
    expect(proxy.requests.length).toBeGreaterThan(1);
    secrets['apps/proxy'] = { address: proxy.url, username: 'me', password: 'wr0ng-pw' };
    const refused = await failureOf(fetchRevision());
    expect(refused.message).toContain(
      '(HTTP 407): the proxy refused the login; check "username" and "password" of the Secret named by spec.proxySecretRef',
    );
    expect(refused.message).not.toContain('wr0ng');
    secrets['apps/proxy'] = { address: 'http://127.0.0.1:9' };
    expect((await failureOf(fetchRevision())).message).toContain('(ECONNREFUSED)');
    delete secrets['apps/proxy'];
    expect(await failureOf(fetchRevision())).toEqual({
      reason: 'AuthenticationFailed',
      message: 'Secret "apps/proxy" named by spec.proxySecretRef does not exist',
    });
  } finally {
    await Promise.all([server.close(), proxy.close()]);
  }
});

describe('a storage that means harm', () => {
  let server: Server;
  let pages: number;
  let page: (at: number) => string;

  beforeAll(async () => {
    server = createServer((_request, response) => response.end(page(pages++)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => new Promise((resolve) => server.close(resolve) && server.closeAllConnections()));

  const listing = (contents: string, more = ''): string =>
    `<ListBucketResult>${contents}<IsTruncated>${more ? 'true' : 'false'}</IsTruncated>` +
    `<NextContinuationToken>${more}</NextContinuationToken></ListBucketResult>`;
  const object = (key: string, sizeBytes = 1): string =>
    `<Contents><Key>${key}</Key><Size>${sizeBytes}</Size><ETag>"e"</ETag></Contents>`;

  it.each<[string, (at: number) => string, RegExp]>([
    [
      'a key that climbs out',
      () => listing(object('a/../../etc/passwd')),
      /has "\." or "\.\." in its key: leave it out/,
    ],
    ['an absolute key', () => listing(object('/etc/passwd')), /has a key that begins with "\/"/],
    ['a key with a backslash', () => listing(object('a\\..\\b')), /has a backslash in its key/],
    ['a key with control characters', () => listing(object('a&#10;b')), /has control characters in its key/],
    [
      'a key that is not UTF-8',
      () => listing(`<EncodingType>url</EncodingType>${object('caf%E9')}`),
      /that is not UTF-8/,
    ],
    ['a very long name', () => listing(object('n'.repeat(300))), /a name of more than 255 bytes/],
    [
      'a file and a folder of one name',
      () => listing(object('a') + object('a/b')),
      /"a" is an object and the folder of/,
    ],
    ['a size below zero', () => listing(object('a', -(10 ** 15))), /without a key or a size/],
    ['more bytes than are allowed', () => listing(object('a', 10 ** 12)), /more than the 1073741824 bytes allowed/],
    ['a listing in a circle', () => listing(object('a'), 'again'), /goes round in a circle/],
    ['a page that says not where it goes on', () => listing(object('a')).replace('false', 'true'), /is cut off/],
    ['something else than a listing', () => '<html></html>', /expected a "ListBucketResult", got "html"/],
    ['millions of empty elements', () => `<ListBucketResult>${'<a/>'.repeat(500_000)}`, /more than 400000 elements/],
    ['a document type', () => '<!DOCTYPE a [<!ENTITY b "c">]><ListBucketResult/>', /unexpected text/],
    ['an endless answer', () => 'x'.repeat(33 * 1024 * 1024), /is longer than 33554432 bytes/],
  ])('by %s is refused', async (_title, answer, message) => {
    [pages, page] = [0, answer];
    const { port } = server.address() as AddressInfo;
    use({ host: `127.0.0.1:${port}`, url: 'http:', accessKey: 'a', secretKey: 'b' }, 'any');
    expect(await failureOf(fetchRevision())).toEqual({
      reason: 'BucketOperationFailed',
      message: expect.stringMatching(message) as string,
    });
  });

  it('by keys without end is left', async () => {
    const keys = object('k'.repeat(30_000)).repeat(1_000);
    [pages, page] = [0, (at) => listing(keys, `${at}`)];
    const { port } = server.address() as AddressInfo;
    use({ host: `127.0.0.1:${port}`, url: 'http:', accessKey: 'a', secretKey: 'b' }, 'any');
    expect((await failureOf(fetchRevision())).message).toContain('the keys have more than 134217728 bytes together');
    expect(pages).toBeLessThan(10);
  });
});
