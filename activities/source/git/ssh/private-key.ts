// The private key of a Secret in a form that ssh2 reads. It reads OpenSSH's own form and the old PEM forms; the form that
// `flux create secret git` writes (PKCS #8) is turned into one of them.
import { createHash, createPrivateKey, type KeyObject } from 'node:crypto';
import ssh2, { type ParsedKey } from 'ssh2';

/** ssh-keygen makes 16 to 24; each costs some 30 ms in which the process does nothing else. */
const maxKdfRounds = 64;
const maxParsed = 256;
/** What was read once, so that a poll does not pay for the passphrase again; by a digest of key and passphrase. */
const parsedKeys = new Map<string, ParsedKey>();

/**
 * Reads a key. Throws an `Error` that says what is wrong, without any of the key: no private key, an unknown kind, a
 * passphrase that is missing, wrong or too costly to try.
 */
export function parsePrivateKey(text: string, passphrase: string | undefined): ParsedKey {
  const id = createHash('sha256')
    .update(JSON.stringify([text, passphrase]))
    .digest('base64');
  const known = parsedKeys.get(id);
  if (known) return known;
  const pem = text.replaceAll('\r\n', '\n').trim();
  if (!/^-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----\n/.test(pem)) {
    throw new Error('it is no private key: expected a text that begins with "-----BEGIN … PRIVATE KEY-----"');
  }
  const isOpenSsh = pem.startsWith('-----BEGIN OPENSSH PRIVATE KEY-----');
  if (isOpenSsh && kdfRounds(pem) > maxKdfRounds) {
    throw new Error(`its passphrase is hashed in more than the ${maxKdfRounds} rounds allowed ("ssh-keygen -a")`);
  }
  const key = isOpenSsh ? parse(pem, passphrase) : parse(fromPem(pem, passphrase), undefined);
  if (parsedKeys.size >= maxParsed) parsedKeys.clear();
  parsedKeys.set(id, key);
  return key;
}

function parse(key: string, passphrase: string | undefined): ParsedKey {
  const parsed = ssh2.utils.parseKey(key, passphrase);
  const first = Array.isArray(parsed) ? parsed[0] : parsed;
  if (first !== undefined && !(first instanceof Error)) return first;
  const message = first?.message ?? '';
  if (/no passphrase/i.test(message)) throw new Error(passphraseMissing);
  if (passphrase !== undefined && /passphrase|decrypt/i.test(message)) throw new Error(passphraseWrong);
  throw new Error('it cannot be read: it is damaged, or of a kind that is not supported');
}

/** The rounds of the passphrase's hash in OpenSSH's form: after its magic come cipher, hash, and the hash's salt and rounds. */
function kdfRounds(pem: string): number {
  const body = Buffer.from(pem.split('\n').slice(1, -1).join(''), 'base64');
  try {
    let offset = 'openssh-key-v1\0'.length;
    for (const _ of ['cipher', 'hash']) offset += 4 + body.readUInt32BE(offset);
    const optionsBytes = body.readUInt32BE(offset);
    return optionsBytes === 0 ? 0 : body.readUInt32BE(offset + 4 + optionsBytes - 4);
  } catch {
    return 0; // damaged, which the parser says
  }
}

const passphraseMissing = 'it is encrypted: put its passphrase into key "password" of the same Secret';
const passphraseWrong = 'it is encrypted with another passphrase than that in key "password"';

function fromPem(pem: string, passphrase: string | undefined): string {
  const key = open(pem, passphrase);
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return key.export({ type: 'pkcs1', format: 'pem' }).toString();
    case 'ec':
      return key.export({ type: 'sec1', format: 'pem' }).toString();
    case 'ed25519':
      return openSshEd25519(key);
    default:
      throw new Error(`it is of kind "${key.asymmetricKeyType}": expected RSA, ECDSA or Ed25519`);
  }
}

function open(pem: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: pem, passphrase });
  } catch {
    if (!/ENCRYPTED/.test(pem)) throw new Error('it cannot be read: it is damaged');
    throw new Error(passphrase === undefined ? passphraseMissing : passphraseWrong);
  }
}

/** OpenSSH's form of an Ed25519 key, not encrypted (PROTOCOL.key of OpenSSH). */
function openSshEd25519(key: KeyObject): string {
  const { x = '', d = '' } = key.export({ format: 'jwk' });
  const publicPart = Buffer.from(x, 'base64url');
  const type = field('ssh-ed25519');
  const publicBlob = Buffer.concat([type, field(publicPart)]);
  const check = Buffer.alloc(8); // two equal numbers, which tell a right passphrase
  const secret = Buffer.concat([
    check,
    type,
    field(publicPart),
    field(Buffer.concat([Buffer.from(d, 'base64url'), publicPart])),
    field(''),
  ]);
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, index) => index + 1));
  const body = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    field('none'),
    field('none'),
    field(''),
    Buffer.from([0, 0, 0, 1]),
    field(publicBlob),
    field(Buffer.concat([secret, padding])),
  ]);
  const lines = body.toString('base64').match(/.{1,70}/g) ?? [];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----`;
}

function field(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
