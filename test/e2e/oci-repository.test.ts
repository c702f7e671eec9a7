// OCIRepository end to end: a real registry, artifacts that the real flux CLI and ours push, and a Kustomization of them.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Kustomization } from '../../k8s/api/kustomization.ts';
import type { KubeClient } from '../../k8s/client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { ensureBinaries } from '../../tools/platform/index.ts';
import { startCommand } from '../servers/command.ts';
import { registryUser, startTestRegistry, type TestRegistry } from '../servers/registry.ts';
import { type CliResult, startCli } from './cli-process.ts';
import { conditionOf, configMap, connectCluster, eventually, kustomization, statusOf } from './harness.ts';
import { createScenario, type Scenario } from './scenario.ts';

const apiVersion = 'source.toolkit.fluxcd.io/v1';
const origin = { source: 'https://git.test/apps', revision: 'main@sha1:0000000000000000000000000000000000000abc' };

let client: KubeClient;
let registry: TestRegistry;
let closed: TestRegistry;
let binary: string;
let directory: string;
let scenario: Scenario;

beforeAll(async () => {
  client = connectCluster();
  ({ flux: binary } = await ensureBinaries(['flux']));
  directory = mkdtempSync(join(tmpdir(), 'continuo-oci-e2e-'));
  mkdirSync(join(directory, 'docker'));
  [registry, closed] = await Promise.all([startTestRegistry(), startTestRegistry({ login: 'token' })]);
  scenario = await createScenario(client, 'oci', {});
}, 900_000);
afterAll(async () => {
  await client.close();
  await Promise.all([registry.close(), closed.close()]);
  rmSync(directory, { recursive: true, force: true });
});

/** Not in one call: the proxy in front of the registry is in this process. */
function flux(...args: string[]): Promise<CliResult> {
  const env = { ...process.env, KUBECONFIG: inject('kubeconfig'), DOCKER_CONFIG: join(directory, 'docker') };
  return startCommand(binary, ['--timeout=30s', `--namespace=${scenario.namespace}`, ...args], env).result;
}

const continuo = (...args: string[]): Promise<CliResult> =>
  startCli(args, { DOCKER_CONFIG: join(directory, 'docker') }).result;

/** As a script would: fails with all that was printed. */
function succeeded({ code, stdout, stderr }: CliResult): string {
  expect({ code, printed: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, printed: '' });
  return stdout + stderr;
}

/** A directory with these files. */
function folder(name: string, files: Record<string, string>): string {
  const root = join(directory, name);
  rmSync(root, { recursive: true, force: true });
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

const pushFlags = [`--source=${origin.source}`, `--revision=${origin.revision}`];

async function sourceNamed(name: string): Promise<KubeObject> {
  const found = await scenario.find(apiVersion, 'OCIRepository', name);
  if (!found) throw new Error(`OCIRepository ${name} does not exist`);
  return found;
}

async function ready(name: string): Promise<KubeObject> {
  return await eventually(`OCIRepository ${name} to be Ready`, async () => {
    const object = await sourceNamed(name);
    const condition = conditionOf(object, 'Ready');
    if (condition?.status === 'True' && statusOf(object).observedGeneration === object.metadata.generation)
      return object;
    throw new Error(JSON.stringify(condition ?? 'no condition Ready'));
  });
}

interface OciStatus {
  url?: string;
  artifact?: { revision: string; digest: string; path: string; url: string; metadata?: Record<string, string> };
}

const ociStatus = (object: KubeObject): OciStatus => object.status as OciStatus;

/** A revision as both CLIs show it. */
const short = (revision = ''): string => revision.replace(/(sha256:[0-9a-f]{8})[0-9a-f]+/, '$1');

test('an artifact that flux pushed is reconciled, consumed, and followed', async () => {
  const { namespace } = scenario;
  const url = `oci://${registry.host}/team/app`;
  const first = folder('app', { 'deploy/one.yaml': configMap('oci-one', { v: '1' }), 'deploy/logo.png': 'x' });
  succeeded(await flux('push', 'artifact', `${url}:latest`, `--path=${first}`, ...pushFlags));
  const printed = succeeded(
    await continuo(
      'create',
      'source',
      'oci',
      'app',
      `--namespace=${namespace}`,
      `--url=${url}`,
      '--tag=latest',
      '--interval=10m',
    ),
  );
  const object = await ready('app');
  const { artifact, url: link } = ociStatus(object);
  expect(printed).toContain(`stored artifact for digest '${short(artifact?.revision)}'`);
  expect(artifact?.revision).toMatch(/^latest@sha256:[0-9a-f]{64}$/);
  expect(artifact?.path).toBe(
    `ocirepository/${namespace}/app/${artifact?.revision.slice('latest@sha256:'.length)}.tar.gz`,
  );
  expect(artifact?.metadata).toMatchObject({
    'org.opencontainers.image.source': origin.source,
    'org.opencontainers.image.revision': origin.revision,
  });
  expect(link).toMatch(new RegExp(`/ocirepository/${namespace}/app/latest\\.tar\\.gz$`));
  const bytes = await Promise.all(
    [link ?? '', artifact?.url ?? ''].map(async (one) => Buffer.from(await (await fetch(one)).arrayBuffer())),
  );
  expect(bytes[0]?.equals(bytes[1] as Buffer)).toBe(true);
  const message = `stored artifact for digest '${artifact?.revision}'`;
  expect(conditionOf(object, 'ArtifactInStorage')).toMatchObject({ status: 'True', reason: 'Succeeded', message });
  expect(conditionOf(object, 'Ready')).toMatchObject({ status: 'True', reason: 'Succeeded', message });
  const events = await eventually('the event', async () => {
    const found = await scenario.events(object);
    return found.length > 0 && found;
  });
  expect(events[0]).toMatchObject({
    type: 'Normal',
    reason: 'NewArtifact',
    message: `stored artifact with revision '${artifact?.revision}' from '${url}', origin source '${origin.source}', origin revision '${origin.revision}'`,
    annotations: {
      'source.toolkit.fluxcd.io/revision': artifact?.revision,
      'source.toolkit.fluxcd.io/digest': artifact?.digest,
    },
  });

  await client.create(
    kustomization(namespace, 'app', 'app', {
      path: './deploy',
      sourceRef: { kind: 'OCIRepository', name: 'app' },
    }),
  );
  await scenario.applied(artifact?.revision ?? '');
  expect((await scenario.configMap('oci-one'))?.data).toEqual({ v: '1' });
  const { status } = (await scenario.kustomization()) as Kustomization;
  expect(status?.lastAppliedOriginRevision).toBe(origin.revision);
  expect(status?.history?.[0]?.metadata).toEqual({
    revision: artifact?.revision,
    originRevision: origin.revision,
  });

  const second = folder('app', { 'deploy/one.yaml': configMap('oci-one', { v: '2' }) });
  succeeded(await continuo('push', 'artifact', `${url}:latest`, `--path=${second}`, ...pushFlags));
  const reconciled = succeeded(await flux('reconcile', 'source', 'oci', 'app'));
  const next = ociStatus(await sourceNamed('app')).artifact?.revision ?? '';
  expect(next).not.toBe(artifact?.revision);
  expect(reconciled).toContain(`fetched revision ${next}`);
  await scenario.applied(next);
  expect((await scenario.configMap('oci-one'))?.data).toEqual({ v: '2' });
});

test('the commands of both CLIs show, export, reconcile, suspend and resume it', async () => {
  const { namespace } = scenario;
  const revision = ociStatus(await ready('app')).artifact?.revision ?? '';
  for (const shown of [
    await flux('get', 'sources', 'oci'),
    await continuo('get', 'source', 'oci', `--namespace=${namespace}`),
  ]) {
    expect(succeeded(shown)).toContain(`stored artifact for digest '${short(revision)}'`);
  }
  for (const exported of [
    await flux('export', 'source', 'oci', 'app'),
    await continuo('export', 'source', 'oci', 'app', `--namespace=${namespace}`),
  ]) {
    expect(succeeded(exported)).toContain(`url: oci://${registry.host}/team/app`);
  }
  expect(succeeded(await continuo('reconcile', 'source', 'oci', 'app', `--namespace=${namespace}`))).toContain('app');
  expect(succeeded(await flux('suspend', 'source', 'oci', 'app'))).toContain('suspended');
  expect(succeeded(await flux('resume', 'source', 'oci', 'app'))).toContain(`fetched revision ${revision}`);
});

describe('what goes wrong', () => {
  test('a missing tag is told, and found once it is there', async () => {
    const { namespace } = scenario;
    const url = `oci://${registry.host}/team/late`;
    await client.create({
      apiVersion,
      kind: 'OCIRepository',
      metadata: { namespace, name: 'late' },
      spec: { interval: '10m', url, ref: { semver: '>=1.0.0' } },
    });
    const message = await scenario.refused('ReadOperationFailed', () => sourceNamed('late'));
    expect(message).toContain(`failed to determine the artifact tag for '${url}'`);
    expect(conditionOf(await sourceNamed('late'), 'FetchFailed')).toMatchObject({ status: 'True', message });
    const root = folder('late', { 'a.yaml': configMap('late', {}) });
    succeeded(await continuo('push', 'artifact', `${url}:1.2.3`, `--path=${root}`, ...pushFlags));
    succeeded(await flux('reconcile', 'source', 'oci', 'late'));
    const object = await ready('late');
    expect(ociStatus(object).artifact?.revision).toMatch(/^1\.2\.3@sha256:/);
    expect(conditionOf(object, 'FetchFailed')).toBeUndefined();
  });

  test('a wrong password is told, and a labelled Secret that changes is tried at once', async () => {
    const { namespace } = scenario;
    const url = `oci://${closed.host}/team/closed`;
    const { username, password } = registryUser;
    const root = folder('closed', { 'a.yaml': configMap('closed', {}) });
    const creds = `--creds=${username}:${password}`;
    succeeded(await continuo('push', 'artifact', `${url}:latest`, `--path=${root}`, creds, ...pushFlags));
    const secret = (word: string): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/dockerconfigjson',
      metadata: { namespace, name: 'login', labels: { 'reconcile.fluxcd.io/watch': 'Enabled' } },
      stringData: {
        '.dockerconfigjson': JSON.stringify({ auths: { [closed.host]: { username, password: word } } }),
      },
    });
    await client.create(secret('wrong-word'));
    await client.create({
      apiVersion,
      kind: 'OCIRepository',
      metadata: { namespace, name: 'closed' },
      spec: { interval: '1h', url, secretRef: { name: 'login' } },
    });
    const message = await scenario.refused('AuthenticationFailed', () => sourceNamed('closed'));
    expect(message).toContain(`check Secret "${namespace}/login"`);
    expect(message).not.toContain('wrong-word');
    await client.apply(secret(password), { fieldManager: 'test', force: true });
    const object = await ready('closed');
    const { path } = ociStatus(object).artifact ?? { path: '' };
    expect(path).toContain(`ocirepository/${namespace}/closed/`);

    const { metadata } = object;
    await client.delete({
      group: 'source.toolkit.fluxcd.io',
      version: 'v1',
      kind: 'OCIRepository',
      namespace,
      name: metadata.name,
    });
    await eventually(
      'the object to be gone',
      async () => !(await scenario.find(apiVersion, 'OCIRepository', 'closed')),
    );
    expect((await fetch(ociStatus(object).artifact?.url ?? '')).status).toBe(404);
    expect(existsSync(join(inject('dataDir'), path))).toBe(false);
  });
});
