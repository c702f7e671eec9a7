// Workers that share nothing but a bucket: what one has fetched another builds, applies and serves.
import { createHash } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestS3Server, type TestS3Server } from '../servers/s3.ts';
import { configMap, eventually, requestReconcile, statusOf } from './harness.ts';
import { type OwnPlatform, startOwnPlatform } from './own-platform.ts';
import { createScenario } from './scenario.ts';
import { emptyDirectory, startWorker, type WorkerProcess } from './worker-process.ts';

const bucket = 'artifacts';
let own: OwnPlatform;
let server: TestS3Server;
const workers: WorkerProcess[] = [];

beforeAll(async () => {
  [own, server] = await Promise.all([startOwnPlatform(), startTestS3Server()]);
  await server.createBucket(bucket);
});
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.kill()));
  await own.stop();
  await server.close();
});

async function start(): Promise<WorkerProcess & { dataDir: string }> {
  const dataDir = mkdtempSync(join(own.platform.dataDir, 'worker-'));
  const worker = await startWorker(own.platform, {
    dataDir,
    artifactAddress: 'artifacts.example.test',
    env: {
      CONTINUO_ARTIFACT_STORE: 's3',
      CONTINUO_ARTIFACT_S3_ENDPOINT: server.host,
      CONTINUO_ARTIFACT_S3_INSECURE: 'true',
      CONTINUO_ARTIFACT_S3_BUCKET: bucket,
      CONTINUO_ARTIFACT_S3_PREFIX: 'continuo/test',
      CONTINUO_ARTIFACT_S3_ACCESS_KEY: server.accessKey,
      CONTINUO_ARTIFACT_S3_SECRET_KEY: server.secretKey,
    },
  });
  workers.push(worker);
  return { ...worker, dataDir };
}

it('reconciles across workers with directories of their own', async () => {
  const scenario = await createScenario(own.client, 's3', {});
  const first = await start();
  const revision = scenario.commit({ 'a/a.yaml': configMap('a', { v: '1' }), 'b/b.yaml': configMap('b', { v: '1' }) });
  await scenario.createSource();
  await scenario.createKustomization({ path: './a' });
  await scenario.applied(revision);
  const { artifact } = statusOf(await scenario.source());
  const path = new URL(artifact?.url ?? '').pathname;
  expect(artifact?.url).toBe(`http://artifacts.example.test${path}`);
  expect(await server.keys(bucket)).toContain(`continuo/test${path}`);

  // The worker that fetched is gone with all that it had.
  await first.stop();
  emptyDirectory(first.dataDir);
  const second = await start();
  await scenario.createKustomization({ path: './b' }, 'other');
  await scenario.applied(revision, 'other', 60_000);
  expect((await scenario.configMap('b'))?.data).toEqual({ v: '1' });

  const third = await start();
  const next = await scenario.push({ 'a/a.yaml': configMap('a', { v: '2' }), 'b/b.yaml': configMap('b', { v: '2' }) });
  await scenario.applied(next);
  await scenario.applied(next, 'other');
  expect((await scenario.configMap('a'))?.data).toEqual({ v: '2' });
  expect((await scenario.configMap('b'))?.data).toEqual({ v: '2' });

  const now = statusOf(await scenario.source()).artifact;
  for (const worker of [second, third]) {
    const answer = await fetch(worker.url + new URL(now?.url ?? '').pathname);
    const content = Buffer.from(await answer.arrayBuffer());
    expect(`sha256:${createHash('sha256').update(content).digest('hex')}`).toBe(now?.digest);
  }

  // What is lost in the bucket is made again.
  await server.put(bucket, { [`continuo/test${new URL(now?.url ?? '').pathname}`]: null });
  const source = await scenario.source();
  const request = await requestReconcile(own.client, source);
  await eventually('the request to be answered', async () => {
    return statusOf(await scenario.source()).lastHandledReconcileAt === request;
  });
  expect(await server.keys(bucket)).toContain(`continuo/test${new URL(now?.url ?? '').pathname}`);
});

it('stops at once, and says why, when the options do not fit', async () => {
  const dataDir = mkdtempSync(join(own.platform.dataDir, 'worker-'));
  const env = { CONTINUO_ARTIFACT_STORE: 's3' };
  await expect(startWorker(own.platform, { dataDir, env })).rejects.toThrow('CONTINUO_ARTIFACT_S3_BUCKET is missing');
});
