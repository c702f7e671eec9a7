// A source that logs in to a registry of a cloud as a service account of its namespace, with a token that the real API
// server issues and reviews; and a keyless signature that is checked with the root of a TUF repository.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createRegistryClient } from '../../activities/source/oci/registry-client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { pushRecording, readFixture, readRecording, signedDigest } from '../fixtures/cosign/recorded-repository.ts';
import { cloudCa, type CloudFront, cloudHosts, startCloudFront } from '../servers/cloud-front.ts';
import { cloudEnvironment, startTestClouds, type TestClouds } from '../servers/cloud-login.ts';
import { fluxLayer } from '../servers/flux-artifact.ts';
import { pushTestArtifact, startTestRegistry, type TestRegistry } from '../servers/registry.ts';
import { startTufRepository, type TufRepository } from '../servers/tuf.ts';
import { conditionOf, configMap, eventually, kustomization, requestReconcile } from './harness.ts';
import { type OwnPlatform, startOwnPlatform } from './own-platform.ts';
import { createScenario, type Scenario } from './scenario.ts';
import { startWorker, type WorkerProcess } from './worker-process.ts';

const apiVersion = 'source.toolkit.fluxcd.io/v1';
const role = 'arn:aws:iam::123456789012:role/pull';

let own: OwnPlatform;
let worker: WorkerProcess;
let clouds: TestClouds;
let registry: TestRegistry;
let front: CloudFront;
let tuf: TufRepository;
let scenario: Scenario;

beforeAll(async () => {
  own = await startOwnPlatform();
  clouds = await startTestClouds(reviewed);
  registry = await startTestRegistry();
  front = await startCloudFront(clouds, { [cloudHosts.ecr]: `http://${registry.host}` });
  tuf = await startTufRepository('trusted_root.json', readFixture('cosign/trusted_root.json').toString());
  tuf.faults.status = 503;
  const dataDir = mkdtempSync(join(own.platform.dataDir, 'data-'));
  const rootFile = join(dataDir, 'first-root.json');
  writeFileSync(rootFile, tuf.root);
  worker = await startWorker(own.platform, {
    dataDir,
    env: {
      ...cloudEnvironment(clouds),
      CONTINUO_OBJECT_LEVEL_WORKLOAD_IDENTITY: 'true',
      CONTINUO_SIGSTORE_TUF_URL: tuf.url,
      CONTINUO_SIGSTORE_TUF_ROOT: rootFile,
    },
  });
  scenario = await createScenario(own.client, 'identity', {});
});
afterEach(({ task }) => {
  if (task.result?.state === 'fail') console.error(`the worker said:\n${worker.log().slice(-8_000)}`);
});
afterAll(async () => {
  await worker?.kill();
  for (const server of [front, tuf, registry, clouds]) await server?.close();
  await own?.stop();
});

/** Whom the API server knows a token to be of, if it was issued for the audience. */
async function reviewed(token: string, audience: string): Promise<string | undefined> {
  const review = await own.client.create({
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    metadata: { name: '' },
    spec: { token, audiences: [audience] },
  });
  const { authenticated, user } = review.status as { authenticated?: boolean; user?: { username?: string } };
  return authenticated ? user?.username : undefined;
}

async function create(kind: string, name: string, rest: object, version = 'v1'): Promise<KubeObject> {
  const { namespace } = scenario;
  return await own.client.create({ apiVersion: version, kind, metadata: { namespace, name }, ...rest });
}

async function source(name: string): Promise<KubeObject> {
  const found = await scenario.find(apiVersion, 'OCIRepository', name);
  if (!found) throw new Error(`OCIRepository ${name} does not exist`);
  return found;
}

test('an artifact in ECR is pulled by the role of a service account, and applied', async () => {
  const { namespace } = scenario;
  const layers = [fluxLayer({ 'cm.yaml': configMap('from-ecr', { v: '1' }) })];
  const { digest } = await pushTestArtifact(registry, 'team/web', '1.0.0', { layers });
  await create('Secret', 'ca', { stringData: { 'ca.crt': cloudCa } });
  await create('Secret', 'proxy', { stringData: { address: front.proxy.url } });
  const annotations = { 'eks.amazonaws.com/role-arn': role };
  await own.client.create({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { namespace, name: 'puller', annotations },
  });
  const spec = {
    interval: '10m',
    url: `oci://${cloudHosts.ecr}/team/web`,
    ref: { tag: '1.0.0' },
    provider: 'aws',
    serviceAccountName: 'puller',
    certSecretRef: { name: 'ca' },
    proxySecretRef: { name: 'proxy' },
  };
  await create('OCIRepository', 'ecr', { spec }, apiVersion);
  expect(await scenario.refused('AuthenticationFailed', () => source('ecr'))).toBe(
    `ServiceAccount "${namespace}/puller" gave no credentials: Not authorized to perform sts:AssumeRoleWithWebIdentity`,
  );

  clouds.trusted[role] = `system:serviceaccount:${namespace}:puller`;
  await requestReconcile(own.client, await source('ecr'));
  const sourceRef = { kind: 'OCIRepository', name: 'ecr' };
  await own.client.create(kustomization(namespace, 'app', 'ecr', { sourceRef }));
  await scenario.applied(`1.0.0@${digest}`);
  expect((await scenario.configMap('from-ecr'))?.data).toEqual({ v: '1' });
  expect(clouds.requests.at(-1)).toBe('POST /ecr/');
});

test('a keyless signature waits for the trusted root, and is checked with it', async () => {
  const pusher = createRegistryClient({ host: registry.host, isInsecure: true });
  await pushRecording(pusher, 'signed', readRecording('cosign/cosign-3-keyless.json'), new AbortController().signal);
  const matchOIDCIdentity = [
    { issuer: '^https://token\\.actions\\.githubusercontent\\.com$', subject: '^https://github\\.com/example/' },
  ];
  const spec = {
    interval: '10m',
    url: `oci://${registry.host}/signed`,
    insecure: true,
    ref: { tag: '1.0.0' },
    verify: { provider: 'cosign', matchOIDCIdentity },
  };
  await create('OCIRepository', 'keyless', { spec }, apiVersion);
  const refused = await scenario.refused('VerificationError', () => source('keyless'), 60_000);
  expect(refused).toContain(`the TUF repository "${tuf.url}" gave no trusted root (HTTP 503)`);
  expect(refused).toContain('set CONTINUO_SIGSTORE_TUF_URL on the worker to a mirror');
  expect((await source('keyless')).status).not.toHaveProperty('artifact');

  delete tuf.faults.status;
  await requestReconcile(own.client, await source('keyless'));
  const verified = await eventually(
    'the signature to be verified',
    async () => {
      const object = await source('keyless');
      return conditionOf(object, 'Ready')?.status === 'True' && conditionOf(object, 'SourceVerified');
    },
    60_000,
  );
  expect(verified).toMatchObject({
    status: 'True',
    message: `verified signature of revision 1.0.0@${signedDigest} with the identity "https://github.com/example/app/.github/workflows/release.yml@refs/tags/v1.0.0" of "https://token.actions.githubusercontent.com"`,
  });
});
