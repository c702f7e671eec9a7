import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parsePgpKeys } from './pgp-key.ts';

const read = (name: string): Buffer => readFileSync(new URL(`../../../test/fixtures/pgp/${name}.asc`, import.meta.url));
const ed25519 = '23FAE2EF3496CEF148AA057B3F7B7D7DEA5E3C35';
const rsa = '113CD9B40C9EAC90978EB5D46CC98BE845F14939';

describe('parsePgpKeys', () => {
  test.each([
    ['elliptic curves', read('ed25519'), [ed25519]],
    ['RSA', read('rsa2048'), [rsa]],
    ['subkeys without their primary key', read('ed25519-subkeys'), [ed25519]],
    ['two armored blocks in one file', Buffer.concat([read('ed25519'), read('rsa2048')]), [ed25519, rsa]],
    ['a keyring that is not armored', Buffer.from(parsePgpKeys(read('rsa2048')).ring), [rsa]],
    ['an armor with headers and Windows line ends', withHeaders(read('ed25519')), [ed25519]],
  ])('reads %s and tells the fingerprint as GnuPG does', (_, content, fingerprints) => {
    const keys = parsePgpKeys(content);

    expect(keys.fingerprints).toEqual(fingerprints);
    expect((keys.ring[0] ?? 0) & 0x80).toBe(0x80);
  });

  test.each([
    ['a key with a passphrase', read('locked'), /private key [0-9A-F]{40} has a passphrase: export it without one/],
    ['a public key', read('public'), 'it holds a public key, expected a private one'],
    ['a text', Buffer.from('hunter2'), 'expected "-----BEGIN PGP PRIVATE KEY BLOCK-----"'],
    ['a damaged armor', Buffer.from(read('ed25519').toString().replace('\n\n', '\n\n%%%')), 'its armor is damaged'],
    ['a keyring that is cut off', parsePgpKeys(read('rsa2048')).ring.subarray(0, 500), 'packets are damaged'],
    ['a keyring of noise', Buffer.alloc(50, 0xff), 'packets are damaged'],
    ['an empty keyring', Buffer.from([0xcd, 0]), 'it holds no OpenPGP private key'],
  ])('refuses %s', (_, content, message) => {
    expect(() => parsePgpKeys(content)).toThrow(message);
  });
});

function withHeaders(armored: Buffer): Buffer {
  return Buffer.from(armored.toString().replace('\n\n', '\nComment: for tests\n\n').replaceAll('\n', '\r\n'));
}
