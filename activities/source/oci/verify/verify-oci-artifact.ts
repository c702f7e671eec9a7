// Whether the signature of an OCI artifact is what `spec.verify` asks for (contract 1.2 and 1.4, verify). What checks keyless
// signatures and those of notation is loaded when the first of them is checked: it takes megabytes.
import type { TrustedRoot } from '@sigstore/protobuf-specs';
import type { OciVerification } from '../../../../k8s/api/shared/verification.ts';
import { failure, messageOf } from '../../../errors.ts';
import type { SecretData } from '../../http/tls-secret.ts';
import type { VerifiedRevision } from '../../source-driver.ts';
import { RegistryError } from '../registry-error.ts';
import { cosignKeysOf, signingKey } from './cosign-keys.ts';
import type { KeylessCheck } from './cosign-keyless.ts';
import { claimProblem, findCosignSignatures, signatureTagOf } from './cosign-signatures.ts';
import type { PublicRoot } from './public-root.ts';
import { nameOfArtifact, type SignedArtifact } from './signature-manifests.ts';
import type { SignatureOutcome } from './signature-outcome.ts';

export interface VerifyOciArtifactOptions extends SignedArtifact {
  verify: OciVerification;
  /** Of the object, and so of the Secrets that `verify` names. */
  namespace: string;
  readSecret(namespace: string, name: string): Promise<SecretData>;
  /** What is trusted where `verify` names neither keys nor a root. */
  publicRoot: PublicRoot;
  /** How the artifact is called in the condition, such as `revision 1.2.3@sha256:…`. @default `revision <digest>` */
  subject?: string;
  /** Of the failure; charts have their own. @default 'VerificationError' */
  reason?: 'VerificationError' | 'ChartVerificationError';
  /** @default the time of now */
  now?: Date;
}

/**
 * Gives the message for the condition SourceVerified. Fails with `reason`, in a message that names what was looked for
 * and the keys that were tried; transient when the registry could not be reached.
 */
export async function verifyOciArtifact(options: VerifyOciArtifactOptions): Promise<VerifiedRevision> {
  const { verify, subject = `revision ${options.digest}`, reason = 'VerificationError' } = options;
  const name = nameOfArtifact(options);
  let outcome: SignatureOutcome;
  try {
    outcome = verify.provider === 'notation' ? await withNotation(options) : await withCosign(options);
  } catch (error) {
    options.signal.throwIfAborted();
    if (!(error instanceof RegistryError)) throw error;
    const isTransient = error.problem === 'unavailable' || error.problem === 'rateLimited';
    const message = `signatures of "${name}" cannot be read: ${messageOf(error)}`;
    throw failure(reason, message, { cause: error, isTransient });
  }
  if (outcome.verifiedBy !== undefined) {
    return { message: `verified signature of ${subject} with ${outcome.verifiedBy}` };
  }
  if (outcome.ignored !== undefined) {
    return { message: `signature of ${subject} is not verified: ${outcome.ignored}`, isIgnored: true };
  }
  const { problems = [], tried } = outcome;
  throw failure(
    reason,
    `signature of "${name}" cannot be verified by ${verify.provider}${tried ? ` ${tried}` : ''}: ${told(problems)}`,
  );
}

/** The first few, each cut to a length that is read: whoever may push can write any number of pages. */
function told(problems: readonly string[]): string {
  const shown = problems.slice(0, 5).map((problem) => (problem.length > 500 ? `${problem.slice(0, 500)}…` : problem));
  return [...shown, ...(problems.length > 5 ? [`and ${problems.length - 5} more`] : [])].join('; ');
}

async function withNotation(options: VerifyOciArtifactOptions): Promise<SignatureOutcome> {
  const { verify, now = new Date() } = options;
  if (!verify.secretRef) {
    return {
      problems: ['spec.verify.secretRef is missing: expected a Secret with "trustpolicy.json" and certificates'],
    };
  }
  const { origin, data } = await secretOf(options, verify.secretRef.name);
  if (!data) return { problems: [`${origin} named by spec.verify.secretRef does not exist`] };
  const { verifyNotation } = await import('./notation.ts');
  return await verifyNotation(options, origin, data, now);
}

async function withCosign(options: VerifyOciArtifactOptions): Promise<SignatureOutcome> {
  const { verify } = options;
  if (!verify.secretRef) return await withIdentities(options);
  const { origin, data } = await secretOf(options, verify.secretRef.name);
  if (!data) return { problems: [`${origin} named by spec.verify.secretRef does not exist`] };
  const keys = cosignKeysOf(data);
  if (keys.length === 0) return { problems: [`${origin} has no key "*.pub": expected the public keys of cosign`] };
  const usable = keys.filter(({ key }) => key);
  const unusable = keys.flatMap(({ name, problem }) => (problem ? [`"${name}" of ${origin} ${problem}`] : []));
  if (usable.length === 0) return { problems: unusable };

  const { signatures, unreadable } = await findCosignSignatures(options);
  const problems = [...unreadable];
  for (const signature of signatures) {
    const by = signingKey(signature, usable);
    const problem = by ? claimProblem(signature, options.digest) : 'no key fits its signature';
    if (by && problem === undefined) return { verifiedBy: `key "${by.name}"` };
    problems.push(`${signature.origin}: ${problem}`);
  }
  if (problems.length === 0) problems.push(...nothingFound(options.digest));
  const tried = `with ${usable.map(({ name }) => `"${name}"`).join(', ')} of ${origin}`;
  return { problems: [...problems, ...unusable], tried };
}

/** Keyless: trust in a Sigstore instance and in identities that it attests. */
async function withIdentities(options: VerifyOciArtifactOptions): Promise<SignatureOutcome> {
  const { verify } = options;
  const { keylessCheck } = await import('./cosign-keyless.ts');
  const trusted = verify.trustedRootSecretRef
    ? await rootOfSecret(options, verify.trustedRootSecretRef.name)
    : await rootOfPublicInstance(options);
  if ('problem' in trusted) return { problems: [trusted.problem] };
  let check: KeylessCheck;
  try {
    check = keylessCheck(trusted.root, verify.matchOIDCIdentity ?? []);
  } catch (error) {
    return { problems: [`${trusted.name} or spec.verify.matchOIDCIdentity is not valid: ${messageOf(error)}`] };
  }
  const { signatures, unreadable } = await findCosignSignatures(options);
  const problems = [...unreadable];
  for (const signature of signatures) {
    const checked = check(signature);
    const problem = 'problem' in checked ? checked.problem : claimProblem(signature, options.digest);
    if ('signer' in checked && problem === undefined) return { verifiedBy: `the identity ${checked.signer}` };
    problems.push(`${signature.origin}: ${problem}`);
  }
  if (problems.length === 0) problems.push(...nothingFound(options.digest));
  return { problems, tried: `with ${trusted.name}` };
}

const rootKey = 'trusted_root.json';

/** How a trusted root is called in messages, or why there is none. */
type NamedRoot = { root: TrustedRoot; name: string } | { problem: string };

async function rootOfSecret(options: VerifyOciArtifactOptions, secretName: string): Promise<NamedRoot> {
  const { origin, data } = await secretOf(options, secretName);
  if (!data) return { problem: `${origin} named by spec.verify.trustedRootSecretRef does not exist` };
  const text = data[rootKey];
  if (!text) return { problem: `${origin} has no key "${rootKey}"` };
  const name = `the trusted root of ${origin}`;
  const { parseTrustedRoot } = await import('./cosign-keyless.ts');
  try {
    return { root: parseTrustedRoot(Buffer.from(text).toString('utf8')), name };
  } catch (error) {
    return { problem: `"${rootKey}" of ${origin} is not valid: ${messageOf(error)}` };
  }
}

async function rootOfPublicInstance(options: VerifyOciArtifactOptions): Promise<NamedRoot> {
  const { publicRoot, signal, reason = 'VerificationError' } = options;
  const { checkTrustedRoot } = await import('./cosign-keyless.ts');
  try {
    return {
      root: checkTrustedRoot(await publicRoot(signal)),
      name: 'the trusted root of the public Sigstore instance',
    };
  } catch (error) {
    signal.throwIfAborted();
    const next = `set CONTINUO_SIGSTORE_TUF_URL on the worker to a mirror, or name a root in spec.verify.trustedRootSecretRef`;
    const subject = `signature of "${nameOfArtifact(options)}" cannot be verified by cosign without a key`;
    throw failure(reason, `${subject}: ${messageOf(error)}; ${next}`, { cause: error });
  }
}

function nothingFound(digest: string): string[] {
  return [
    `there is no signature, neither a Sigstore bundle that refers to it nor the tag "${signatureTagOf(digest)}": sign it with "cosign sign"`,
  ];
}

async function secretOf(
  { namespace, readSecret }: VerifyOciArtifactOptions,
  name: string,
): Promise<{ origin: string; data: SecretData }> {
  return { origin: `Secret "${namespace}/${name}"`, data: await readSecret(namespace, name) };
}
