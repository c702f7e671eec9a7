// age identities: which lines of a key file are keys, and the public recipient that a private one belongs to, so that a
// message can name keys by their public half.
import { createPrivateKey, createPublicKey } from 'node:crypto';

/** A private key in age's text form; never to be shown. */
export interface AgeIdentity {
  /** `AGE-SECRET-KEY-1…`: secret. */
  secret: string;
  /** `age1…`, or a word for a kind whose recipient cannot be told from the key alone. */
  recipient: string;
}

const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const generators = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
/** PKCS #8 around the 32 bytes of an X25519 private key. */
const privateKeyPrefix = Buffer.from('302e020100300506032b656e04220420', 'hex');

/**
 * The identities of a key file: one a line, comments and empty lines apart. Throws an `Error` that names the line and
 * what is wrong, never its content.
 */
export function parseAgeIdentities(text: string): AgeIdentity[] {
  const identities: AgeIdentity[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const secret = line.trim();
    if (secret === '' || secret.startsWith('#')) continue;
    identities.push({ secret, recipient: recipientOf(secret, index + 1) });
  }
  if (identities.length === 0) throw new Error('it holds no age private key, expected a line "AGE-SECRET-KEY-…"');
  return identities;
}

function recipientOf(secret: string, line: number): string {
  if (secret.startsWith('AGE-SECRET-KEY-PQ-1')) return 'age post-quantum key';
  if (secret.startsWith('AGE-PLUGIN-')) {
    throw new Error(`line ${line} is the identity of an age plugin, and programs that a key names are not run`);
  }
  const decoded = secret.startsWith('AGE-SECRET-KEY-1') ? decodeBech32(secret.toLowerCase()) : undefined;
  if (decoded?.prefix !== 'age-secret-key-' || decoded.bytes.length !== 32) {
    throw new Error(`line ${line} is no age private key, expected "AGE-SECRET-KEY-1" and 58 characters`);
  }
  return recipientOfX25519(decoded.bytes);
}

/** `age1…` of 32 private bytes. */
function recipientOfX25519(bytes: Uint8Array): string {
  const key = createPrivateKey({ key: Buffer.concat([privateKeyPrefix, bytes]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return encodeBech32('age', spki.subarray(-32));
}

/** Bech32 (BIP 173) without its limit on the length, as age uses it. */
export function encodeBech32(prefix: string, bytes: Uint8Array): string {
  const words = regroup(bytes, 8, 5, true) ?? [];
  const check = polymod([...expand(prefix), ...words, 0, 0, 0, 0, 0, 0]) ^ 1;
  const checksum = [25, 20, 15, 10, 5, 0].map((shift) => (check >>> shift) & 31);
  return `${prefix}1${[...words, ...checksum].map((word) => alphabet[word]).join('')}`;
}

/** undefined when the text is no Bech32 or its checksum is wrong. */
export function decodeBech32(text: string): { prefix: string; bytes: Uint8Array } | undefined {
  const separator = text.lastIndexOf('1');
  if (separator < 1 || text.length - separator < 7) return undefined;
  const prefix = text.slice(0, separator);
  const words = [...text.slice(separator + 1)].map((character) => alphabet.indexOf(character));
  if (words.includes(-1) || polymod([...expand(prefix), ...words]) !== 1) return undefined;
  const bytes = regroup(words.slice(0, -6), 5, 8, false);
  return bytes && { prefix, bytes: Uint8Array.from(bytes) };
}

function expand(prefix: string): number[] {
  const codes = [...prefix].map((character) => character.charCodeAt(0));
  return [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
}

function polymod(words: number[]): number {
  let checksum = 1;
  for (const word of words) {
    const top = checksum >>> 25;
    checksum = ((checksum & 0x1ffffff) << 5) ^ word;
    for (const [bit, generator] of generators.entries()) if ((top >>> bit) & 1) checksum ^= generator;
  }
  return checksum;
}

/** Groups of `from` bits as groups of `to` bits; undefined when unpadded bits are left over that are not zero. */
function regroup(values: Iterable<number>, from: number, to: number, isPadded: boolean): number[] | undefined {
  const result: number[] = [];
  let bits = 0;
  let rest = 0;
  for (const value of values) {
    rest = ((rest << from) | value) & 0xfff;
    bits += from;
    while (bits >= to) {
      bits -= to;
      result.push((rest >>> bits) & ((1 << to) - 1));
    }
  }
  const left = (rest << (to - bits)) & ((1 << to) - 1);
  if (isPadded) return bits > 0 ? [...result, left] : result;
  return bits < from && left === 0 ? result : undefined;
}
