// spec.verify of a GitRepository: the commit, the tag or both must be signed by a key of a Secret (contract 1.1). Takes
// objects that were fetched; what a server says of them counts for nothing here, only their ids do.
import { createHash } from 'node:crypto';
import type { PublicKey } from 'openpgp';
import type { GitRepository, GitRepositorySpec } from '../../../k8s/api/git-repository.ts';
import { failure, messageOf } from '../../errors.ts';
import type { SecretData } from '../http/tls-secret.ts';
import type { VerifiedRevision } from '../source-driver.ts';
import type { ObjectStore } from './object-store.ts';
import { headersOfTag, signatureOfCommit, signatureOfTag, type SignedObject } from './signature-of-object.ts';
import { fingerprintOfPgpKey, parsePgpPublicKeys, verifyPgpSignature } from './signature-pgp.ts';
import { parseSshPublicKeys, type SshPublicKey, verifySshSignature } from './signature-ssh.ts';

export type VerificationMode = 'HEAD' | 'Tag' | 'TagAndHEAD';

type ReadObjects = Pick<ObjectStore, 'readObject'>;

/** What was fetched, and what led to it. */
export interface FetchedObjects {
  commit: string;
  revision: string;
  /** Full name of the ref. */
  refName?: string;
  /** Id of the tag object, when the ref is an annotated tag. */
  tag?: string;
}

/** The keys of the Secret of spec.verify. */
export interface TrustedKeys {
  /** For messages: `Secret "apps/keys"`. */
  origin: string;
  pgp: readonly PublicKey[];
  ssh: readonly SshPublicKey[];
}

/** A tag may name a tag; nobody needs more than a few. */
const maxTagDepth = 5;

/** The mode of spec.verify, HEAD by default. Fails with InvalidVerificationMode for one that is unknown. */
export function verificationModeOf({ mode = 'HEAD' }: NonNullable<GitRepositorySpec['verify']>): VerificationMode {
  const known: readonly string[] = ['HEAD', 'Tag', 'TagAndHEAD'];
  const normal = mode === 'head' ? 'HEAD' : mode;
  if (known.includes(normal)) return normal;
  throw failure(
    'InvalidVerificationMode',
    `spec.verify.mode is "${String(mode)}", expected one of ${known.join(', ')}`,
  );
}

/**
 * True when the signatures that the spec asks for were checked for the artifact in the status: under this very spec and
 * with success. An object without spec.verify must not say any more that something was verified.
 */
export function isVerified({ metadata, spec, status = {} }: GitRepository): boolean {
  if (!spec.verify) return status.sourceVerificationMode === undefined;
  const condition = status.conditions?.find(({ type }) => type === 'SourceVerified');
  return (
    condition?.status === 'True' &&
    condition.observedGeneration === metadata.generation &&
    status.sourceVerificationMode === verificationModeOf(spec.verify)
  );
}

/**
 * Reads the trusted keys, `secretName` as `namespace/name`. Fails with VerificationError when the Secret is missing, empty,
 * or holds something that is no public key: a key that cannot be read must not weaken the check in silence.
 */
export async function trustedKeysOf(secretName: string, data: SecretData): Promise<TrustedKeys> {
  const origin = `Secret "${secretName}"`;
  if (!data) throw failure('VerificationError', `${origin} named by spec.verify.secretRef does not exist`);
  const pgp: PublicKey[] = [];
  const ssh: SshPublicKey[] = [];
  for (const [name, content] of Object.entries(data)) {
    try {
      if (name.endsWith('.sshpub')) ssh.push(...parseSshPublicKeys(Buffer.from(content).toString('utf8')));
      else pgp.push(...(await parsePgpPublicKeys(content)));
    } catch (error) {
      const expected = name.endsWith('.sshpub') ? 'SSH public keys, one a line' : 'PGP public keys';
      const message = `${origin} has a key "${name}" that is not usable as ${expected}: ${messageOf(error)}`;
      throw failure('VerificationError', message, { cause: error });
    }
  }
  if (pgp.length + ssh.length > 0) return { origin, pgp, ssh };
  throw failure(
    'VerificationError',
    `${origin} named by spec.verify.secretRef is empty: put public keys into it, "<name>.asc" for PGP and "<name>.sshpub" for SSH`,
  );
}

/**
 * Checks what the mode asks for. Fails with InvalidGitObject when a tag is demanded and spec.ref leads to none,
 * InvalidTagSignature and InvalidCommitSignature when the signature is missing, by another key, by a key that is expired
 * or revoked, or not of this content.
 */
export async function verifyObjects(
  objects: ReadObjects,
  mode: VerificationMode,
  fetched: FetchedObjects,
  keys: TrustedKeys,
): Promise<VerifiedRevision> {
  const { commit, revision } = fetched;
  const verified: string[] = [];
  if (mode !== 'HEAD') {
    const signer = await verifyTag(objects, fetched, keys);
    verified.push(`tag '${signer.name}' by ${signer.told}`);
  }
  if (mode !== 'Tag') {
    const content = await readChecked(objects, commit, 'commit');
    const told = await signerOf(`commit "${commit}"`, 'InvalidCommitSignature', keys, () => signatureOfCommit(content));
    verified.push(`commit by ${told}`);
  }
  return { mode, message: `verified signature of ${verified.join(' and of ')}, revision '${revision}'` };
}

async function verifyTag(
  objects: ReadObjects,
  { commit, refName, tag }: FetchedObjects,
  keys: TrustedKeys,
): Promise<{ name: string; told: string }> {
  if (!refName?.startsWith('refs/tags/')) {
    throw failure(
      'InvalidGitObject',
      'spec.verify asks for a signed tag, and spec.ref names none: set spec.ref.tag or spec.ref.semver, or mode HEAD',
    );
  }
  const ref = refName.slice('refs/tags/'.length);
  if (!tag) {
    throw failure(
      'InvalidGitObject',
      `spec.verify asks for a signed tag, and "${ref}" is a lightweight one: make it with "git tag -s"`,
    );
  }
  const subject = `tag "${ref}"`;
  const content = await readChecked(objects, tag, 'tag');
  const told = await signerOf(subject, 'InvalidTagSignature', keys, () => signatureOfTag(content));
  const { name } = headersOfTag(content);
  const named = await commitOfTag(objects, content);
  if (named !== commit) {
    throw failure(
      'InvalidTagSignature',
      `${subject} is signed for commit "${named}", the server gives "${commit}" for it`,
    );
  }
  return { name, told };
}

/** The commit that a tag leads to, by the ids in what is signed. */
async function commitOfTag(objects: ReadObjects, content: Buffer): Promise<string> {
  let tag = content;
  for (let depth = 0; depth < maxTagDepth; depth++) {
    const { object, type } = headersOfTag(tag);
    if (type !== 'tag') return object;
    tag = await readChecked(objects, object, 'tag');
  }
  throw failure('InvalidGitObject', `the tag names a tag, and so on for more than ${maxTagDepth} steps`);
}

/** Who signed, in words. */
async function signerOf(
  subject: string,
  reason: 'InvalidCommitSignature' | 'InvalidTagSignature',
  keys: TrustedKeys,
  find: () => SignedObject | undefined,
): Promise<string> {
  try {
    const signed = find();
    if (signed) return await checkSignature(signed, keys);
  } catch (error) {
    throw failure(reason, `${subject}: ${messageOf(error)}; trusted are ${namesOf(keys)}`, { cause: error });
  }
  const how = reason === 'InvalidTagSignature' ? 'git tag -s' : 'git commit -S';
  throw failure(reason, `${subject} is not signed: sign it ("${how}") with ${namesOf(keys)}`);
}

async function checkSignature({ signature, format, payload }: SignedObject, keys: TrustedKeys): Promise<string> {
  switch (format) {
    case 'pgp': {
      const { fingerprint, identity } = await verifyPgpSignature(signature, payload, keys.pgp);
      return `PGP key '${fingerprint}'${identity ? ` (${identity})` : ''}`;
    }
    case 'ssh': {
      const { fingerprint, comment } = verifySshSignature(signature, payload, keys.ssh);
      return `SSH key '${fingerprint}'${comment ? ` (${comment})` : ''}`;
    }
    case 'x509':
      throw new Error('its signature is by an X.509 certificate, expected PGP or SSH');
    default:
      throw new Error('its signature has an unknown format, expected PGP or SSH');
  }
}

const namedKeys = 5;

/** The trusted keys in words: what to sign with, or what is missing. */
function namesOf({ origin, pgp, ssh }: TrustedKeys): string {
  const names = [
    ...pgp.map((key) => `PGP ${fingerprintOfPgpKey(key)}`),
    ...ssh.map(({ fingerprint }) => `SSH ${fingerprint}`),
  ];
  const more = names.length > namedKeys ? ` and ${names.length - namedKeys} more` : '';
  return `the keys of ${origin} (${names.slice(0, namedKeys).join(', ')}${more})`;
}

/** An object whose content is what its id says. Only this ties a signature to the files of the artifact. */
async function readChecked(objects: ReadObjects, oid: string, type: 'commit' | 'tag'): Promise<Buffer> {
  const { type: found, content } = await objects.readObject(oid);
  const id = createHash('sha1').update(`${found} ${content.length}\0`).update(content).digest('hex');
  if (found === type && id === oid) return content;
  throw failure('InvalidGitObject', `object "${oid}" is a ${found} with id "${id}", expected a ${type} with this id`);
}
