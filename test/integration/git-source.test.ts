// GitRepository to artifact against real Git over HTTP(S); no Kubernetes and no Temporal.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ArtifactStore } from '../../activities/artifact/artifact.ts';
import { createFileArtifactStore } from '../../activities/artifact/file-store.ts';
import { createCloudLogins } from '../../activities/source/cloud/cloud-logins.ts';
import { createGitSource } from '../../activities/source/git/git-source.ts';
import { createSourceActivities, type SourceActivities } from '../../activities/source/source-activities.ts';
import type { ArchivedRevision, FetchedRevision } from '../../activities/source/source-driver.ts';
import type { GitRepository, GitRepositorySpec } from '../../k8s/api/git-repository.ts';
import {
  createTestRepository,
  otherCaPem,
  startTestGitServer,
  type TestGitServer,
  type TestGitServerOptions,
  type TestRepository,
  testPem,
} from '../servers/git.ts';
import { createSourceFixture, failureOf, type SourceFixture } from '../servers/source-fixture.ts';

const source = { namespace: 'apps', name: 'demo' };
const basicAuth = `Basic ${Buffer.from('alice:s3cret-pw').toString('base64')}`;

let fixture: SourceFixture;
let directory: string;
let store: ArtifactStore;
let activities: SourceActivities;
let object: GitRepository | undefined;
let secrets: SourceFixture['secrets'];
let abort: AbortController;

function use(url: string, spec: Partial<GitRepositorySpec> = {}): void {
  object = {
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'GitRepository',
    metadata: { ...source, generation: 1 },
    spec: { url, interval: '1m', timeout: '20s', ref: { branch: 'main' }, ...spec },
  };
}

function open(maxRepositoryBytes?: number): SourceActivities {
  const driver = createGitSource({
    store,
    dataDirectory: join(directory, 'data'),
    logins: createCloudLogins({ env: {} }),
    maxRepositoryBytes,
    readSecret: fixture.readSecret,
  });
  return createSourceActivities({
    store,
    drivers: { GitRepository: driver },
    source: async () => object,
    heartbeat: () => undefined,
    signal: () => abort.signal,
  });
}

const fetchRevision = (): Promise<FetchedRevision> => activities.fetchRevision({ source, generation: 1 });

async function reconcile(): Promise<{ fetched: FetchedRevision; archived: ArchivedRevision }> {
  const fetched = await fetchRevision();
  const archived = await activities.archiveRevision({ source, generation: 1, ...fetched });
  return { fetched, archived };
}

/** Notes the archived artifact in the object's status, as the status stage does. */
function report({ archived }: { archived: ArchivedRevision }): void {
  if (!object) return;
  object.status = {
    artifact: archived.artifact,
    ...archived.observed,
  };
}

function keptStore(): string {
  const root = join(directory, 'data', 'git');
  const name = readdirSync(root).find((entry) => !entry.endsWith('.lock'));
  return join(root, name ?? 'none');
}

beforeEach(() => {
  fixture = createSourceFixture();
  ({ directory, store, secrets } = fixture);
  abort = new AbortController();
  activities = open();
});

afterEach(() => fixture.close());

describe('a Git server', () => {
  let server: TestGitServer;
  let repository: TestRepository;
  let url: string;
  let count = 0;

  beforeAll(async () => {
    server = await startTestGitServer();
  });
  afterAll(() => server.close());
  beforeEach(() => {
    for (const key of Object.keys(server.faults)) delete server.faults[key as keyof typeof server.faults];
    server.requests.length = 0;
    const name = `repo-${++count}`;
    repository = createTestRepository(server.root, name);
    url = `${server.url}/${name}.git`;
    repository.write('app/deployment.yaml', 'kind: Deployment\n');
    repository.write('app/kustomization.yaml', 'resources: [deployment.yaml]\n');
    repository.write('run.sh', '#!/bin/sh\n', 0o755);
    repository.write('logo.png', 'not a picture');
    use(url);
  });

  it('archives the head of a branch', async () => {
    const commit = repository.commit('Add the application with a subject line that is longer than fifty characters');

    const { fetched, archived } = await reconcile();

    expect(fetched).toEqual({
      revision: `main@sha1:${commit}`,
      commit,
      refName: 'refs/heads/main',
      isUnchanged: false,
      commitSubject: 'Add the application with a subject line that is lo...',
    });
    expect(archived).toMatchObject({
      isNew: true,
      fileCount: 3,
      message: "stored artifact for commit 'Add the application with a subject line that is lo...'",
      conditionMessage: `stored artifact for revision 'main@sha1:${commit}'`,
      observed: {},
      artifact: {
        path: `gitrepository/apps/demo/${commit}.tar.gz`,
        url: `http://artifacts.test/gitrepository/apps/demo/${commit}.tar.gz`,
        revision: `main@sha1:${commit}`,
      },
    });
    expect(fixture.list(archived)).toEqual(['app/', 'app/deployment.yaml', 'app/kustomization.yaml', 'run.sh']);
    expect(await store.verify(archived.artifact)).toBe(true);
  });

  it.each([false, true])('selects each kind of ref (protocol 1: %s)', async (isFirstVersionOnly) => {
    server.faults.isFirstVersionOnly = isFirstVersionOnly;
    const first = repository.commit('first');
    repository.git('tag', 'v1.0.0');
    repository.write('app/deployment.yaml', 'kind: Deployment # 2\n');
    const second = repository.commit('second');
    repository.git('tag', '-a', 'v1.1.0', '-m', 'annotated');
    repository.git('tag', 'v2.0.0-rc.1');
    repository.git('push', '-q', 'origin', '--tags', 'HEAD:refs/pull/7/head', 'HEAD:refs/heads/dev');

    const revisions = [];
    for (const ref of [
      { branch: 'dev' },
      { tag: 'v1.0.0' },
      { tag: 'v1.1.0' },
      { semver: '>=1.0.0 <1.1.0' },
      { semver: '>=1.0.0' },
      { name: 'refs/pull/7/head' },
      { commit: second },
      { commit: second, branch: 'main' },
    ]) {
      use(url, { ref });
      revisions.push((await reconcile()).archived.artifact.revision);
    }

    expect(revisions).toEqual([
      `dev@sha1:${second}`,
      `v1.0.0@sha1:${first}`,
      `v1.1.0@sha1:${second}`,
      `v1.0.0@sha1:${first}`,
      `v1.1.0@sha1:${second}`,
      `refs/pull/7/head@sha1:${second}`,
      `sha1:${second}`,
      `main@sha1:${second}`,
    ]);
  });

  it('fetches an old commit, by the history of its branch where the server demands it', async () => {
    const first = repository.commit('first');
    repository.write('more.yaml', 'a: 1\n');
    repository.commit('second');

    use(url, { ref: { commit: first } });
    expect((await reconcile()).fetched.commitSubject).toBe('first');

    await activities.removeArtifacts(source);
    server.faults.forbiddenWant = first;
    expect((await reconcile()).fetched.commitSubject).toBe('first');

    await activities.removeArtifacts(source);
    delete server.faults.forbiddenWant;
    server.faults.isFirstVersionOnly = true;
    use(url, { ref: { commit: first, branch: 'main' } });
    expect((await reconcile()).fetched.commitSubject).toBe('first');

    use(url, { ref: { commit: 'f'.repeat(40), branch: 'main' } });
    expect(await failureOf(fetchRevision())).toMatchObject({
      reason: 'GitOperationFailed',
      message: expect.stringContaining('was not found in the history of ref "refs/heads/main"'),
    });
  });

  it('lists and does not fetch when nothing moved', async () => {
    repository.commit('first');
    report(await reconcile());
    server.requests.length = 0;

    expect(await fetchRevision()).toMatchObject({ isUnchanged: true, commitSubject: '' });
    expect(server.requests.map((request) => request.method)).toEqual(['POST']);
  });

  it('archives again when spec.ignore changes or the file is gone or damaged', async () => {
    repository.commit('first');
    const before = await reconcile();
    report(before);
    const status = object?.status;
    use(url, { ignore: '*.sh' });
    if (object) object.status = status;

    expect((await fetchRevision()).isUnchanged).toBe(false);
    const after = await reconcile();
    expect(after.archived).toMatchObject({ isNew: true, observed: { observedIgnore: '*.sh' } });
    expect(fixture.list(after.archived)).toContain('logo.png');
    report(after);
    expect((await fetchRevision()).isUnchanged).toBe(true);
    for (const changed of [{ sparseCheckout: ['app'] }, { recurseSubmodules: true }]) {
      if (object) Object.assign(object, { spec: { ...object.spec, ...changed } });
      expect((await fetchRevision()).isUnchanged).toBe(false);
      if (object)
        Object.assign(object, { spec: { ...object.spec, sparseCheckout: undefined, recurseSubmodules: undefined } });
    }

    writeFileSync(join(directory, 'artifacts', after.archived.artifact.path), 'damaged');
    expect((await fetchRevision()).isUnchanged).toBe(false);
  });

  it('gives the artifact the address of now, once the worker has another one', async () => {
    repository.commit('first');
    const before = await reconcile();
    report(before);
    store = createFileArtifactStore({ directory: join(directory, 'artifacts'), advertisedAddress: 'elsewhere.test' });
    activities = open();
    expect((await fetchRevision()).isUnchanged).toBe(false);
    const { artifact } = (await reconcile()).archived;
    expect(artifact.url).toBe(`http://elsewhere.test/${artifact.path}`);
    expect(artifact.digest).toBe(before.archived.artifact.digest);
  });

  it('fetches only what is new, follows a forced push, and reports a deleted branch', async () => {
    repository.write('large.bin', randomBytes(300_000));
    repository.commit('first');
    await reconcile();
    server.requests.length = 0;
    repository.write('app/deployment.yaml', 'kind: Deployment # changed\n');
    repository.commit('second');

    const second = await reconcile();
    expect(second.fetched.commitSubject).toBe('second');
    expect(server.requests.reduce((sum, request) => sum + request.responseBytes, 0)).toBeLessThan(20_000);

    repository.git('checkout', '-q', '--orphan', 'other');
    repository.git('rm', '-rqf', '.');
    repository.write('only.yaml', 'a: 1\n');
    repository.git('add', '-A');
    repository.git('commit', '-q', '-m', 'forced');
    repository.git('push', '-q', '-f', 'origin', 'other:main');
    expect(fixture.list((await reconcile()).archived)).toEqual(['only.yaml']);

    repository.git('push', '-q', 'origin', 'other:refs/heads/left', ':refs/heads/main');
    expect(await failureOf(fetchRevision())).toEqual({
      reason: 'GitOperationFailed',
      message: `git repository "${url}": branch "main" was not found; the repository has branches "left"`,
    });
  });

  it('gives byte-identical archives wherever they are made', async () => {
    repository.commit('first');
    const { archived } = await reconcile();
    const bytes = readFileSync(join(directory, 'artifacts', archived.artifact.path));
    await activities.removeArtifacts(source);
    expect(readdirSync(join(directory, 'data', 'git'))).toEqual([]);

    const again = (await reconcile()).archived;

    expect(again.artifact.digest).toBe(archived.artifact.digest);
    expect(readFileSync(join(directory, 'artifacts', again.artifact.path)).equals(bytes)).toBe(true);
  });

  it('leaves out symbolic links and what .sourceignore names, and takes only sparse directories', async () => {
    repository.write('.sourceignore', '*.md\n');
    repository.write('app/.sourceignore', '/local\n');
    repository.write('app/readme.md', 'x');
    repository.write('app/local/x.yaml', 'x');
    repository.write('other/x.yaml', 'x');
    symlinkSync('deployment.yaml', join(server.root, `repo-${count}.work`, 'app', 'link.yaml'));
    repository.commit('first');

    expect(fixture.list((await reconcile()).archived)).toEqual([
      '.sourceignore',
      'app/',
      'app/.sourceignore',
      'app/deployment.yaml',
      'app/kustomization.yaml',
      'logo.png',
      'other/',
      'other/x.yaml',
      'run.sh',
    ]);
    use(url, { sparseCheckout: ['./other'] });
    const sparse = (await reconcile()).archived;
    expect(fixture.list(sparse)).toEqual(['other/', 'other/x.yaml']);
    expect(sparse.observed).toMatchObject({ observedSparseCheckout: ['./other'] });
    use(url, { sparseCheckout: ['nowhere'] });
    expect(await failureOf(reconcile())).toEqual({
      reason: 'GitOperationFailed',
      message: 'directory "nowhere" of spec.sparseCheckout is not in the commit',
    });
  });

  it('recovers from a damaged kept store', async () => {
    repository.write('data.bin', randomBytes(50_000));
    const commit = repository.commit('first');
    const { archived } = await reconcile();
    const packs = join(keptStore(), 'objects', 'pack');
    for (const damage of ['truncate', 'remove', 'overwrite'] as const) {
      activities = open();
      for (const name of readdirSync(packs).filter((entry) => entry.endsWith('.pack'))) {
        if (damage === 'truncate') truncateSync(join(packs, name), 100);
        else if (damage === 'remove') rmSync(join(packs, name));
        else writeFileSync(join(packs, name), randomBytes(60_000));
      }
      const again = await activities.archiveRevision({
        source,
        generation: 1,
        revision: `main@sha1:${commit}`,
        commit,
        commitSubject: 'first',
      });
      expect(again.artifact.digest).toBe(archived.artifact.digest);
    }
  });

  it('reads what goes back and forth between two contents', async () => {
    const content = (value: string): string =>
      Array.from({ length: 40 }, (_, line) => `line-${line}: ${value}`).join('\n');
    for (let round = 0; round < 10; round += 1) {
      repository.write('app/settings.yaml', content(round % 2 === 0 ? 'one' : 'two'));
      repository.commit(`round ${round}`);
      const { archived } = await reconcile();
      expect(fixture.read(archived, 'app/settings.yaml')).toBe(content(round % 2 === 0 ? 'one' : 'two'));
      report({ archived });
    }
  });

  it('lets concurrent stages of one object share the kept store', async () => {
    repository.commit('first');
    const results = await Promise.all([reconcile(), reconcile(), reconcile(), reconcile()]);
    expect(new Set(results.map(({ archived }) => archived.artifact.digest)).size).toBe(1);
  });

  it('drops the kept store of an address that is no longer used', async () => {
    repository.commit('first');
    await reconcile();
    const before = keptStore();
    const other = createTestRepository(server.root, `other-${count}`);
    other.write('a.yaml', 'a: 1\n');
    other.commit('other');
    use(`${server.url}/other-${count}.git`);
    await reconcile();
    expect(keptStore()).not.toBe(before);
    expect(readdirSync(join(directory, 'data', 'git'))).toHaveLength(1);
  });

  it('names an empty repository, a missing branch, tag and range', async () => {
    expect(await failureOf(fetchRevision())).toEqual({
      reason: 'EmptyGitRepository',
      message: `git repository "${url}" is empty: push a first commit`,
    });
    repository.commit('first');
    repository.git('tag', 'v1.0.0');
    repository.git('push', '-q', 'origin', 'v1.0.0');
    const messages = [];
    for (const ref of [{ branch: 'nope' }, { tag: 'v9' }, { semver: '>5' }, { semver: 'x y' }, { commit: 'abc' }]) {
      use(url, { ref });
      const { reason, message } = await failureOf(fetchRevision());
      expect(reason).toBe('GitOperationFailed');
      messages.push(message.replace(url, 'URL'));
    }
    expect(messages).toEqual([
      'git repository "URL": branch "nope" was not found; the repository has branches "main"',
      'git repository "URL": tag "v9" was not found; the repository has tags "v1.0.0"',
      'git repository "URL": no tag matches the version range ">5"; the repository has tags "v1.0.0"',
      'spec.ref.semver: "x y" is not a version range (at "y")',
      'spec.ref.commit "abc" is not a full commit id: expected 40 hexadecimal digits',
    ]);
  });

  it('says what is wrong with a server that refuses, is slow, cuts the connection or is not there', async () => {
    repository.commit('first');
    server.faults.status = 404;
    expect((await failureOf(fetchRevision())).message).toContain('was not found (HTTP 404)');
    server.faults.status = 503;
    expect((await failureOf(fetchRevision())).message).toContain('an unexpected answer (HTTP 503), expected 200');
    delete server.faults.status;

    server.faults.delayMs = 3_000;
    use(url, { timeout: '200ms' });
    expect(await failureOf(fetchRevision())).toEqual({
      reason: 'GitOperationFailed',
      message: `listing the refs of "${url}" timed out after 0.2s: the limit is spec.timeout`,
    });
    delete server.faults.delayMs;

    use(url);
    server.faults.cutAfterBytes = 60;
    expect(await failureOf(fetchRevision())).toMatchObject({
      reason: 'GitOperationFailed',
      message: expect.stringContaining('failed (UND_ERR_SOCKET): the server cut the connection'),
    });
    delete server.faults.cutAfterBytes;

    use('http://127.0.0.1:9/a.git');
    expect((await failureOf(fetchRevision())).message).toBe(
      'listing the refs of "http://127.0.0.1:9/a.git" failed (ECONNREFUSED): the server refuses connections; check host and port, also those of a proxy',
    );
    use('http://no-such-host.invalid/a.git');
    expect(await failureOf(fetchRevision())).toMatchObject({ reason: 'GitOperationFailed' });
    use(`${server.url}/healthz`);
    expect((await failureOf(fetchRevision())).reason).toBe('GitOperationFailed');
  });

  it('cuts a fetch in the middle of the pack without harm to the next one', async () => {
    repository.write('data.bin', randomBytes(500_000));
    repository.commit('first');
    server.faults.cutAfterBytes = 200_000;
    expect((await failureOf(fetchRevision())).message).toContain(`fetching "${url}" failed`);
    delete server.faults.cutAfterBytes;
    expect((await reconcile()).archived.fileCount).toBe(4);
  });

  it('ends at once when it is cancelled', async () => {
    repository.commit('first');
    server.faults.delayMs = 3_000;
    const pending = failureOf(fetchRevision());
    setTimeout(() => abort.abort(new Error('cancelled by the test')), 100);
    expect(await pending).toMatchObject({ message: 'cancelled by the test' });
  });

  it('takes a file of 100 MB, and refuses a repository over the limit', async () => {
    repository.write('large.bin', randomBytes(100 * 1024 * 1024));
    repository.commit('large');
    use(url, { timeout: '110s' });
    const { archived } = await reconcile();
    expect(archived.sizeBytes).toBeGreaterThan(100 * 1024 * 1024);
    await activities.removeArtifacts(source);
    activities = open(1024 * 1024);
    expect(await failureOf(fetchRevision())).toMatchObject({
      reason: 'GitOperationFailed',
      message: expect.stringContaining('larger than the 1048576 bytes allowed for one fetch'),
    });
  }, 120_000);

  it('says that a repository with SHA-256 ids is not supported', async () => {
    execFileSync('git', ['init', '-q', '--bare', '--object-format=sha256', join(server.root, 'sha256.git')]);
    use(`${server.url}/sha256.git`);
    expect(await failureOf(fetchRevision())).toEqual({
      reason: 'GitOperationFailed',
      message: `listing the refs of "${server.url}/sha256.git" failed: the repository has SHA-256 object ids, which are not supported: push its content to one with SHA-1, the default of Git`,
    });
  });

  it('refuses what cannot be', async () => {
    const refused: [Partial<GitRepositorySpec>, string, string][] = [
      [{ url: 'ssh://git@example.test' }, 'URLInvalid', 'expected "ssh://<user>@<host>[:<port>]/<repository>"'],
      [{ url: 'http://' }, 'URLInvalid', 'spec.url is not a valid address: expected '],
      [{ provider: 'azure' }, 'InvalidProviderConfiguration', 'spec.provider "azure"'],
    ];
    for (const [spec, reason, words] of refused) {
      use(url, spec);
      expect(await failureOf(fetchRevision())).toEqual({ reason, message: expect.stringContaining(words) as string });
    }
  });
});

describe('credentials', () => {
  const servers: TestGitServer[] = [];
  async function serve(options: TestGitServerOptions): Promise<TestGitServer> {
    const server = await startTestGitServer(options);
    servers.push(server);
    const repository = createTestRepository(server.root, 'a');
    repository.write('a.yaml', 'a: 1\n');
    repository.commit('first');
    return server;
  }
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });
  const withSecret = { secretRef: { name: 'git' } };

  it('logs in with user and password, and hides both when they are wrong', async () => {
    const server = await serve({ authorization: basicAuth });
    use(`${server.url}/a.git`);
    expect(await failureOf(fetchRevision())).toMatchObject({
      reason: 'AuthenticationFailed',
      message: expect.stringContaining('it needs credentials'),
    });
    use(`${server.url}/a.git`, withSecret);
    secrets['apps/git'] = { username: 'alice', password: 's3cret-pw' };
    expect((await reconcile()).archived.fileCount).toBe(1);
    secrets['apps/git'] = { username: 'alice', password: 'wr0ng-pw' };
    const { reason, message } = await failureOf(fetchRevision());
    expect(reason).toBe('AuthenticationFailed');
    expect(message).toBe(`access to "${server.url}/a.git" was refused (HTTP 401): check Secret "apps/git"`);
    use(server.url.replace('//', '//alice:wr0ng-pw@'));
    expect((await failureOf(fetchRevision())).message).not.toContain('wr0ng');
    use(`${server.url.replace('//', '//alice:s3cret-pw@')}/a.git`);
    expect((await fetchRevision()).refName).toBe('refs/heads/main');
  });

  it('logs in with a bearer token', async () => {
    const server = await serve({ authorization: 'Bearer t0ken' });
    use(`${server.url}/a.git`, withSecret);
    secrets['apps/git'] = { bearerToken: 't0ken\n' };
    expect((await reconcile()).archived.fileCount).toBe(1);
  });

  it('names a missing Secret and missing keys', async () => {
    use('http://127.0.0.1:9/a.git', withSecret);
    expect(await failureOf(fetchRevision())).toEqual({
      reason: 'AuthenticationFailed',
      message: 'Secret "apps/git" named by spec.secretRef does not exist',
    });
    secrets['apps/git'] = { user: 'alice' };
    expect((await failureOf(fetchRevision())).message).toContain(
      'Secret "apps/git" has keys "user": expected "username" and "password", or "bearerToken"',
    );
  });

  it('verifies the server by the CA of the Secret and shows a client certificate', async () => {
    const server = await serve({ tls: 'server' });
    use(`${server.url}/a.git`);
    const untrusted = await failureOf(fetchRevision());
    expect(untrusted).toMatchObject({
      reason: 'GitOperationFailed',
      message: expect.stringContaining('put the CA into key "ca.crt" of the Secret'),
    });
    use(`${server.url}/a.git`, withSecret);
    secrets['apps/git'] = { 'ca.crt': otherCaPem() };
    expect(await failureOf(fetchRevision())).toEqual(untrusted);
    secrets['apps/git'] = { 'ca.crt': testPem('ca.crt') };
    expect((await reconcile()).archived.fileCount).toBe(1);

    const mutual = await serve({ tls: 'mutual' });
    use(`${mutual.url}/a.git`, withSecret);
    expect(await failureOf(fetchRevision())).toMatchObject({
      reason: 'GitOperationFailed',
      message: expect.stringContaining('client certificate') as string,
    });
    secrets['apps/git'] = {
      'ca.crt': testPem('ca.crt'),
      'tls.crt': testPem('client.crt'),
      'tls.key': testPem('client.key'),
    };
    expect((await reconcile()).archived.fileCount).toBe(1);
  });

  it('follows a redirect but never takes credentials to another host', async () => {
    const target = await serve({});
    const guarded = await serve({ authorization: basicAuth });
    const front = await serve({});
    front.faults.redirectTo = target.url;
    secrets['apps/git'] = { username: 'alice', password: 's3cret-pw' };
    use(`${front.url}/a.git`, withSecret);
    expect((await reconcile()).archived.fileCount).toBe(1);
    expect(front.requests.every((request) => request.authorization === basicAuth)).toBe(true);
    expect(target.requests.length).toBeGreaterThan(0);
    expect(target.requests.every((request) => request.authorization === undefined)).toBe(true);

    front.faults.redirectTo = guarded.url;
    activities = open();
    await activities.removeArtifacts(source);
    expect(await failureOf(fetchRevision())).toMatchObject({
      reason: 'AuthenticationFailed',
      message: expect.stringContaining('where credentials are not sent'),
    });
    expect(guarded.requests.every((request) => request.authorization === undefined)).toBe(true);
  });
});
