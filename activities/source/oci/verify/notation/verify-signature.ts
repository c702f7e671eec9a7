// One signature of the Notary Project against one statement of the trust policy. Pure but for the clock that is given.
import type { X509Certificate } from 'node:crypto';
import * as z from 'zod';
import { messageOf } from '../../../../errors.ts';
import { checkCertificateChain, revocableCertificates, subjectLine } from './certificate-chain.ts';
import { openCoseEnvelope } from './cose-envelope.ts';
import { isSubsetOf, parseCertificateSubject } from './distinguished-name.ts';
import type { SignatureContent } from './envelope.ts';
import { openJwsEnvelope } from './jws-envelope.ts';
import type { TrustStatement, Validation } from './trust-policy.ts';

/** The artifact that the signature has to be about. */
export interface Target {
  digest: string;
  mediaType: string;
  /** Bytes. */
  size: number;
}

/** A signature as it was found. */
export interface NotationSignature {
  mediaType: string;
  envelope: Buffer;
}

/** What became of the checks; `refused` is the first one that is enforced and failed. */
export interface NotationVerdict {
  refused?: string;
  /** Failed checks that the policy does not enforce. */
  logged: Partial<Record<Validation, string>>;
}

const payloadType = 'application/vnd.cncf.notary.payload.v1+json';
const payload = z.object({
  targetArtifact: z.object({ mediaType: z.string(), digest: z.string(), size: z.number() }),
});

/** The checks in the order of the specification: integrity, authenticity, expiry, time of signing, revocation. */
export function verifyNotationSignature(
  signature: NotationSignature,
  target: Target,
  statement: TrustStatement,
  trusted: readonly X509Certificate[],
  now: Date,
): NotationVerdict {
  const logged: NotationVerdict['logged'] = {};
  let content: SignatureContent;
  try {
    content = openEnvelope(signature, target);
  } catch (error) {
    return { refused: messageOf(error), logged };
  }
  const checks: [Validation, () => string | undefined][] = [
    ['authenticity', () => authenticityProblem(content, statement, trusted)],
    ['expiry', () => expiryProblem(content, now)],
    ['authenticTimestamp', () => timeProblem(content, statement, now)],
    ['revocation', () => revocationProblem(content)],
  ];
  for (const [validation, check] of checks) {
    const action = statement.actions[validation];
    const problem = action === 'skip' ? undefined : check();
    if (problem === undefined) continue;
    if (action === 'enforce') return { refused: problem, logged };
    logged[validation] = problem;
  }
  return { logged };
}

/** Integrity, which is enforced at every level: the envelope is intact and about the target. */
function openEnvelope({ mediaType, envelope }: NotationSignature, target: Target): SignatureContent {
  const content = envelopeOf(mediaType, envelope);
  checkCertificateChain(content.certificates);
  if (content.contentType !== payloadType)
    throw new Error(`it signs "${content.contentType}": expected "${payloadType}"`);
  const { targetArtifact: signed } = payloadOf(content.payload);
  if (signed.digest !== target.digest) throw new Error(`it signs ${signed.digest}`);
  if (signed.mediaType !== target.mediaType || signed.size !== target.size) {
    throw new Error(`it signs ${signed.size} bytes of "${signed.mediaType}", which the artifact is not`);
  }
  return content;
}

function envelopeOf(mediaType: string, envelope: Buffer): SignatureContent {
  if (mediaType === 'application/jose+json') return openJwsEnvelope(envelope);
  if (mediaType === 'application/cose') return openCoseEnvelope(envelope);
  throw new Error(`it is of the type "${mediaType}": expected "application/jose+json" or "application/cose"`);
}

function payloadOf(bytes: Buffer): z.infer<typeof payload> {
  try {
    return payload.parse(JSON.parse(bytes.toString('utf8')));
  } catch {
    throw new Error('its payload does not name an artifact');
  }
}

function authenticityProblem(
  { certificates, scheme }: SignatureContent,
  { storeTypes, isAnyIdentity, identities }: TrustStatement,
  trusted: readonly X509Certificate[],
): string | undefined {
  const storeType = scheme === 'notary.x509' ? 'ca' : 'signingAuthority';
  const known = storeTypes.has(storeType) ? trusted : [];
  const chain = certificates.map(({ fingerprint256 }) => fingerprint256);
  const [signer] = certificates;
  if (!known.some(({ fingerprint256 }) => chain.includes(fingerprint256))) {
    const store = storeTypes.has(storeType) ? '' : `; the policy names no trust store of the type "${storeType}"`;
    return `none of its certificates, of "${signer && subjectLine(signer)}" and up, is trusted${store}`;
  }
  if (isAnyIdentity || !signer) return undefined;
  try {
    const subject = parseCertificateSubject(signer.subject);
    if (identities.some((identity) => isSubsetOf(identity, subject))) return undefined;
  } catch (error) {
    return `the subject of its certificate cannot be compared: ${messageOf(error)}`;
  }
  return `"${subjectLine(signer)}" is none of the trusted identities`;
}

function expiryProblem({ expiry }: SignatureContent, now: Date): string | undefined {
  return expiry && now >= expiry ? `it expired at ${expiry.toISOString()}` : undefined;
}

function timeProblem({ certificates, scheme, signingTime }: SignatureContent, statement: TrustStatement, now: Date) {
  // A signing authority vouches for the time of signing; for all others the certificates have to be valid today.
  const isVouchedFor = scheme === 'notary.x509.signingAuthority';
  const time = isVouchedFor ? signingTime : now;
  const isValid = ({ validFromDate, validToDate }: X509Certificate): boolean =>
    validFromDate <= time && time <= validToDate;
  const invalid = certificates.find((certificate) => !isValid(certificate));
  const wantsTimestamp = statement.storeTypes.has('tsa') && !isVouchedFor;
  if (wantsTimestamp && (invalid || statement.verifyTimestamp === 'always')) {
    return 'the policy demands a timestamp (trust store "tsa"), which Continuo cannot check: set "verifyTimestamp" to "afterCertExpiry", or override "authenticTimestamp" with "log"';
  }
  if (!invalid) return undefined;
  const { validFrom, validTo } = invalid;
  return `its certificate "${subjectLine(invalid)}" is valid from ${validFrom} to ${validTo}, which ${time.toISOString()} is not within`;
}

function revocationProblem({ certificates }: SignatureContent): string | undefined {
  const [asked] = revocableCertificates(certificates);
  return asked === undefined
    ? undefined
    : `whether its certificate "${asked}" was revoked cannot be found out by Continuo: override "revocation" with "log" or "skip"`;
}
