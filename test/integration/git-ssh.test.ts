// GitRepository over SSH against OpenSSH's server with git-shell as the login shell.
import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startCuttableProxy } from '../servers/cuttable-proxy.ts';
import { createTestRepository, type TestRepository } from '../servers/git.ts';
import { createGitFixture, type GitFixture } from '../servers/git-fixture.ts';
import { startHttpProxy } from '../servers/http-proxy.ts';
import { generateSshKey, hashKnownHosts, type KeyPair, startSshd, type TestSshd } from '../servers/sshd.ts';

const withSecret = { secretRef: { name: 'ssh' } };
let server: TestSshd;
let firstVersion: TestSshd;
let fixture: GitFixture;
let key: KeyPair;
let count = 0;

beforeAll(async () => {
  [server, firstVersion] = await Promise.all([startSshd(), startSshd({ isFirstVersionOnly: true })]);
  key = generateSshKey();
});
afterAll(async () => {
  await Promise.all([server.close(), firstVersion.close()]);
});
beforeEach(() => {
  fixture = createGitFixture();
  for (const each of [server, firstVersion]) each.authorize(key.publicKey);
  fixture.secrets['apps/ssh'] = {
    identity: key.privateKey,
    known_hosts: server.knownHosts() + firstVersion.knownHosts(),
  };
});
afterEach(() => fixture.close());

function createRepository(on = server): { repository: TestRepository; url: string } {
  const name = `repo-${++count}`;
  const repository = createTestRepository(on.root, name);
  repository.write('app/deployment.yaml', 'kind: Deployment\n');
  return { repository, url: `${on.url}/${name}.git` };
}

describe.each([
  ['protocol 2', () => server],
  ['protocol 1', () => firstVersion],
])('%s', (_, on) => {
  it('selects each kind of ref and lists alone when nothing moved', async () => {
    const { repository, url } = createRepository(on());
    const first = repository.commit('first');
    repository.git('tag', '-a', 'v1.0.0', '-m', 'annotated');
    repository.write('app/deployment.yaml', 'kind: Deployment # 2\n');
    const second = repository.commit('second');
    repository.git('push', '-q', 'origin', '--tags');
    const revisions = [];
    const isUnchanged = [];
    for (const ref of [
      { branch: 'main' },
      { tag: 'v1.0.0' },
      { semver: '1.x' },
      { commit: first },
      { commit: second },
    ]) {
      fixture.use(url, { ...withSecret, ref });
      revisions.push((await fixture.reconcile()).artifact.revision);
      isUnchanged.push((await fixture.fetch()).isUnchanged);
    }
    expect(revisions).toEqual([
      `main@sha1:${second}`,
      `v1.0.0@sha1:${first}`,
      `v1.0.0@sha1:${first}`,
      `sha1:${first}`,
      `sha1:${second}`,
    ]);
    expect(isUnchanged).toEqual([true, true, true, true, true]);
  });

  it('fetches depth 1 and then only what is new, follows a forced push, names a branch that is gone', async () => {
    const { repository, url } = createRepository(on());
    repository.write('large.bin', randomBytes(300_000));
    repository.commit('history');
    repository.write('large.bin', randomBytes(300_000));
    repository.commit('first');
    fixture.use(url, withSecret);
    const first = await fixture.reconcile();
    expect(first).toMatchObject({ fileCount: 2, message: "stored artifact for commit 'first'" });
    const before = fixture.packBytes();
    expect(before).toBeLessThan(400_000);
    repository.write('app/deployment.yaml', 'kind: Deployment # changed\n');
    repository.commit('second');
    const second = await fixture.reconcile();
    expect(fixture.read(second, 'app/deployment.yaml')).toContain('changed');
    expect(fixture.packBytes() - before).toBeLessThan(20_000);

    repository.git('checkout', '-q', '--orphan', 'other');
    repository.git('rm', '-rqf', '.');
    repository.write('only.yaml', 'a: 1\n');
    repository.git('add', '-A');
    repository.git('commit', '-q', '-m', 'forced');
    repository.git('push', '-q', '-f', 'origin', 'other:main');
    expect(fixture.list(await fixture.reconcile())).toEqual(['only.yaml']);
    repository.git('push', '-q', 'origin', 'other:refs/heads/left', ':refs/heads/main');
    expect((await fixture.failureOf(fixture.fetch())).message).toContain(
      'branch "main" was not found; the repository has branches "left"',
    );
  });

  it('names an empty repository and one that is not there', async () => {
    const { url } = createRepository(on());
    fixture.use(url, withSecret);
    expect(await fixture.failureOf(fixture.fetch())).toEqual({
      reason: 'EmptyGitRepository',
      message: expect.stringMatching(/^git repository "ssh:.*" is empty: push a first commit$/),
    });
    fixture.use(`${url}-nothing`, withSecret);
    const { reason, message } = await fixture.failureOf(fixture.fetch());
    expect(reason).toBe('GitOperationFailed');
    expect(message).toMatch(
      /gave no repository .*exit code 128: ".*does not appear to be a git repository.*check the path/,
    );
  });
});

describe('credentials', () => {
  let repository: TestRepository;
  let url: string;
  beforeEach(() => {
    ({ repository, url } = createRepository());
    repository.commit('first');
    fixture.use(url, withSecret);
  });

  it.each([
    ['ed25519', []],
    ['ecdsa', ['-b', '384', '-m', 'PKCS8']],
    ['rsa', ['-b', '2048', '-m', 'PEM']],
    ['ed25519', ['-N', 'pass word']],
  ])('logs in with a key of type %s %j', async (type, args) => {
    const own = generateSshKey(type, ...args);
    server.authorize(own.publicKey);
    fixture.secrets['apps/ssh'] = { identity: own.privateKey, password: 'pass word', known_hosts: server.knownHosts() };
    expect((await fixture.reconcile()).fileCount).toBe(1);
  });

  it('follows a rotated key, and says when the old one is refused', async () => {
    await fixture.reconcile();
    const next = generateSshKey('ecdsa');
    server.authorize(next.publicKey);
    expect(await fixture.failureOf(fixture.fetch())).toEqual({
      reason: 'AuthenticationFailed',
      message: `access to "${url.replace('git@', '')}" was refused (public key): check "identity" of Secret "apps/ssh"`,
    });
    fixture.secrets['apps/ssh'] = { identity: next.privateKey, known_hosts: server.knownHosts() };
    expect(await fixture.fetch()).toMatchObject({ isUnchanged: true });
  });

  it.each<[string, (good: Record<string, string>) => Record<string, string> | undefined, string]>([
    ['no Secret', () => undefined, 'named by spec.secretRef does not exist'],
    ['no identity', ({ known_hosts }) => ({ known_hosts: known_hosts ?? '' }), 'has no key "identity"'],
    ['no known_hosts', ({ identity }) => ({ identity: identity ?? '' }), 'has no key "known_hosts"'],
    ['a broken identity', (good) => ({ ...good, identity: 'hidden' }), 'unusable "identity": it is no private key'],
    ['broken known_hosts', (good) => ({ ...good, known_hosts: 'hidden' }), 'unusable "known_hosts": line 1'],
  ])('refuses %s', async (_, change, message) => {
    const changed = change(fixture.secrets['apps/ssh'] ?? {});
    if (changed) fixture.secrets['apps/ssh'] = changed;
    else delete fixture.secrets['apps/ssh'];
    const failed = await fixture.failureOf(fixture.fetch());
    expect(failed).toMatchObject({ reason: 'AuthenticationFailed', message: expect.stringContaining(message) });
    expect(failed.message).not.toContain('hidden');
  });

  it('needs a Secret at all, and the passphrase of an encrypted key', async () => {
    fixture.use(url);
    expect(await fixture.failureOf(fixture.fetch())).toEqual({
      reason: 'AuthenticationFailed',
      message: 'a repository over SSH needs a Secret in spec.secretRef with keys "identity" and "known_hosts"',
    });
    fixture.use(url, withSecret);
    const own = generateSshKey('ed25519', '-N', 'pass word');
    fixture.secrets['apps/ssh'] = { identity: own.privateKey, known_hosts: server.knownHosts() };
    expect((await fixture.failureOf(fixture.fetch())).message).toContain('put its passphrase into key "password"');
  });

  it('trusts no host key that known_hosts does not have, and tells both', async () => {
    const other = generateSshKey('ed25519').publicKey;
    const host = `[127.0.0.1]:${server.port}`;
    const refused: [string, string][] = [
      [
        `${host} ${other}`,
        `showed another key than "known_hosts" of Secret "apps/ssh" has: expected ssh-ed25519 SHA256:`,
      ],
      [`git.test ${other}`, `has no key for the host "${host}", which showed ssh-ed25519 SHA256:`],
      [`127.0.0.1 ${other}`, `has no key for the host "${host}"`],
      [`@cert-authority * ${other}`, 'host certificates are not supported'],
      [server.knownHosts() + server.knownHosts().trim().replaceAll(/^/gm, '@revoked '), 'has revoked'],
    ];
    for (const [knownHosts, message] of refused) {
      fixture.secrets['apps/ssh'] = { identity: key.privateKey, known_hosts: knownHosts };
      const logins = server.loginCount();
      expect(await fixture.failureOf(fixture.fetch())).toMatchObject({
        reason: 'GitOperationFailed',
        message: expect.stringContaining(message),
      });
      expect(server.loginCount()).toBe(logins);
    }
  });

  it('takes any one of the host key types, by name and by hash', async () => {
    for (const line of server.knownHosts().trim().split('\n')) {
      fixture.secrets['apps/ssh'] = { identity: key.privateKey, known_hosts: line };
      expect((await fixture.fetch()).refName).toBe('refs/heads/main');
    }
    fixture.secrets['apps/ssh'] = { identity: key.privateKey, known_hosts: hashKnownHosts(server.knownHosts()) };
    expect((await fixture.fetch()).refName).toBe('refs/heads/main');
  });

  it('uses no algorithms but those that the installation allows, and says when the server has none of them', async () => {
    fixture.restart({ sshAlgorithms: { kex: ['ecdh-sha2-nistp384'], hostKey: ['rsa-sha2-256'] } });
    expect((await fixture.fetch()).refName).toBe('refs/heads/main');
    fixture.restart({ sshAlgorithms: { kex: ['diffie-hellman-group14-sha1'] } });
    expect(await fixture.failureOf(fixture.fetch())).toEqual({
      reason: 'GitOperationFailed',
      message: expect.stringMatching(
        /no matching key exchange algorithm"; the server has none of CONTINUO_SSH_KEX_ALGOS/,
      ),
    });
    fixture.restart({ sshAlgorithms: { hostKey: ['ssh-rsa'] } });
    expect((await fixture.failureOf(fixture.fetch())).message).toContain('or of CONTINUO_SSH_HOSTKEY_ALGOS');
  });
});

describe('a bad network', () => {
  it('says what is wrong with a server that is not there, is silent, or is something else', async () => {
    fixture.use('ssh://git@127.0.0.1:9/a.git', withSecret);
    expect((await fixture.failureOf(fixture.fetch())).message).toBe(
      'listing the refs of "ssh://127.0.0.1:9/a.git" failed (ECONNREFUSED): the server refuses connections; check host and port, also those of a proxy',
    );
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const silentUrl = `ssh://git@127.0.0.1:${(silent.address() as AddressInfo).port}/a.git`;
    fixture.use(silentUrl, { ...withSecret, timeout: '300ms' });
    expect((await fixture.failureOf(fixture.fetch())).message).toContain(
      'timed out after 0.3s: the limit is spec.timeout',
    );
    fixture.use(silentUrl, withSecret);
    const pending = fixture.failureOf(fixture.fetch());
    setTimeout(() => fixture.abort.abort(new Error('cancelled by the test')), 100);
    expect((await pending).message).toBe('cancelled by the test');
    silent.close();

    fixture.abort = new AbortController();
    const web = await startHttpProxy();
    fixture.use(web.url.replace('http://', 'ssh://git@') + '/a.git', withSecret);
    expect((await fixture.failureOf(fixture.fetch())).reason).toBe('GitOperationFailed');
    await web.close();
  });

  it('survives a connection that is cut in the middle of the pack', async () => {
    const { repository, url } = createRepository();
    repository.write('large.bin', randomBytes(8_000_000));
    repository.commit('first');
    const middle = await startCuttableProxy(server.port);
    fixture.secrets['apps/ssh'] = { identity: key.privateKey, known_hosts: server.knownHosts(middle.port) };
    fixture.use(url.replace(`:${server.port}`, `:${middle.port}`), withSecret);
    middle.cutAfter(2_000_000);
    const failed = await fixture.failureOf(fixture.fetch());
    expect(failed.reason).toBe('GitOperationFailed');
    expect(failed.message).toMatch(/fetching .* failed/);
    middle.cutAfter(undefined);
    expect((await fixture.reconcile()).fileCount).toBe(2);
    middle.close();
  });

  it('is of no concern once the operation has ended', async () => {
    const { repository, url } = createRepository();
    repository.commit('first');
    const middle = await startCuttableProxy(server.port);
    fixture.secrets['apps/ssh'] = { identity: key.privateKey, known_hosts: server.knownHosts(middle.port) };
    fixture.use(url.replace(`:${server.port}`, `:${middle.port}`), withSecret);
    expect((await fixture.reconcile()).fileCount).toBe(1);
    // What is left of the connection breaks, and the signal of the operation fires: nobody is hurt.
    middle.cut();
    fixture.abort.abort(new Error('cancelled by the test'));
    await sleep(200);
    fixture.abort = new AbortController();
    expect(await fixture.fetch()).toMatchObject({ isUnchanged: true });
    middle.close();
  });

  it('goes through a proxy by CONNECT, with its login', async () => {
    const { repository, url } = createRepository();
    repository.commit('first');
    const proxy = await startHttpProxy('me:pr0xy-pw');
    fixture.secrets['apps/proxy'] = { address: proxy.url, username: 'me', password: 'pr0xy-pw' };
    fixture.use(url, { ...withSecret, proxySecretRef: { name: 'proxy' } });
    expect((await fixture.reconcile()).fileCount).toBe(1);
    expect(new Set(proxy.requests)).toEqual(new Set([`CONNECT 127.0.0.1:${server.port}`]));
    fixture.secrets['apps/proxy'] = { address: proxy.url, username: 'me', password: 'wrong' };
    const failed = await fixture.failureOf(fixture.fetch());
    expect(failed.message).toContain('(HTTP 407): check "username" and "password" of its Secret');
    expect(failed.message).not.toContain('wrong');
    await proxy.close();
  });
});
