// The rules of the Notary Project for the certificates in a signature: a complete chain up to a self-signed root, every
// certificate issued by the next one, each fit for its place. Whether the root is trusted is another question.
import type { X509Certificate } from 'node:crypto';
import { X509Certificate as Certificate } from '@sigstore/core';
import { algorithmOf } from './envelope.ts';

/** Of extensions. */
const oid = {
  keyUsage: '2.5.29.15',
  crlDistributionPoints: '2.5.29.31',
};
/** Purposes of which none goes together with the signing of code. */
const otherPurposes = new Map([
  ['1.3.6.1.5.5.7.3.1', 'server authentication'],
  ['1.3.6.1.5.5.7.3.2', 'client authentication'],
  ['1.3.6.1.5.5.7.3.4', 'protection of mail'],
  ['1.3.6.1.5.5.7.3.8', 'timestamping'],
  ['1.3.6.1.5.5.7.3.9', 'OCSP signing'],
]);

/** Throws an error that names the certificate and the rule that it breaks. */
export function checkCertificateChain(certificates: readonly X509Certificate[]): void {
  const last = certificates.length - 1;
  certificates.forEach((certificate, index) => {
    const parsed = parse(certificate);
    const issuer = certificates[Math.min(index + 1, last)] ?? certificate;
    const isSelfSigned = isIssuedBy(certificate, certificate, parsed);
    if (index === last && !isSelfSigned) throw refuse(certificate, 'ends the chain and is not self-signed');
    if (index < last && isSelfSigned) throw refuse(certificate, 'is self-signed and does not end the chain');
    if (!isIssuedBy(certificate, issuer, parsed)) {
      throw refuse(certificate, `was not issued by "${subjectLine(issuer)}"`);
    }
    if (index === 0) checkSigner(certificate, parsed);
    else checkAuthority(certificate, parsed, index - 1);
  });
}

/** Tells which certificates name a service to ask whether they were revoked. */
export function revocableCertificates(certificates: readonly X509Certificate[]): string[] {
  return certificates
    .filter(
      (certificate) =>
        certificate.infoAccess?.includes('OCSP') === true ||
        parse(certificate).extension(oid.crlDistributionPoints) !== undefined,
    )
    .map(subjectLine);
}

/** The subject in one line, most particular first. */
export function subjectLine(certificate: X509Certificate): string {
  return certificate.subject.split('\n').reverse().join(', ');
}

function checkSigner(certificate: X509Certificate, parsed: Certificate): void {
  if (parsed.extBasicConstraints?.isCA) throw refuse(certificate, 'signs an artifact and is that of an authority');
  checkUsage(certificate, parsed);
  const [isForSignatures, , ...isForOthers] = parsed.extension(oid.keyUsage)?.valueObj.subs[0]?.toBitString() ?? [];
  if (!isForSignatures || isForOthers.includes(1)) throw refuse(certificate, 'is not for digital signatures alone');
  // node calls the extended key usages so.
  const purpose = (certificate.keyUsage ?? []).find((id) => otherPurposes.has(id));
  if (purpose) throw refuse(certificate, `is meant for ${otherPurposes.get(purpose)}`);
  try {
    algorithmOf(certificate.publicKey);
  } catch (error) {
    throw refuse(certificate, error instanceof Error ? error.message : 'has no usable key');
  }
}

function checkAuthority(certificate: X509Certificate, parsed: Certificate, below: number): void {
  const constraints = parsed.extBasicConstraints;
  if (!constraints?.isCA) throw refuse(certificate, 'is not that of an authority');
  const limit = constraints.pathLenConstraint;
  if (limit !== undefined && limit < BigInt(below)) {
    throw refuse(certificate, `allows ${limit} authorities below it, of which there are ${below}`);
  }
  checkUsage(certificate, parsed);
  if (!parsed.extKeyUsage?.keyCertSign) throw refuse(certificate, 'may not be used to sign certificates');
}

function checkUsage(certificate: X509Certificate, parsed: Certificate): void {
  if (!parsed.extension(oid.keyUsage)?.critical) throw refuse(certificate, 'has no critical key usage');
}

/** By name and by signature; with SHA-1 and older, nothing is issued by anybody. */
function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate, parsed: Certificate): boolean {
  if (!['sha256', 'sha384', 'sha512'].includes(parsed.signatureAlgorithm ?? '')) return false;
  try {
    return certificate.issuer === issuer.subject && certificate.verify(issuer.publicKey);
  } catch {
    return false;
  }
}

function parse(certificate: X509Certificate): Certificate {
  try {
    return Certificate.parse(Buffer.from(certificate.raw));
  } catch {
    throw refuse(certificate, 'cannot be read');
  }
}

function refuse(certificate: X509Certificate, what: string): Error {
  return new Error(`its certificate "${subjectLine(certificate)}" ${what}`);
}
