import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { readFixture } from '../../../../../test/fixtures/cosign/recorded-repository.ts';
import { checkCertificateChain, revocableCertificates, subjectLine } from './certificate-chain.ts';

/** Certificates of `chains/`, made by its `make.sh`. */
function chain(...names: string[]): X509Certificate[] {
  return names.map((name) => new X509Certificate(readFixture(`notation/chains/${name}.crt`)));
}

test.each([
  ['a signer under its root', ['signer', 'root']],
  ['a signer under an intermediate', ['below', 'intermediate', 'root']],
  ['a signer that signed itself', ['alone']],
])('a chain of %s is accepted', (_what, names) => {
  expect(() => checkCertificateChain(chain(...names))).not.toThrow();
});

describe('a chain is refused', () => {
  test.each<[string, string[], RegExp]>([
    [
      'without its root',
      ['signer'],
      /^its certificate "CN=signer, O=example, ST=WA, C=US" ends the chain and is not self-signed$/,
    ],
    ['with two roots', ['root', 'root'], /is self-signed and does not end the chain$/],
    ['in the wrong order', ['below', 'root', 'intermediate'], /was not issued by "CN=root/],
    ['under another root of the same name', ['signer', 'impostor'], /was not issued by "CN=root/],
    ['whose signer is an authority', ['intermediate', 'root'], /signs an artifact and is that of an authority$/],
    ['whose signer may do more than sign', ['versatile', 'root'], /is not for digital signatures alone$/],
    ['whose signer is a server', ['server', 'root'], /is meant for server authentication$/],
    ['whose signer does not say what it is for', ['vague', 'root'], /has no critical key usage$/],
    ['whose key is too small', ['weak', 'root'], /its key \(rsa 1024\) is of no kind that is allowed$/],
    ['through somebody who is no authority', ['forged', 'signer', 'root'], /is not that of an authority$/],
    [
      'that is longer than its root allows',
      ['deep', 'second', 'intermediate', 'root'],
      /allows 0 authorities below it, of which there are 1$/,
    ],
    ['that was signed with SHA-1', ['old', 'root'], /was not issued by/],
  ])('%s', (_what, names, message) => {
    expect(() => checkCertificateChain(chain(...names))).toThrow(message);
  });
});

test('certificates that name a service for revocations are told', () => {
  expect(revocableCertificates(chain('signer', 'revocable', 'responder', 'root'))).toEqual([
    subjectLine(chain('revocable')[0] as X509Certificate),
    subjectLine(chain('responder')[0] as X509Certificate),
  ]);
});
