// One suite for both drivers of the artifact store, and what only the S3 driver has: other workers, and serving.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from 'undici';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ArchiveFile, Artifact, ArtifactStore } from '../../activities/artifact/artifact.ts';
import { downloadArtifact } from '../../activities/artifact/download.ts';
import { createFileArtifactStore } from '../../activities/artifact/file-store.ts';
import { createS3Files } from '../../activities/artifact/s3-files.ts';
import { createS3ArtifactStore } from '../../activities/artifact/s3-store.ts';
import { createArtifactApp } from '../../activities/artifact/server.ts';
import { createS3Client, type S3Client } from '../../activities/s3-client.ts';
import { startTestS3Server, type TestS3Server } from '../servers/s3.ts';

const owner = { kind: 'GitRepository', namespace: 'apps', name: 'demo' };
const neighbour = { ...owner, name: 'demo2' };
const bucket = 'artifacts';
const advertisedAddress = 'artifacts.test';

let server: TestS3Server;
let directory: string;
let prefix: string;
let count = 0;

function file(path: string, text = path): ArchiveFile {
  return { path, isExecutable: false, content: async () => Buffer.from(text) };
}

async function* content(...chunks: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk as string);
}

function clientOf(options: { bucket?: string; attempts?: number } = {}): S3Client {
  const { accessKey: accessKeyId, secretKey: secretAccessKey } = server;
  return createS3Client({
    endpoint: server.url,
    bucket,
    credentials: async () => ({ accessKeyId, secretAccessKey }),
    dispatcher: new Agent(),
    ...options,
  });
}

interface Retention {
  retentionRecords?: number;
  retentionTtlMs?: number;
}

const drivers: Record<string, (retention?: Retention) => ArtifactStore> = {
  file: (retention) => createFileArtifactStore({ directory, advertisedAddress, ...retention }),
  s3: (retention) => createS3ArtifactStore({ client: clientOf(), prefix, advertisedAddress, ...retention }),
};

async function failureOf(promise: Promise<unknown>): Promise<{ reason: string; message: string }> {
  const error = (await promise.then(
    () => new Error('did not fail'),
    (thrown: unknown) => thrown,
  )) as Error & { type?: string };
  return { reason: error.type ?? error.name, message: error.message };
}

beforeAll(async () => {
  server = await startTestS3Server();
  await server.createBucket(bucket);
});
afterAll(() => server.close());
beforeEach(() => {
  for (const key of Object.keys(server.faults)) delete server.faults[key as keyof typeof server.faults];
  directory = mkdtempSync(join(tmpdir(), 'continuo-drivers-'));
  prefix = `store-${++count}/`;
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe.each(Object.keys(drivers))('the %s driver', (driver) => {
  const open = (retention?: Retention): ArtifactStore => (drivers[driver] as (typeof drivers)[string])(retention);

  it('publishes the same bytes for the same files, and knows them again', async () => {
    const store = open();
    const one = await store.publish(owner, 'a.tar.gz', 'main@sha1:1', [file('b/c.yaml'), file('a.yaml')]);
    const two = await store.publish(owner, 'b.tar.gz', 'main@sha1:1', [file('a.yaml'), file('b/c.yaml')]);
    expect(two.digest).toBe(one.digest);
    expect(one).toMatchObject({
      path: 'gitrepository/apps/demo/a.tar.gz',
      url: 'http://artifacts.test/gitrepository/apps/demo/a.tar.gz',
      revision: 'main@sha1:1',
      lastUpdateTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    });
    expect(await store.verify(one)).toBe(true);
    expect(await open().verify(two)).toBe(true); // as a worker that has never seen it
    expect(await store.verify({ ...one, path: 'gitrepository/apps/demo/none.tar.gz' })).toBe(false);
    expect(await store.verify({ ...one, path: '../x' })).toBe(false);
  });

  it('drops what does not have its digest', async () => {
    const store = open();
    const artifact = await store.publishContent(owner, 'a.tgz', '1.0.0', content('chart'));
    await store.publishContent(owner, 'a.tgz', '1.0.0', content('other'));
    expect(await open().verify(artifact)).toBe(false);
    expect(await store.verify(await store.publishContent(owner, 'a.tgz', '1.0.0', content('chart')))).toBe(true);
  });

  it('stores content of many megabytes, and nothing of content that breaks off', async () => {
    const store = open();
    const chunk = Buffer.alloc(5 * 1024 * 1024, 7);
    const artifact = await store.publishContent(owner, 'big', 'r', content(chunk, chunk, chunk, chunk, 'end'));
    expect(artifact.size).toBe(4 * chunk.length + 3);
    expect(await open().verify(artifact)).toBe(true);
    async function* broken(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 4; i++) yield chunk;
      throw new Error('the source broke off');
    }
    expect(await failureOf(store.publishContent(owner, 'half', 'r', broken()))).toEqual({
      reason: 'ArchiveOperationFailed',
      message: 'artifact "gitrepository/apps/demo/half" cannot be stored: the source broke off',
    });
    expect(await store.verify({ ...artifact, path: 'gitrepository/apps/demo/half' })).toBe(false);
  });

  it('keeps the current artifact, the newest and the young ones', async () => {
    const store = open({ retentionRecords: 2, retentionTtlMs: 0 });
    const artifacts = [];
    for (const n of [1, 2, 3, 4]) {
      artifacts.push(await store.publish(owner, `${n}.tar.gz`, 'r', [file(`${n}`)]));
      await new Promise((resolve) => setTimeout(resolve, driver === 's3' ? 1_050 : 20)); // as exact as S3's times are
    }
    const other = await store.publish(neighbour, '1.tar.gz', 'r', [file('1')]);
    expect(await open({ retentionRecords: 1 }).collectGarbage(owner, artifacts[0])).toEqual([]);
    expect((await store.collectGarbage(owner, artifacts[0])).sort()).toEqual([
      'gitrepository/apps/demo/2.tar.gz',
      'gitrepository/apps/demo/3.tar.gz',
    ]);
    expect(await Promise.all([...artifacts, other].map((one) => open().verify(one)))).toEqual([
      true,
      false,
      false,
      true,
      true,
    ]);
    await store.removeAll(owner);
    expect(await Promise.all([...artifacts, other].map((one) => store.verify(one)))).toEqual([
      false,
      false,
      false,
      false,
      true,
    ]);
    expect(await store.collectGarbage(owner, undefined)).toEqual([]);
  });

  it('refuses names that would leave the store', async () => {
    const store = open();
    expect((await failureOf(store.publish({ ...owner, name: '..' }, 'a', 'r', []))).reason).toBe(
      'StorageOperationFailed',
    );
    expect((await failureOf(store.publishContent(owner, '../a', 'r', content('x')))).reason).toBe(
      'StorageOperationFailed',
    );
  });

  it('keeps blobs by key', async () => {
    const store = open();
    expect(await store.readBlob('a/b:c')).toBeUndefined();
    await store.writeBlob('a/b:c', Buffer.from('one'));
    await store.writeBlob('a/b:c', Buffer.from('two'));
    expect(Buffer.from((await open().readBlob('a/b:c')) ?? []).toString()).toBe('two');
    await store.writeBlob('empty', new Uint8Array());
    expect((await store.readBlob('empty'))?.length).toBe(0);
    await store.removeBlob('a/b:c');
    await store.removeBlob('a/b:c');
    expect(await store.readBlob('a/b:c')).toBeUndefined();
  });

  it('sweeps old blobs of one family, except those that are kept', async () => {
    const store = open();
    const names = ['aa', 'bb', 'cc'].map((byte) => byte.repeat(32));
    for (const name of names) await store.writeBlob(`manifests/${name}`, Buffer.from(name));
    await store.writeBlob(`builds/${names[0]}`, Buffer.from('x'));
    const young = await store.sweepBlobs('manifests', { olderThanMs: 60_000 });
    expect([young.removedCount, [...young.kept].sort()]).toEqual([0, names]);
    const isKept = (name: string): boolean => name === names[1];
    const swept = await store.sweepBlobs('manifests', { olderThanMs: -5_000, isKept });
    expect([swept.removedCount, [...swept.kept]]).toEqual([2, [names[1]]]);
    expect(await store.readBlob(`manifests/${names[0]}`)).toBeUndefined();
    expect(await store.readBlob(`builds/${names[0]}`)).toBeDefined();
    expect((await store.sweepBlobs('inventory', { olderThanMs: 0 })).removedCount).toBe(0);
  });

  it('serves artifacts and links, with HEAD and ranges, and no blobs', async () => {
    const store = open();
    const files =
      driver === 's3' ? createS3Files({ client: clientOf(), prefix, cacheDirectory: directory }) : directory;
    const app = createArtifactApp(files);
    const artifact = await store.publishContent(owner, '1.tgz', '1', content('the first chart'));
    const url = await store.link(owner, 'latest.tar.gz', artifact);
    expect(url).toBe('http://artifacts.test/gitrepository/apps/demo/latest.tar.gz');
    await store.writeBlob('secret', Buffer.from('secret'));

    const answer = await app.request(`/${artifact.path}`);
    expect([answer.status, answer.headers.get('content-length'), await answer.text()]).toEqual([
      200,
      '15',
      'the first chart',
    ]);
    const etag = answer.headers.get('etag') ?? '';
    expect((await app.request(`/${artifact.path}`, { headers: { 'if-none-match': etag } })).status).toBe(304);
    expect(await (await app.request(new URL(url).pathname)).text()).toBe('the first chart');
    const part = await app.request(`/${artifact.path}`, { headers: { range: 'bytes=4-8' } });
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 4-8/15', 'first']);
    expect((await app.request(`/${artifact.path}`, { method: 'HEAD' })).headers.get('content-length')).toBe('15');

    await store.link(owner, 'latest.tar.gz', await store.publishContent(owner, '2.tgz', '2', content('the second')));
    expect(await (await app.request(new URL(url).pathname)).text()).toBe('the second');
    for (const path of ['/gitrepository/apps/demo', '/gitrepository/apps/demo/none', '/.blobs/x', '/.links/x']) {
      expect((await app.request(path)).status).toBe(404);
    }
    await store.removeAll(owner);
    expect((await app.request(new URL(url).pathname)).status).toBe(404);
  });
});

describe('the S3 driver', () => {
  it('brings an artifact to disk once, however many ask, and keeps the disk bounded', async () => {
    const store = drivers['s3']?.() as ArtifactStore;
    const open = createS3Files({ client: clientOf(), prefix, cacheDirectory: directory, maxCacheBytes: 25 });
    const app = createArtifactApp(open);
    const artifacts: Artifact[] = [];
    for (const n of ['1', '2', '3']) {
      artifacts.push(await store.publishContent(owner, n, n, content(`content ${n}`)));
    }
    server.requests.length = 0;
    const answers = await Promise.all(
      Array.from({ length: 5 }, async () => await app.request(`/${artifacts[0]?.path}`)),
    );
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(Array(5).fill('content 1'));
    expect(server.requests.filter(({ method }) => method === 'GET')).toHaveLength(1);
    for (const { path } of artifacts)
      expect((await (await app.request(`/${path}`)).text()).slice(0, 7)).toBe('content');
    expect(readdirSync(directory)).toHaveLength(2);
  });

  it('lets another worker read an artifact without HTTP, and proves its digest', async () => {
    const store = drivers['s3']?.() as ArtifactStore;
    const artifact = await store.publishContent(owner, 'a', 'r', content('content'));
    const open = createS3Files({ client: clientOf(), prefix, cacheDirectory: join(directory, 'cache') });
    const localStore = { open, baseUrl: 'http://artifacts.test/' };
    const signal = new AbortController().signal;
    await downloadArtifact(artifact, join(directory, 'target'), { localStore, retryDelayMs: 1 }, signal);
    const wrong = { ...artifact, digest: `sha256:${'0'.repeat(64)}` };
    expect(await failureOf(downloadArtifact(wrong, join(directory, 'other'), { localStore }, signal))).toMatchObject({
      reason: 'ArtifactFailed',
      message: expect.stringContaining('its digest does not match'),
    });
  });

  it('says what is wrong with the storage, tries again where that helps, and leaks no key', async () => {
    const lost = createS3ArtifactStore({ client: clientOf({ bucket: 'none' }), prefix, advertisedAddress });
    expect(await failureOf(lost.writeBlob('a', Buffer.from('x')))).toMatchObject({
      reason: 'StorageOperationFailed',
      message: expect.stringMatching(/^blob "a" cannot be written \(NoSuchBucket\): /),
    });
    const store = createS3ArtifactStore({ client: clientOf(), prefix, advertisedAddress });
    let isFirst = true;
    server.faults.before = () => {
      server.faults.status = isFirst ? 503 : undefined;
      isFirst = false;
    };
    await store.writeBlob('a', Buffer.from('x'));
    server.faults.before = undefined;
    server.faults.status = 500;
    const failed = await failureOf(store.readBlob('a'));
    expect(failed).toMatchObject({ reason: 'StorageOperationFailed', message: expect.stringContaining('(HTTP 500)') });
    expect(failed.message).not.toContain(server.secretKey);
    const app = createArtifactApp(createS3Files({ client: clientOf(), prefix, cacheDirectory: directory }));
    expect((await app.request('/gitrepository/apps/demo/a')).status).toBe(503);
  });
});
