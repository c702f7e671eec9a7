// Whether a chart is the one that its provenance file (`<chart>.tgz.prov`, made by `helm package --sign`) vouches for:
// a clear-signed OpenPGP message with the chart's metadata and the SHA-256 of its file.
import { createHash } from 'node:crypto';
import type { PublicKey } from 'openpgp';
import { parse } from 'yaml';
import * as z from 'zod';
import { failure, messageOf } from '../../errors.ts';
import { fingerprintOfPgpKey, parsePgpPublicKeys } from '../git/signature-pgp.ts';
import type { SecretData } from '../http/tls-secret.ts';
import type { VerifiedRevision } from '../source-driver.ts';

/** Largest provenance file, 1 MiB. */
export const maxProvenanceBytes = 1024 * 1024;

export interface VerifyProvenanceOptions {
  /** The packed chart. */
  chart: Uint8Array;
  /** Name of its file in the repository, such as `podinfo-6.9.0.tgz`. */
  fileName: string;
  /** The version of the chart, for the message. */
  version: string;
  /** What is at the chart's address with `.prov` behind it; undefined when nothing is. */
  provenance: Uint8Array | undefined;
  /** `namespace/name` of the Secret of spec.verify.secretRef, and its data. */
  secretName: string;
  secret: SecretData;
}

/** A signature may have been made by a clock that is a little ahead. */
const clockSkewMs = 5 * 60_000;

const files = z.object({ files: z.record(z.string(), z.string()) });

/**
 * Gives the message for the condition SourceVerified. Fails with ChartVerificationError, in a message that names the file
 * and the keys that were tried.
 */
export async function verifyProvenance(options: VerifyProvenanceOptions): Promise<VerifiedRevision> {
  const { chart, fileName, version, provenance, secretName, secret } = options;
  const keys = await trustedKeys(secretName, secret);
  const tried = keys.map(({ name }) => `"${name}"`).join(', ');
  const refuse = (what: string, cause?: unknown): Error =>
    failure(
      'ChartVerificationError',
      `chart "${fileName}" cannot be verified with ${tried} of Secret "${secretName}": ${what}`,
      { cause },
    );
  if (!provenance) {
    throw refuse(
      `there is no "${fileName}.prov" beside it: package it with "helm package --sign" and publish both files`,
    );
  }
  if (provenance.byteLength > maxProvenanceBytes)
    throw refuse(`its provenance file is over ${maxProvenanceBytes} bytes`);
  let signed: { text: string; name: string };
  try {
    signed = await openSigned(Buffer.from(provenance).toString('utf8'), keys);
  } catch (error) {
    throw refuse(messageOf(error), error);
  }
  const expected = digestsOf(signed.text)?.[fileName];
  if (expected === undefined) throw refuse('its provenance file does not name it');
  const actual = `sha256:${createHash('sha256').update(chart).digest('hex')}`;
  if (expected !== actual)
    throw refuse(`its provenance file is of another content: expected ${expected}, got ${actual}`);
  return { message: `verified signature of version ${version} with key "${signed.name}"` };
}

interface TrustedKey {
  /** In the Secret. */
  name: string;
  keys: PublicKey[];
}

/** Every entry of the Secret that holds OpenPGP keys, armored or a binary keyring. */
async function trustedKeys(secretName: string, secret: SecretData): Promise<TrustedKey[]> {
  const origin = `Secret "${secretName}"`;
  if (!secret) throw failure('ChartVerificationError', `${origin} named by spec.verify.secretRef does not exist`);
  const keys: TrustedKey[] = [];
  const problems: string[] = [];
  for (const [name, content] of Object.entries(secret).sort(([one], [other]) => (one < other ? -1 : 1))) {
    try {
      keys.push({ name, keys: await parsePgpPublicKeys(content) });
    } catch (error) {
      problems.push(`"${name}": ${messageOf(error)}`);
    }
  }
  if (keys.some((entry) => entry.keys.length > 0)) return keys;
  const found = problems.length > 0 ? problems.join('; ') : 'it is empty';
  throw failure(
    'ChartVerificationError',
    `${origin} named by spec.verify.secretRef has no OpenPGP public key: ${found}`,
  );
}

/** The signed text, and the entry of the Secret whose key signed it. Throws an error that says why it is not accepted. */
async function openSigned(text: string, trusted: readonly TrustedKey[]): Promise<{ text: string; name: string }> {
  const { readCleartextMessage, verify } = await import('openpgp');
  const message = await readCleartextMessage({ cleartextMessage: text }).catch((error: unknown) => {
    throw new Error(`its provenance file is no signed message (${messageOf(error)})`, { cause: error });
  });
  const { signatures, data } = await verify({
    message,
    verificationKeys: trusted.flatMap(({ keys }) => keys),
    date: new Date(Date.now() + clockSkewMs),
  });
  const refusals: string[] = [];
  for (const signature of signatures) {
    const by = trusted.find(({ keys }) => keys.some((key) => key.getKeys(signature.keyID).length > 0));
    if (!by) {
      refusals.push(`it is signed by PGP key ${signature.keyID.toHex().toUpperCase()}, which is not a trusted key`);
      continue;
    }
    try {
      await signature.verified;
      return { text: data, name: by.name };
    } catch (error) {
      const key = by.keys.find((one) => one.getKeys(signature.keyID).length > 0);
      const named = key ? fingerprintOfPgpKey(key) : '';
      refusals.push(`its signature by PGP key ${named} is not valid: ${messageOf(error).split('\n')[0] ?? ''}`);
    }
  }
  throw new Error(refusals[0] ?? 'its provenance file has no signature');
}

/** File name → `sha256:<hex>`; it stands behind the metadata of the chart and a line with three dots. */
function digestsOf(text: string): Record<string, string> | undefined {
  const last = text.split(/\r?\n\.\.\.\r?\n/).at(-1) ?? '';
  try {
    const parsed = files.safeParse(parse(last, { maxAliasCount: 0 }));
    return parsed.success ? parsed.data.files : undefined;
  } catch {
    return undefined;
  }
}
