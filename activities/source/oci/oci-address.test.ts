import { describe, expect, it } from 'vitest';
import { isLocalHost, parseOciAddress, parseRepositoryAddress } from './oci-address.ts';

const digest = `sha256:${'a'.repeat(64)}`;

describe('parseOciAddress', () => {
  it.each([
    ['oci://ghcr.io/org/app', { host: 'ghcr.io', repository: 'org/app' }],
    ['oci://ghcr.io/org/app/', { host: 'ghcr.io', repository: 'org/app' }],
    ['oci://localhost:5000/app:v1', { host: 'localhost:5000', repository: 'app', tag: 'v1' }],
    [`oci://[::1]:5000/a/b:v1@${digest}`, { host: '[::1]:5000', repository: 'a/b', tag: 'v1', digest }],
    [`oci://ghcr.io/a__b/c-d.e@${digest}`, { host: 'ghcr.io', repository: 'a__b/c-d.e', digest }],
    ['oci://docker.io/nginx', { host: 'index.docker.io', repository: 'library/nginx' }],
    ['oci://docker.io/org/app:1', { host: 'index.docker.io', repository: 'org/app', tag: '1' }],
  ])('reads %s', (url, expected) => {
    expect(parseOciAddress(url)).toEqual(expected);
  });

  it.each([
    ['https://ghcr.io/a', 'expected "oci://<host>/<repository>"'],
    ['oci://ghcr.io', 'names no repository'],
    ['oci:///app', 'is no host'],
    ['oci://host name/app', 'is no host'],
    ['oci://ghcr.io/Org/app', 'no name of a repository'],
    ['oci://ghcr.io/a//b', 'no name of a repository'],
    ['oci://ghcr.io/../b', 'no name of a repository'],
    ['oci://ghcr.io/a?x=1', 'no name of a repository'],
    ['oci://ghcr.io/a:', 'is no tag'],
    ['oci://ghcr.io/a:v 1', 'is no tag'],
    ['oci://ghcr.io/a@sha256:short', 'is no digest'],
    ['oci://user:hunter2@ghcr.io/a', 'credentials in the address are not used'],
  ])('refuses %s', (url, words) => {
    expect(() => parseOciAddress(url)).toThrow(words);
    expect(() => parseOciAddress(url)).not.toThrow('hunter2');
  });
});

it('parseRepositoryAddress says where tag and digest belong', () => {
  expect(parseRepositoryAddress('oci://ghcr.io/a/b')).toEqual({ host: 'ghcr.io', repository: 'a/b' });
  expect(() => parseRepositoryAddress('oci://ghcr.io/a:v1')).toThrow('remove ":v1" and set spec.ref.tag');
  expect(() => parseRepositoryAddress(`oci://ghcr.io/a@${digest}`)).toThrow('set spec.ref.digest');
});

it.each([
  ['localhost', true],
  ['localhost:5000', true],
  ['a.localhost', true],
  ['registry.local:80', true],
  ['127.0.0.1:5000', true],
  ['127.8.9.1', true],
  ['[::1]:5000', true],
  ['127.0.0.1.evil.test', false],
  ['local.evil.test', false],
  ['notlocalhost', false],
  ['10.0.0.1', false],
])('isLocalHost of %s is %s', (host, expected) => {
  expect(isLocalHost(host)).toBe(expected);
});
