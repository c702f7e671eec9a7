import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { verifyProvenance, type VerifyProvenanceOptions } from './provenance.ts';

const fixture = (name: string): Buffer =>
  readFileSync(join(import.meta.dirname, '../../../test/fixtures/provenance', name));

const signed: VerifyProvenanceOptions = {
  chart: fixture('demo-0.1.0.tgz'),
  fileName: 'demo-0.1.0.tgz',
  version: '0.1.0',
  provenance: fixture('demo-0.1.0.tgz.prov'),
  secretName: 'apps/keys',
  secret: { 'release.asc': fixture('release.asc') },
};

/** The provenance file with one text replaced. */
function changed(from: string | RegExp, to: string): Buffer {
  return Buffer.from(fixture('demo-0.1.0.tgz.prov').toString('utf8').replace(from, to));
}

describe('a chart that helm package --sign made', () => {
  test.each([
    ['an armored key', { 'release.asc': fixture('release.asc') }, 'release.asc'],
    ['a binary keyring', { 'pubring.gpg': fixture('pubring.gpg') }, 'pubring.gpg'],
    ['one key of several', { 'a.asc': fixture('other.asc'), 'b.asc': fixture('release.asc') }, 'b.asc'],
    ['a key beside something else', { note: Buffer.from('x'), 'r.asc': fixture('release.asc') }, 'r.asc'],
  ])('is verified with %s', async (_what, secret, name) => {
    await expect(verifyProvenance({ ...signed, secret })).resolves.toEqual({
      message: `verified signature of version 0.1.0 with key "${name}"`,
    });
  });

  test.each<[string, Partial<VerifyProvenanceOptions>, RegExp]>([
    [
      'without a provenance file',
      { provenance: undefined },
      /"demo-0\.1\.0\.tgz" cannot be verified with "release\.asc" of Secret "apps\/keys": there is no "demo-0\.1\.0\.tgz\.prov"/,
    ],
    [
      'signed by another key',
      { secret: { 'o.asc': fixture('other.asc') } },
      /signed by PGP key [0-9A-F]{16}, which is not/,
    ],
    [
      'that was changed',
      { chart: Buffer.from('other') },
      /of another content: expected sha256:\w{64}, got sha256:\w{64}$/,
    ],
    ['of another name', { fileName: 'demo-0.2.0.tgz' }, /provenance file does not name it/],
    [
      'whose provenance file was changed',
      { provenance: changed(/sha256:./, 'sha256:0') },
      /PGP key \w{40} is not valid/,
    ],
    ['whose provenance file is none', { provenance: Buffer.from('hello') }, /provenance file is no signed message/],
    ['whose provenance file is huge', { provenance: Buffer.alloc(2 ** 20 + 1) }, /is over 1048576 bytes/],
    [
      'without the Secret',
      { secret: undefined },
      /Secret "apps\/keys" named by spec\.verify\.secretRef does not exist/,
    ],
    ['without a key', { secret: { k: Buffer.from('x') } }, /has no OpenPGP public key: "k": expected "-----BEGIN PGP/],
    ['with an empty Secret', { secret: {} }, /it is empty/],
  ])('is refused %s', async (_what, change, message) => {
    const attempt = verifyProvenance({ ...signed, ...change });
    await expect(attempt).rejects.toMatchObject({
      type: 'ChartVerificationError',
      message: expect.stringMatching(message),
    });
  });
});
