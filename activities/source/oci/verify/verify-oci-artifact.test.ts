import { TrustedRoot } from '@sigstore/protobuf-specs';
import { describe, expect, test } from 'vitest';
import type { OciVerification } from '../../../../k8s/api/shared/verification.ts';
import {
  readFixture,
  readRecording,
  recordedClient,
  type RecordedRepository,
  signedDigest,
} from '../../../../test/fixtures/cosign/recorded-repository.ts';
import {
  moved,
  otherDigest,
  type Secret,
  signal,
  verifyRecording as verify,
  withBlob,
} from '../../../../test/fixtures/cosign/verify-recording.ts';
import { RegistryError } from '../registry-error.ts';
import type { VerifyOciArtifactOptions } from './verify-oci-artifact.ts';

const withKeys: OciVerification = { provider: 'cosign', secretRef: { name: 'keys' } };
const withRoot: OciVerification = { provider: 'cosign', trustedRootSecretRef: { name: 'keys' } };
const issuer = '^https://token\\.actions\\.githubusercontent\\.com$';
const subject = '^https://github\\.com/example/app/.+@refs/tags/v\\d+\\.\\d+\\.\\d+$';

function keys(...names: string[]): Secret {
  return Object.fromEntries(names.map((name) => [name, readFixture(`cosign/${name}`)]));
}

const rootOf = { 'trusted_root.json': readFixture('cosign/trusted_root.json') };

describe('an artifact that cosign signed', () => {
  test.each<[string, string, OciVerification, Secret, string]>([
    ['cosign 2 and an ECDSA key', 'cosign-2-ecdsa', withKeys, keys('ecdsa.pub'), 'key "ecdsa.pub"'],
    ['cosign 2 and an RSA key', 'cosign-2-rsa', withKeys, keys('rsa.pub'), 'key "rsa.pub"'],
    ['cosign 3 and an ECDSA key', 'cosign-3-ecdsa', withKeys, keys('ecdsa.pub'), 'key "ecdsa.pub"'],
    ['cosign 3 and an RSA key', 'cosign-3-rsa', withKeys, keys('rsa.pub'), 'key "rsa.pub"'],
    ['one key of several', 'cosign-3-rsa', withKeys, keys('other.pub', 'ecdsa.pub', 'rsa.pub'), 'key "rsa.pub"'],
    [
      'a key beside one that is broken',
      'cosign-2-rsa',
      withKeys,
      { ...keys('rsa.pub'), 'a.pub': Buffer.from('?') },
      'key "rsa.pub"',
    ],
    ['an attestation', 'cosign-3-attestation', withKeys, keys('ecdsa.pub'), 'key "ecdsa.pub"'],
    [
      'an identity of cosign 2',
      'cosign-2-keyless',
      { ...withRoot, matchOIDCIdentity: [{ issuer, subject: '(?i)EXAMPLE/APP/' }] },
      rootOf,
      'the identity "https://github.com/example/app/.github/workflows/release.yml@refs/tags/v1.0.0" of "https://token.actions.githubusercontent.com"',
    ],
    [
      'an identity of cosign 3',
      'cosign-3-keyless',
      {
        ...withRoot,
        matchOIDCIdentity: [
          { issuer: 'other', subject },
          { issuer, subject },
        ],
      },
      rootOf,
      'the identity "https://github.com/example/app/.github/workflows/release.yml@refs/tags/v1.0.0" of "https://token.actions.githubusercontent.com"',
    ],
    [
      'any identity',
      'cosign-3-keyless',
      withRoot,
      rootOf,
      'the identity "https://github.com/example/app/.github/workflows/release.yml@refs/tags/v1.0.0" of "https://token.actions.githubusercontent.com"',
    ],
  ])('is verified with %s', async (_what, recording, spec, secret, by) => {
    await expect(verify(`cosign/${recording}.json`, spec, secret)).resolves.toEqual({
      message: `verified signature of revision 1.0.0 with ${by}`,
    });
  });

  test.each<
    [
      string,
      string | RecordedRepository,
      OciVerification,
      Secret | undefined,
      RegExp,
      Partial<VerifyOciArtifactOptions>?,
    ]
  >([
    [
      'with other keys (2)',
      'cosign/cosign-2-ecdsa.json',
      withKeys,
      keys('other.pub', 'rsa.pub'),
      /^signature of "registry\.example\/apps\/demo@sha256:a76\w+" cannot be verified by cosign with "other\.pub", "rsa\.pub" of Secret "apps\/keys": the tag "sha256-a76\w+\.sig": no key fits its signature$/,
    ],
    [
      'with other keys (3)',
      'cosign/cosign-3-ecdsa.json',
      withKeys,
      keys('other.pub'),
      /with "other\.pub" of Secret "apps\/keys": the referrer sha256:\w+: no key fits its signature$/,
    ],
    [
      'when it is not signed',
      'notation/jws.json',
      withKeys,
      keys('ecdsa.pub'),
      /there is no signature, neither a Sigstore bundle that refers to it nor the tag "sha256-a76\w+\.sig": sign it with "cosign sign"$/,
    ],
    [
      'when the payload was changed',
      withBlob('cosign/cosign-2-ecdsa.json', 'docker-manifest', (text) => text.replace('v2-ecdsa', 'v2-other')),
      withKeys,
      keys('ecdsa.pub'),
      /no key fits its signature$/,
    ],
    [
      'when the bundle was changed',
      withBlob('cosign/cosign-3-ecdsa.json', 'dsseEnvelope', (text) =>
        text.replace('"payload":"eyJ', '"payload":"eyB'),
      ),
      withKeys,
      keys('ecdsa.pub'),
      /no key fits its signature$/,
    ],
    [
      'when the bundle is none',
      withBlob('cosign/cosign-3-ecdsa.json', 'dsseEnvelope', () => '{"a":'),
      withKeys,
      keys('ecdsa.pub'),
      /the referrer sha256:\w+ is no Sigstore bundle/,
    ],
    [
      'by a signature of another artifact (2)',
      moved('cosign/cosign-2-ecdsa.json'),
      withKeys,
      keys('ecdsa.pub'),
      /it signs sha256:a76\w+$/,
      { digest: otherDigest },
    ],
    [
      'by a signature of another artifact (3)',
      moved('cosign/cosign-3-ecdsa.json'),
      withKeys,
      keys('ecdsa.pub'),
      /it signs sha256:a76\w+$/,
      { digest: otherDigest },
    ],
    [
      'by a keyless signature of another artifact',
      moved('cosign/cosign-3-keyless.json'),
      withRoot,
      rootOf,
      /it signs sha256:a76\w+$/,
      { digest: otherDigest },
    ],
    [
      'without the Secret',
      'cosign/cosign-2-ecdsa.json',
      withKeys,
      undefined,
      /Secret "apps\/keys" named by spec\.verify\.secretRef does not exist$/,
    ],
    [
      'without a key',
      'cosign/cosign-2-ecdsa.json',
      withKeys,
      { 'cosign.key': Buffer.from('x') },
      /has no key "\*\.pub"/,
    ],
    [
      'with a key that is none',
      'cosign/cosign-2-ecdsa.json',
      withKeys,
      { 'a.pub': Buffer.from('x') },
      /"a\.pub" of Secret "apps\/keys" is no PEM "PUBLIC KEY"$/,
    ],
    [
      'by another identity',
      'cosign/cosign-3-keyless.json',
      { ...withRoot, matchOIDCIdentity: [{ issuer, subject: '^https://github\\.com/other/' }] },
      rootOf,
      /it was made by "https:\/\/github\.com\/example\/app\/\S+" of "https:\/\/token\.actions\S+", whom no entry of spec\.verify\.matchOIDCIdentity allows$/,
    ],
    [
      'by a pattern that is none',
      'cosign/cosign-3-keyless.json',
      { ...withRoot, matchOIDCIdentity: [{ issuer: '(', subject: '.' }] },
      rootOf,
      /issuer "\(" is no regular expression/,
    ],
    [
      'when the keyless payload was changed',
      withBlob('cosign/cosign-2-keyless.json', 'docker-manifest', (text) => text.replace('v2k', 'xxx')),
      withRoot,
      rootOf,
      /the tag "sha256-a76\w+\.sig": \S/,
    ],
    [
      'when a key signed it, not an identity (2)',
      'cosign/cosign-2-ecdsa.json',
      withRoot,
      rootOf,
      /it has no certificate: if it was made with a key pair/,
    ],
    [
      'when a key signed it, not an identity (3)',
      'cosign/cosign-3-ecdsa.json',
      withRoot,
      rootOf,
      /it was made with a key pair: name the Secret/,
    ],
    [
      'when an identity signed it, not a key',
      'cosign/cosign-3-keyless.json',
      withKeys,
      keys('ecdsa.pub'),
      /no key fits its signature$/,
    ],
    [
      'with an empty trusted root',
      'cosign/cosign-3-keyless.json',
      withRoot,
      { 'trusted_root.json': Buffer.from('{}') },
      /it has no "certificateAuthorities"$/,
    ],
    [
      'without a trusted root',
      'cosign/cosign-3-keyless.json',
      withRoot,
      {},
      /Secret "apps\/keys" has no key "trusted_root\.json"$/,
    ],
  ])('is refused %s', async (_what, recording, spec, secret, message, more = {}) => {
    await expect(verify(recording, spec, secret, more)).rejects.toMatchObject({
      type: 'VerificationError',
      nonRetryable: true,
      message: expect.stringMatching(message),
    });
  });
});

describe('a signature without keys and without a root of its own', () => {
  const keyless: OciVerification = { provider: 'cosign', matchOIDCIdentity: [{ issuer, subject }] };
  const root = TrustedRoot.fromJSON(JSON.parse(rootOf['trusted_root.json'].toString('utf8')));

  test('is checked with the root of the public instance', async () => {
    await expect(
      verify('cosign/cosign-3-keyless.json', keyless, undefined, { publicRoot: async () => root }),
    ).resolves.toMatchObject({
      message: expect.stringContaining('with the identity "https://github.com/example/app/'),
    });
    await expect(
      verify('cosign/cosign-3-ecdsa.json', keyless, undefined, { publicRoot: async () => root }),
    ).rejects.toThrow(/with the trusted root of the public Sigstore instance: .* it was made with a key pair/);
  });

  test('is not accepted when that root is not to be had', async () => {
    await expect(verify('cosign/cosign-3-keyless.json', keyless, undefined)).rejects.toMatchObject({
      type: 'VerificationError',
      message: expect.stringMatching(
        /cannot be verified by cosign without a key: there is no TUF repository here; set CONTINUO_SIGSTORE_TUF_URL/,
      ),
    });
  });
});

describe('a registry that fails', () => {
  test.each([
    ['unavailable', false],
    ['rateLimited', false],
    ['authentication', true],
    ['content', true],
  ] as const)('with %s is told, and tried again only when that may help', async (problem, nonRetryable) => {
    const client = recordedClient(readRecording('cosign/cosign-3-ecdsa.json'));
    client.referrers = () => Promise.reject(new RegistryError(problem, 'registry says no'));
    const attempt = verify('cosign/cosign-3-ecdsa.json', withKeys, keys('ecdsa.pub'), {
      client,
      reason: 'ChartVerificationError',
    });
    await expect(attempt).rejects.toMatchObject({
      type: 'ChartVerificationError',
      nonRetryable,
      message: expect.stringMatching(/^signatures of "registry\.example\S+" cannot be read: registry says no$/),
    });
  });
});

test('of many signatures that are refused, only the first are told, and each only in part', async () => {
  const recording = readRecording('cosign/cosign-3-ecdsa.json');
  const client = recordedClient(recording);
  const [referrer] = await client.referrers('', signedDigest, undefined, signal);
  if (!referrer) throw new Error('no referrer');
  client.referrers = async () => Array.from({ length: 80 }, () => referrer);
  const attempt = verify(recording, withKeys, { ...keys('other.pub') }, { client });
  await expect(attempt).rejects.toThrow(/(the referrer sha256:\w+: no key fits its signature; ){5}and 45 more$/);
});

test('a signature is found beside a huge attestation, which is not read', async () => {
  const recording = readRecording('cosign/cosign-3-ecdsa.json');
  const client = recordedClient(recording);
  const [referrer] = await client.referrers('', signedDigest, undefined, signal);
  const manifest = recording.manifests[referrer?.digest ?? ''];
  if (!referrer || !manifest) throw new Error('no referrer');
  const parsed = JSON.parse(manifest.content) as { layers: { digest: string; size: number }[] };
  parsed.layers = parsed.layers.map((layer) => ({ ...layer, digest: otherDigest, size: 5_000_000 }));
  recording.manifests[otherDigest] = { ...manifest, content: JSON.stringify(parsed) };
  const huge = { ...referrer, digest: otherDigest };
  client.referrers = async () => [huge, referrer];
  await expect(verify(recording, withKeys, keys('ecdsa.pub'), { client })).resolves.toMatchObject({
    message: expect.stringContaining('with key "ecdsa.pub"'),
  });
  client.referrers = async () => [huge];
  await expect(verify(recording, withKeys, keys('ecdsa.pub'), { client })).rejects.toThrow(
    /the referrer sha256:f+ has 5000000 bytes, more than the 1048576 allowed$/,
  );
});
