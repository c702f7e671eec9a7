import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { cosignKeysOf, signingKey } from './cosign-keys.ts';
import type { CosignSignature } from './cosign-signatures.ts';
import { dssePreAuthEncoding } from './dsse.ts';

const payload = Buffer.from('{"critical":{}}');

function pair(type: 'p256' | 'p384' | 'rsa' | 'ed25519') {
  if (type === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  if (type === 'ed25519') return generateKeyPairSync('ed25519');
  return generateKeyPairSync('ec', { namedCurve: type === 'p256' ? 'P-256' : 'P-384' });
}

function simple(signature: Buffer): CosignSignature {
  return { layout: 'simple', payload, signature, annotations: {}, origin: 'a test' };
}

describe('the keys of a Secret', () => {
  test('are those whose name ends in .pub, in their order, with what is wrong with them', () => {
    const pem = pair('p256').publicKey.export({ type: 'spki', format: 'pem' });
    const found = cosignKeysOf({
      'b.pub': Buffer.from(pem),
      'a.pub': Buffer.from('-----BEGIN PRIVATE KEY-----\n'),
      'c.pub': Buffer.from('-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'),
      'd.pub': Buffer.from(generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'pem' })),
      'cosign.key': Buffer.from(pem),
    });
    expect(found.map(({ name, problem }) => [name, problem])).toEqual([
      ['a.pub', 'is a private key: keep it out of the cluster'],
      ['b.pub', undefined],
      ['c.pub', 'cannot be parsed'],
      ['d.pub', 'is of the type "x25519": expected an ECDSA, RSA or Ed25519 key'],
    ]);
  });

  test.each([
    ['p256', 'sha256'],
    ['p384', 'sha256'],
    ['p384', 'sha384'],
    ['rsa', 'sha256'],
    ['ed25519', null],
  ] as const)('of the type %s accept a signature with %s', (type, digest) => {
    const { publicKey, privateKey } = pair(type);
    const keys = [
      { name: 'other.pub', key: pair(type).publicKey },
      { name: 'this.pub', key: publicKey },
    ];
    const signature = sign(digest, payload, privateKey);
    expect(signingKey(simple(signature), keys)?.name).toBe('this.pub');
    expect(signingKey(simple(Buffer.from('x')), keys)).toBeUndefined();
  });

  test('do not accept SHA-512 where cosign does not use it', () => {
    const { publicKey, privateKey } = pair('rsa');
    expect(
      signingKey(simple(sign('sha512', payload, privateKey)), [{ name: 'a.pub', key: publicKey }]),
    ).toBeUndefined();
  });
});

test('the bytes under a DSSE signature hold type and payload with their lengths in bytes', () => {
  expect(dssePreAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world')).toString()).toBe(
    'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
  );
});
