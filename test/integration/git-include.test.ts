// spec.include against real Git servers: artifacts of other repositories inside of one.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createGitSourceFixture, failureOf, type GitSourceFixture } from '../servers/git-source-fixture.ts';
import { createTestRepository, startTestGitServer, type TestGitServer, type TestRepository } from '../servers/git.ts';

let server: TestGitServer;
let fixture: GitSourceFixture;
let main: TestRepository;
let shared: TestRepository;
let urls: { main: string; shared: string };
let count = 0;

const include = (...entries: { name?: string; fromPath?: string; toPath?: string }[]) => ({
  include: entries.map(({ name = 'shared', ...paths }) => ({ repository: { name }, ...paths })),
});

beforeAll(async () => {
  server = await startTestGitServer();
});
afterAll(() => server.close());
beforeEach(() => {
  fixture = createGitSourceFixture();
  count += 1;
  main = createTestRepository(server.root, `main-${count}`);
  shared = createTestRepository(server.root, `shared-${count}`);
  urls = { main: `${server.url}/main-${count}.git`, shared: `${server.url}/shared-${count}.git` };
  main.write('apps/a.yaml', 'a: 1\n');
  main.commit('main');
  shared.write('base/b.yaml', 'b: 1\n');
  shared.write('base/run.sh', '#!/bin/sh\n', 0o755);
  shared.write('README.md', 'shared\n');
  shared.commit('shared');
  fixture.use('shared', urls.shared);
});
afterEach(() => fixture.close());

describe('an included repository', () => {
  it('is in the artifact, under its name, or a part of it somewhere else', async () => {
    await fixture.reconcile('shared');
    fixture.use('demo', urls.main, include({}, { fromPath: './base/', toPath: 'apps/lib' }));

    const { archived } = await fixture.reconcile('demo');

    expect(archived && fixture.list(archived)).toEqual([
      ...['apps/', 'apps/a.yaml', 'apps/lib/', 'apps/lib/b.yaml', 'apps/lib/run.sh'],
      ...['shared/', 'shared/README.md', 'shared/base/', 'shared/base/b.yaml', 'shared/base/run.sh'],
    ]);
    expect(archived && fixture.read(archived, 'apps/lib/b.yaml')).toBe('b: 1\n');
    expect(archived?.observed).toEqual({
      observedInclude: fixture.object('demo')?.spec.include,
      includedArtifacts: [fixture.object('shared')?.status?.artifact, fixture.object('shared')?.status?.artifact],
    });
  });

  it('makes a new artifact of the same revision when its own changes, and none when it does not', async () => {
    await fixture.reconcile('shared');
    fixture.use('demo', urls.main, include({}));
    const first = await fixture.reconcile('demo');
    expect((await fixture.reconcile('demo')).fetched.isUnchanged).toBe(true);

    shared.write('base/b.yaml', 'b: 2\n');
    shared.commit('changed');
    await fixture.reconcile('shared');
    const second = await fixture.reconcile('demo');

    expect(second.archived?.artifact.revision).toBe(first.archived?.artifact.revision);
    expect(second.archived?.artifact.digest).not.toBe(first.archived?.artifact.digest);
    expect(second.archived && fixture.read(second.archived, 'shared/base/b.yaml')).toBe('b: 2\n');

    fixture.use('demo', urls.main);
    const third = await fixture.reconcile('demo');
    expect(third.archived && fixture.list(third.archived)).toEqual(['apps/', 'apps/a.yaml']);
    expect(third.archived?.observed).toEqual({});
  });

  it('is under the ignore rules of the artifact', async () => {
    await fixture.reconcile('shared');
    fixture.use('demo', urls.main, { ...include({}), ignore: '*.md\n/shared/base/run.sh\n' });
    const { archived } = await fixture.reconcile('demo');
    expect(archived && fixture.list(archived)).toEqual([
      ...['apps/', 'apps/a.yaml', 'shared/', 'shared/base/', 'shared/base/b.yaml'],
    ]);
  });

  it('is waited for while it does not exist or has no artifact', async () => {
    fixture.use('demo', urls.main, include({}));
    expect(await failureOf(fixture.reconcile('demo'))).toEqual({
      reason: 'NoArtifact',
      message: 'included GitRepository/apps/shared has no artifact yet',
    });
    fixture.use('demo', urls.main, include({ name: 'other' }));
    expect(await failureOf(fixture.reconcile('demo'))).toEqual({
      reason: 'NotFound',
      message: 'included GitRepository/apps/other does not exist',
    });
  });

  it('must not include itself, directly or by others', async () => {
    await fixture.reconcile('shared');
    fixture.use('demo', urls.main, include({}));
    await fixture.reconcile('demo');
    fixture.use('shared', urls.shared, include({ name: 'demo' }));
    for (const name of ['shared', 'demo']) {
      expect(await failureOf(fixture.reconcile(name))).toMatchObject({
        reason: 'NoArtifact',
        message: expect.stringMatching(/GitRepository "\w+" includes "\w+" in turn: remove one of the includes/),
      });
    }
    fixture.use('shared', urls.shared, include({ name: 'shared' }));
    expect((await failureOf(fixture.reconcile('shared'))).reason).toBe('NoArtifact');
  });

  it.each([
    [{ toPath: '../outside' }, 'IllegalPath', 'spec.include[].toPath "../outside" is not a directory of the artifact'],
    [{ toPath: 'a/../../b' }, 'IllegalPath', 'is not a directory of the artifact'],
    [{ toPath: '.git/hooks' }, 'IllegalPath', 'is not a directory of the artifact'],
    [{ fromPath: '../../etc' }, 'IllegalPath', 'leaves the artifact of "shared"'],
    [{ fromPath: 'nowhere' }, 'CopyFailure', 'has no "nowhere": correct spec.include[].fromPath'],
    [{ fromPath: 'base/b.yaml', toPath: 'apps/a.yaml' }, 'CopyFailure', '"apps/a.yaml" comes from more than one'],
    [{ toPath: 'apps/a.yaml' }, 'ArchiveOperationFailed', 'is a file and a directory'],
  ])('is refused with paths that do not fit: %j', async (paths, reason, message) => {
    await fixture.reconcile('shared');
    fixture.use('demo', urls.main, include(paths));
    const failed = await failureOf(fixture.reconcile('demo'));
    expect([failed.reason, failed.message]).toEqual([reason, expect.stringContaining(message)]);
  });

  it('that was lost is fetched again, or told', async () => {
    await fixture.reconcile('shared');
    const artifact = fixture.object('shared')?.status?.artifact;
    await fixture.activities.removeArtifacts({ namespace: 'apps', name: 'shared' });
    fixture.use('demo', urls.main, include({}));
    expect(await failureOf(fixture.reconcile('demo'))).toMatchObject({
      reason: 'CopyFailure',
      message: expect.stringContaining(`artifact "${artifact?.revision}"`),
    });
    await fixture.reconcile('shared');
    expect((await fixture.reconcile('demo')).archived?.fileCount).toBe(4);
  });
});
