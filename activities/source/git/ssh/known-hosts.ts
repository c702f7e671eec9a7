// The file `known_hosts` as OpenSSH writes it: which keys a host may show.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { safeHostKeyAlgorithms } from './ssh-algorithms.ts';

/** One line of the file. */
export interface KnownHost {
  marker?: 'cert-authority' | 'revoked';
  /** Names, patterns with `*` and `?`, patterns after `!`, or one hashed name. */
  hosts: string[];
  /** E.g. `ssh-ed25519`. */
  keyType: string;
  key: Buffer;
}

/** What the file says of the key that a host has shown. */
export type HostKeyVerdict =
  | { kind: 'trusted' }
  /** The key stands in a line with `@revoked`. */
  | { kind: 'revoked' }
  /** No line is about this host. */
  | { kind: 'unknown' }
  /** The host is vouched for by certificate authorities alone. */
  | { kind: 'authority' }
  | { kind: 'mismatch'; expected: KnownHost[] };

const maxLines = 10_000;

/** Reads the file. Throws an `Error` that names the line for one that is none, and for a file without any. */
export function parseKnownHosts(text: string): KnownHost[] {
  const lines = text.split(/\r?\n/);
  if (lines.length > maxLines) throw new Error(`it has more than ${maxLines} lines`);
  const known = lines.flatMap((line, index) => parseLine(line.trim(), index + 1));
  if (known.length === 0) throw new Error('it has no line with a host key');
  return known;
}

function parseLine(line: string, number: number): KnownHost[] {
  if (line === '' || line.startsWith('#')) return [];
  const fields = line.split(/\s+/);
  const marker = fields[0]?.startsWith('@') ? fields.shift()?.slice(1) : undefined;
  if (marker !== undefined && marker !== 'cert-authority' && marker !== 'revoked') {
    throw new Error(`line ${number} has an unknown marker: expected "@revoked" or "@cert-authority"`);
  }
  const [hosts, keyType, encoded] = fields;
  if (!hosts || !keyType || !encoded) {
    throw new Error(`line ${number} is not of the form "<host> <key type> <key>"`);
  }
  const key = Buffer.from(encoded, 'base64');
  if (keyTypeOf(key) !== keyType) throw new Error(`line ${number} has a key that is not of its type`);
  const known: KnownHost = { hosts: hosts.split(','), keyType, key };
  return [marker === undefined ? known : { ...known, marker }];
}

/** The type that a key blob names; empty for one that is none. */
export function keyTypeOf(key: Buffer): string {
  if (key.length < 4) return '';
  const length = key.readUInt32BE(0);
  return length > 0 && length <= 64 && key.length >= 4 + length ? key.toString('latin1', 4, 4 + length) : '';
}

/** `host` for port 22, `[host]:port` for others, as the file spells it. */
export function knownHostName(host: string, port: number): string {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, '$1');
  return port === 22 ? name : `[${name}]:${port}`;
}

/** Judges the key that a host has shown; `name` comes from {@link knownHostName}. */
export function judgeHostKey(known: KnownHost[], name: string, key: Buffer): HostKeyVerdict {
  const lines = known.filter((line) => isFor(line, name));
  if (lines.some((line) => line.marker === 'revoked' && isSame(line.key, key))) return { kind: 'revoked' };
  const expected = lines.filter((line) => line.marker === undefined);
  if (expected.some((line) => isSame(line.key, key))) return { kind: 'trusted' };
  if (expected.length > 0) return { kind: 'mismatch', expected };
  return { kind: lines.some((line) => line.marker === 'cert-authority') ? 'authority' : 'unknown' };
}

/** The signature algorithms to ask the host for: those of the keys that are known first, so that it shows one of them. */
export function preferredHostKeys(
  known: KnownHost[],
  name: string,
  allowed: readonly string[] = safeHostKeyAlgorithms,
): string[] {
  const types = known.filter((line) => line.marker === undefined && isFor(line, name)).map((line) => line.keyType);
  const first = types.flatMap((type) => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'] : [type]));
  return [...new Set([...first.filter((type) => allowed.includes(type)), ...allowed])];
}

/** The fingerprint as OpenSSH shows it: `SHA256:…`. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

function isFor({ hosts }: KnownHost, name: string): boolean {
  let isNamed = false;
  for (const pattern of hosts) {
    const isNegated = pattern.startsWith('!');
    if (!matches(isNegated ? pattern.slice(1) : pattern, name)) continue;
    if (isNegated) return false;
    isNamed = true;
  }
  return isNamed;
}

function matches(pattern: string, name: string): boolean {
  if (pattern.startsWith('|1|')) {
    const [salt, hash] = pattern.slice(3).split('|');
    if (!salt || !hash) return false;
    const wanted = createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest();
    return isSame(wanted, Buffer.from(hash, 'base64'));
  }
  return matchesGlob(pattern.toLowerCase(), name);
}

/** `*` and `?`, in time proportional to the product of both lengths. */
function matchesGlob(pattern: string, name: string): boolean {
  let at = 0;
  let star = -1;
  let from = 0;
  for (let index = 0; index < name.length; ) {
    if (at < pattern.length && (pattern[at] === '?' || (pattern[at] !== '*' && pattern[at] === name[index]))) {
      at += 1;
      index += 1;
    } else if (pattern[at] === '*') {
      star = at;
      from = index;
      at += 1;
    } else if (star >= 0) {
      at = star + 1;
      from += 1;
      index = from;
    } else {
      return false;
    }
  }
  return /^\**$/.test(pattern.slice(at));
}

function isSame(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
