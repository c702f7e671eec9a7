import { describe, expect, test } from 'vitest';
import type { OciVerification } from '../../../../k8s/api/shared/verification.ts';
import {
  readFixture,
  readRecording,
  type RecordedRepository,
} from '../../../../test/fixtures/cosign/recorded-repository.ts';
import {
  moved,
  otherDigest,
  type Secret,
  verifyRecording as verify,
  withBlob,
} from '../../../../test/fixtures/cosign/verify-recording.ts';
import type { VerifyOciArtifactOptions } from './verify-oci-artifact.ts';

const withPolicy: OciVerification = { provider: 'notation', secretRef: { name: 'keys' } };

function policy(statement: object = {}): Secret {
  const trustPolicies = [
    {
      name: 'demo',
      registryScopes: ['*'],
      signatureVerification: { level: 'strict' },
      trustStores: ['ca:example'],
      trustedIdentities: ['*'],
      ...statement,
    },
  ];
  const text = JSON.stringify({ version: '1.0', trustPolicies });
  return { 'trustpolicy.json': Buffer.from(text), 'root.crt': readFixture('notation/root.crt') };
}

describe('an artifact that notation signed', () => {
  const identities = (...names: string[]): object => ({ trustedIdentities: names });
  const level = (name: string, more: object = {}): object => ({ signatureVerification: { level: name, ...more } });
  const named = 'registry.example/apps/demo';

  test.each<[string, string, Secret]>([
    ['a JWS signature', 'jws', policy()],
    ['a COSE signature', 'cose', policy()],
    ['a trusted identity', 'jws', policy(identities('x509.subject: C=US, ST=WA, O=example, CN=release'))],
    ['the scope of its repository', 'cose', policy({ registryScopes: [named] })],
    ['an expired signature at the level permissive', 'expiring', policy(level('permissive'))],
    [
      'an expired certificate where that is only logged',
      'expired-certificate',
      policy(level('strict', { override: { authenticTimestamp: 'log' } })),
    ],
    [
      'a timestamp that is wanted only after expiry',
      'jws',
      policy({ ...level('strict', { verifyTimestamp: 'afterCertExpiry' }), trustStores: ['ca:a', 'tsa:b'] }),
    ],
  ])('is verified with %s', async (_what, recording, secret) => {
    await expect(verify(`notation/${recording}.json`, withPolicy, secret)).resolves.toEqual({
      message: 'verified signature of revision 1.0.0 with notation trust policy "demo"',
    });
  });

  const otherRoot = { 'root.crt': readFixture('notation/other-root.crt') };

  test.each<[string, string | RecordedRepository, Secret | undefined, RegExp, Partial<VerifyOciArtifactOptions>?]>([
    [
      'under another root',
      'notation/cose.json',
      { ...policy(), ...otherRoot },
      /^signature of "registry\.example\/apps\/demo@sha256:a76\w+" cannot be verified by notation against the trust policy "demo" and "root\.crt" of Secret "apps\/keys": signature sha256:\w+: none of its certificates, of "CN=release-ec, O=example, L=Seattle, ST=WA, C=US" and up, is trusted$/,
    ],
    [
      'by another identity',
      'notation/jws.json',
      policy(identities('x509.subject: C=US, ST=WA, O=example, CN=other')),
      /"CN=release, O=example, L=Seattle, ST=WA, C=US" is none of the trusted identities$/,
    ],
    [
      'when it is not signed',
      'cosign/cosign-3-ecdsa.json',
      policy(),
      /no signature of the Notary Project refers to it: sign it with "notation sign"$/,
    ],
    [
      'when the JWS was changed',
      withBlob('notation/jws.json', '"payload"', (text) => text.replace('"payload":"eyJ', '"payload":"eyB')),
      policy(),
      /it does not fit its content: one of both was changed/,
    ],
    [
      'when the COSE was changed',
      withBlob('notation/cose.json', 'targetArtifact', (text) => text.replace('"size"', '"sizE"')),
      policy(),
      /it does not fit its content: one of both was changed/,
    ],
    [
      'when the JWS is none',
      withBlob('notation/jws.json', '"payload"', () => 'x'),
      policy(),
      /it is no JWS: expected JSON/,
    ],
    [
      'when the COSE is none',
      withBlob('notation/cose.json', 'targetArtifact', () => '\xff'),
      policy(),
      /it is no valid CBOR/,
    ],
    [
      'by a signature of another artifact',
      moved('notation/jws.json'),
      policy(),
      /it signs sha256:a76\w+$/,
      { digest: otherDigest },
    ],
    [
      'after the signature expired (JWS)',
      'notation/expiring.json',
      policy(),
      /it expired at 2026-11-22T22:46:56\.000Z$/,
    ],
    [
      'after the signature expired (COSE)',
      'notation/expiring-cose.json',
      policy(),
      /it expired at 2026-11-22T22:46:57\.000Z$/,
    ],
    [
      'after the certificate expired',
      'notation/expired-certificate.json',
      policy(),
      /its certificate "CN=expired, O=example, .*" is valid from .* to .* GMT, which \S+Z is not within$/,
    ],
    [
      'when a timestamp is wanted',
      'notation/jws.json',
      policy({ trustStores: ['ca:a', 'tsa:b'] }),
      /demands a timestamp .* which Continuo cannot check/,
    ],
    [
      'without a store of the right type',
      'notation/jws.json',
      policy({ trustStores: ['signingAuthority:a'] }),
      /the policy names no trust store of the type "ca"$/,
    ],
    [
      'without a statement for it',
      'notation/jws.json',
      policy({ registryScopes: ['registry.example/apps/other'] }),
      /has no statement for the scope "registry\.example\/apps\/demo"$/,
    ],
    [
      'with a policy that is none',
      'notation/jws.json',
      { 'trustpolicy.json': Buffer.from('?') },
      /"trustpolicy\.json" of Secret "apps\/keys" is not valid: it is no JSON$/,
    ],
    ['without a policy', 'notation/jws.json', {}, /Secret "apps\/keys" has no key "trustpolicy\.json"$/],
    [
      'without a certificate',
      'notation/jws.json',
      { 'trustpolicy.json': policy()['trustpolicy.json'] as Uint8Array },
      /has no certificate under a key "\*\.crt" or "\*\.pem"$/,
    ],
    [
      'with a certificate that is none',
      'notation/jws.json',
      { ...policy(), 'x.pem': Buffer.from('x') },
      /"x\.pem" holds no certificate$/,
    ],
    ['without the Secret', 'notation/jws.json', undefined, /named by spec\.verify\.secretRef does not exist$/],
  ])('is refused %s', async (_what, recording, secret, message, more = {}) => {
    await expect(verify(recording, withPolicy, secret, more)).rejects.toMatchObject({
      type: 'VerificationError',
      message: expect.stringMatching(message),
    });
  });

  test.each<[string, Secret, RegExp]>([
    ['skip', policy({ ...level('skip'), registryScopes: [named] }), /is not verified: the trust policy "demo" skips/],
    ['audit', { ...policy(level('audit')), ...otherRoot }, /does not enforce authenticity: none of its certificates/],
  ])('proves nothing at the level %s', async (_what, secret, message) => {
    await expect(verify('notation/jws.json', withPolicy, secret)).resolves.toEqual({
      message: expect.stringMatching(message),
      isIgnored: true,
    });
  });

  test('is refused without spec.verify.secretRef', async () => {
    const attempt = verify('notation/jws.json', { provider: 'notation' }, undefined);
    await expect(attempt).rejects.toThrow(
      /spec\.verify\.secretRef is missing: expected a Secret with "trustpolicy\.json"/,
    );
  });
});

test('a long text of a signature is cut', async () => {
  const recording = readRecording('notation/jws.json');
  const [digest] = Object.keys(recording.manifests).filter((one) =>
    recording.manifests[one]?.content.includes('jose+json'),
  );
  const manifest = recording.manifests[digest ?? ''];
  if (!manifest) throw new Error('no signature');
  manifest.content = manifest.content.replace('application/jose+json', 'x'.repeat(100_000));
  const error = (await verify(recording, withPolicy, policy()).catch((thrown: unknown) => thrown)) as Error;
  expect(error.message).toMatch(/it is of the type "x{300,}…$/);
  expect(error.message.length).toBeLessThan(1000);
});
