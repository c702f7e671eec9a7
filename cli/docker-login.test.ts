import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dockerLogin, parseCredentials } from './docker-login.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'continuo-docker-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const config = (content: unknown): void => {
  writeFileSync(join(directory, 'config.json'), typeof content === 'string' ? content : JSON.stringify(content));
};
const login = (host = 'ghcr.io') => dockerLogin({ host, repository: 'a' }, { DOCKER_CONFIG: directory });

it.each([
  ['me:pass:word', { username: 'me', password: 'pass:word' }],
  ['token', { username: 'token', password: '' }],
])('--creds %s', (text, expected) => {
  expect(parseCredentials(text)).toMatchObject(expected);
});

it('--creds without a user is refused without showing it', () => {
  expect(() => parseCredentials(':s3cret')).toThrow('--creds: expected');
  expect(() => parseCredentials(':s3cret')).not.toThrow('s3cret');
});

describe('dockerLogin', () => {
  it('finds nothing where nothing is', async () => {
    expect(await login()).toBeUndefined();
    config({ auths: { 'quay.io': { auth: 'x' }, 'ghcr.io': {} } });
    expect(await login()).toBeUndefined();
  });

  it('reads the login of a registry', async () => {
    config({ auths: { 'ghcr.io': { auth: Buffer.from('me:pw').toString('base64') } } });
    expect(await login()).toMatchObject({ username: 'me', password: 'pw' });
  });

  it('says that the file is no JSON, and shows none of it', async () => {
    config('s3cret');
    await expect(login()).rejects.toThrow('config.json" cannot be read: it is no JSON');
  });

  it('asks the credential helper', async () => {
    const bin = join(directory, 'bin');
    mkdirSync(bin);
    const script =
      '#!/bin/sh\nread -r host\nif [ "$host" = ghcr.io ]; then echo \'{"Username":"<token>","Secret":"refresh"}\'; else exit 1; fi\n';
    writeFileSync(join(bin, 'docker-credential-test'), script, { mode: 0o755 });
    config({ credsStore: 'test' });
    const before = process.env['PATH'];
    process.env['PATH'] = `${bin}:${before}`;
    try {
      expect(await login()).toMatchObject({ identityToken: 'refresh' });
      expect(await login('quay.io')).toBeUndefined();
      config({ credHelpers: { 'ghcr.io': 'absent' } });
      await expect(login()).rejects.toThrow('credential helper "docker-credential-absent" cannot be run (ENOENT)');
    } finally {
      process.env['PATH'] = before;
    }
  });
});
