import { describe, expect, it } from 'vitest';
import { credentialsFromSecret, splitUrlCredentials } from './credentials.ts';

const bytes = (data: Record<string, string>): Record<string, Uint8Array> =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value)]));

describe('git credentials', () => {
  it('makes the Authorization header from user and password, or from a token', () => {
    expect(credentialsFromSecret('a/b', bytes({ username: 'u', password: 'p:ü' })).authorization).toBe(
      `Basic ${Buffer.from('u:p:ü').toString('base64')}`,
    );
    expect(credentialsFromSecret('a/b', bytes({ bearerToken: 'tok' })).authorization).toBe('Bearer tok');
  });

  it.each<[Record<string, string> | undefined, string]>([
    [undefined, 'Secret "a/b" named by spec.secretRef does not exist'],
    [{}, 'Secret "a/b" is empty: expected "username" and "password"'],
    [{ token: 'hidden' }, 'Secret "a/b" has keys "token": expected "username" and "password"'],
    [{ username: 'u' }, 'Secret "a/b" has key "username" but no key "password"'],
    [{ password: 'hidden' }, 'Secret "a/b" has key "password" but no key "username"'],
    [{ 'tls.key': 'hidden' }, 'Secret "a/b" has key "tls.key" but no key "tls.crt"'],
    [{ bearerToken: 'hidden', username: 'u', password: 'hidden' }, 'has both "bearerToken" and "username"/"password"'],
    [{ bearerToken: 'hid den' }, 'with characters that no token may have'],
    [{ 'ca.crt': 'hidden' }, 'has a "ca.crt" without a PEM certificate'],
    [{ 'tls.crt': 'hidden', 'tls.key': 'hidden' }, 'has TLS keys that cannot be used'],
  ])('refuses %j without showing a value', (data, message) => {
    let thrown: unknown;
    try {
      credentialsFromSecret('a/b', data && bytes(data));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ type: 'AuthenticationFailed', message: expect.stringContaining(message) });
    expect(String(thrown)).not.toMatch(/hidden|hid den/);
  });

  it('takes user and password out of the URL', () => {
    const { url, credentials } = splitUrlCredentials('https://al%40ice:p%3Aw@git.test/a/b.git/');
    expect(url).toBe('https://git.test/a/b.git');
    expect(credentials.authorization).toBe(`Basic ${Buffer.from('al@ice:p:w').toString('base64')}`);
    expect(splitUrlCredentials('https://git.test/a').credentials.authorization).toBeUndefined();
  });
});
