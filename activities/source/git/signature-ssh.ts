// Signatures by SSH keys, as `git` with `gpg.format=ssh` and `ssh-keygen -Y sign` make them (OpenSSH, PROTOCOL.sshsig).
import { createHash, createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto';
import { messageOf } from '../../errors.ts';

/** A trusted public key. */
export interface SshPublicKey {
  /** `SHA256:<base64>`, as `ssh-keygen -l` prints it. */
  fingerprint: string;
  /** e.g. `ssh-ed25519`. */
  type: string;
  comment: string;
  /** As it stands in a signature. */
  blob: Buffer;
}

const minRsaBits = 2048;

/** What is signed beside the message: the purpose, so that a signature for something else is worth nothing here. */
const gitNamespace = 'git';

/**
 * The public keys of a file: one a line, as in `authorized_keys` or `allowed_signers`. Throws an `Error` that names the
 * line of what is no key.
 */
export function parseSshPublicKeys(text: string): SshPublicKey[] {
  const keys: SshPublicKey[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const words = line.trim().split(/\s+/);
    if (words[0] === '' || words[0]?.startsWith('#')) continue;
    const at = words.findIndex((word) => Object.hasOwn(keyTypes, word));
    if (at < 0)
      throw new Error(`line ${index + 1} has no key of a known type: expected ${Object.keys(keyTypes).join(', ')}`);
    const type = words[at] as string;
    const blob = Buffer.from(words[at + 1] ?? '', 'base64');
    try {
      publicKeyOf(blob, type);
    } catch (error) {
      throw new Error(`line ${index + 1} has a "${type}" key that cannot be used: ${messageOf(error)}`);
    }
    keys.push({ type, blob, fingerprint: fingerprintOf(blob), comment: words.slice(at + 2).join(' ') });
  }
  if (keys.length === 0) throw new Error('it holds no key');
  return keys;
}

/**
 * Finds the key that made a signature and checks it. Throws an `Error` that says why a signature is not accepted: not by
 * one of the keys, for another purpose than Git, of a weak or unknown algorithm, or not of this payload.
 */
export function verifySshSignature(armored: string, payload: Buffer, keys: readonly SshPublicKey[]): SshPublicKey {
  const { publicKey, namespace, reserved, hash, signature } = parseSignature(armored);
  const key = keys.find(({ blob }) => blob.equals(publicKey));
  if (!key) throw new Error(`it is signed by SSH key ${fingerprintOf(publicKey)}, which is not a trusted key`);
  if (namespace !== gitNamespace) {
    throw new Error(`its signature is for "${namespace.slice(0, 60)}", expected "${gitNamespace}"`);
  }
  const signed = Buffer.concat([
    Buffer.from('SSHSIG'),
    ...[namespace, reserved, hash, createHash(hash).update(payload).digest()].map((part) => sshString(part)),
  ]);
  if (!isSignatureOf(signature, signed, key)) {
    throw new Error(`its signature by SSH key ${key.fingerprint} does not fit: it was changed after it was signed`);
  }
  return key;
}

function parseSignature(armored: string) {
  const [, base64] =
    /^-----BEGIN SSH SIGNATURE-----\s([A-Za-z0-9+/=\s]+)-----END SSH SIGNATURE-----$/.exec(armored) ?? [];
  if (base64 === undefined) throw new Error('its SSH signature is damaged: the armor cannot be read');
  const reader = createReader(Buffer.from(base64, 'base64'));
  if (reader.bytes(6).toString('latin1') !== 'SSHSIG' || reader.uint32() !== 1) {
    throw new Error('its SSH signature is of an unknown version');
  }
  const publicKey = reader.string();
  const namespace = reader.string().toString('utf8');
  const reserved = reader.string();
  const hash = reader.string().toString('latin1');
  if (hash !== 'sha256' && hash !== 'sha512') {
    throw new Error(`its SSH signature uses hash "${hash.slice(0, 20)}", expected "sha256" or "sha512"`);
  }
  return { publicKey, namespace, reserved, hash, signature: createReader(reader.string()) };
}

function isSignatureOf(signature: Reader, signed: Buffer, { blob, type }: SshPublicKey): boolean {
  const { algorithms, application, curve } = readKey(blob, type);
  const algorithm = signature.string().toString('latin1');
  const hash = algorithms[algorithm];
  if (hash === undefined) {
    const expected = Object.keys(algorithms).join(' or ');
    throw new Error(`its signature is made with "${algorithm.slice(0, 40)}", expected ${expected}`);
  }
  const value = signature.string();
  const key = { key: publicKeyOf(blob, type), dsaEncoding: 'ieee-p1363' as const };
  const number = curve ? plainEcdsa(value, curve.bytes) : value;
  if (application === undefined) return verify(hash, signed, key, number);
  // A security key signs the application that it is registered for, its flags and its counter as well.
  const marks = signature.bytes(5);
  const told = Buffer.concat([sha256(application), marks, sha256(signed)]);
  const isTouched = ((marks[0] ?? 0) & 1) === 1;
  return isTouched && verify(hash, told, key, number);
}

/** What a key's blob says after its type, by type. */
interface KeyParts {
  jwk: JsonWebKey;
  /** Name of a signature's algorithm → hash for `verify`; null where the algorithm has its own. */
  algorithms: Readonly<Record<string, string | null>>;
  curve?: { bytes: number };
  /** Of a security key. */
  application?: Buffer;
}

const curves: Readonly<Record<string, { crv: string; bytes: number; hash: string }>> = {
  nistp256: { crv: 'P-256', bytes: 32, hash: 'sha256' },
  nistp384: { crv: 'P-384', bytes: 48, hash: 'sha384' },
  nistp521: { crv: 'P-521', bytes: 66, hash: 'sha512' },
};

const keyTypes: Readonly<Record<string, (reader: Reader, type: string) => KeyParts>> = {
  'ssh-ed25519': ed25519,
  'sk-ssh-ed25519@openssh.com': ed25519,
  'ecdsa-sha2-nistp256': ecdsa,
  'ecdsa-sha2-nistp384': ecdsa,
  'ecdsa-sha2-nistp521': ecdsa,
  'sk-ecdsa-sha2-nistp256@openssh.com': ecdsa,
  'ssh-rsa'(reader) {
    const [e, n] = [unsigned(reader.string()), unsigned(reader.string())];
    if (n.length * 8 < minRsaBits) throw new Error(`it has ${n.length * 8} bits, expected at least ${minRsaBits}`);
    return {
      jwk: { kty: 'RSA', e: e.toString('base64url'), n: n.toString('base64url') },
      algorithms: { 'rsa-sha2-256': 'sha256', 'rsa-sha2-512': 'sha512' },
    };
  },
};

function ed25519(reader: Reader, type: string): KeyParts {
  const x = reader.string();
  return {
    jwk: { kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') },
    algorithms: { [type]: null },
    ...applicationOf(reader, type),
  };
}

function ecdsa(reader: Reader, type: string): KeyParts {
  const curve = curves[reader.string().toString('latin1')];
  const point = reader.string();
  if (!curve || point.length !== 1 + 2 * curve.bytes || point[0] !== 4)
    throw new Error('its curve or point is unknown');
  const coordinate = (at: number): string => point.subarray(at, at + curve.bytes).toString('base64url');
  return {
    jwk: { kty: 'EC', crv: curve.crv, x: coordinate(1), y: coordinate(1 + curve.bytes) },
    algorithms: { [type]: curve.hash },
    curve,
    ...applicationOf(reader, type),
  };
}

function applicationOf(reader: Reader, type: string): { application?: Buffer } {
  return type.startsWith('sk-') ? { application: reader.string() } : {};
}

function readKey(blob: Buffer, type: string): KeyParts {
  const reader = createReader(blob);
  const told = reader.string().toString('latin1');
  const read = keyTypes[type];
  if (told !== type || !read) throw new Error(`it says that it is of type "${told.slice(0, 40)}"`);
  return read(reader, type);
}

/** Throws an `Error` for a key that is damaged or too weak. */
function publicKeyOf(blob: Buffer, type: string): KeyObject {
  return createPublicKey({ key: readKey(blob, type).jwk, format: 'jwk' });
}

/** Two numbers of SSH, each with its length, as the two numbers of equal length that `verify` expects. */
function plainEcdsa(value: Buffer, bytes: number): Buffer {
  const reader = createReader(value);
  const numbers = [unsigned(reader.string()), unsigned(reader.string())];
  if (numbers.some((number) => number.length > bytes)) throw new Error('its signature has a number that is too large');
  return Buffer.concat(numbers.map((number) => Buffer.concat([Buffer.alloc(bytes - number.length), number])));
}

/** A number without the zeros in front that keep it from being negative. */
function unsigned(number: Buffer): Buffer {
  let at = 0;
  while (at < number.length && number[at] === 0) at += 1;
  return number.subarray(at);
}

function fingerprintOf(blob: Buffer): string {
  return `SHA256:${sha256(blob).toString('base64').replace(/=+$/, '')}`;
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function sshString(bytes: Buffer | string): Buffer {
  const content = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
}

type Reader = ReturnType<typeof createReader>;

/** Reads SSH's wire format (RFC 4251, section 5). Throws an `Error` where the bytes end too early. */
function createReader(content: Buffer) {
  let at = 0;
  function bytes(count: number): Buffer {
    if (at + count > content.length) throw new Error('it ends too early');
    at += count;
    return content.subarray(at - count, at);
  }
  function uint32(): number {
    return bytes(4).readUInt32BE(0);
  }
  return { bytes, uint32, string: (): Buffer => bytes(uint32()) };
}
