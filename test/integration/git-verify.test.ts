// spec.verify against a real Git server: what is signed by a trusted key becomes an artifact, anything else does not.
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createGitSourceFixture, failureOf, type GitSourceFixture } from '../servers/git-source-fixture.ts';
import { createTestRepository, startTestGitServer, type TestGitServer, type TestRepository } from '../servers/git.ts';
import { recordedObject, signatureFixture, writeSignedObjects } from '../servers/signed-objects.ts';

let server: TestGitServer;
let fixture: GitSourceFixture;
let repository: TestRepository;
let url: string;
let count = 0;

const alice = recordedObject('pgp-alice.commit');
const aliceTag = recordedObject('pgp-alice.tag');
const ed25519 = recordedObject('ssh-ed25519.commit');
const verifyWith = (mode: 'HEAD' | 'Tag' | 'TagAndHEAD' = 'HEAD') => ({
  verify: { mode, secretRef: { name: 'keys' } },
});

function trust(...files: string[]): void {
  fixture.secrets['apps/keys'] = Object.fromEntries(files.map((file) => [file, signatureFixture(file)]));
}

beforeAll(async () => {
  server = await startTestGitServer();
});
afterAll(() => server.close());
beforeEach(() => {
  server.requests.length = 0;
  fixture = createGitSourceFixture();
  const name = `signed-${++count}`;
  repository = createTestRepository(server.root, name);
  url = `${server.url}/${name}.git`;
  writeSignedObjects(join(server.root, `${name}.git`), [alice, aliceTag, ed25519], {
    'refs/heads/main': alice.oid,
    'refs/heads/ssh': ed25519.oid,
    'refs/tags/v1.0.0': aliceTag.oid,
    'refs/tags/light': alice.oid,
  });
});
afterEach(() => fixture.close());

describe('a commit and a tag that are signed', () => {
  it('become artifacts in every mode, by PGP and by SSH', async () => {
    trust('alice.asc', 'ed25519.sshpub');
    fixture.use('demo', url, verifyWith());
    const head = await fixture.reconcile('demo');
    expect(head.fetched.needsVerification).toBe(true);
    expect(head.verified?.mode).toBe('HEAD');
    expect(head.verified?.message).toMatch(
      new RegExp(`^verified signature of commit by PGP key '[0-9A-F]{40}' .*, revision 'main@sha1:${alice.oid}'$`),
    );
    expect(head.archived && fixture.list(head.archived)).toEqual(['app.yaml']);

    fixture.use('demo', url, { ref: { branch: 'ssh' }, ...verifyWith() });
    expect((await fixture.reconcile('demo')).verified?.message).toContain("SSH key 'SHA256:");

    for (const ref of [{ tag: 'v1.0.0' }, { semver: '1.x' }, { name: 'refs/tags/v1.0.0' }]) {
      fixture.use('demo', url, { ref, ...verifyWith('TagAndHEAD') });
      const both = await fixture.reconcile('demo');
      expect(both.verified).toMatchObject({
        mode: 'TagAndHEAD',
        message: expect.stringContaining("tag 'pgp-alice' by"),
      });
    }
    fixture.use('demo', url, { ref: { tag: 'v1.0.0' }, ...verifyWith('Tag') });
    expect((await fixture.reconcile('demo')).verified?.mode).toBe('Tag');
  });

  it('are fetched also from a server of protocol 1', async () => {
    trust('alice.asc');
    server.faults.isFirstVersionOnly = true;
    fixture.use('demo', url, { ref: { tag: 'v1.0.0' }, ...verifyWith('TagAndHEAD') });
    expect((await fixture.reconcile('demo')).verified?.mode).toBe('TagAndHEAD');
    delete server.faults.isFirstVersionOnly;
  });

  it('are checked once; an unchanged one costs a listing, and a changed spec or key set is checked again', async () => {
    trust('alice.asc');
    fixture.use('demo', url, verifyWith());
    await fixture.reconcile('demo');
    server.requests.length = 0;
    expect((await fixture.reconcile('demo')).fetched.isUnchanged).toBe(true);
    expect(server.requests.filter(({ method }) => method === 'POST')).toHaveLength(1);

    trust('bob.asc');
    fixture.use('demo', url, { ...verifyWith(), interval: '5m' });
    expect((await failureOf(fixture.reconcile('demo'))).reason).toBe('InvalidCommitSignature');

    trust('alice.asc');
    fixture.use('demo', url);
    const free = await fixture.reconcile('demo');
    expect([free.fetched.isUnchanged, free.verified]).toEqual([false, undefined]);
    fixture.use('demo', url, verifyWith('Tag'));
    expect((await failureOf(fixture.reconcile('demo'))).reason).toBe('InvalidGitObject');
  });
});

describe('what is not signed as it must be', () => {
  it('gives the reason of the contract and what to do', async () => {
    trust('alice.asc');
    repository.write('app.yaml', 'kind: Secret\n');
    const unsigned = repository.commit('not signed');
    fixture.use('demo', url, verifyWith());
    expect(await failureOf(fixture.reconcile('demo'))).toMatchObject({
      reason: 'InvalidCommitSignature',
      message: expect.stringContaining(
        `commit "${unsigned}" is not signed: sign it ("git commit -S") with the keys of`,
      ),
    });

    fixture.use('demo', url, { ref: { branch: 'ssh' }, ...verifyWith() });
    expect((await failureOf(fixture.reconcile('demo'))).message).toContain('which is not a trusted key; trusted are');

    fixture.use('demo', url, { ref: { tag: 'light' }, ...verifyWith('Tag') });
    expect(await failureOf(fixture.reconcile('demo'))).toMatchObject({
      reason: 'InvalidGitObject',
      message: expect.stringContaining('"light" is a lightweight one'),
    });

    fixture.use('demo', url, { verify: { mode: 'Commit' as 'HEAD', secretRef: { name: 'keys' } } });
    expect(await failureOf(fixture.reconcile('demo'))).toEqual({
      reason: 'InvalidVerificationMode',
      message: expect.stringContaining('expected ') as string,
    });

    fixture.use('demo', url, { verify: { mode: 'HEAD', secretRef: { name: 'none' } } });
    expect(await failureOf(fixture.reconcile('demo'))).toEqual({
      reason: 'VerificationError',
      message: 'Secret "apps/none" named by spec.verify.secretRef does not exist',
    });
  });

  it('never becomes an artifact, also when verification is asked for between two stages', async () => {
    fixture.use('demo', url);
    const source = { namespace: 'apps', name: 'demo' };
    const fetched = await fixture.activities.fetchRevision({ source, generation: 1 });
    fixture.use('demo', url, verifyWith());
    const archived = fixture.activities.archiveRevision({ source, generation: 1, ...fetched });
    expect((await failureOf(archived)).reason).toBe('VerificationError');
  });
});
