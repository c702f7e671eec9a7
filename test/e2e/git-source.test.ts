// GitRepositories that need more than a URL, through the whole platform: SSH, a GitHub App, a proxy, submodules.
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { createTestRepository, startTestGitServer, type TestRepository } from '../servers/git.ts';
import { startGitHubApi } from '../servers/github-api.ts';
import { startHttpProxy } from '../servers/http-proxy.ts';
import { generateSshKey, type KeyPair, startSshd, type TestSshd } from '../servers/sshd.ts';
import { startCli } from './cli-process.ts';
import {
  conditionOf,
  configMap,
  connectCluster,
  createNamespace,
  eventually,
  gitRepository,
  kustomization,
  requestReconcile,
  statusOf,
} from './harness.ts';
import { createScenario } from './scenario.ts';

let client: KubeClient;
let sshd: TestSshd;
let key: KeyPair;
const opened: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  client = connectCluster();
  sshd = await startSshd();
  key = generateSshKey('ecdsa', '-m', 'PKCS8');
  sshd.authorize(key.publicKey);
});
afterAll(async () => {
  for (const each of opened) await each.close();
  await sshd.close();
  await client.close();
});

async function createSecret(namespace: string, name: string, stringData: Record<string, string>): Promise<void> {
  await client.create({ apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name }, stringData });
}

async function ready(object: KubeObject, revision?: string): Promise<KubeObject> {
  return await eventually(
    `${object.kind} ${object.metadata.name} to be Ready at ${revision ?? 'any revision'}`,
    async () => {
      const seen = await client.get(refOf(object));
      const { artifact, lastAppliedRevision, conditions } = statusOf(seen);
      const at = artifact?.revision ?? lastAppliedRevision;
      if (conditionOf(seen, 'Ready')?.status === 'True' && (revision === undefined || at === revision)) return seen;
      throw new Error(JSON.stringify(conditions ?? 'no conditions'));
    },
  );
}

async function refused(object: KubeObject, reason: string): Promise<string> {
  return await eventually(`${object.metadata.name} to be refused with ${reason}`, async () => {
    const condition = conditionOf(await client.get(refOf(object)), 'Ready');
    if (condition?.status === 'False' && condition.reason === reason) return condition.message;
    throw new Error(JSON.stringify(condition ?? 'no condition Ready'));
  });
}

function repositoryAt(root: string, name: string, files: Record<string, string>): TestRepository & { head: string } {
  const repository = createTestRepository(root, name);
  for (const [path, content] of Object.entries(files)) repository.write(path, content);
  return { ...repository, head: repository.commit('first') };
}

test('a repository over SSH is applied, follows a push, and says what is wrong with a key or a host', async () => {
  const { namespace, events } = await createScenario(client, 'git-ssh', {});
  const repository = repositoryAt(sshd.root, namespace, { 'app.yaml': configMap('app', { v: '1' }) });
  await createSecret(namespace, 'ssh', { identity: key.privateKey, known_hosts: sshd.knownHosts() });
  const source = await client.create(
    gitRepository(namespace, 'app', `${sshd.url}/${namespace}.git`, { secretRef: { name: 'ssh' } }),
  );
  const consumer = await client.create(kustomization(namespace, 'app', 'app'));
  await ready(consumer, `main@sha1:${repository.head}`);
  expect(conditionOf(await ready(source), 'Ready')).toMatchObject({
    reason: 'Succeeded',
    message: `stored artifact for revision 'main@sha1:${repository.head}'`,
  });

  repository.write('app.yaml', configMap('app', { v: '2' }));
  const second = repository.commit('second');
  await requestReconcile(client, source);
  await ready(consumer, `main@sha1:${second}`);

  sshd.authorize(generateSshKey().publicKey);
  await requestReconcile(client, source);
  expect(await refused(source, 'AuthenticationFailed')).toContain(
    `(public key): check "identity" of Secret "${namespace}/ssh"`,
  );
  expect(conditionOf(await client.get(refOf(source)), 'FetchFailed')).toMatchObject({ status: 'True' });
  sshd.authorize(key.publicKey);
  await requestReconcile(client, source);
  await ready(source, `main@sha1:${second}`);

  const host = `[127.0.0.1]:${sshd.port} ${generateSshKey().publicKey}`;
  await client.patch(
    { group: '', version: 'v1', kind: 'Secret', namespace, name: 'ssh' },
    { stringData: { known_hosts: host } },
    { type: 'merge' },
  );
  await requestReconcile(client, source);
  expect(await refused(source, 'GitOperationFailed')).toContain('expected ssh-ed25519 SHA256:');
  expect(await ready(consumer, `main@sha1:${second}`)).toBeDefined();
  const seen = await events(source);
  expect(seen.map(({ type, reason }) => `${type} ${reason}`)).toEqual(
    expect.arrayContaining(['Normal NewArtifact', 'Warning AuthenticationFailed', 'Warning GitOperationFailed']),
  );
  expect(JSON.stringify(seen)).not.toContain('PRIVATE KEY');
});

test('"continuo create source git" makes the key, reads those of the host, and keeps both when it is run again', async () => {
  const namespace = await createNamespace(client, 'git-ssh-cli');
  repositoryAt(sshd.root, namespace, { 'app.yaml': configMap('app', { v: '1' }) });
  const create = (...flags: string[]) =>
    startCli([
      ...['create', 'source', 'git', 'app', '-n', namespace],
      ...[`--url=${sshd.url}/${namespace}.git`, '--branch=main', '--timeout=30s', ...flags],
    ]).result;
  expect(await create()).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('give -s (--silent)') });

  const refusedLogin = await create('--silent', '--no-wait-ready');
  expect(refusedLogin).toMatchObject({ code: 0, stdout: expect.stringContaining(`✔ Secret/${namespace}/app created`) });
  const [deployKey = ''] = /ecdsa-sha2-nistp384 \S+$/m.exec(refusedLogin.stdout) ?? [];
  const secret = await client.get({ group: '', version: 'v1', kind: 'Secret', namespace, name: 'app' });
  const { known_hosts: hosts = '' } = (secret as { data?: Record<string, string> }).data ?? {};
  expect(Buffer.from(hosts, 'base64').toString().split('\n').sort()).toEqual(
    sshd.knownHosts().trim().split('\n').sort(),
  );

  sshd.authorize(key.publicKey, deployKey);
  const again = await create();
  expect(again.stdout).toContain(`► Secret/${namespace}/app is there and stays as it is`);
  expect(again.stdout).toContain(`✔ GitRepository/${namespace}/app is ready: stored artifact for revision 'main@sha1:`);
  sshd.authorize(key.publicKey);
});

test('a GitHub App logs in through a proxy, and the provider must fit the Secret', async () => {
  const namespace = await createNamespace(client, 'git-app');
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const login = `Basic ${Buffer.from('x-access-token:ghs_token1').toString('base64')}`;
  const [api, server, proxy] = await Promise.all([
    startGitHubApi(publicKey),
    startTestGitServer({ authorization: login }),
    startHttpProxy('me:pr0xy-pw'),
  ]);
  opened.push(api, server, proxy);
  const { head } = repositoryAt(server.root, 'app', { 'app.yaml': configMap('app', { v: '1' }) });
  await createSecret(namespace, 'app', {
    githubAppID: '42',
    githubAppInstallationOwner: 'acme',
    githubAppPrivateKey: privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
    githubAppBaseURL: api.url,
  });
  await createSecret(namespace, 'proxy', { address: proxy.url, username: 'me', password: 'pr0xy-pw' });
  const spec = { secretRef: { name: 'app' }, proxySecretRef: { name: 'proxy' } };
  const source = await client.create(gitRepository(namespace, 'app', `${server.url}/app.git`, spec));
  expect(await refused(source, 'InvalidProviderConfiguration')).toContain('but spec.provider is not "github"');
  expect(conditionOf(await client.get(refOf(source)), 'Stalled')).toMatchObject({ status: 'True' });

  await client.patch(refOf(source), { spec: { provider: 'github' } }, { type: 'merge' });
  await ready(source, `main@sha1:${head}`);
  expect(api.tokens).toEqual(['ghs_token1']);
  expect(proxy.requests.filter((line) => line.startsWith('POST')).length).toBeGreaterThan(2);
  expect(JSON.stringify(await client.get(refOf(source)))).not.toContain('ghs_token1');
});

test('submodules are part of the artifact and of its status', async () => {
  const { namespace, createSource, createKustomization, applied, source } = await createScenario(
    client,
    'git-modules',
    {},
  );
  const library = repositoryAt(sshd.root, `${namespace}-lib`, { 'lib.yaml': configMap('lib', { v: '1' }) });
  const app = repositoryAt(sshd.root, namespace, { 'app.yaml': configMap('app', { v: '1' }) });
  app.write('.gitmodules', `[submodule "lib"]\n\tpath = lib\n\turl = ../${namespace}-lib.git\n`);
  app.git('add', '.gitmodules');
  app.git('update-index', '--add', '--cacheinfo', `160000,${library.head},lib`);
  app.git('commit', '-q', '-m', 'with lib');
  app.git('push', '-q', 'origin', 'HEAD');
  const revision = `main@sha1:${app.git('rev-parse', 'HEAD')}`;
  await createSecret(namespace, 'ssh', { identity: key.privateKey, known_hosts: sshd.knownHosts() });
  const url = `${sshd.url}/${namespace}.git`;
  await createSource({ url, secretRef: { name: 'ssh' }, recurseSubmodules: true });
  await createKustomization();
  const consumer = await applied(revision);
  expect(
    statusOf(consumer)
      .inventory?.entries.map(({ id }) => id)
      .sort(),
  ).toEqual([`${namespace}_app__ConfigMap`, `${namespace}_lib__ConfigMap`]);
  expect(statusOf(await source())).toMatchObject({ observedRecurseSubmodules: true });

  await client.patch(refOf(await source()), { spec: { recurseSubmodules: false } }, { type: 'merge' });
  await eventually('the submodule to be pruned', async () => {
    const { inventory } = statusOf(await client.get(refOf(consumer)));
    return inventory?.entries.length === 1;
  });
  expect(statusOf(await source())).not.toHaveProperty('observedRecurseSubmodules');
});
