import { describe, expect, test } from 'vitest';
import type { DecryptionKeys } from './keys.ts';
import { ambientEnvironment, sopsEnvironment } from './sops-environment.ts';
import type { RecipientKind } from './sops-metadata.ts';

const keys: DecryptionKeys = {
  age: 'AGE-SECRET-KEY-1',
  pgp: Buffer.from([0x95]),
  vaultToken: 'hvs.abc',
  aws: { accessKeyId: 'AKIA1', secretAccessKey: 's3cret' },
  azure: { variables: { AZURE_CLIENT_ID: 'c', AZURE_TENANT_ID: 't' }, certificate: 'PEM' },
  gcp: '{"type":"service_account"}',
  names: [],
};
const home = '/private';
const isolation = {
  HOME: home,
  XDG_CONFIG_HOME: home,
  TMPDIR: home,
  GNUPGHOME: home,
  SOPS_GPG_EXEC: '/private/no-gpg',
  SOPS_CONFIG: '/dev/null',
  SOPS_DISABLE_VERSION_CHECK: 'true',
};
const ambient = {
  AWS_REGION: 'eu-west-1',
  AWS_ROLE_ARN: 'arn:aws:iam::1:role/worker',
  GOOGLE_APPLICATION_CREDENTIALS: '/var/gcp.json',
  AZURE_FEDERATED_TOKEN_FILE: '/var/token',
  HTTPS_PROXY: 'http://proxy:3128',
};
const environment = (kinds: RecipientKind[], given: DecryptionKeys = keys, own = {}) =>
  sopsEnvironment(given, new Set(kinds), home, own);

describe('sopsEnvironment', () => {
  test.each<[RecipientKind, Record<string, string>, string[]]>([
    ['age', { SOPS_AGE_KEY: 'AGE-SECRET-KEY-1' }, []],
    ['pgp', {}, ['secring.gpg']],
    ['vault', { VAULT_TOKEN: 'hvs.abc' }, []],
    ['aws', { AWS_ACCESS_KEY_ID: 'AKIA1', AWS_SECRET_ACCESS_KEY: 's3cret' }, []],
    ['gcp', { GOOGLE_CREDENTIALS: '{"type":"service_account"}' }, []],
    [
      'azure',
      { AZURE_CLIENT_ID: 'c', AZURE_TENANT_ID: 't', AZURE_CLIENT_CERTIFICATE_PATH: '/private/azure.pem' },
      ['azure.pem'],
    ],
    ['huawei', {}, []],
  ])('hands over the keys of %s to a run that needs them, and no others', (kind, variables, files) => {
    const given = environment([kind]);

    expect(given.variables).toEqual({ ...isolation, ...variables });
    expect(Object.keys(given.files)).toEqual(files);
  });

  test('hands over the keys of every kind that a file has', () => {
    const given = environment(['age', 'pgp', 'vault']);

    expect(given.variables).toEqual({ ...isolation, SOPS_AGE_KEY: 'AGE-SECRET-KEY-1', VAULT_TOKEN: 'hvs.abc' });
    expect(given.files).toEqual({ 'secring.gpg': Buffer.from([0x95]) });
  });

  test('hands over a session token of AWS', () => {
    const aws = { accessKeyId: 'AKIA1', secretAccessKey: 's3cret', sessionToken: 't0ken' };

    expect(environment(['aws'], { aws, names: [] }).variables).toMatchObject({ AWS_SESSION_TOKEN: 't0ken' });
  });

  test('lets the worker’s own identity stand in where the Secret has none of that kind', () => {
    const none = { names: [] };

    expect(environment(['aws'], none, ambient).variables).toEqual({
      ...isolation,
      AWS_REGION: 'eu-west-1',
      AWS_ROLE_ARN: 'arn:aws:iam::1:role/worker',
      HTTPS_PROXY: 'http://proxy:3128',
    });
    expect(environment(['age', 'pgp'], none, ambient).variables).toEqual(isolation);
    expect(environment(['aws'], keys, ambient).variables).not.toHaveProperty('AWS_ROLE_ARN');
  });
});

test('ambientEnvironment keeps what key services need, and no token that a file could send elsewhere', () => {
  const own = {
    PATH: '/bin',
    KUBECONFIG: '/k',
    VAULT_TOKEN: 'secret',
    VAULT_ADDR: 'x',
    VAULT_CACERT: '/ca',
    A: undefined,
  };

  expect(ambientEnvironment({ ...ambient, ...own })).toEqual({ ...ambient, VAULT_CACERT: '/ca' });
});
