// Signatures without a key pair: a certificate of minutes says who signed, a log or a timestamp says when. What is
// trusted is a Sigstore instance, described by its `trusted_root.json`.
import { createHash } from 'node:crypto';
import { type Bundle, bundleFromJSON } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { type Signer, toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';
import { RE2JS } from 're2js';
import * as z from 'zod';
import { messageOf } from '../../../errors.ts';
import type { CosignSignature, SimpleSignature } from './cosign-signatures.ts';

/** Who may have signed: regular expressions (RE2), each found anywhere in the value unless it is anchored. */
export interface TrustedIdentity {
  issuer: string;
  subject: string;
}

/** Checks one signature, claims aside; gives who made it, or what is wrong with it. */
export type KeylessCheck = (signature: CosignSignature) => { signer: string } | { problem: string };

/** Fails with an `Error` that says what is wrong with the document. */
export function parseTrustedRoot(text: string): TrustedRoot {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new Error('it is no JSON');
  }
  return checkTrustedRoot(TrustedRoot.fromJSON(document));
}

/** The root, if something can be verified with it. Throws an `Error` otherwise. */
export function checkTrustedRoot(root: TrustedRoot): TrustedRoot {
  if (root.certificateAuthorities.length === 0) throw new Error('it has no "certificateAuthorities"');
  if (root.tlogs.length === 0 && root.timestampAuthorities.length === 0) {
    throw new Error(
      'it has neither "tlogs" nor "timestampAuthorities", so that nothing tells when a signature was made',
    );
  }
  return root;
}

/** Throws an error that names the pattern that is no regular expression. */
function matchersOf(identities: readonly TrustedIdentity[]): ((issuer: string, subject: string) => boolean)[] {
  return identities.map(({ issuer, subject }) => {
    const [issuerPattern, subjectPattern] = [patternOf('issuer', issuer), patternOf('subject', subject)];
    return (foundIssuer, foundSubject) =>
      issuerPattern.matcher(foundIssuer).find() && subjectPattern.matcher(foundSubject).find();
  });
}

function patternOf(field: string, pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    throw new Error(`${field} "${pattern}" is no regular expression (RE2): ${messageOf(error)}`, { cause: error });
  }
}

/**
 * The check against one Sigstore instance. What the trusted root has is demanded: an entry in its log, an entry in its
 * certificate log; in any case one proof of the time of signing. No identities: any that the instance attests.
 * Throws an error when the root or a pattern cannot be used.
 */
export function keylessCheck(root: TrustedRoot, identities: readonly TrustedIdentity[]): KeylessCheck {
  const isAllowed = matchersOf(identities);
  const verifier = new Verifier(toTrustMaterial(root), {
    tlogThreshold: root.tlogs.length > 0 ? 1 : 0,
    ctlogThreshold: root.ctlogs.length > 0 ? 1 : 0,
    timestampThreshold: 1,
  });
  return (signature) => {
    let signer: Signer;
    try {
      signer = verifySigner(verifier, root, signature);
    } catch (error) {
      return { problem: messageOf(error) };
    }
    const issuer = signer.identity?.extensions?.issuer ?? '';
    const subject = signer.identity?.subjectAlternativeName ?? '';
    const name = `"${subject}" of "${issuer}"`;
    if (isAllowed.length === 0 || isAllowed.some((fits) => fits(issuer, subject))) return { signer: name };
    return { problem: `it was made by ${name}, whom no entry of spec.verify.matchOIDCIdentity allows` };
  };
}

function verifySigner(verifier: Verifier, root: TrustedRoot, signature: CosignSignature): Signer {
  const bundle = signature.layout === 'bundle' ? signature.bundle : bundleOfSimpleSignature(signature);
  const material = bundle.verificationMaterial;
  if (material.content.$case === 'publicKey') {
    throw new Error('it was made with a key pair: name the Secret with the public key in spec.verify.secretRef');
  }
  // A root without a log cannot say anything about entries; timestamps are demanded in their place.
  if (root.tlogs.length === 0) material.tlogEntries = [];
  const message = signature.layout === 'simple' ? signature.payload : undefined;
  return verifier.verify(toSignedEntity(bundle, message));
}

const annotations = z.object({
  'dev.sigstore.cosign/certificate': z.string(),
  'dev.sigstore.cosign/bundle': z.string().optional(),
  'dev.sigstore.cosign/rfc3161timestamp': z.string().optional(),
});
const logEntry = z.object({
  SignedEntryTimestamp: z.string(),
  Payload: z.object({
    body: z.string(),
    integratedTime: z.number(),
    logIndex: z.number(),
    logID: z.string(),
  }),
});
const timestamp = z.object({ SignedRFC3161Timestamp: z.string() });
const logBody = z.object({ kind: z.string(), apiVersion: z.string() });

/** The same signature as a bundle, so that there is one way to check it. */
function bundleOfSimpleSignature({ payload, signature, annotations: given }: SimpleSignature): Bundle {
  const parsed = annotations.safeParse(given);
  if (!parsed.success) {
    throw new Error('it has no certificate: if it was made with a key pair, name the Secret in spec.verify.secretRef');
  }
  const certificate = /-----BEGIN CERTIFICATE-----([^-]+)-----END/.exec(parsed.data['dev.sigstore.cosign/certificate']);
  if (!certificate) throw new Error('its certificate is no PEM');
  const entry = parseJson(logEntry, parsed.data['dev.sigstore.cosign/bundle'], 'log entry');
  const stamp = parseJson(timestamp, parsed.data['dev.sigstore.cosign/rfc3161timestamp'], 'timestamp');
  return bundleFromJSON({
    mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
    verificationMaterial: {
      x509CertificateChain: { certificates: [{ rawBytes: certificate[1]?.replace(/\s/g, '') }] },
      tlogEntries: entry ? [entryOf(entry)] : [],
      timestampVerificationData: {
        rfc3161Timestamps: stamp ? [{ signedTimestamp: stamp.SignedRFC3161Timestamp }] : [],
      },
    },
    messageSignature: {
      messageDigest: { algorithm: 'SHA2_256', digest: createHash('sha256').update(payload).digest('base64') },
      signature: signature.toString('base64'),
    },
  });
}

function entryOf({ SignedEntryTimestamp, Payload }: z.infer<typeof logEntry>): object {
  const body = logBody.parse(JSON.parse(Buffer.from(Payload.body, 'base64').toString('utf8')));
  return {
    logIndex: String(Payload.logIndex),
    logId: { keyId: Buffer.from(Payload.logID, 'hex').toString('base64') },
    kindVersion: { kind: body.kind, version: body.apiVersion },
    integratedTime: String(Payload.integratedTime),
    inclusionPromise: { signedEntryTimestamp: SignedEntryTimestamp },
    canonicalizedBody: Payload.body,
  };
}

function parseJson<T>(schema: z.ZodType<T>, text: string | undefined, name: string): T | undefined {
  if (!text) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw new Error(`its ${name} cannot be read`);
  }
}
