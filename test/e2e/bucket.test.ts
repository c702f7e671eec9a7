// A Bucket through the real platform: objects in a real S3 server become an artifact, and a Kustomization applies it.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { startTestS3Server, type TestS3Server } from '../servers/s3.ts';
import {
  conditionOf,
  configMap,
  connectCluster,
  eventually,
  kustomization,
  requestReconcile,
  statusOf,
} from './harness.ts';
import { createScenario, type Scenario } from './scenario.ts';

let server: TestS3Server;
let client: KubeClient;

beforeAll(async () => {
  client = connectCluster();
  server = await startTestS3Server();
});
afterAll(async () => {
  await server.close();
  await client.close();
});

async function createBucket(scenario: Scenario, spec: object = {}): Promise<() => Promise<KubeObject>> {
  const { namespace } = scenario;
  await client.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace, name: 'keys' },
    stringData: { accesskey: server.accessKey, secretkey: server.secretKey },
  });
  const object = await client.create({
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'Bucket',
    metadata: { namespace, name: 'app' },
    spec: {
      interval: '10m',
      endpoint: server.host,
      insecure: true,
      bucketName: namespace,
      secretRef: { name: 'keys' },
      ...spec,
    },
  });
  return async () => (await client.get(refOf(object))) ?? object;
}

async function ready(look: () => Promise<KubeObject>, isNew: (object: KubeObject) => boolean = () => true) {
  return await eventually('the Bucket to be Ready', async () => {
    const object = await look();
    const isReady = conditionOf(object, 'Ready')?.status === 'True';
    if (isReady && isNew(object)) return object;
    throw new Error(JSON.stringify(object.status ?? 'no status'));
  });
}

it('turns a bucket into what is applied, and a changed object into a new revision', async () => {
  const scenario = await createScenario(client, 'bucket', {});
  const { namespace } = scenario;
  await server.createBucket(namespace);
  await server.put(namespace, { 'deploy/settings.yaml': configMap('settings', { v: 'one' }), 'README.md': 'about' });
  const bucket = await createBucket(scenario);

  const first = await ready(bucket);
  const { artifact, observedGeneration } = statusOf(first);
  const revision = artifact?.revision ?? '';
  expect(revision).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(observedGeneration).toBe(1);
  expect((first.status as { url?: string }).url).toMatch(new RegExp(`/bucket/${namespace}/app/latest.tar.gz$`));
  for (const type of ['Ready', 'ArtifactInStorage']) {
    expect(conditionOf(first, type)).toMatchObject({
      status: 'True',
      reason: 'Succeeded',
      message: `stored artifact: revision '${revision}'`,
    });
  }
  expect((await fetch((first.status as { url: string }).url)).status).toBe(200);

  await client.create(
    kustomization(namespace, 'app', 'app', { path: './deploy', sourceRef: { kind: 'Bucket', name: 'app' } }),
  );
  await scenario.applied(revision);
  expect((await scenario.configMap('settings'))?.data).toEqual({ v: 'one' });

  await server.put(namespace, { 'deploy/settings.yaml': configMap('settings', { v: 'two' }) });
  const request = await requestReconcile(client, first);
  const second = await ready(bucket, (object) => statusOf(object).lastHandledReconcileAt === request);
  const changed = statusOf(second).artifact?.revision ?? '';
  expect(changed).not.toBe(revision);
  await scenario.applied(changed);
  expect((await scenario.configMap('settings'))?.data).toEqual({ v: 'two' });

  const again = await requestReconcile(client, second);
  await ready(bucket, (object) => statusOf(object).lastHandledReconcileAt === again);
  const events = await eventually('the three events', async () => {
    const seen = (await scenario.events(second)).map(({ type, reason, message }) => `${type} ${reason} ${message}`);
    return seen.length >= 3 && seen;
  });
  const stored = `Normal NewArtifact stored artifact with 2 fetched files from '${namespace}' bucket`;
  expect(events).toContain(stored);
  expect(events).toContain(
    `Normal ArtifactUpToDate no changes since last reconciliation: observed revision '${changed}'`,
  );
});

it('says what is wrong with the credentials, and goes on once they are right', async () => {
  const scenario = await createScenario(client, 'bucket', {});
  const { namespace } = scenario;
  await server.createBucket(namespace);
  await server.put(namespace, { 'a.yaml': configMap('a', {}) });
  const bucket = await createBucket(scenario, { secretRef: { name: 'later' } });

  const message = await scenario.refused('AuthenticationFailed', bucket);
  expect(message).toBe(`Secret "${namespace}/later" named by spec.secretRef does not exist`);
  expect(conditionOf(await bucket(), 'FetchFailed')).toMatchObject({ status: 'True', reason: 'AuthenticationFailed' });

  await client.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace, name: 'later' },
    stringData: { accesskey: server.accessKey, secretkey: server.secretKey },
  });
  await requestReconcile(client, await bucket());
  const object = await ready(bucket);
  expect(conditionOf(object, 'FetchFailed')).toBeUndefined();

  await client.delete(refOf(object));
  await eventually('the Bucket to be gone', async () => (await client.get(refOf(object))) === undefined);
});
