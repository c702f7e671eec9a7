import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { GitRepository } from '../../../k8s/api/git-repository.ts';
import {
  objectOf,
  recordedObject,
  type RecordedObject,
  signatureFixture,
} from '../../../test/servers/signed-objects.ts';
import {
  isVerified,
  trustedKeysOf,
  type VerificationMode,
  verificationModeOf,
  verifyObjects,
} from './verify-revision.ts';

const allKeys = ['alice.asc', 'bob.asc', 'ed25519.sshpub', 'ecdsa256.sshpub', 'ecdsa384.sshpub', 'ecdsa521.sshpub'];

function storeOf(...objects: RecordedObject[]) {
  const byId = new Map(objects.map((one) => [one.oid, one]));
  return {
    async readObject(oid: string) {
      const found = byId.get(oid);
      if (!found) throw new Error(`object ${oid} is not there`);
      return found;
    },
  };
}

function keysIn(...files: string[]) {
  return trustedKeysOf('apps/keys', Object.fromEntries(files.map((file) => [file, signatureFixture(file)])));
}

async function check(
  name: string,
  mode: VerificationMode,
  files: string[],
  options: { tagged?: string; refName?: string; isLightweight?: boolean } = {},
): Promise<string> {
  const commit = recordedObject(`${name}.commit`);
  const tag = mode === 'HEAD' || options.isLightweight ? undefined : recordedObject(`${options.tagged ?? name}.tag`);
  const objects = storeOf(
    commit,
    ...(tag ? [tag] : []),
    recordedObject('unsigned.tag'),
    recordedObject('unsigned.commit'),
  );
  const refName = options.refName ?? `refs/tags/${name}`;
  const fetched = { commit: commit.oid, revision: `r@sha1:${commit.oid}`, refName, tag: tag?.oid };
  return (await verifyObjects(objects, mode, fetched, await keysIn(...files))).message;
}

async function refusal(promise: Promise<unknown>): Promise<{ reason: string | undefined; message: string }> {
  const error = (await promise.then(
    () => new Error('did not fail'),
    (thrown: unknown) => thrown,
  )) as Error & { type?: string };
  return { reason: error.type, message: error.message };
}

describe('signatures made by real tools', () => {
  it.each([
    ['pgp-alice', 'alice.asc', /PGP key '[0-9A-F]{40}' \(alice <alice@example\.test>\)/],
    ['pgp-alice', 'alice.gpg', /PGP key '[0-9A-F]{40}' \(alice <alice@example\.test>\)/],
    ['pgp-bob', 'bob.asc', /PGP key '[0-9A-F]{40}' \(bob <bob@example\.test>\)/],
    ['ssh-ed25519', 'ed25519.sshpub', /SSH key 'SHA256:[A-Za-z0-9+/]{43}' \(ed25519@example\.test\)/],
    ['ssh-ecdsa256', 'ecdsa256.sshpub', /SSH key 'SHA256:/],
    ['ssh-ecdsa384', 'ecdsa384.sshpub', /SSH key 'SHA256:/],
    ['ssh-ecdsa521', 'ecdsa521.sshpub', /SSH key 'SHA256:/],
    ['ssh-rsa', 'rsa.sshpub', /SSH key 'SHA256:/],
  ])('accepts %s by %s, on the commit, on the tag, and on both', async (name, file, signer) => {
    const commit = recordedObject(`${name}.commit`).oid;
    for (const [mode, start] of [
      ['HEAD', 'verified signature of commit by '],
      ['Tag', `verified signature of tag '${name}' by `],
      ['TagAndHEAD', `verified signature of tag '${name}' by `],
    ] as const) {
      const message = await check(name, mode, [file]);
      expect(message.startsWith(start)).toBe(true);
      expect(message).toMatch(signer);
      expect(message.endsWith(`, revision 'r@sha1:${commit}'`)).toBe(true);
    }
  });

  it('finds the key among many', async () => {
    expect(await check('ssh-ecdsa384', 'TagAndHEAD', allKeys)).toContain('ecdsa384@example.test');
    expect(await check('pgp-bob', 'HEAD', allKeys)).toContain('bob <bob@example.test>');
  });

  it.each([
    ['HEAD', 'InvalidCommitSignature', 'commit'],
    ['Tag', 'InvalidTagSignature', 'tag'],
  ] as const)('refuses what is not signed by a trusted key that may sign now (%s)', async (mode, reason, noun) => {
    const cases: [string, string[], RegExp][] = [
      [
        'unsigned',
        ['alice.asc'],
        /is not signed: sign it \("git (commit -S|tag -s)"\) with the keys of Secret "apps\/keys" \(PGP/,
      ],
      [
        'pgp-bob',
        ['alice.asc'],
        /is signed by PGP key [0-9A-F]{16}, which is not a trusted key; trusted are the keys of/,
      ],
      ['pgp-alice', ['ed25519.sshpub'], /is signed by PGP key [0-9A-F]{16}, which is not a trusted key/],
      ['ssh-rsa', ['ed25519.sshpub'], /is signed by SSH key SHA256:\S+, which is not a trusted key/],
      [
        'pgp-expired',
        ['expired.asc'],
        /PGP key [0-9A-F]{40}, which it is signed by, may not sign \(any more\): .*expired/,
      ],
      [
        'pgp-revoked',
        ['revoked.asc'],
        /PGP key [0-9A-F]{40}, which it is signed by, may not sign \(any more\): .*revoked/,
      ],
    ];
    for (const [name, files, message] of cases) {
      const refused = await refusal(check(name, mode, files));
      expect(refused.reason).toBe(reason);
      expect(refused.message).toMatch(message);
      expect(refused.message.startsWith(`${noun} "`)).toBe(true);
    }
  });

  it('refuses an SSH signature that was made for something else than Git', async () => {
    expect((await refusal(check('ssh-namespace', 'HEAD', ['ed25519.sshpub']))).message).toContain(
      'its signature is for "file", expected "git"',
    );
  });
});

describe('content that was changed after it was signed', () => {
  it.each([
    ['pgp-alice', 'alice.asc', /its signature by PGP key .* is not valid: .*changed after it was signed/],
    ['pgp-bob', 'bob.asc', /its signature by PGP key .* is not valid: .*changed after it was signed/],
    ['ssh-ed25519', 'ed25519.sshpub', /does not fit: it was changed after it was signed/],
    ['ssh-ecdsa521', 'ecdsa521.sshpub', /does not fit: it was changed after it was signed/],
    ['ssh-rsa', 'rsa.sshpub', /does not fit: it was changed after it was signed/],
  ])('is refused (%s)', async (name, file, message) => {
    const original = recordedObject(`${name}.commit`).content.toString('latin1');
    const changes = [
      original.replace('Signed by', 'Signed By'),
      original.replace('Test <test@', 'Mallory <test@'),
      `${original}one more line\n`,
      original.replace('\n\n', '\nencoding latin1\n\n'),
    ];
    for (const text of changes) {
      const commit = objectOf('commit', Buffer.from(text, 'latin1'));
      const fetched = { commit: commit.oid, revision: 'main@sha1:x' };
      const refused = await refusal(verifyObjects(storeOf(commit), 'HEAD', fetched, await keysIn(file)));
      expect(refused.reason).toBe('InvalidCommitSignature');
      expect(refused.message).toMatch(message);
    }
  });

  it('is refused when the server gives another object than the one with the id', async () => {
    const asked = recordedObject('unsigned.commit');
    const given = { ...recordedObject('pgp-alice.commit'), oid: asked.oid };
    const refused = await refusal(
      verifyObjects(storeOf(given), 'HEAD', { commit: asked.oid, revision: 'r' }, await keysIn('alice.asc')),
    );
    expect(refused.reason).toBe('InvalidGitObject');
  });

  it('is refused when the armor is cut or there are two signatures', async () => {
    const original = recordedObject('ssh-ed25519.commit').content.toString('latin1');
    const header = original.slice(original.indexOf('gpgsig'), original.indexOf('\n\n') + 1);
    for (const [text, words] of [
      [original.replace(' -----END SSH SIGNATURE-----\n', ''), 'the armor cannot be read'],
      [original.replace(header, header + header), 'it has more than one signature'],
      [original.replace(/gpgsig -----BEGIN SSH/, 'gpgsig -----BEGIN XYZ'), 'an unknown format'],
      [original.replace('-----BEGIN SSH SIGNATURE-----', '-----BEGIN SIGNED MESSAGE-----'), 'an X.509 certificate'],
    ] as const) {
      const commit = objectOf('commit', Buffer.from(text, 'latin1'));
      const keys = await keysIn('ed25519.sshpub');
      const refused = await refusal(
        verifyObjects(storeOf(commit), 'HEAD', { commit: commit.oid, revision: 'r' }, keys),
      );
      expect(refused.message).toContain(words);
    }
  });
});

describe('tags', () => {
  it('must be there, annotated, and of the commit that was fetched', async () => {
    expect(await refusal(check('pgp-alice', 'Tag', ['alice.asc'], { refName: 'refs/heads/main' }))).toMatchObject({
      reason: 'InvalidGitObject',
      message: expect.stringContaining('spec.ref names none'),
    });
    expect(await refusal(check('pgp-alice', 'Tag', ['alice.asc'], { isLightweight: true }))).toMatchObject({
      reason: 'InvalidGitObject',
      message: expect.stringContaining('is a lightweight one: make it with "git tag -s"'),
    });
    expect(await refusal(check('ssh-rsa', 'Tag', ['alice.asc'], { tagged: 'pgp-alice' }))).toMatchObject({
      reason: 'InvalidTagSignature',
      message: expect.stringContaining('is signed for commit'),
    });
  });

  it('of tags lead to the commit at the end', async () => {
    expect(await check('unsigned', 'Tag', ['alice.asc'], { tagged: 'nested' })).toContain("tag 'nested' by PGP key");
  });

  it('alone do not do when the commit must be signed too', async () => {
    const refused = await refusal(check('unsigned', 'TagAndHEAD', ['alice.asc'], { tagged: 'nested' }));
    expect(refused.reason).toBe('InvalidCommitSignature');
  });
});

describe('keys of security keys', () => {
  const text = (value: string | Buffer): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(value));
    return Buffer.concat([length, Buffer.from(value as string)]);
  };

  it.each([
    [1, 'verified signature of commit by SSH key'],
    [0, 'does not fit'],
  ])('count only when they were touched (flags %i)', async (flags, expected) => {
    const type = 'sk-ssh-ed25519@openssh.com';
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
    const blob = Buffer.concat([text(type), text(raw), text('ssh:')]);
    const payload = recordedObject('unsigned.commit').content;
    const { createHash } = await import('node:crypto');
    const digest = (algorithm: string, content: Buffer): Buffer => createHash(algorithm).update(content).digest();
    const told = Buffer.concat([
      Buffer.from('SSHSIG'),
      ...[text('git'), text(''), text('sha512'), text(digest('sha512', payload))],
    ]);
    const marks = Buffer.from([flags, 0, 0, 0, 7]);
    const signed = Buffer.concat([digest('sha256', Buffer.from('ssh:')), marks, digest('sha256', told)]);
    const signature = Buffer.concat([text(type), text(sign(null, signed, privateKey)), marks]);
    const whole = Buffer.concat([
      ...[Buffer.from('SSHSIG'), Buffer.from([0, 0, 0, 1]), text(blob)],
      ...[text('git'), text(''), text('sha512'), text(signature)],
    ]);
    const armor = `-----BEGIN SSH SIGNATURE-----\n ${whole.toString('base64')}\n -----END SSH SIGNATURE-----`;
    const commit = objectOf('commit', Buffer.from(payload.toString().replace('\n\n', `\ngpgsig ${armor}\n\n`)));
    const keys = await trustedKeysOf('apps/keys', {
      'sk.sshpub': Buffer.from(`${type} ${blob.toString('base64')} me`),
    });

    const told2 = verifyObjects(storeOf(commit), 'HEAD', { commit: commit.oid, revision: 'r' }, keys);

    expect(await told2.then(({ message }) => message).catch((error: Error) => error.message)).toContain(expected);
  });
});

describe('the Secret with the trusted keys', () => {
  it.each([
    [undefined, 'Secret "apps/keys" named by spec.verify.secretRef does not exist'],
    [{}, 'is empty: put public keys into it'],
    [{ 'a.asc': 'hello' }, 'has a key "a.asc" that is not usable as PGP public keys: expected "-----BEGIN PGP PUBLIC'],
    [
      { 'a.sshpub': 'hello' },
      'has a key "a.sshpub" that is not usable as SSH public keys, one a line: line 1 has no key',
    ],
    [{ 'a.sshpub': '# nothing\n' }, 'it holds no key'],
    [{ 'a.sshpub': 'ssh-ed25519 AAAA' }, 'line 1 has a "ssh-ed25519" key that cannot be used'],
    [{ 'a.sshpub': 'ssh-dss AAAAB3NzaC1kc3M=' }, 'line 1 has no key of a known type'],
  ])('is refused: %j', async (data, message) => {
    const secret = data && Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value)]));
    const refused = await refusal(trustedKeysOf('apps/keys', secret));
    expect(refused.reason).toBe('VerificationError');
    expect(refused.message).toContain(message);
  });

  it('takes lines of an allowed_signers file and several armored blocks', async () => {
    const ssh = `test@example.test namespaces="git" ${signatureFixture('ed25519.sshpub').toString()}`;
    const both = Buffer.concat([signatureFixture('alice.asc'), signatureFixture('bob.asc')]);
    const keys = await trustedKeysOf('apps/keys', { 'a.sshpub': Buffer.from(ssh), keys: both });
    expect([keys.ssh.length, keys.pgp.length]).toEqual([1, 2]);
  });
});

describe('whether an artifact was verified', () => {
  const object = (spec: object, status: object): GitRepository =>
    ({ metadata: { name: 'a', generation: 2 }, spec, status }) as unknown as GitRepository;
  const verify = { mode: 'HEAD', secretRef: { name: 'keys' } };
  const told = (status: string, observedGeneration = 2) => ({
    sourceVerificationMode: 'HEAD',
    conditions: [{ type: 'SourceVerified', status, observedGeneration }],
  });

  it.each([
    ['nothing is asked for', {}, {}, true],
    ['nothing is asked for any more', {}, told('True'), false],
    ['it was', { verify }, told('True'), true],
    ['it was, in the older spelling', { verify: { ...verify, mode: 'head' } }, told('True'), true],
    ['it was under another spec', { verify }, told('True', 1), false],
    ['it was in another mode', { verify: { ...verify, mode: 'Tag' } }, told('True'), false],
    ['it was refused', { verify }, told('False'), false],
    ['it never was', { verify }, {}, false],
  ])('%s', (_name, spec, status, expected) => {
    expect(isVerified(object(spec, status))).toBe(expected);
  });

  it('refuses an unknown mode', () => {
    expect(() => verificationModeOf({ mode: 'Commit' as 'HEAD', secretRef: { name: 'a' } })).toThrow(
      'spec.verify.mode is "Commit", expected one of HEAD, Tag, TagAndHEAD',
    );
  });
});
