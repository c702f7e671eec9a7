// Verification end to end: artifacts that cosign and notation signed, in a real registry, taken or refused by an OCIRepository,
// and applied by a Kustomization.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRegistryClient } from '../../activities/source/oci/registry-client.ts';
import type { KubeClient } from '../../k8s/client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { pushRecording, readFixture, readRecording, signedDigest } from '../fixtures/cosign/recorded-repository.ts';
import { startTestRegistry, type TestRegistry } from '../servers/registry.ts';
import { startCli } from './cli-process.ts';
import { conditionOf, connectCluster, eventually, kustomization, requestReconcile, statusOf } from './harness.ts';
import { createScenario, type Scenario } from './scenario.ts';

const apiVersion = 'source.toolkit.fluxcd.io/v1';
const revision = `1.0.0@${signedDigest}`;
const directory = mkdtempSync(join(tmpdir(), 'continuo-oci-verify-'));

let client: KubeClient;
let registry: TestRegistry;
let scenario: Scenario;

beforeAll(async () => {
  client = connectCluster();
  registry = await startTestRegistry();
  const pusher = createRegistryClient({ host: registry.host, isInsecure: true });
  const { signal } = new AbortController();
  await pushRecording(pusher, 'cosign', readRecording('cosign/cosign-3-ecdsa.json'), signal);
  await pushRecording(pusher, 'notation', readRecording('notation/cose.json'), signal);
  scenario = await createScenario(client, 'verify', {});
}, 900_000);
afterAll(async () => {
  await client.close();
  await registry.close();
  rmSync(directory, { recursive: true, force: true });
});

function repositoryOf(name: string, verify: object): KubeObject {
  const url = `oci://${registry.host}/${name}`;
  const spec = { interval: '10m', url, insecure: true, ref: { tag: '1.0.0' }, verify };
  return { apiVersion, kind: 'OCIRepository', metadata: { name, namespace: scenario.namespace }, spec };
}

function keysOf(publicKey: string): KubeObject {
  const stringData = { 'cosign.pub': readFixture(`cosign/${publicKey}`).toString() };
  const metadata = { name: 'cosign-keys', namespace: scenario.namespace };
  return { apiVersion: 'v1', kind: 'Secret', metadata, stringData };
}

async function source(name: string): Promise<KubeObject> {
  const found = await scenario.find(apiVersion, 'OCIRepository', name);
  if (!found) throw new Error(`OCIRepository ${name} does not exist`);
  return found;
}

async function verified(name: string): Promise<KubeObject> {
  return await eventually(`OCIRepository ${name} to be verified`, async () => {
    const object = await source(name);
    return (
      conditionOf(object, 'SourceVerified')?.status === 'True' &&
      conditionOf(object, 'Ready')?.status === 'True' &&
      object
    );
  });
}

test('an artifact that no key signed is refused, and taken and applied as soon as the key is known', async () => {
  await client.create(keysOf('other.pub'));
  await client.create(repositoryOf('cosign', { provider: 'cosign', secretRef: { name: 'cosign-keys' } }));
  const message = await scenario.refused('VerificationError', () => source('cosign'));
  expect(message).toMatch(/cannot be verified by cosign with "cosign\.pub" of Secret ".*\/cosign-keys": .*no key fits/);
  const refused = await source('cosign');
  expect(conditionOf(refused, 'SourceVerified')).toMatchObject({
    status: 'False',
    reason: 'VerificationError',
    message,
  });
  expect(refused.status).not.toHaveProperty('artifact');

  await client.apply(keysOf('ecdsa.pub'), { fieldManager: 'test', force: true });
  await requestReconcile(client, refused);
  const taken = await verified('cosign');
  expect(conditionOf(taken, 'SourceVerified')).toMatchObject({
    reason: 'Succeeded',
    message: `verified signature of revision ${revision} with key "cosign.pub"`,
  });
  expect(statusOf(taken)).toMatchObject({ artifact: { revision } });

  const { namespace } = scenario;
  const sourceRef = { kind: 'OCIRepository', name: 'cosign' };
  await client.create(kustomization(namespace, 'app', 'cosign', { path: './', sourceRef, targetNamespace: namespace }));
  await scenario.applied(revision);
  expect((await scenario.configMap('signed'))?.data).toEqual({ hello: 'world' });
});

test('an artifact is verified with the Secret that "continuo create secret notation" made', async () => {
  const policy = {
    name: 'release',
    registryScopes: [`${registry.host}/notation`],
    signatureVerification: { level: 'strict' },
    trustStores: ['ca:example'],
    trustedIdentities: ['x509.subject: C=US, ST=WA, O=example, CN=release-ec'],
  };
  writeFileSync(join(directory, 'policy.json'), JSON.stringify({ version: '1.0', trustPolicies: [policy] }));
  writeFileSync(join(directory, 'root.crt'), readFixture('notation/root.crt'));
  const files = [
    `--trust-policy-file=${join(directory, 'policy.json')}`,
    `--ca-cert-file=${join(directory, 'root.crt')}`,
  ];
  const made = await startCli(['create', 'secret', 'notation', 'trust', '-n', scenario.namespace, ...files]).result;
  expect(made).toEqual({ code: 0, stdout: `✔ Secret/${scenario.namespace}/trust created\n`, stderr: '' });

  await client.create(repositoryOf('notation', { provider: 'notation', secretRef: { name: 'trust' } }));
  expect(conditionOf(await verified('notation'), 'SourceVerified')?.message).toBe(
    `verified signature of revision ${revision} with notation trust policy "release"`,
  );
});
