import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { digestOfKeys, parseKeys } from './keys.ts';

const pgpKey = readFileSync(new URL('../../../test/fixtures/pgp/ed25519.asc', import.meta.url));
const ageKey = 'AGE-SECRET-KEY-15J3EAQSFTSWQM4LNQA8H083JKC0S760WA772GLUVHMK8KLLPRACQCHDYLT';
const recipient = 'age19332g9awezwrxdx72vt9025rp2cfecygkqf828jg37cjdputxfsqygx5g8';

function entries(texts: Record<string, string | Uint8Array>): Record<string, Uint8Array> {
  return Object.fromEntries(Object.entries(texts).map(([key, value]) => [key, Buffer.from(value)]));
}

const parse = (texts: Record<string, string | Uint8Array>) => parseKeys(entries(texts), 'Secret/apps/keys');

describe('parseKeys', () => {
  test('takes keys by suffix and by name, and leaves other entries alone', () => {
    const keys = parse({
      'a.agekey': `# mine\n${ageKey}\n`,
      'b.asc': pgpKey,
      'sops.vault-token': 'hvs.abc\n',
      'README.md': 'AGE-SECRET-KEY of the team',
      identity: ageKey,
    });

    expect(keys).toMatchObject({ age: ageKey, vaultToken: 'hvs.abc' });
    expect(keys.pgp?.length).toBeGreaterThan(100);
    expect(keys.names).toEqual([recipient, 'PGP 23FAE2EF3496CEF148AA057B3F7B7D7DEA5E3C35', 'HashiCorp Vault token']);
  });

  test('takes all keys of a kind', () => {
    const keys = parse({ 'a.agekey': ageKey, 'b.agekey': ageKey, 'a.asc': pgpKey, 'b.asc': pgpKey });

    expect(keys.age?.split('\n')).toEqual([ageKey, ageKey]);
    expect(keys.names).toHaveLength(4);
  });

  test('reads AWS credentials', () => {
    const text = 'aws_access_key_id: AKIA1\naws_secret_access_key: s3cret\naws_session_token: t0ken\n';

    expect(parse({ 'sops.aws-kms': text })).toMatchObject({
      aws: { accessKeyId: 'AKIA1', secretAccessKey: 's3cret', sessionToken: 't0ken' },
      names: ['AWS access key AKIA1'],
    });
  });

  test('keeps a GCP service account as it is', () => {
    const text = '{"type":"service_account","private_key":"x"}';

    expect(parse({ 'sops.gcp-kms': text })).toMatchObject({ gcp: text, names: ['GCP service account'] });
  });

  test.each([
    [
      'a service principal',
      'tenantId: t\nclientId: c\nclientSecret: s\nauthorityHost: https://login.test/\n',
      {
        variables: {
          AZURE_CLIENT_ID: 'c',
          AZURE_TENANT_ID: 't',
          AZURE_CLIENT_SECRET: 's',
          AZURE_AUTHORITY_HOST: 'https://login.test/',
        },
        certificate: undefined,
      },
    ],
    [
      'a service principal with a certificate',
      'tenantId: t\nclientId: c\nclientCertificate: |\n  PEM\nclientCertificatePassword: p\n',
      {
        variables: { AZURE_CLIENT_ID: 'c', AZURE_TENANT_ID: 't', AZURE_CLIENT_CERTIFICATE_PASSWORD: 'p' },
        certificate: 'PEM\n',
      },
    ],
    [
      'what az prints',
      '{"appId":"c","tenant":"t","password":"s"}',
      { variables: { AZURE_CLIENT_ID: 'c', AZURE_TENANT_ID: 't', AZURE_CLIENT_SECRET: 's' }, certificate: undefined },
    ],
    ['a managed identity', 'clientId: c', { variables: { AZURE_CLIENT_ID: 'c' }, certificate: undefined }],
  ])('reads Azure credentials: %s', (_, text, azure) => {
    expect(parse({ 'sops.azure-kv': text })).toEqual({ azure, names: ['Azure client c'] });
  });

  test.each([
    ['a.agekey', 'hunter2', 'line 1 is no age private key'],
    ['a.asc', 'hunter2', 'expected "-----BEGIN PGP'],
    ['sops.vault-token', 'hunter2 hunter3', 'expected one token and nothing else'],
    ['sops.aws-kms', 'aws_access_key_id: hunter2', 'expected "aws_access_key_id" and "aws_secret_access_key"'],
    ['sops.azure-kv', 'tenantId: hunter2', 'expected "clientId" alone'],
    ['sops.azure-kv', 'tenantId: hunter2\nclientId: c', 'expected "clientId" alone'],
    ['sops.gcp-kms', 'hunter2', 'expected a mapping as YAML or JSON'],
    ['sops.gcp-kms', 'a: [hunter2', 'expected a mapping as YAML or JSON'],
  ])('names the entry %s that cannot be used, and shows nothing of it', (entry, text, message) => {
    expect(() => parse({ [entry]: text })).toThrow(`entry "${entry}" of Secret/apps/keys cannot be used: `);
    expect(() => parse({ [entry]: text })).toThrow(message);
    expect(() => parse({ [entry]: text })).not.toThrow('hunter2');
  });
});

describe('digestOfKeys', () => {
  const digest = (texts: Record<string, string>): string => digestOfKeys(entries(texts));
  const base = digest({ 'a.agekey': 'k1', 'sops.vault-token': 't1' });

  test.each([
    ['the order of entries', { 'sops.vault-token': 't1', 'a.agekey': 'k1' }],
    ['the name of a key', { 'z.agekey': 'k1', 'sops.vault-token': 't1' }],
    ['an entry that is no key', { 'a.agekey': 'k1', 'sops.vault-token': 't1', README: 'x' }],
  ])('does not depend on %s', (_, texts) => {
    expect(digest(texts)).toBe(base);
  });

  test.each([
    ['another key', { 'a.agekey': 'k2', 'sops.vault-token': 't1' }],
    ['a key less', { 'a.agekey': 'k1' }],
    ['a key more', { 'a.agekey': 'k1', 'b.agekey': 'k2', 'sops.vault-token': 't1' }],
    ['a key of another kind', { 'a.asc': 'k1', 'sops.vault-token': 't1' }],
    ['no key at all', {}],
  ])('changes with %s', (_, texts) => {
    expect(digest(texts as Record<string, string>)).not.toBe(base);
  });
});
