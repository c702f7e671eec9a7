import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  githubAppSecret,
  gitSecret,
  helmSecret,
  notationSecret,
  ociSecret,
  parseGitUrl,
  proxySecret,
  receiverSecret,
  tlsSecret,
} from './create-secret-objects.ts';

const pem = (name: string): string =>
  readFileSync(join(import.meta.dirname, '..', 'test', 'servers', 'tls', name), 'utf8');
const flags = { namespace: 'apps' };
const login = { username: 'alice', password: 's3cret' };
const tls = { tlsCrtFile: pem('client.crt'), tlsKeyFile: pem('client.key') };
const otherKey = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const app = { ...flags, appId: '1', appPrivateKey: tls.tlsKeyFile };
const certificate = { name: 'ca.crt', text: pem('ca.crt') };
const statement = {
  name: 'a',
  registryScopes: ['*'],
  signatureVerification: { level: 'strict' },
  trustStores: ['ca:a'],
  trustedIdentities: ['*'],
};
const policy = JSON.stringify({ version: '1.0', trustPolicies: [statement] });

test('a Secret has its labels and only the keys that are given', () => {
  expect(gitSecret('app', { ...flags, label: ['a=b'], url: 'https://g.example', ...login })).toEqual({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'app', namespace: 'apps', labels: { a: 'b' } },
    stringData: { username: 'alice', password: 's3cret' },
  });
});

describe('flags that make no sense are refused', () => {
  test.each<[string, () => unknown, RegExp]>([
    ['no address', () => parseGitUrl(undefined), /^--url is missing/],
    [
      'another scheme',
      () => parseGitUrl('ftp://g.example'),
      /^--url has to begin with "ssh:\/\/", "https:\/\/" or "http:\/\/"$/,
    ],
    ['git without credentials', () => gitSecret('a', flags), /^credentials are missing/],
    ['git with half a login', () => gitSecret('a', { ...flags, username: 'a' }), /^credentials are missing/],
    [
      'git with two kinds',
      () => gitSecret('a', { ...flags, ...login, bearerToken: 'x' }),
      /or --bearer-token, got both$/,
    ],
    [
      'git with a file that is no certificate',
      () => gitSecret('a', { ...flags, ...login, caCrtFile: 'x' }),
      /^--ca-crt-file holds no PEM certificate$/,
    ],
    ['oci without an address', () => ociSecret('a', { ...flags, ...login }), /^--url is missing/],
    ['oci without a login', () => ociSecret('a', { ...flags, url: 'ghcr.io' }), /^credentials are missing/],
    ['helm without anything', () => helmSecret('a', flags), /^credentials are missing/],
    [
      'helm with half a login',
      () => helmSecret('a', { ...flags, username: 'a' }),
      /^expected both of --username and --password$/,
    ],
    ['tls without anything', () => tlsSecret('a', flags), /^certificates are missing/],
    [
      'tls with half a pair',
      () => tlsSecret('a', { ...flags, tlsCrtFile: tls.tlsCrtFile }),
      /^expected both of --tls-crt-file and --tls-key-file$/,
    ],
    [
      'tls with another key',
      () => tlsSecret('a', { ...flags, ...tls, tlsKeyFile: otherKey }),
      /^--tls-key-file is not the key of the certificate/,
    ],
    [
      'tls with a file that is no key',
      () => tlsSecret('a', { ...flags, ...tls, tlsKeyFile: 's3cret' }),
      /^--tls-key-file holds no PEM private key without a password$/,
    ],
    ['proxy without an address', () => proxySecret('a', flags), /^--address is missing/],
    [
      'proxy with another scheme',
      () => proxySecret('a', { ...flags, address: 'socks5://p.example' }),
      /^--address has to begin with/,
    ],
    [
      'proxy with a password in the address',
      () => proxySecret('a', { ...flags, address: 'http://a:s3cret@p.example' }),
      /must hold no password/,
    ],
    ['githubapp without an id', () => githubAppSecret('a', { ...app, appId: undefined }), /^--app-id is missing$/],
    [
      'githubapp without a key',
      () => githubAppSecret('a', { ...app, appPrivateKey: undefined }),
      /^--app-private-key is missing/,
    ],
    [
      'githubapp without an installation',
      () => githubAppSecret('a', app),
      /^expected one of --app-installation-id and/,
    ],
    [
      'githubapp with two',
      () => githubAppSecret('a', { ...app, appInstallationId: '1', appInstallationOwner: 'o' }),
      /^expected one of/,
    ],
    [
      'githubapp with a file that is no key',
      () => githubAppSecret('a', { ...app, appInstallationId: '1', appPrivateKey: 's3cret' }),
      /^--app-private-key holds no PEM/,
    ],
    ['notation without a certificate', () => notationSecret('a', flags, policy, []), /^--ca-cert-file is missing/],
    [
      'notation without a policy',
      () => notationSecret('a', flags, undefined, [certificate]),
      /^--trust-policy-file is missing/,
    ],
    [
      'notation with a policy that is none',
      () => notationSecret('a', flags, '{}', [certificate]),
      /^--trust-policy-file is not valid: version/,
    ],
    [
      'notation with another ending',
      () => notationSecret('a', flags, policy, [{ ...certificate, name: 'ca' }]),
      /"ca" has to end in "\.crt" or "\.pem"$/,
    ],
    [
      'notation with a name twice',
      () => notationSecret('a', flags, policy, [certificate, certificate]),
      /"ca\.crt" is given twice$/,
    ],
    [
      'notation with a file that is none',
      () => notationSecret('a', flags, policy, [{ ...certificate, text: 'x' }]),
      /"ca\.crt" holds no PEM certificate$/,
    ],
    [
      'receiver without a type',
      () => receiverSecret('a', { ...flags, token: 't', hostname: 'h' }),
      /^--type is missing/,
    ],
    [
      'receiver without a host',
      () => receiverSecret('a', { ...flags, token: 't', type: 'github' }),
      /^--hostname is missing/,
    ],
    [
      'receiver of gcr without a sender',
      () => receiverSecret('a', { ...flags, token: 't', type: 'gcr', hostname: 'h' }),
      /^--email-claim is missing/,
    ],
    [
      'receiver of another type with a sender',
      () => receiverSecret('a', { ...flags, token: 't', type: 'github', hostname: 'h', emailClaim: 'x' }),
      /are for type "gcr"$/,
    ],
  ])('%s', (_what, make, message) => {
    expect(make).toThrow(message);
    expect(make).not.toThrow(/s3cret/);
  });
});
