// Charts that must be signed: by a provenance file beside them on a server, by cosign in a registry. Taken or refused by the
// HelmChart that a HelmRelease makes.
import { generateKeyPairSync, sign } from 'node:crypto';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { startChartRepository, type TestChartRepository } from '../servers/chart-repository.ts';
import { pushTestArtifact, startTestRegistry, type TestRegistry } from '../servers/registry.ts';
import { conditionOf, connectCluster, eventually, statusOf } from './harness.ts';
import { createScenario, type Scenario } from './scenario.ts';

const fixtures = join(import.meta.dirname, '../fixtures/provenance');
const sources = 'source.toolkit.fluxcd.io/v1';
const releases = 'helm.toolkit.fluxcd.io/v2';

let client: KubeClient;
let server: TestChartRepository;
let registry: TestRegistry;
let scenario: Scenario;
beforeAll(async () => {
  client = connectCluster();
  server = await startChartRepository();
  registry = await startTestRegistry();
  copyFileSync(join(fixtures, 'demo-0.1.0.tgz'), join(server.directory, 'demo-0.1.0.tgz'));
  server.helm('repo', 'index', server.directory);
  scenario = await createScenario(client, 'chart-verify', {});
}, 900_000);
afterAll(async () => {
  await client.close();
  await server.close();
  await registry.close();
});

async function create(apiVersion: string, kind: string, name: string, rest: object): Promise<void> {
  await client.create({ apiVersion, kind, metadata: { namespace: scenario.namespace, name }, ...rest });
}

/** A release of the chart `demo`, which must be signed with a key of the Secret. */
async function release(name: string, secret: string): Promise<void> {
  const verify = { provider: 'cosign', secretRef: { name: secret } };
  const spec = { chart: 'demo', version: '0.1.0', sourceRef: { kind: 'HelmRepository', name }, verify };
  await create(releases, 'HelmRelease', name, { spec: { interval: '10m', chart: { spec } } });
}

const chartName = (name: string): string => `${scenario.namespace}-${name}`;
async function chart(name: string): Promise<KubeObject | undefined> {
  return await scenario.find(sources, 'HelmChart', chartName(name));
}

/** The release tries to install it; the one template of the signed chart is no object, so that it goes no further. */
async function attempted(name: string): Promise<void> {
  await eventually(`HelmRelease ${name} to take the chart`, async () => {
    const object = await scenario.find(releases, 'HelmRelease', name);
    if (statusOf(object).lastAttemptedRevision === '0.1.0') return true;
    throw new Error(JSON.stringify([object?.status, (await chart(name))?.status]));
  });
}

test('a chart on a server is taken once a provenance file vouches for it', async () => {
  await create('v1', 'Secret', 'pgp', {
    stringData: { 'release.asc': readFileSync(join(fixtures, 'release.asc'), 'utf8') },
  });
  await create(sources, 'HelmRepository', 'server', { spec: { interval: '10m', url: server.url } });
  await release('server', 'pgp');
  const message = await scenario.refused('ChartVerificationError', async () => (await chart('server')) as KubeObject);
  expect(message).toContain('there is no "demo-0.1.0.tgz.prov" beside it');
  expect(conditionOf(await chart('server'), 'SourceVerified')).toMatchObject({ status: 'False' });
  expect((await chart('server'))?.status).not.toHaveProperty('artifact');

  copyFileSync(join(fixtures, 'demo-0.1.0.tgz.prov'), join(server.directory, 'demo-0.1.0.tgz.prov'));
  await attempted('server');
  expect(conditionOf(await chart('server'), 'SourceVerified')).toMatchObject({
    status: 'True',
    reason: 'Succeeded',
    message: 'verified signature of version 0.1.0 with key "release.asc"',
  });
});

test('a chart in a registry is taken once cosign has signed it', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const helmLayer = 'application/vnd.cncf.helm.chart.content.v1.tar+gzip';
  const { digest } = await pushTestArtifact(registry, 'charts/demo', '0.1.0', {
    configMediaType: 'application/vnd.cncf.helm.config.v1+json',
    layers: [{ mediaType: helmLayer, content: readFileSync(join(fixtures, 'demo-0.1.0.tgz')) }],
  });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  await create('v1', 'Secret', 'cosign', { stringData: { 'cosign.pub': pem } });
  const url = `oci://${registry.host}/charts`;
  await create(sources, 'HelmRepository', 'registry', { spec: { type: 'oci', url, insecure: true } });
  await release('registry', 'cosign');
  const message = await scenario.refused('ChartVerificationError', async () => (await chart('registry')) as KubeObject);
  expect(message).toContain('there is no signature');

  const identity = { 'docker-reference': `${registry.host}/charts/demo` };
  const critical = { identity, image: { 'docker-manifest-digest': digest }, type: 'cosign container image signature' };
  const content = Buffer.from(JSON.stringify({ critical, optional: {} }));
  const signature = sign('sha256', content, privateKey).toString('base64');
  await pushTestArtifact(registry, 'charts/demo', `${digest.replace(':', '-')}.sig`, {
    configMediaType: 'application/vnd.oci.image.config.v1+json',
    layers: [
      {
        mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json',
        content,
        annotations: { 'dev.cosignproject.cosign/signature': signature },
      },
    ],
  });
  await attempted('registry');
  expect(conditionOf(await chart('registry'), 'SourceVerified')).toMatchObject({
    status: 'True',
    message: `verified signature of chart 'demo' version '0.1.0' with key "cosign.pub"`,
  });
});
