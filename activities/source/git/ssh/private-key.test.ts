import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parsePrivateKey } from './private-key.ts';

const directory = mkdtempSync(join(tmpdir(), 'continuo-key-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let count = 0;
/** A key as ssh-keygen writes it, and its public blob. */
function generate(...args: string[]): { key: string; publicBlob: string } {
  const file = join(directory, `key-${count++}`);
  execFileSync('ssh-keygen', ['-q', '-N', '', ...args, '-f', file]);
  const publicBlob = readFileSync(`${file}.pub`, 'utf8').split(' ')[1] ?? '';
  return { key: readFileSync(file, 'utf8'), publicBlob };
}

function publicBlobOf(text: string, passphrase?: string): string {
  const parsed = parsePrivateKey(text, passphrase);
  return parsed.getPublicSSH().toString('base64');
}

describe('a private key', () => {
  it.each([
    [['-t', 'ed25519']],
    [['-t', 'ecdsa', '-b', '384']],
    [['-t', 'rsa', '-b', '2048']],
    [['-t', 'rsa', '-b', '2048', '-m', 'PEM']],
    [['-t', 'rsa', '-b', '2048', '-m', 'PKCS8']],
    [['-t', 'ecdsa', '-b', '521', '-m', 'PKCS8']],
    [['-t', 'ecdsa', '-b', '256', '-m', 'PEM']],
    [['-t', 'ed25519', '-N', 'pass word']],
    [['-t', 'rsa', '-b', '2048', '-m', 'PKCS8', '-N', 'pass word']],
    [['-t', 'rsa', '-b', '2048', '-m', 'PEM', '-N', 'pass word']],
  ])('of ssh-keygen %j is read', (args) => {
    const { key, publicBlob } = generate(...args);
    expect(publicBlobOf(key, 'pass word')).toBe(publicBlob);
    expect(publicBlobOf(key.replaceAll('\n', '\r\n'), 'pass word')).toBe(publicBlob);
  });

  it('of kind Ed25519 in PKCS #8 is read', () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
    const blob = Buffer.from(publicBlobOf(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()), 'base64');
    expect(blob.subarray(-32).toString('base64url')).toBe(x);
  });

  it.each([
    ['-m', 'RFC4716'],
    ['-m', 'PKCS8'],
    ['-m', 'PEM'],
  ])('that is encrypted (%s %s) needs its own passphrase', (...format) => {
    const { key } = generate('-t', 'rsa', '-b', '2048', ...format, '-N', 'right one');
    expect(() => parsePrivateKey(key, undefined)).toThrow('put its passphrase into key "password"');
    expect(() => parsePrivateKey(key, 'wrong one')).toThrow('encrypted with another passphrase');
  });

  it.each([
    ['', 'it is no private key'],
    ['ssh-ed25519 AAAA me', 'it is no private key'],
    ['-----BEGIN PRIVATE KEY-----\nhidden\n-----END PRIVATE KEY-----', 'it is damaged'],
    ['-----BEGIN OPENSSH PRIVATE KEY-----\nhidden\n-----END OPENSSH PRIVATE KEY-----', 'it cannot be read'],
  ])('is refused when it is %j, without a word of it', (text, message) => {
    expect(() => parsePrivateKey(text, 'secret')).toThrow(message);
    expect(() => parsePrivateKey(text, 'secret')).not.toThrow('hidden');
  });

  it('whose passphrase takes minutes to try is refused at once', () => {
    const { key } = generate('-t', 'ed25519', '-N', 'pass word', '-a', '70');
    expect(() => parsePrivateKey(key, 'pass word')).toThrow('more than the 64 rounds allowed');
  });

  it('of another kind is refused', () => {
    const { privateKey } = generateKeyPairSync('ed448');
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(() => parsePrivateKey(pem, undefined)).toThrow('it is of kind "ed448"');
  });
});
