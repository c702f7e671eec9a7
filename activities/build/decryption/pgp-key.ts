// OpenPGP private keys: from the armor that people export to the binary keyring that sops reads by itself, without a gpg
// program, and the fingerprints by which a message can name them (RFC 9580, sections 4, 5.5 and 6).
import { createHash } from 'node:crypto';

/** The private keys of one armored file. */
export interface PgpKeys {
  /** Secret: the packets of all keys, as a keyring file holds them. */
  ring: Uint8Array;
  /** Of the primary keys, upper-case hexadecimal. */
  fingerprints: string[];
}

interface Packet {
  tag: number;
  body: Buffer;
}

const secretKeyTag = 5;
const secretSubkeyTag = 7;
const publicKeyTag = 6;

/** Reads exported private keys. Throws an `Error` that says what is wrong and shows nothing of them. */
export function parsePgpKeys(content: Uint8Array): PgpKeys {
  const blocks = isBinary(content) ? [Buffer.from(content)] : dearmor(Buffer.from(content).toString('latin1'));
  const fingerprints: string[] = [];
  for (const block of blocks) {
    for (const { tag, body } of packetsOf(block)) {
      if (tag === publicKeyTag) throw new Error('it holds a public key, expected a private one');
      if (tag !== secretKeyTag && tag !== secretSubkeyTag) continue;
      const key = describeKey(body);
      const name = key?.fingerprint ?? 'a key of an unknown kind';
      // sops would ask for the passphrase on standard output, in the midst of what it decrypts.
      if (key?.isLocked) throw new Error(`private key ${name} has a passphrase: export it without one`);
      if (tag === secretKeyTag) fingerprints.push(name);
    }
  }
  if (fingerprints.length === 0) throw new Error('it holds no OpenPGP private key');
  return { ring: Buffer.concat(blocks), fingerprints };
}

/** Every packet begins with a byte whose top bit is set, which no armor has. */
function isBinary(content: Uint8Array): boolean {
  return ((content[0] ?? 0) & 0x80) !== 0;
}

function dearmor(text: string): Buffer[] {
  const blocks: Buffer[] = [];
  const armor = /-----BEGIN PGP (PRIVATE|PUBLIC) KEY BLOCK-----([\s\S]*?)-----END PGP \1 KEY BLOCK-----/g;
  for (const [, kind, inside = ''] of text.matchAll(armor)) {
    if (kind === 'PUBLIC') throw new Error('it holds a public key, expected a private one');
    const lines = inside.split('\n').map((line) => line.trim());
    // Headers (`Comment: …`) end with an empty line; the line that begins with `=` is a checksum.
    const body = lines.slice(1).filter((line) => line !== '' && !line.includes(':') && !line.startsWith('='));
    const base64 = body.join('');
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw new Error('its armor is damaged');
    blocks.push(Buffer.from(base64, 'base64'));
  }
  if (blocks.length === 0) throw new Error('expected "-----BEGIN PGP PRIVATE KEY BLOCK-----" to its END line');
  return blocks;
}

function packetsOf(ring: Buffer): Packet[] {
  const packets: Packet[] = [];
  for (let at = 0; at < ring.length; ) {
    const header = ring[at] ?? 0;
    if ((header & 0x80) === 0) throw damaged();
    const isNew = (header & 0x40) !== 0;
    const { start, length } = isNew ? newLength(ring, at + 1) : oldLength(ring, at + 1, header & 3);
    if (start + length > ring.length) throw damaged();
    packets.push({ tag: isNew ? header & 0x3f : (header >> 2) & 0x0f, body: ring.subarray(start, start + length) });
    at = start + length;
  }
  return packets;
}

function newLength(ring: Buffer, at: number): { start: number; length: number } {
  const first = byteAt(ring, at);
  if (first < 192) return { start: at + 1, length: first };
  if (first < 224) return { start: at + 2, length: ((first - 192) << 8) + byteAt(ring, at + 1) + 192 };
  if (first === 255 && at + 5 <= ring.length) return { start: at + 5, length: ring.readUInt32BE(at + 1) };
  throw damaged(); // lengths in parts are for data, never for keys
}

function oldLength(ring: Buffer, at: number, type: number): { start: number; length: number } {
  const size = [1, 2, 4][type];
  if (!size) return { start: at, length: ring.length - at };
  if (at + size > ring.length) throw damaged();
  return { start: at + size, length: ring.readUIntBE(at, size) };
}

/** Fingerprint and lock of a secret key's packet; undefined for an algorithm whose public part we cannot measure. */
function describeKey(body: Buffer): { fingerprint: string; isLocked: boolean } | undefined {
  const version = byteAt(body, 0);
  const hasLength = version >= 5;
  const material = hasLength ? 10 : 6;
  const end = hasLength ? material + body.readUInt32BE(6) : publicEnd(body, material, byteAt(body, 5));
  if ((version !== 4 && version !== 5 && version !== 6) || end === undefined || end >= body.length) return undefined;
  const prefix = Buffer.alloc(version === 4 ? 3 : 5);
  prefix[0] = { 4: 0x99, 5: 0x9a, 6: 0x9b }[version];
  if (version === 4) prefix.writeUInt16BE(end, 1);
  else prefix.writeUInt32BE(end, 1);
  const hash = createHash(version === 4 ? 'sha1' : 'sha256')
    .update(prefix)
    .update(body.subarray(0, end));
  const usage = byteAt(body, end);
  // GnuPG's stub of a primary key that was left at home: cipher, then string-to-key type 101. Nothing is locked in it.
  const isStub = usage >= 254 && body[end + 2] === 101;
  return { fingerprint: hash.digest('hex').toUpperCase(), isLocked: usage !== 0 && !isStub };
}

/** Where the public numbers of a version 4 key end, by its algorithm (RFC 9580, section 5.5.5). */
function publicEnd(body: Buffer, start: number, algorithm: number): number | undefined {
  const fixed = { 25: 32, 26: 56, 27: 32, 28: 57 }[algorithm];
  if (fixed) return start + fixed;
  const numbers = { 1: 2, 2: 2, 3: 2, 16: 3, 17: 4, 18: 1, 19: 1, 22: 1 }[algorithm];
  if (!numbers) return undefined;
  // Elliptic curves begin with the name of the curve; ECDH ends with its derivation parameters.
  let at = algorithm >= 18 ? start + 1 + byteAt(body, start) : start;
  for (let number = 0; number < numbers; number += 1) {
    if (at + 2 > body.length) return undefined;
    at += 2 + Math.ceil(body.readUInt16BE(at) / 8);
  }
  return algorithm === 18 ? at + 1 + byteAt(body, at) : at;
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw damaged();
  return byte;
}

function damaged(): Error {
  return new Error('its OpenPGP packets are damaged');
}
