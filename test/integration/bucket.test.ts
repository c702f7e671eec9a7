// Bucket to artifact against a real S3 server; no Kubernetes and no Temporal.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ArtifactStore } from '../../activities/artifact/artifact.ts';
import { createFileArtifactStore } from '../../activities/artifact/file-store.ts';
import { createBucketSource } from '../../activities/source/bucket/bucket-source.ts';
import type { BucketLimits } from '../../activities/source/bucket/object-index.ts';
import { createSourceActivities, type SourceActivities } from '../../activities/source/source-activities.ts';
import type { ArchivedRevision, FetchedRevision } from '../../activities/source/source-driver.ts';
import type { Bucket, BucketSpec } from '../../k8s/api/bucket.ts';
import { testPem } from '../servers/git.ts';
import { startTestS3Server, type TestS3Server } from '../servers/s3.ts';

const source = { kind: 'Bucket', namespace: 'apps', name: 'demo' };

let directory: string;
let store: ArtifactStore;
let activities: SourceActivities;
let object: Bucket | undefined;
let secrets: Record<string, Record<string, string>>;
let abort: AbortController;

function use(server: TestS3Server, bucketName: string, spec: Partial<BucketSpec> = {}): void {
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
    env: {},
    ...options,
    async readSecret(namespace, name) {
      const data = secrets[`${namespace}/${name}`];
      return data && Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value)]));
    },
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
  const path = join(directory, 'artifacts', archived.artifact.path);
  const names = execFileSync('tar', ['-tzf', path], { encoding: 'utf8' }).trim().split('\n');
  return names.filter((name) => !name.endsWith('/'));
}

function text(archived: ArchivedRevision, path: string): string {
  return execFileSync('tar', ['-xzOf', join(directory, 'artifacts', archived.artifact.path), path], {
    encoding: 'utf8',
  });
}

async function failureOf(promise: Promise<unknown>): Promise<{ reason: string; message: string }> {
  const error = (await promise.then(
    () => new Error('did not fail'),
    (thrown: unknown) => thrown,
  )) as Error & { type?: string };
  return { reason: error.type ?? error.name, message: error.message };
}

const md5 = (content: string): string => createHash('md5').update(content).digest('hex');

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'continuo-bucket-'));
  store = createFileArtifactStore({ directory: join(directory, 'artifacts'), advertisedAddress: 'artifacts.test' });
  secrets = {};
  abort = new AbortController();
  activities = open();
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

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
    expect(text(archived, 'app/kustomization.yaml')).toBe('resources: [deployment.yaml]\n');
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
    expect(text(archived, 'app/deployment.yaml')).toBe('kind: StatefulSet\n');
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
    expect(text(archived, 'app/deployment.yaml')).toBe('kind: Changed\n');
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
    expect(text(await reconcile(), 'app/deployment.yaml')).toBe('kind: Deployment\n');
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
    secrets = Object.fromEntries(Object.entries(given).map(([name, data]) => [`apps/${name}`, data]));
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
    use(server, bucket, { sts });
    expect(await failureOf(fetchRevision())).toMatchObject({ reason: 'InvalidSTSConfiguration' });
    use(server, bucket, { provider: 'gcp', sts });
    expect(await failureOf(fetchRevision())).toMatchObject({ reason: 'InvalidSTSConfiguration' });
    use(server, bucket, { provider: 'aws', secretRef: undefined, sts: { ...sts, endpoint: 'https://evil.example' } });
    expect(await failureOf(fetchRevision())).toMatchObject({ reason: 'InvalidSTSConfiguration' });
    use(server, bucket, { sts: { provider: 'ldap', endpoint: 'ftp://x' } });
    expect(await failureOf(fetchRevision())).toMatchObject({ reason: 'URLInvalid' });
    use(server, bucket, { provider: 'aws', secretRef: undefined, serviceAccountName: 'x' });
    expect(await failureOf(fetchRevision())).toMatchObject({ reason: 'FeatureGateDisabled' });
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
    server = await startTestS3Server({ tls: true });
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
    use(server, 'secure', { certSecretRef: { name: 'none' } });
    expect(await failureOf(fetchRevision())).toMatchObject({ reason: 'AuthenticationFailed' });
    use(server, 'secure', { endpoint: `http://${server.host}` });
    expect(await failureOf(fetchRevision())).toMatchObject({
      message: expect.stringContaining('spec.endpoint begins with "http://"'),
    });
  });
});
