import { describe, expect, it } from 'vitest';
import { authsOfSecret, credentialsFor, type DockerAuths } from './docker-config.ts';

const encoded = (text: string): string => Buffer.from(text).toString('base64');
const login = (username: string) => ({ username, password: 'pw' });

describe('credentialsFor', () => {
  it.each<[string, DockerAuths, string, string, string | undefined]>([
    ['the host alone', { 'ghcr.io': login('a') }, 'ghcr.io', 'org/app', 'a'],
    ['a scheme and version', { 'https://ghcr.io/v2/': login('a') }, 'ghcr.io', 'org/app', 'a'],
    ['another host', { 'ghcr.io': login('a') }, 'quay.io', 'org/app', undefined],
    ['another port', { 'host:1': login('a') }, 'host:2', 'app', undefined],
    ['no port for a port', { host: login('a') }, 'host:2', 'app', undefined],
    [
      'the longest path',
      { 'g.io': login('a'), 'g.io/org': login('b'), 'g.io/org/x': login('c') },
      'g.io',
      'org/app',
      'b',
    ],
    ['a path that only begins alike', { 'g.io/or': login('a') }, 'g.io', 'org/app', undefined],
    ['a wildcard', { '*.g.io': login('a') }, 'eu.g.io', 'app', 'a'],
    ['a wildcard for one part only', { '*.g.io': login('a') }, 'a.b.g.io', 'app', undefined],
    ['the exact host before a wildcard', { '*.g.io': login('a'), 'eu.g.io': login('b') }, 'eu.g.io', 'app', 'b'],
    ['Docker Hub by its old name', { 'https://index.docker.io/v1/': login('a') }, 'index.docker.io', 'library/x', 'a'],
    ['Docker Hub by its short name', { 'docker.io': login('a') }, 'index.docker.io', 'library/x', 'a'],
  ])('fits %s', (_title, auths, host, repository, username) => {
    expect(credentialsFor(auths, { host, repository }, 'it')?.username).toBe(username);
  });

  it.each([
    [{ auth: encoded('me:pass:word') }, { username: 'me', password: 'pass:word' }],
    [{ auth: encoded('me:pw\0\0') }, { username: 'me', password: 'pw' }],
    [
      { auth: encoded('other:pw'), username: 'me', password: 'mine' },
      { username: 'me', password: 'mine' },
    ],
    [{ identitytoken: 'refresh' }, { username: '', password: '', identityToken: 'refresh' }],
    [{ registrytoken: 'token' }, { username: '', password: '', registryToken: 'token' }],
  ])('reads an entry %#', (entry, expected) => {
    const found = credentialsFor({ host: entry }, { host: 'host', repository: 'a' }, 'it');
    expect(found).toEqual({ ...expected, origin: 'it' });
  });

  it.each([{}, { auth: 'no colon' }, { username: 'me' }, { auth: 7 }])('refuses the entry %j', (entry) => {
    expect(() => credentialsFor({ host: entry }, { host: 'host', repository: 'a' }, 'it')).toThrow(
      'has an entry for "host" without "auth", or "username" and "password"',
    );
  });
});

describe('authsOfSecret', () => {
  const data = (key: string, text: string) => ({ [key]: Buffer.from(text) });
  it('reads both kinds of Secrets', () => {
    expect(authsOfSecret(data('.dockerconfigjson', '{"auths":{"h":{}}}'))).toEqual({ h: {} });
    expect(authsOfSecret(data('.dockercfg', '{"h":{}}'))).toEqual({ h: {} });
    expect(authsOfSecret(data('password', 'x'))).toBeUndefined();
  });

  it.each(['s3cret', 'null', '[]', '{"auths": []}', '{}'])('refuses %s without showing it', (text) => {
    const read = () => authsOfSecret(data('.dockerconfigjson', text));
    expect(read).toThrow('has a key ".dockerconfigjson"');
    expect(read).not.toThrow('s3cret');
  });
});
