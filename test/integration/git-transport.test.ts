// How a GitRepository over HTTP(S) reaches its server: client certificates, tokens, proxies, GitHub Apps.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GitRepositorySpec } from '../../k8s/api/git-repository.ts';
import {
  createTestRepository,
  startTestGitServer,
  type TestGitServer,
  type TestGitServerOptions,
  testPem,
} from '../servers/git.ts';
import { createGitFixture, type GitFixture } from '../servers/git-fixture.ts';
import { startGitHubApi, type TestGitHubApi } from '../servers/github-api.ts';
import { startHttpProxy, type TestProxy } from '../servers/http-proxy.ts';

const basicOf = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

let fixture: GitFixture;
const opened: { close(): Promise<void> }[] = [];

async function serve(options: TestGitServerOptions = {}): Promise<TestGitServer> {
  const server = await startTestGitServer(options);
  opened.push(server);
  const repository = createTestRepository(server.root, 'a');
  repository.write('a.yaml', 'a: 1\n');
  repository.commit('first');
  return server;
}

async function proxyWith(login?: string): Promise<TestProxy> {
  const proxy = await startHttpProxy(login);
  opened.push(proxy);
  return proxy;
}

beforeEach(() => {
  fixture = createGitFixture();
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
  fixture.close();
});

describe('a proxy of spec.proxySecretRef', () => {
  const spec: Partial<GitRepositorySpec> = { secretRef: { name: 'git' }, proxySecretRef: { name: 'proxy' } };

  it('is asked for whole URLs of http://, with its own login, and hands on ours', async () => {
    const server = await serve({ authorization: basicOf('alice', 's3cret-pw') });
    const proxy = await proxyWith('me:pr0xy-pw');
    fixture.secrets['apps/git'] = { username: 'alice', password: 's3cret-pw' };
    fixture.secrets['apps/proxy'] = { address: proxy.url, username: 'me', password: 'pr0xy-pw' };
    fixture.use(`${server.url}/a.git`, spec);
    expect((await fixture.reconcile()).fileCount).toBe(1);
    expect(await fixture.fetch()).toMatchObject({ isUnchanged: true });
    expect(proxy.requests).toEqual([
      `GET ${server.url}/a.git/info/refs?service=git-upload-pack`,
      `POST ${server.url}/a.git/git-upload-pack`,
      `POST ${server.url}/a.git/git-upload-pack`,
      `POST ${server.url}/a.git/git-upload-pack`,
    ]);
    expect(server.requests).toHaveLength(proxy.requests.length);
  });

  it('makes a tunnel for https://, with TLS and client certificate from end to end', async () => {
    const server = await serve({ tls: 'mutual' });
    const proxy = await proxyWith('me:pr0xy-pw');
    fixture.secrets['apps/git'] = {
      'ca.crt': testPem('ca.crt'),
      'tls.crt': testPem('client.crt'),
      'tls.key': testPem('client.key'),
    };
    fixture.secrets['apps/proxy'] = { address: proxy.url, username: 'me', password: 'pr0xy-pw' };
    fixture.use(`${server.url}/a.git`, spec);
    expect((await fixture.reconcile()).fileCount).toBe(1);
    expect(new Set(proxy.requests)).toEqual(new Set([`CONNECT ${new URL(server.url).host}`]));
  });

  it.each<[string, TestGitServerOptions]>([
    ['http', {}],
    ['https', { tls: 'server' }],
  ])('that refuses its login is named, for %s', async (_, options) => {
    const server = await serve(options);
    const proxy = await proxyWith('me:pr0xy-pw');
    fixture.secrets['apps/git'] = { 'ca.crt': testPem('ca.crt') };
    fixture.secrets['apps/proxy'] = { address: proxy.url, username: 'me', password: 'wr0ng-pw' };
    fixture.use(`${server.url}/a.git`, spec);
    const { reason, message } = await fixture.failureOf(fixture.fetch());
    expect(reason).toBe('GitOperationFailed');
    expect(message).toBe(
      `listing the refs of "${server.url}/a.git" failed (HTTP 407): the proxy refused the login; check "username" and "password" of the Secret named by spec.proxySecretRef`,
    );
    expect(message).not.toContain('wr0ng');
    expect(server.requests).toEqual([]);
  });

  it('that is not there, or not described, is named', async () => {
    const server = await serve();
    fixture.use(`${server.url}/a.git`, { proxySecretRef: { name: 'proxy' } });
    expect(await fixture.failureOf(fixture.fetch())).toEqual({
      reason: 'AuthenticationFailed',
      message: 'Secret "apps/proxy" named by spec.proxySecretRef does not exist',
    });
    fixture.secrets['apps/proxy'] = { username: 'me' };
    expect((await fixture.failureOf(fixture.fetch())).message).toContain('has no key "address"');
    fixture.secrets['apps/proxy'] = { address: 'http://127.0.0.1:9' };
    expect(await fixture.failureOf(fixture.fetch())).toMatchObject({
      reason: 'GitOperationFailed',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    expect(server.requests).toEqual([]);
  });
});

describe('spec.provider github', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
  const spec: Partial<GitRepositorySpec> = { provider: 'github', secretRef: { name: 'app' } };
  let api: TestGitHubApi;
  let server: TestGitServer;
  let options: TestGitServerOptions;

  beforeEach(async () => {
    api = await startGitHubApi(publicKey);
    opened.push(api);
    options = { authorization: basicOf('x-access-token', 'ghs_token1') };
    server = await serve(options);
    fixture.secrets['apps/app'] = {
      githubAppID: '42',
      githubAppInstallationID: '7\n',
      githubAppPrivateKey: pem,
      githubAppBaseURL: `${api.url}/`,
    };
    fixture.use(`${server.url}/a.git`, spec);
  });

  it('logs in by a token that is kept until shortly before its end', async () => {
    expect((await fixture.reconcile()).fileCount).toBe(1);
    expect(await fixture.fetch()).toMatchObject({ isUnchanged: true });
    expect(api.requests).toEqual(['POST /api/v3/app/installations/7/access_tokens']);

    fixture.restart(); // forgets tokens
    api.settings.lifetimeMs = 4 * 60_000;
    options.authorization = basicOf('x-access-token', 'ghs_token2');
    await fixture.fetch();
    options.authorization = basicOf('x-access-token', 'ghs_token3');
    expect(await fixture.fetch()).toMatchObject({ isUnchanged: true });
    expect(api.tokens).toHaveLength(3);
  });

  it('gets another token after the server did not take one', async () => {
    await fixture.fetch();
    options.authorization = basicOf('x-access-token', 'ghs_token2');
    expect((await fixture.failureOf(fixture.fetch())).reason).toBe('AuthenticationFailed');
    expect(await fixture.fetch()).toMatchObject({ refName: 'refs/heads/main' });
  });

  it('finds the installation by its owner', async () => {
    const { githubAppInstallationID: _, ...app } = fixture.secrets['apps/app'] ?? {};
    fixture.secrets['apps/app'] = { ...app, githubAppInstallationOwner: 'acme' };
    expect((await fixture.reconcile()).fileCount).toBe(1);
    expect(api.requests).toEqual([
      'GET /api/v3/app/installations?per_page=100&page=1',
      'GET /api/v3/app/installations?per_page=100&page=2',
      'POST /api/v3/app/installations/7/access_tokens',
    ]);
    fixture.secrets['apps/app'] = { ...app, githubAppInstallationOwner: 'nobody' };
    expect((await fixture.failureOf(fixture.fetch())).message).toContain('is not installed for "nobody"');
  });

  it('asks the API through the proxy as well', async () => {
    const proxy = await proxyWith();
    fixture.secrets['apps/proxy'] = { address: proxy.url };
    fixture.use(`${server.url}/a.git`, { ...spec, proxySecretRef: { name: 'proxy' } });
    await fixture.fetch();
    expect(proxy.requests[0]).toBe(`POST ${api.url}/app/installations/7/access_tokens`);
    expect(proxy.requests.length).toBeGreaterThan(1);
  });

  it('says what the API has against it', async () => {
    const failed = async (): Promise<string> => {
      const { reason, message } = await fixture.failureOf(fixture.fetch());
      expect(reason).toBe('AuthenticationFailed');
      expect(message).not.toContain('ghs_');
      return message;
    };
    const good = fixture.secrets['apps/app'] ?? {};
    fixture.secrets['apps/app'] = { ...good, githubAppID: '43' };
    expect(await failed()).toContain('(HTTP 401): check "githubAppID" and "githubAppPrivateKey" of Secret "apps/app"');
    fixture.secrets['apps/app'] = { ...good, githubAppInstallationID: '8' };
    expect(await failed()).toContain('(HTTP 404): check "githubAppInstallationID"');
    fixture.secrets['apps/app'] = { ...good, githubAppBaseURL: 'http://127.0.0.1:9' };
    expect(await failed()).toContain('(ECONNREFUSED): the server refuses connections');
    fixture.secrets['apps/app'] = good;
    api.settings.status = 503;
    expect(await failed()).toContain('(HTTP 503)');
    delete api.settings.status;
    api.settings.answer = '<html>';
    expect(await failed()).toContain('the answer is no JSON');
    api.settings.answer = '{}';
    expect(await failed()).toContain('answered without a token');
    delete api.settings.answer;
    api.settings.delayMs = 2_000;
    fixture.use(`${server.url}/a.git`, { ...spec, timeout: '200ms' });
    expect(await failed()).toContain('timed out: the limit is spec.timeout');
    expect(server.requests).toEqual([]);
  });

  it.each<[string, Record<string, string | undefined>, Partial<GitRepositorySpec>, string]>([
    ['a Secret without an app', { githubAppID: undefined }, spec, 'has no key "githubAppID"'],
    ['no installation', { githubAppInstallationID: undefined }, spec, 'has neither "githubAppInstallationID"'],
    ['two installations', { githubAppInstallationOwner: 'acme' }, spec, 'has both "githubAppInstallationID"'],
    ['no private key', { githubAppPrivateKey: undefined }, spec, 'has no key "githubAppPrivateKey"'],
    ['an id that is none', { githubAppInstallationID: '7/../8' }, spec, 'that is no number'],
    ['an API that is none', { githubAppBaseURL: 'ftp://x' }, spec, 'that is no http(s) URL'],
    ['no Secret', {}, { provider: 'github' }, 'needs a Secret with the keys of a GitHub App'],
    ['the keys of an app without the provider', {}, { secretRef: { name: 'app' } }, 'spec.provider is not "github"'],
    ['SSH', {}, { ...spec, url: 'ssh://git@git.test/a' }, 'logs in over HTTPS'],
  ])('does not go with %s', async (_, changed, withSpec, message) => {
    const data = { ...fixture.secrets['apps/app'], ...changed };
    fixture.secrets['apps/app'] = Object.fromEntries(
      Object.entries(data).filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
    fixture.use(`${server.url}/a.git`, withSpec);
    expect(await fixture.failureOf(fixture.fetch())).toEqual({
      reason: 'InvalidProviderConfiguration',
      message: expect.stringContaining(message),
    });
  });

  it('shows nothing of a private key that cannot be read', async () => {
    fixture.secrets['apps/app'] = { ...fixture.secrets['apps/app'], githubAppPrivateKey: 'hidden' };
    expect(await fixture.failureOf(fixture.fetch())).toEqual({
      reason: 'AuthenticationFailed',
      message: 'Secret "apps/app" has a "githubAppPrivateKey" that is no RSA private key in PEM',
    });
  });
});

describe('credentials that change', () => {
  it('are read again for each operation', async () => {
    const options: TestGitServerOptions = { authorization: 'Bearer one' };
    const server = await serve(options);
    fixture.use(`${server.url}/a.git`, { secretRef: { name: 'git' } });
    fixture.secrets['apps/git'] = { bearerToken: 'one' };
    await fixture.reconcile();
    options.authorization = 'Bearer two';
    expect(await fixture.failureOf(fixture.fetch())).toEqual({
      reason: 'AuthenticationFailed',
      message: `access to "${server.url}/a.git" was refused (HTTP 401): check Secret "apps/git"`,
    });
    fixture.secrets['apps/git'] = { bearerToken: 'two' };
    expect(await fixture.fetch()).toMatchObject({ isUnchanged: true });
  });

  it('of clouds are for repositories of that cloud alone', async () => {
    for (const [provider, example] of [
      ['aws', 'https://git-codecommit.<region>.amazonaws.com/v1/repos/<name>'],
      ['azure', 'https://dev.azure.com/<organization>/<project>/_git/<repository>'],
    ] as const) {
      for (const url of ['https://git.test/a', 'http://dev.azure.com/a', 'ssh://git@dev.azure.com/a']) {
        fixture.use(url, { provider });
        expect(await fixture.failureOf(fixture.fetch())).toEqual({
          reason: 'InvalidProviderConfiguration',
          message: `spec.provider "${provider}" logs in to its own repositories alone: expected spec.url like "${example}"`,
        });
      }
    }
  });
});

describe('a pack over the limit', () => {
  it('is indexed by the git binary to the same artifact, and by ourselves where there is none', async () => {
    const server = await startTestGitServer();
    opened.push(server);
    const repository = createTestRepository(server.root, 'large');
    for (let index = 0; index < 30; index++) {
      repository.write(`files/${index}.yaml`, `${'line\n'.repeat(index * 50)}${index}\n`);
    }
    repository.write('large.bin', randomBytes(400_000));
    repository.commit('first');
    fixture.use(`${server.url}/large.git`);
    const own = await fixture.reconcile();
    await fixture.removeArtifacts();

    const seen = join(fixture.directory, 'seen');
    const wrapper = join(fixture.directory, 'git');
    writeFileSync(wrapper, `#!/bin/sh\nenv > ${seen}\necho "$@" >> ${seen}\nexec git "$@"\n`, { mode: 0o755 });
    fixture.restart({ gitBinary: wrapper, largePackBytes: 100_000 });
    const byGit = await fixture.reconcile();
    expect(byGit.artifact.digest).toBe(own.artifact.digest);
    const environment = readFileSync(seen, 'utf8');
    expect(environment).toContain('index-pack');
    expect(environment).toContain('GIT_CONFIG_GLOBAL=/dev/null');

    rmSync(seen);
    repository.write('files/1.yaml', 'changed\n');
    repository.commit('second');
    expect(fixture.read(await fixture.reconcile(), 'files/1.yaml')).toBe('changed\n');
    expect(existsSync(seen)).toBe(false);

    repository.git('reset', '-q', '--hard', 'HEAD^');
    repository.git('push', '-q', '-f', 'origin', 'HEAD');
    for (const gitBinary of [join(fixture.directory, 'nothing'), 'git']) {
      await fixture.removeArtifacts();
      fixture.restart({ gitBinary, largePackBytes: 1 });
      expect((await fixture.reconcile()).artifact.digest).toBe(own.artifact.digest);
    }
  });
});
