// spec.recurseSubmodules against real repositories: what they hold, and what their .gitmodules must not do.
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  createTestRepository,
  startTestGitServer,
  type TestGitServer,
  type TestGitServerOptions,
  type TestRepository,
} from '../servers/git.ts';
import { createGitFixture, type GitFixture } from '../servers/git-fixture.ts';
import { generateSshKey, startSshd, type TestSshd } from '../servers/sshd.ts';

const authorization = `Basic ${Buffer.from('alice:s3cret-pw').toString('base64')}`;
const spec = { recurseSubmodules: true, secretRef: { name: 'git' } };
const options: TestGitServerOptions = { authorization };
let server: TestGitServer;
let other: TestGitServer;
let fixture: GitFixture;
let count = 0;

beforeAll(async () => {
  [server, other] = await Promise.all([startTestGitServer(options), startTestGitServer()]);
});
afterAll(async () => {
  await Promise.all([server.close(), other.close()]);
});
beforeEach(() => {
  fixture = createGitFixture();
  fixture.secrets['apps/git'] = { username: 'alice', password: 's3cret-pw' };
  server.requests.length = 0;
  other.requests.length = 0;
});
afterEach(() => fixture.close());

interface Repository extends TestRepository {
  name: string;
  head: string;
  /** Adds a submodule as a commit of this id, and the section of .gitmodules. */
  add(path: string, url: string, commit: string, text?: string): void;
}

function create(files: Record<string, string>, root = server.root): Repository {
  const name = `sub-${++count}`;
  const repository = createTestRepository(root, name);
  for (const [path, content] of Object.entries(files)) repository.write(path, content);
  const head = repository.commit(`commit of ${name}`);
  let modules = '';
  return {
    ...repository,
    name,
    head,
    add(path, url, commit, text) {
      modules += text ?? `[submodule "${path}"]\n\tpath = ${path}\n\turl = ${url}\n`;
      repository.write('.gitmodules', modules);
      repository.git('update-index', '--add', '--cacheinfo', `160000,${commit},${path}`);
    },
    // `git add` would drop a commit that has no folder.
    commit(message) {
      if (modules !== '') repository.git('add', '-A', '--', '.gitmodules');
      repository.git('commit', '-q', '--allow-empty', '-m', message);
      repository.git('push', '-q', '-f', 'origin', 'HEAD');
      return repository.git('rev-parse', 'HEAD');
    },
  };
}

describe('submodules', () => {
  it('are archived with the commit that names them: relative, absolute, nested, and on another server', async () => {
    const leaf = create({ 'leaf.yaml': 'leaf: 1\n' });
    const middle = create({ 'middle.yaml': 'middle: 1\n' });
    middle.add('deep/leaf', `../${leaf.name}.git`, leaf.head);
    const middleHead = middle.commit('with leaf');
    const far = create({ 'far.yaml': 'far: 1\n', '.sourceignore': 'ignored.yaml\n', 'ignored.yaml': 'x' }, other.root);
    const app = create({ 'app.yaml': 'app: 1\n' });
    app.add('libs/middle', `${server.url}/${middle.name}.git`, middleHead);
    app.add('far', `${other.url}/${far.name}.git`, far.head);
    app.add('unnamed', 'unused', leaf.head, '# no section for it\n');
    const commit = app.commit('with submodules');

    fixture.use(`${server.url}/${app.name}.git`, { ...spec, recurseSubmodules: false });
    const without = await fixture.reconcile();
    expect(fixture.list(without)).toEqual(['app.yaml']);
    fixture.use(`${server.url}/${app.name}.git`, spec);
    const archived = await fixture.reconcile();

    expect(archived.artifact.revision).toBe(`main@sha1:${commit}`);
    expect(archived.observed).toEqual({ observedRecurseSubmodules: true });
    expect(fixture.list(archived)).toEqual([
      'app.yaml',
      'far/',
      'far/.sourceignore',
      'far/far.yaml',
      'libs/',
      'libs/middle/',
      'libs/middle/deep/',
      'libs/middle/deep/leaf/',
      'libs/middle/deep/leaf/leaf.yaml',
      'libs/middle/middle.yaml',
    ]);
    expect(other.requests.length).toBeGreaterThan(0);
    expect(other.requests.every((request) => request.authorization === undefined)).toBe(true);
    expect(server.requests.every((request) => request.authorization === authorization)).toBe(true);

    server.requests.length = 0;
    other.requests.length = 0;
    expect(await fixture.fetch()).toMatchObject({ isUnchanged: true });
    expect([server.requests.length, other.requests.length]).toEqual([1, 0]);
    expect(fixture.keptStores()).toHaveLength(4);
    fixture.use(`${server.url}/${app.name}.git`, { ...spec, sparseCheckout: ['./libs/middle/deep'] });
    expect(fixture.list(await fixture.reconcile())).toContain('libs/middle/deep/leaf/leaf.yaml');
  });

  it('that move are fetched incrementally, and one that is gone leaves nothing', async () => {
    const library = create({ 'lib.yaml': 'v: 1\n' });
    const app = create({ 'app.yaml': 'app: 1\n' });
    app.add('lib', `../${library.name}.git`, library.head);
    app.add('again', `../${library.name}.git`, library.head);
    app.commit('two of one');
    fixture.use(`${server.url}/${app.name}.git`, spec);
    expect(fixture.list(await fixture.reconcile())).toEqual([
      'again/',
      'again/lib.yaml',
      'app.yaml',
      'lib/',
      'lib/lib.yaml',
    ]);

    library.write('lib.yaml', 'v: 2\n');
    library.git('add', '-A');
    const next = library.commit('second');
    app.git('update-index', '--cacheinfo', `160000,${next},lib`);
    app.commit('one moves');
    const moved = await fixture.reconcile();
    expect([fixture.read(moved, 'lib/lib.yaml'), fixture.read(moved, 'again/lib.yaml')]).toEqual(['v: 2\n', 'v: 1\n']);
    app.git('rm', '-q', '--cached', 'lib');
    app.commit('one goes');
    expect(fixture.list(await fixture.reconcile())).not.toContain('lib/lib.yaml');
    expect(fixture.keptStores()).toHaveLength(2);
  });

  it.each([
    ['../out', '../x.git', 'not allowed in a commit'],
    ['.git/hooks', '../x.git', 'not allowed in a commit'],
    ['lib', 'file:///etc', '.gitmodules has the URL'],
    ['lib', '/etc', '.gitmodules has the URL'],
    ['lib', 'ext::sh -c id', '.gitmodules has the URL'],
    ['lib', '-uid', '.gitmodules has the URL'],
    ['lib', '../../../../x', 'leads out of'],
    ['lib', 'git@elsewhere.test:a.git', 'are not sent to another server'],
  ])('at %s from %s are refused', async (path, url, message) => {
    const app = create({ 'app.yaml': 'app: 1\n' });
    app.add('lib', url, app.head, `[submodule "x"]\n\tpath = ${path}\n\turl = ${url}\n`);
    app.commit('hostile');
    fixture.use(`${server.url}/${app.name}.git`, spec);
    expect(await fixture.failureOf(fixture.reconcile())).toMatchObject({ message: expect.stringContaining(message) });
    expect(other.requests).toEqual([]);
  });

  it('behind a login elsewhere, or at a commit that is not there, are named', async () => {
    const guarded = await startTestGitServer({ authorization: 'Bearer other' });
    const far = create({ 'far.yaml': 'far: 1\n' }, guarded.root);
    const app = create({ 'app.yaml': 'app: 1\n' });
    app.add('far', `${guarded.url}/${far.name}.git`, far.head);
    app.commit('guarded');
    fixture.use(`${server.url}/${app.name}.git`, spec);
    expect(await fixture.failureOf(fixture.reconcile())).toMatchObject({
      reason: 'AuthenticationFailed',
      message: expect.stringContaining('it is that of submodule "far", and the credentials for'),
    });
    expect(guarded.requests.every((request) => request.authorization === undefined)).toBe(true);
    await guarded.close();

    const lost = create({ 'app.yaml': 'app: 1\n' });
    lost.add('lib', `../${app.name}.git`, 'f'.repeat(40));
    lost.commit('lost');
    fixture.use(`${server.url}/${lost.name}.git`, spec);
    expect(await fixture.failureOf(fixture.reconcile())).toMatchObject({
      reason: 'GitOperationFailed',
      message: expect.stringContaining(`commit "${'f'.repeat(40)}" was not found`),
    });
  });

  it('are followed no deeper than ten, and no more than a hundred', async () => {
    let inner = create({ 'a.yaml': 'a: 1\n' });
    let head = inner.head;
    for (let depth = 0; depth < 11; depth++) {
      const outer = create({ 'a.yaml': 'a: 1\n' });
      outer.add('in', `../${inner.name}.git`, head);
      head = outer.commit('deeper');
      inner = outer;
    }
    fixture.use(`${server.url}/${inner.name}.git`, spec);
    expect((await fixture.failureOf(fixture.reconcile())).message).toContain('it is nested more than 10 deep');

    const wide = create({ 'a.yaml': 'a: 1\n' });
    for (let index = 0; index < 101; index++) wide.add(`lib-${index}`, `../${wide.name}.git`, wide.head);
    wide.commit('wide');
    fixture.use(`${server.url}/${wide.name}.git`, spec);
    expect((await fixture.failureOf(fixture.reconcile())).message).toContain('more than the 100 submodules allowed');
  });

  it('are not read from a .gitmodules that is a link', async () => {
    const app = create({ 'app.yaml': 'app: 1\n' });
    // Git itself refuses to add such a link, so the tree is made by hand.
    const blob = app.git('hash-object', '-w', 'app.yaml');
    const cwd = join(server.root, `${app.name}.work`);
    const tree = execFileSync('git', ['mktree'], {
      cwd,
      input: `120000 blob ${blob}\t.gitmodules\n`,
      encoding: 'utf8',
    });
    const commit = app.git('commit-tree', '-m', 'link', tree.trim());
    app.git('push', '-q', '-f', 'origin', `${commit}:refs/heads/main`);
    fixture.use(`${server.url}/${app.name}.git`, spec);
    expect((await fixture.failureOf(fixture.reconcile())).message).toBe('.gitmodules is no regular file');
  });

  it('over SSH log in with the key of the repository on its server', async () => {
    const sshd: TestSshd = await startSshd({ hostKeyTypes: ['ed25519'] });
    const key = generateSshKey();
    sshd.authorize(key.publicKey);
    fixture.secrets['apps/git'] = { identity: key.privateKey, known_hosts: sshd.knownHosts() };
    const library = create({ 'lib.yaml': 'v: 1\n' }, sshd.root);
    const app = create({ 'app.yaml': 'app: 1\n' }, sshd.root);
    app.add('lib', `../${library.name}.git`, library.head);
    app.add('second', `${sshd.url}/${library.name}.git`, library.head);
    app.commit('over ssh');
    fixture.use(`${sshd.url}/${app.name}.git`, spec);
    expect(fixture.list(await fixture.reconcile())).toEqual([
      'app.yaml',
      'lib/',
      'lib/lib.yaml',
      'second/',
      'second/lib.yaml',
    ]);
    await sshd.close();
  });

  it('make the artifact that a recursive clone holds', async () => {
    const leaf = create({ 'z.yaml': 'z: 1\n' }, other.root);
    const app = create({ 'app.yaml': 'app: 1\n' }, other.root);
    app.add('leaf', `../${leaf.name}.git`, leaf.head);
    app.commit('with leaf');
    fixture.use(`${other.url}/${app.name}.git`, { recurseSubmodules: true });
    const files = fixture.list(await fixture.reconcile());
    const clone = join(fixture.directory, 'clone');
    const git = promisify(execFile);
    await git('git', ['clone', '-q', '--recurse-submodules', `${other.url}/${app.name}.git`, clone]);
    const { stdout: cloned } = await git('git', ['ls-files', '--recurse-submodules'], { cwd: clone });
    expect(files.filter((file) => !file.endsWith('/'))).toEqual(
      cloned
        .trim()
        .split('\n')
        .filter((file) => !file.endsWith('.gitmodules'))
        .sort(),
    );
  });
});
