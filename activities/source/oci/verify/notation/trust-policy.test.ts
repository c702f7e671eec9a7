import { describe, expect, test } from 'vitest';
import { applicableStatement, parseTrustPolicy } from './trust-policy.ts';

function statement(change: object = {}): object {
  return {
    name: 'demo',
    registryScopes: ['registry.example:5000/apps/demo'],
    signatureVerification: { level: 'strict' },
    trustStores: ['ca:example'],
    trustedIdentities: ['x509.subject: C=US, ST=WA, O=example'],
    ...change,
  };
}

function parse(...statements: object[]) {
  return parseTrustPolicy(JSON.stringify({ version: '1.0', trustPolicies: statements }));
}

test('a policy says what is enforced, logged and skipped', () => {
  const level = { level: 'permissive', override: { expiry: 'enforce', revocation: 'skip' } };
  const [parsed] = parse(statement({ signatureVerification: level, trustStores: ['ca:a', 'tsa:b'] }));
  expect(parsed?.actions).toEqual({
    integrity: 'enforce',
    authenticity: 'enforce',
    authenticTimestamp: 'log',
    expiry: 'enforce',
    revocation: 'skip',
  });
  expect([...(parsed?.storeTypes ?? [])]).toEqual(['ca', 'tsa']);
  expect(parsed?.identities.map((identity) => [...identity])).toEqual([
    [
      ['C', 'US'],
      ['ST', 'WA'],
      ['O', 'example'],
    ],
  ]);
});

describe('the statement for a repository', () => {
  const statements = parse(statement(), statement({ name: 'all', registryScopes: ['*'] }));
  test.each([
    ['registry.example:5000/apps/demo', 'demo'],
    ['registry.example:5000/apps/demo/more', 'all'],
    ['registry.example:5000/apps', 'all'],
  ])('of %s is "%s"', (repository, name) => {
    expect(applicableStatement(statements, repository)?.name).toBe(name);
  });
  test('is none when no scope fits', () => {
    expect(applicableStatement(parse(statement()), 'registry.example/apps/demo')).toBeUndefined();
  });
});

test('at the level skip, stores and identities count for nothing', () => {
  const [parsed] = parse(statement({ signatureVerification: { level: 'skip' }, trustedIdentities: ['?'] }));
  expect(parsed).toMatchObject({ level: 'skip', identities: [], isAnyIdentity: false });
});

describe('a policy is refused', () => {
  const level = (more: object): object => statement({ signatureVerification: { level: 'strict', ...more } });
  test.each<[string, object[], RegExp]>([
    ['without statements', [], /^trustPolicies: /],
    [
      'with an unknown level',
      [statement({ signatureVerification: { level: 'lax' } })],
      /signatureVerification\.level: /,
    ],
    ['with a name twice', [statement(), statement({ registryScopes: ['*'] })], /^two statements have the name "demo"$/],
    [
      'with a scope twice',
      [statement(), statement({ name: 'b' })],
      /^two statements have the registry scope "registry/,
    ],
    [
      'with "*" beside a scope',
      [statement({ registryScopes: ['*', 'a.example/b'] })],
      /the registry scope "\*" beside others$/,
    ],
    [
      'with a scope without a path',
      [statement({ registryScopes: ['registry.example'] })],
      /"registry\.example": expected "\*" or/,
    ],
    [
      'with a scope with a scheme',
      [statement({ registryScopes: ['oci://a.example/b'] })],
      /expected "\*" or "<host>\/<repository>"/,
    ],
    [
      'with a scope with a wildcard in it',
      [statement({ registryScopes: ['a.example/*'] })],
      /"a\.example\/\*": expected/,
    ],
    ['without a store', [statement({ trustStores: [] })], /needs both "trustStores" and "trustedIdentities"$/],
    ['without an identity', [statement({ trustedIdentities: undefined })], /needs both/],
    ['with an unknown store', [statement({ trustStores: ['x:y'] })], /the trust store "x:y": expected "ca:<name>"/],
    [
      'with "*" beside an identity',
      [statement({ trustedIdentities: ['*', 'x509.subject: C=US, ST=WA, O=a'] })],
      /"\*" beside others/,
    ],
    [
      'with an identity without a kind',
      [statement({ trustedIdentities: ['C=US'] })],
      /"C=US": expected "x509\.subject: …"$/,
    ],
    [
      'with a subject that is too short',
      [statement({ trustedIdentities: ['x509.subject: C=US'] })],
      /has no "ST", "O"$/,
    ],
    [
      'with a subject within another',
      [statement({ trustedIdentities: ['x509.subject: C=US, ST=WA, O=a', 'x509.subject: C=US, ST=WA, O=a, CN=b'] })],
      /one contains the other$/,
    ],
    ['that overrides integrity', [level({ override: { integrity: 'log' } })], /overrides "integrity", which cannot be/],
    [
      'that overrides what is unknown',
      [level({ override: { weather: 'log' } })],
      /overrides "weather", which cannot be/,
    ],
    [
      'that skips what must not be skipped',
      [level({ override: { expiry: 'skip' } })],
      /overrides "expiry" with "skip": expected/,
    ],
    [
      'that overrides the level skip',
      [statement({ signatureVerification: { level: 'skip', override: { expiry: 'log' } } })],
      /overrides the level "skip"$/,
    ],
  ])('%s', (_what, statements, message) => {
    expect(() => parse(...statements)).toThrow(message);
  });

  test('of another version', () => {
    expect(() => parseTrustPolicy(JSON.stringify({ version: '2.0', trustPolicies: [statement()] }))).toThrow(
      /^version: /,
    );
  });
});
