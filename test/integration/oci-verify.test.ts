// Signatures that cosign and notation made, in a real registry, checked by the driver of OCIRepository.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createFileArtifactStore } from '../../activities/artifact/file-store.ts';
import { createCloudLogins } from '../../activities/source/cloud/cloud-logins.ts';
import { createOciSource } from '../../activities/source/oci/oci-source.ts';
import { createPublicRoot, type PublicRoot } from '../../activities/source/oci/verify/public-root.ts';
import { createRegistryClient, type RegistryClient } from '../../activities/source/oci/registry-client.ts';
import type { OCIRepository } from '../../k8s/api/oci-repository.ts';
import type { OciVerification } from '../../k8s/api/shared/verification.ts';
import { pushRecording, readFixture, readRecording, signedDigest } from '../fixtures/cosign/recorded-repository.ts';
import { startTestRegistry, type TestRegistry } from '../servers/registry.ts';
import { startTufRepository, type TufRepository } from '../servers/tuf.ts';

const directory = mkdtempSync(join(tmpdir(), 'continuo-verify-'));
const never = new AbortController().signal;
let registry: TestRegistry;
let tuf: TufRepository;
let publicRoot: PublicRoot;
let client: RegistryClient;
let secret: Record<string, Uint8Array> | undefined;

const driver = createOciSource({
  store: createFileArtifactStore({ directory: join(directory, 'artifacts'), advertisedAddress: 'artifacts.test' }),
  dataDirectory: join(directory, 'data'),
  readSecret: async () => secret,
  readPullSecrets: async () => [],
  publicRoot: (signal) => publicRoot(signal),
  logins: createCloudLogins({ env: {} }),
});

beforeAll(async () => {
  registry = await startTestRegistry();
  tuf = await startTufRepository('trusted_root.json', readFixture('cosign/trusted_root.json').toString());
  const rootFile = join(directory, 'first-root.json');
  writeFileSync(rootFile, tuf.root);
  publicRoot = createPublicRoot({ repositoryUrl: tuf.url, rootFile, cacheDirectory: join(directory, 'tuf') });
  client = createRegistryClient({ host: registry.host, isInsecure: true });
  for (const name of ['cosign-2-ecdsa', 'cosign-3-ecdsa', 'cosign-2-keyless', 'cosign-3-keyless']) {
    await pushRecording(client, name, readRecording(`cosign/${name}.json`), never);
  }
  for (const name of ['jws', 'cose', 'expired-certificate']) {
    await pushRecording(client, name, readRecording(`notation/${name}.json`), never);
  }
});

afterAll(async () => {
  await registry.close();
  await tuf.close();
  rmSync(directory, { recursive: true, force: true });
});

beforeEach(() => {
  for (const fault of Object.keys(registry.faults)) delete registry.faults[fault as keyof TestRegistry['faults']];
});

const byKey: OciVerification = { provider: 'cosign', secretRef: { name: 'keys' } };
const byRoot: OciVerification = { provider: 'cosign', trustedRootSecretRef: { name: 'keys' } };
const byPublicRoot: OciVerification = {
  provider: 'cosign',
  matchOIDCIdentity: [
    { issuer: '^https://token\\.actions\\.githubusercontent\\.com$', subject: '^https://github\\.com/example/' },
  ],
};
const byPolicy: OciVerification = { provider: 'notation', secretRef: { name: 'keys' } };
const ecdsa = { 'cosign.pub': readFixture('cosign/ecdsa.pub') };
const other = { 'other.pub': readFixture('cosign/other.pub') };
const root = { 'trusted_root.json': readFixture('cosign/trusted_root.json') };

function policy(scope: string): Record<string, Uint8Array> {
  const statement = {
    name: 'demo',
    registryScopes: [`${registry.host}/${scope}`],
    signatureVerification: { level: 'strict' },
    trustStores: ['ca:example'],
    trustedIdentities: ['x509.subject: C=US, ST=WA, O=example'],
  };
  return {
    'trustpolicy.json': Buffer.from(JSON.stringify({ version: '1.0', trustPolicies: [statement] })),
    'root.crt': readFixture('notation/root.crt'),
  };
}

function objectOf(repository: string, verify: OciVerification, timeout: string): OCIRepository {
  return {
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'OCIRepository',
    metadata: { namespace: 'apps', name: 'demo', generation: 1 },
    spec: {
      url: `oci://${registry.host}/${repository}`,
      ref: { tag: '1.0.0' },
      insecure: true,
      interval: '1m',
      timeout,
      provider: 'generic',
      verify,
    },
  };
}

/** Fetches and verifies, as a reconcile does before it archives. */
async function verify(repository: string, how: OciVerification, keys: typeof secret, timeout = '20s') {
  secret = keys;
  const object = objectOf(repository, how, timeout);
  const fetched = await driver.fetch(object, never);
  expect(fetched).toMatchObject({ needsVerification: true, isUnchanged: false });
  return await driver.verify?.(object, fetched, never);
}

describe('an artifact in a registry', () => {
  test.each<[string, string, OciVerification, () => typeof secret, RegExp]>([
    ['cosign 2 with a key', 'cosign-2-ecdsa', byKey, () => ({ ...other, ...ecdsa }), /key "cosign\.pub"$/],
    ['cosign 3 with a key', 'cosign-3-ecdsa', byKey, () => ({ ...other, ...ecdsa }), /key "cosign\.pub"$/],
    [
      'cosign 2 without a key',
      'cosign-2-keyless',
      byRoot,
      () => root,
      /of "https:\/\/token\.actions\.githubusercontent\.com"$/,
    ],
    [
      'cosign 3 without a key',
      'cosign-3-keyless',
      byRoot,
      () => root,
      /of "https:\/\/token\.actions\.githubusercontent\.com"$/,
    ],
    [
      'an identity of the instance in the TUF repository',
      'cosign-3-keyless',
      byPublicRoot,
      () => undefined,
      /of "https:\/\/token\.actions\.githubusercontent\.com"$/,
    ],
    ['notation in JWS', 'jws', byPolicy, () => policy('jws'), /notation trust policy "demo"$/],
    ['notation in COSE', 'cose', byPolicy, () => policy('cose'), /notation trust policy "demo"$/],
  ])('is verified when it was signed by %s', async (_what, repository, how, keys, by) => {
    const verified = await verify(repository, how, keys());
    expect(verified?.message).toMatch(/^verified signature of revision 1\.0\.0@sha256:a76d/);
    expect(verified?.message).toMatch(by);
  });

  test.each<[string, string, OciVerification, () => typeof secret, RegExp]>([
    [
      'by another key',
      'cosign-3-ecdsa',
      byKey,
      () => other,
      /with "other\.pub" of Secret "apps\/keys": the referrer \S+: no key fits its signature$/,
    ],
    ['not at all', 'jws', byKey, () => ecdsa, /there is no signature/],
    [
      'for notation not at all',
      'cosign-2-ecdsa',
      byPolicy,
      () => policy('cosign-2-ecdsa'),
      /no signature of the Notary Project refers to it/,
    ],
    [
      'with a certificate that expired',
      'expired-certificate',
      byPolicy,
      () => policy('expired-certificate'),
      /"CN=expired, .*" is valid from/,
    ],
    [
      'under another scope',
      'cose',
      byPolicy,
      () => policy('jws'),
      /has no statement for the scope "127\.0\.0\.1:\d+\/cose"$/,
    ],
    [
      'and the Secret is missing',
      'cosign-2-ecdsa',
      byKey,
      () => undefined,
      /Secret "apps\/keys" named by spec\.verify\.secretRef does not exist$/,
    ],
  ])('is refused when it was signed %s', async (_what, repository, how, keys, message) => {
    await expect(verify(repository, how, keys())).rejects.toMatchObject({
      type: 'VerificationError',
      message: expect.stringMatching(message),
    });
  });

  test('is refused when the signature under its tag is of another artifact', async () => {
    const recording = readRecording('cosign/cosign-2-ecdsa.json');
    await pushRecording(client, 'moved', recording, never);
    const manifest = Buffer.from(`${recording.manifests[signedDigest]?.content ?? ''}\n`);
    const digest = createHash('sha256').update(manifest).digest('hex');
    await client.pushManifest('moved', '1.0.0', 'application/vnd.oci.image.manifest.v1+json', manifest, never);
    await client.tag('moved', `sha256-${signedDigest.slice(7)}.sig`, `sha256-${digest}.sig`, never);
    await expect(verify('moved', byKey, ecdsa)).rejects.toThrow(/\.sig": it signs sha256:a76d\w+$/);
  });

  test('is refused when the registry changed the signed payload', async () => {
    const recording = readRecording('cosign/cosign-2-ecdsa.json');
    const payload = Object.keys(recording.blobs).find((digest) =>
      Buffer.from(recording.blobs[digest] ?? '', 'base64').includes('docker-manifest-digest'),
    );
    await pushRecording(client, 'tampered', recording, never);
    const file = registry.blobFile(payload ?? '');
    const was = Buffer.from(recording.blobs[payload ?? ''] ?? '', 'base64');
    writeFileSync(file, was.toString().replace('v2-ecdsa', 'v2-other'));
    try {
      await expect(verify('tampered', byKey, ecdsa)).rejects.toMatchObject({
        type: 'VerificationError',
        message: expect.stringMatching(/^signatures of "127\.0\.0\.1:\d+\/tampered@sha256:a76d\w+" cannot be read: /),
      });
    } finally {
      writeFileSync(file, was);
    }
  });
});

describe('a registry that fails while signatures are read ends the check', () => {
  /** The check, with something wrong from the moment on when the revision is known. */
  async function verifyWith(faults: Partial<TestRegistry['faults']>): Promise<unknown> {
    secret = ecdsa;
    const object = objectOf('cosign-3-ecdsa', byKey, '2s');
    const fetched = await driver.fetch(object, never);
    Object.assign(registry.faults, faults);
    return await driver.verify?.(object, fetched, never);
  }

  test.each([
    ['refuses', { status: 403 }, true],
    ['is broken', { status: 503 }, false],
  ])('because it %s', async (_what, faults, nonRetryable) => {
    await expect(verifyWith(faults)).rejects.toMatchObject({
      type: 'VerificationError',
      nonRetryable,
      message: expect.stringMatching(/^signatures of "127\.0\.0\.1:\d+\/cosign-3-ecdsa@sha256:\w+" cannot be read: /),
    });
  });

  test('because it does not answer in time', async () => {
    await expect(verifyWith({ delayMs: 60_000 })).rejects.toThrow(/did not answer in full within 2s/);
  });
});
