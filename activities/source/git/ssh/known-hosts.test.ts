import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fingerprint, preferredHostKeys, judgeHostKey, knownHostName, parseKnownHosts } from './known-hosts.ts';

/** A key blob: its type, then whatever. */
function key(type: string, body: string): Buffer {
  const name = Buffer.from(type);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(name.length);
  return Buffer.concat([length, name, Buffer.from(body)]);
}

const good = key('ssh-ed25519', 'good');
const other = key('ssh-ed25519', 'other');
const rsa = key('ssh-rsa', 'rsa');
const line = (hosts: string, blob = good, type = 'ssh-ed25519'): string =>
  `${hosts} ${type} ${blob.toString('base64')}`;

function hashed(name: string): string {
  const salt = Buffer.from('0123456789abcdef0123');
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
}

describe('known_hosts', () => {
  it.each<[string, string, number, string]>([
    [line('git.test'), 'git.test', 22, 'trusted'],
    [line('git.test'), 'GIT.test', 22, 'trusted'],
    [line('Git.Test'), 'git.test', 22, 'trusted'],
    [line('git.test'), 'git.test', 2222, 'unknown'],
    [line('[git.test]:2222'), 'git.test', 2222, 'trusted'],
    [line('[git.test]:2222'), 'git.test', 22, 'unknown'],
    [line('other.test,git.test,10.0.0.1'), '10.0.0.1', 22, 'trusted'],
    [line('[::1]:2222'), '[::1]', 2222, 'trusted'],
    [line('::1'), '[::1]', 22, 'trusted'],
    [line('*.test'), 'git.test', 22, 'trusted'],
    [line('g?t.test'), 'git.test', 22, 'trusted'],
    [line('*.test,!git.test'), 'git.test', 22, 'unknown'],
    [line('git.tes'), 'git.test', 22, 'unknown'],
    [line(hashed('git.test')), 'git.test', 22, 'trusted'],
    [line(hashed('git.test')), 'git.test', 2222, 'unknown'],
    [line(hashed('[git.test]:2222')), 'git.test', 2222, 'trusted'],
    [line('|1|broken'), 'git.test', 22, 'unknown'],
    [line('git.test', other), 'git.test', 22, 'mismatch'],
    [`${line('git.test', other)}\n${line('git.test')}`, 'git.test', 22, 'trusted'],
    [`${line('git.test', rsa, 'ssh-rsa')}\n# comment\n\n${line('git.test')} a comment`, 'git.test', 22, 'trusted'],
    [line('git.test', rsa, 'ssh-rsa'), 'git.test', 22, 'mismatch'],
    [`${line('git.test')}\n@revoked ${line('*')}`, 'git.test', 22, 'revoked'],
    [`${line('git.test')}\n@revoked ${line('*', other)}`, 'git.test', 22, 'trusted'],
    [`@cert-authority ${line('*.test')}`, 'git.test', 22, 'authority'],
    [`@cert-authority ${line('*.test', other)}\n${line('git.test')}`, 'git.test', 22, 'trusted'],
    [`@cert-authority ${line('*.example')}`, 'git.test', 22, 'unknown'],
  ])('%j judges the key of %s port %i: %4$s', (text, host, port, kind) => {
    expect(judgeHostKey(parseKnownHosts(text), knownHostName(host, port), good).kind).toBe(kind);
  });

  it.each([
    ['', 'it has no line with a host key'],
    ['# only a comment', 'it has no line with a host key'],
    ['git.test', 'line 1 is not of the form "<host> <key type> <key>"'],
    [`${line('a')}\n@else ${line('b')}`, 'line 2 has an unknown marker'],
    ['git.test ssh-rsa AAAAsecret', 'line 1 has a key that is not of its type'],
    [line('git.test', rsa), 'line 1 has a key that is not of its type'],
  ])('refuses %j', (text, message) => {
    expect(() => parseKnownHosts(text)).toThrow(message);
  });

  it('asks the host for the kinds of key that are known, and never for SHA-1', () => {
    const known = parseKnownHosts(`${line('git.test', rsa, 'ssh-rsa')}\n${line('other.test')}`);
    expect(preferredHostKeys(known, 'git.test').slice(0, 3)).toEqual(['rsa-sha2-512', 'rsa-sha2-256', 'ssh-ed25519']);
    expect(preferredHostKeys(known, 'other.test')[0]).toBe('ssh-ed25519');
    expect(preferredHostKeys(known, 'git.test')).not.toContain('ssh-rsa');
    expect(preferredHostKeys(known, 'git.test', ['ssh-ed25519', 'ssh-rsa'])).toEqual(['ssh-rsa', 'ssh-ed25519']);
  });

  it('needs no long time for a hostile pattern', () => {
    const known = parseKnownHosts(line(`${'*a'.repeat(2_000)}b`));
    expect(judgeHostKey(known, 'a'.repeat(250), good).kind).toBe('unknown');
  });

  it('shows fingerprints as OpenSSH does', () => {
    expect(fingerprint(Buffer.from('x'))).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
  });
});
