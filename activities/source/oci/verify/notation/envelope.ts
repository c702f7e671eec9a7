// What both envelopes of the Notary Project come down to, JWS and COSE: who signed what, when, and whether the signature
// is intact.
import { constants, type KeyObject, verify, X509Certificate } from 'node:crypto';

/** A signature whose integrity is verified: the bytes are what the holder of the first certificate signed. */
export interface SignatureContent {
  payload: Buffer;
  contentType: string;
  scheme: SigningScheme;
  /** When it was signed, as the signer says. */
  signingTime: Date;
  /** When it stops to be valid, if the signer wants that. */
  expiry?: Date;
  /** From the signer's to the root's. */
  certificates: X509Certificate[];
}

export const signingSchemes = ['notary.x509', 'notary.x509.signingAuthority'] as const;
export type SigningScheme = (typeof signingSchemes)[number];

/** The names that headers have in both envelopes. */
export const header = {
  scheme: 'io.cncf.notary.signingScheme',
  signingTime: 'io.cncf.notary.signingTime',
  authenticSigningTime: 'io.cncf.notary.authenticSigningTime',
  expiry: 'io.cncf.notary.expiry',
} as const;

/** The headers under which the signing time of a scheme is. */
export function signingTimeHeader(scheme: SigningScheme): string {
  return scheme === 'notary.x509' ? header.signingTime : header.authenticSigningTime;
}

/** What an envelope says of itself, before anything is believed. */
export interface ClaimedHeaders {
  scheme: unknown;
  /** Absent, or a valid date. */
  signingTime: Date | undefined;
  expiry: Date | undefined;
  /** Names in `crit`. */
  critical: readonly unknown[];
}

/** Throws an error when a header is missing, or a critical one is not understood. */
export function checkHeaders({ scheme, signingTime, expiry, critical }: ClaimedHeaders): {
  scheme: SigningScheme;
  signingTime: Date;
} {
  const known = signingSchemes.find((name) => name === scheme);
  if (!known) throw new Error(`its signing scheme is ${quoted(scheme)}: expected "${signingSchemes.join('" or "')}"`);
  const understood: string[] = [header.scheme];
  if (expiry) understood.push(header.expiry);
  if (known === 'notary.x509.signingAuthority') understood.push(header.authenticSigningTime);
  const unmarked = understood.find((name) => !critical.includes(name));
  if (unmarked) throw new Error(`its header "${unmarked}" is not marked as critical`);
  const unknown = critical.find((name) => !understood.includes(String(name)));
  if (unknown !== undefined) {
    throw new Error(`it has the critical header ${quoted(unknown)}, for which a plugin of notation would be needed`);
  }
  if (!signingTime) throw new Error(`it has no "${signingTimeHeader(known)}"`);
  if (expiry && expiry <= signingTime) throw new Error('it expires before it was made');
  return { scheme: known, signingTime };
}

/** Throws an error when there is no certificate, or one cannot be read; 10 at most. */
export function readCertificates(ders: readonly Uint8Array[]): [X509Certificate, ...X509Certificate[]] {
  if (ders.length > 10) throw new Error(`it has ${ders.length} certificates: expected 10 at most`);
  const certificates = ders.map((der) => {
    try {
      return new X509Certificate(der);
    } catch {
      throw new Error('one of its certificates cannot be read');
    }
  });
  const [first, ...rest] = certificates;
  if (!first) throw new Error('it has no certificate');
  return [first, ...rest];
}

/** `PS256` and so on, of the key in the signer's certificate; the specification leaves no choice. */
export function algorithmOf(key: KeyObject): string {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  const type = key.asymmetricKeyType;
  const algorithm =
    type === 'rsa'
      ? { 2048: 'PS256', 3072: 'PS384', 4096: 'PS512' }[modulusLength ?? 0]
      : type === 'ec'
        ? { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }[namedCurve ?? '']
        : undefined;
  if (algorithm) return algorithm;
  throw new Error(`its key (${type ?? 'unknown'} ${modulusLength ?? namedCurve ?? ''}) is of no kind that is allowed`);
}

/** Throws an error when the signature over `message` was not made with the key of the certificate. */
export function checkSignature(
  claimedAlgorithm: unknown,
  message: Uint8Array,
  signature: Uint8Array,
  certificate: X509Certificate,
): void {
  const key = certificate.publicKey;
  const algorithm = algorithmOf(key);
  if (claimedAlgorithm !== algorithm) {
    throw new Error(`its algorithm is ${quoted(claimedAlgorithm)}: expected "${algorithm}" for its key`);
  }
  const digest = `sha${algorithm.slice(2)}`;
  const parameters = algorithm.startsWith('PS')
    ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : { key, dsaEncoding: 'ieee-p1363' as const };
  if (!isValid(digest, message, parameters, signature)) {
    throw new Error('it does not fit its content: one of both was changed after it was signed');
  }
}

function isValid(
  digest: string,
  message: Uint8Array,
  parameters: Parameters<typeof verify>[2],
  signature: Uint8Array,
): boolean {
  try {
    return verify(digest, message, parameters, signature);
  } catch {
    return false;
  }
}

function quoted(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : 'missing';
}
