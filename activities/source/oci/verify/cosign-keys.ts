// Signatures that were made with a key pair: the public keys of a Secret, and what they say to a signature.
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { dssePreAuthEncoding } from './dsse.ts';
import type { CosignSignature } from './cosign-signatures.ts';

/** A public key, or why it cannot be used. */
export interface CosignKey {
  /** Its name in the Secret, such as `cosign.pub`. */
  name: string;
  key: KeyObject | undefined;
  problem?: string;
}

/** The keys `*.pub` of a Secret's data, in the order of their names: ECDSA, RSA and Ed25519 keys in PEM. */
export function cosignKeysOf(data: Readonly<Record<string, Uint8Array>>): CosignKey[] {
  return Object.keys(data)
    .filter((name) => name.endsWith('.pub'))
    .sort()
    .map((name) => ({ name, ...parseKey(Buffer.from(data[name] ?? []).toString('utf8')) }));
}

const keyTypes = ['ec', 'rsa', 'ed25519'];

function parseKey(text: string): { key: KeyObject | undefined; problem?: string } {
  if (/PRIVATE KEY-----/.test(text)) return { key: undefined, problem: 'is a private key: keep it out of the cluster' };
  if (!/-----BEGIN (RSA )?PUBLIC KEY-----/.test(text)) return { key: undefined, problem: 'is no PEM "PUBLIC KEY"' };
  try {
    const key = createPublicKey(text);
    const type = key.asymmetricKeyType ?? 'unknown';
    if (keyTypes.includes(type)) return { key };
    return { key: undefined, problem: `is of the type "${type}": expected an ECDSA, RSA or Ed25519 key` };
  } catch {
    return { key: undefined, problem: 'cannot be parsed' };
  }
}

/** The key that made the signature; undefined when none of them did. */
export function signingKey(signature: CosignSignature, keys: readonly CosignKey[]): CosignKey | undefined {
  const signed = signedBytes(signature);
  if (!signed) return undefined;
  return keys.find(({ key }) => key && signed.signatures.some((bytes) => isSignedBy(signed.message, bytes, key)));
}

function signedBytes(signature: CosignSignature): { message: Buffer; signatures: Buffer[] } | undefined {
  if (signature.layout === 'simple') return { message: signature.payload, signatures: [signature.signature] };
  const { content } = signature.bundle;
  if (content.$case !== 'dsseEnvelope') return undefined;
  const { payload, payloadType, signatures } = content.dsseEnvelope;
  return { message: dssePreAuthEncoding(payloadType, payload), signatures: signatures.map(({ sig }) => sig) };
}

/** cosign hashes with SHA-256 whatever the size of the key, and newer versions with what suits the curve. */
function isSignedBy(message: Buffer, signature: Buffer, key: KeyObject): boolean {
  const type = key.asymmetricKeyType;
  const curve = key.asymmetricKeyDetails?.namedCurve;
  const digests: (string | null)[] = type === 'ed25519' ? [null] : ['sha256'];
  if (curve === 'secp384r1') digests.push('sha384');
  if (curve === 'secp521r1') digests.push('sha512');
  return digests.some((digest) => {
    try {
      return verify(digest, message, key, signature);
    } catch {
      return false;
    }
  });
}
