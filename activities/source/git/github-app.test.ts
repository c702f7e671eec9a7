import { createVerify, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { appStatement, gitHubAppOf, hasGitHubApp } from './github-app.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const good = {
  githubAppID: '42',
  githubAppInstallationID: '7',
  githubAppPrivateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
};
const bytes = (data: Record<string, string>): Record<string, Uint8Array> =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value)]));

describe('a GitHub App', () => {
  it('is read from a Secret, with GitHub itself as the default', () => {
    expect(gitHubAppOf('Secret "a/b"', bytes(good))).toMatchObject({
      appId: '42',
      installation: { id: '7' },
      baseUrl: 'https://api.github.com',
    });
    const { githubAppInstallationID: _, ...rest } = good;
    const own = { ...rest, githubAppInstallationOwner: ' acme\n', githubAppBaseURL: 'https://ghe.test/api/v3//' };
    expect(gitHubAppOf('Secret "a/b"', bytes(own))).toMatchObject({
      installation: { owner: 'acme' },
      baseUrl: 'https://ghe.test/api/v3',
    });
  });

  it('is told from other credentials by its id', () => {
    expect(hasGitHubApp(bytes(good))).toBe(true);
    expect(hasGitHubApp(bytes({ username: 'a', password: 'b' }))).toBe(false);
    expect(hasGitHubApp(bytes({ githubAppID: ' ' }))).toBe(false);
    expect(hasGitHubApp(undefined)).toBe(false);
  });

  it('states who it is in a signed token that GitHub takes: RS256, ten minutes at most, a minute of clock skew', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    const [head = '', claims = '', signature = ''] = appStatement(gitHubAppOf('x', bytes(good)), now).split('.');
    const decode = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString());
    expect(decode(head)).toEqual({ alg: 'RS256', typ: 'JWT' });
    expect(decode(claims)).toEqual({ iss: '42', iat: now / 1000 - 60, exp: now / 1000 + 540 });
    const verify = createVerify('sha256').update(`${head}.${claims}`);
    expect(verify.verify(publicKey, Buffer.from(signature, 'base64url'))).toBe(true);
  });
});
