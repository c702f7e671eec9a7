import { describe, expect, test } from 'vitest';
import { accessOfSettings } from './token-access.ts';

const settings = { provider: 'generic', address: 'https://k8s.example:6443/', serviceAccountName: 'deployer' };

/** Access to a cluster, and the tokens that were asked for. */
function setup(changes: Record<string, string> = {}, lifeMs = 600_000, defaultServiceAccount = '') {
  const asked: string[] = [];
  const access = accessOfSettings(
    { ...settings, ...changes },
    {
      home: {
        requestToken: async ({ namespace, name }, { audiences }) => {
          asked.push(`${namespace}/${name} for ${audiences.join(' and ')}`);
          return { token: `token-${asked.length}`, expiresAtMs: Date.now() + lifeMs };
        },
      },
      namespace: 'a',
      defaultServiceAccount,
      rules: { isInsecureTlsAllowed: false },
    },
  );
  return { access, asked };
}

describe('accessOfSettings', () => {
  test('asks for a token for the address, and keeps it', async () => {
    const { access, asked } = setup();
    expect(access.server).toBe('https://k8s.example:6443');
    expect(await access.credentials()).toEqual({ tls: {}, headers: { authorization: 'Bearer token-1' } });
    await access.credentials();
    expect(asked).toEqual(['a/deployer for https://k8s.example:6443']);
  });

  test('renews a token that is about to end', async () => {
    const { access, asked } = setup({}, 0);
    await access.credentials();
    await access.credentials();
    expect(asked).toHaveLength(2);
  });

  test('takes audiences, an authority and the default account', async () => {
    const { access, asked } = setup({ audiences: 'one\ntwo', 'ca.crt': 'PEM', serviceAccountName: '' }, 600_000, 'def');
    expect((await access.credentials()).tls).toEqual({ ca: 'PEM' });
    expect(asked).toEqual(['a/def for one and two']);
  });

  test.each([
    ['another provider', { provider: 'azure' }, 'provider "azure" is not supported: use "generic"'],
    ['no account', { serviceAccountName: '' }, 'serviceAccountName is missing'],
    ['no address', { address: '' }, 'address is no address'],
    ['no TLS', { address: 'http://k8s' }, 'address is no address'],
    ['a password in the address', { address: 'https://a:b@k8s' }, 'address is no address'],
  ])('refuses %s', (_title, changes, expected) => {
    expect(() => setup(changes)).toThrow(expected);
  });
});
