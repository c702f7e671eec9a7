// Signatures by OpenPGP keys, as `git commit -S` and `git tag -s` make them with GnuPG.
import type { PublicKey, Signature } from 'openpgp';
import { messageOf } from '../../errors.ts';

/** Who made a signature. */
export interface PgpSigner {
  /** Of the primary key, upper-case hexadecimal. */
  fingerprint: string;
  /** e.g. `Alice <alice@example.com>`; empty when the key names nobody. */
  identity: string;
}

/** A signature may have been made by a clock that is a little ahead. */
const clockSkewMs = 5 * 60_000;

/** Loaded when the first signature is checked: the library takes megabytes that most workers never need. */
const library = async () => await import('openpgp');

/** The public keys of a file, armored (any number of blocks) or binary. Throws an `Error` for what is none. */
export async function parsePgpPublicKeys(content: Uint8Array): Promise<PublicKey[]> {
  const { readKeys } = await library();
  const isBinary = ((content[0] ?? 0) & 0x80) !== 0;
  if (isBinary) return (await readKeys({ binaryKeys: content })).map((key) => key.toPublic());
  const text = Buffer.from(content).toString('utf8');
  const blocks = text.match(/-----BEGIN PGP PUBLIC KEY BLOCK-----[\s\S]*?-----END PGP PUBLIC KEY BLOCK-----/g) ?? [];
  if (text.includes('BEGIN PGP PRIVATE KEY BLOCK')) throw new Error('it holds a private key, expected a public one');
  if (blocks.length === 0) throw new Error('expected "-----BEGIN PGP PUBLIC KEY BLOCK-----" to its END line');
  const keys: PublicKey[] = [];
  for (const armoredKeys of blocks) keys.push(...(await readKeys({ armoredKeys })));
  return keys;
}

/** `<FINGERPRINT>` of a key, for messages. */
export function fingerprintOfPgpKey(key: PublicKey): string {
  return key.getFingerprint().toUpperCase();
}

/**
 * Finds the key that made a signature and checks both. Throws an `Error` that says why a signature is not accepted: not by
 * one of the keys, by a key that is expired or revoked now, or not of this payload.
 */
export async function verifyPgpSignature(
  armoredSignature: string,
  payload: Buffer,
  keys: readonly PublicKey[],
): Promise<PgpSigner> {
  const { createMessage, readSignature, verify } = await library();
  const signature = await readArmored(armoredSignature, readSignature);
  const now = new Date();
  const signedBy = signature.getSigningKeyIDs();
  const key = keys.find((one) => signedBy.some((keyID) => one.getKeys(keyID).length > 0));
  if (!key) {
    const ids = signedBy.map((keyID) => keyID.toHex().toUpperCase()).join(', ');
    throw new Error(`it is signed by PGP key ${ids}, which is not a trusted key`);
  }
  const keyID = signedBy.find((id) => key.getKeys(id).length > 0);
  const name = fingerprintOfPgpKey(key);
  try {
    // A key that may not sign today says nothing today, whatever date the signature claims.
    await key.getSigningKey(keyID, now);
  } catch (error) {
    throw new Error(`PGP key ${name}, which it is signed by, may not sign (any more): ${reasonOf(error)}`);
  }
  const { signatures } = await verify({
    message: await createMessage({ binary: payload }),
    signature,
    verificationKeys: [...keys],
    format: 'binary',
    date: new Date(now.getTime() + clockSkewMs),
  });
  const refusals: string[] = [];
  for (const one of signatures) {
    try {
      await one.verified;
      const signer = keys.find((candidate) => candidate.getKeys(one.keyID).length > 0) ?? key;
      return { fingerprint: fingerprintOfPgpKey(signer), identity: await identityOf(signer) };
    } catch (error) {
      refusals.push(reasonOf(error));
    }
  }
  throw new Error(`its signature by PGP key ${name} is not valid: ${refusals[0] ?? 'there is none'}`);
}

async function readArmored(
  armoredSignature: string,
  read: (options: { armoredSignature: string }) => Promise<Signature>,
): Promise<Signature> {
  try {
    return await read({ armoredSignature });
  } catch (error) {
    throw new Error(`its PGP signature is damaged: ${messageOf(error)}`, { cause: error });
  }
}

async function identityOf(key: PublicKey): Promise<string> {
  try {
    return (await key.getPrimaryUser()).user.userID?.userID ?? '';
  } catch {
    return ''; // a key without a name may sign all the same
  }
}

function reasonOf(error: unknown): string {
  const text = messageOf(error).split('\n')[0] ?? '';
  return /digest did not match/i.test(text) ? 'the content was changed after it was signed' : text;
}
