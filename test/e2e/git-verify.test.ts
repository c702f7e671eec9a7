// spec.verify and spec.include through the whole engine, and an artifact that is lost while the worker runs.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { recordedObject, signatureFixture, writeSignedObjects } from '../servers/signed-objects.ts';
import { conditionOf, configMap, connectCluster, eventually, requestReconcile, statusOf } from './harness.ts';
import { createAppliedScenario, createScenario } from './scenario.ts';

let client: KubeClient;
beforeAll(() => {
  client = connectCluster();
});
afterAll(() => client.close());

const alice = recordedObject('pgp-alice.commit');
const aliceTag = recordedObject('pgp-alice.tag');

function secret(namespace: string, ...files: string[]): KubeObject {
  const data = Object.fromEntries(files.map((file) => [file, signatureFixture(file).toString('base64')]));
  return { apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name: 'keys' }, data };
}

it('makes an artifact of what is signed, and of nothing else', async () => {
  const scenario = await createScenario(client, 'verify', {});
  const { namespace } = scenario;
  writeSignedObjects(join(inject('gitRoot'), `${namespace}.git`), [alice, aliceTag], {
    'refs/heads/main': alice.oid,
    'refs/tags/v1.0.0': aliceTag.oid,
  });
  const verify = { mode: 'HEAD', secretRef: { name: 'keys' } };
  await scenario.createSource({ verify });
  expect(await scenario.refused('VerificationError', scenario.source)).toBe(
    `Secret "${namespace}/keys" named by spec.verify.secretRef does not exist`,
  );
  expect(conditionOf(await scenario.source(), 'SourceVerified')).toMatchObject({
    status: 'False',
    reason: 'VerificationError',
  });
  expect(statusOf(await scenario.source()).artifact).toBeUndefined();

  await client.create(secret(namespace, 'alice.asc'));
  await requestReconcile(client, await scenario.source());
  const verified = await eventually('the artifact of the signed commit', async () => {
    const source = await scenario.source();
    return conditionOf(source, 'Ready')?.status === 'True' && source;
  });
  expect(conditionOf(verified, 'SourceVerified')).toMatchObject({
    status: 'True',
    reason: 'Succeeded',
    message: expect.stringMatching(
      /^verified signature of commit by PGP key '[0-9A-F]{40}' \(alice <alice@example\.test>\)/,
    ),
  });
  expect(verified.status).toMatchObject({
    sourceVerificationMode: 'HEAD',
    artifact: { revision: `main@sha1:${alice.oid}` },
  });

  await scenario.patch(verified, { spec: { ref: { tag: 'v1.0.0' }, verify: { ...verify, mode: 'TagAndHEAD' } } });
  await eventually('both signatures', async () => {
    const source = await scenario.source();
    return (source.status as { sourceVerificationMode?: string }).sourceVerificationMode === 'TagAndHEAD';
  });
  expect(conditionOf(await scenario.source(), 'SourceVerified')?.message).toContain("tag 'pgp-alice' by PGP key");

  await scenario.patch(verified, { spec: { ref: { tag: null }, verify } });
  const unsigned = scenario.commit({ 'app.yaml': configMap('a', { a: '1' }) }, 'not signed');
  await requestReconcile(client, await scenario.source());
  const message = await scenario.refused('InvalidCommitSignature', scenario.source);
  expect(message).toContain(`commit "${unsigned.split(':')[1]}" is not signed`);
  const refused = await scenario.source();
  expect(conditionOf(refused, 'SourceVerified')).toMatchObject({ status: 'False', reason: 'InvalidCommitSignature' });
  expect(statusOf(refused).artifact?.revision).toContain(alice.oid);
  const events = await scenario.events(refused);
  expect(events.some(({ type, reason }) => type === 'Warning' && reason === 'InvalidCommitSignature')).toBe(true);

  await scenario.patch(refused, { spec: { verify: null } });
  const free = await eventually('the artifact without verification', async () => {
    const source = await scenario.source();
    return statusOf(source).artifact?.revision === unsigned && source;
  });
  expect(conditionOf(free, 'SourceVerified')).toBeUndefined();
  expect((free.status as { sourceVerificationMode?: string }).sourceVerificationMode).toBeUndefined();
}, 60_000);

it('applies what another repository brings in, and again when that one changes', async () => {
  const shared = await createScenario(client, 'shared', { 'base/b.yaml': configMap('included', { value: 'one' }) });
  const main = await createScenario(client, 'main', { 'own.yaml': configMap('own', { value: 'one' }) });
  const { namespace } = main;
  await main.createSource({ include: [{ repository: { name: 'shared' }, fromPath: 'base', toPath: 'lib' }] });
  await main.createKustomization();
  expect(await main.refused('NotFound', main.source)).toBe(`included GitRepository/${namespace}/shared does not exist`);
  expect(conditionOf(await main.source(), 'IncludeUnavailable')).toMatchObject({ status: 'True', reason: 'NotFound' });

  const other = await client.create({
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'GitRepository',
    metadata: { namespace, name: 'shared' },
    spec: { interval: '10m', url: shared.repository.url, ref: { branch: 'main' } },
  });
  const value = async (): Promise<unknown> => (await main.configMap('included'))?.data;
  await eventually('the included ConfigMap', async () => JSON.stringify(await value()) === '{"value":"one"}');
  expect((await main.source()).status).toMatchObject({
    includedArtifacts: [{ revision: expect.stringContaining('main@sha1:') }],
    observedInclude: [{ toPath: 'lib' }],
  });

  shared.commit({ 'base/b.yaml': configMap('included', { value: 'two' }) });
  await requestReconcile(client, other);
  await eventually('the changed ConfigMap', async () => JSON.stringify(await value()) === '{"value":"two"}');
}, 60_000);

it('makes an artifact again that is lost or damaged, as soon as somebody asks for it', async () => {
  const scenario = await createAppliedScenario(client, 'lost', { 'a.yaml': configMap('a', { value: 'one' }) });
  const file = async (): Promise<string> => {
    const { path } = statusOf(await scenario.source()).artifact as unknown as { path: string };
    return join(inject('dataDir'), 'worker', 'artifacts', path);
  };
  const address = statusOf(await scenario.source()).artifact?.url ?? '';
  const digest = statusOf(await scenario.source()).artifact?.digest;

  for (const harm of [(path: string) => rmSync(path), (path: string) => writeFileSync(path, 'damaged')]) {
    harm(await file());
    expect((await fetch(address)).status).toBe(404);
    await eventually('the artifact to be there again', async () => (await fetch(address)).status === 200, 15_000);
    expect(statusOf(await scenario.source()).artifact?.digest).toBe(digest);
  }
  const lost = `the stored artifact of revision '${scenario.first}' was lost or damaged, and has been made again`;
  await eventually('the event', async () => {
    const told = (await scenario.events(await scenario.source())).map(({ type, reason, message }) =>
      [type, reason, message].join(' '),
    );
    return told.includes(`Warning ArtifactVerificationFailed ${lost}`);
  });
  const head = await fetch(address, { method: 'HEAD' });
  const part = await fetch(address, { headers: { range: 'bytes=0-1' } });
  const known = await fetch(address, { headers: { 'if-none-match': head.headers.get('etag') ?? '' } });
  expect([head.status, part.status, known.status]).toEqual([200, 206, 304]);
  expect([...new Uint8Array(await part.arrayBuffer())]).toEqual([0x1f, 0x8b]);
}, 60_000);
