// Signatures of the Notary Project that refer to an artifact, checked with the trust policy and the certificates of a
// Secret (contract 1.2, verify).
import { X509Certificate } from 'node:crypto';
import { messageOf } from '../../../errors.ts';
import {
  maxSignatureBytes,
  maxSignatures,
  referringManifests,
  type SignedArtifact,
  signatureBlob,
} from './signature-manifests.ts';
import type { SignatureOutcome } from './signature-outcome.ts';
import { applicableStatement, parseTrustPolicy } from './notation/trust-policy.ts';
import { type NotationSignature, type Target, verifyNotationSignature } from './notation/verify-signature.ts';

const artifactType = 'application/vnd.cncf.notary.signature';
const policyKey = 'trustpolicy.json';

/** `origin` names the Secret, for messages. Fails as the registry does. */
export async function verifyNotation(
  artifact: SignedArtifact,
  origin: string,
  data: Readonly<Record<string, Uint8Array>>,
  now: Date,
): Promise<SignatureOutcome> {
  const policy = data[policyKey];
  if (!policy) return { problems: [`${origin} has no key "${policyKey}"`] };
  const repository = `${artifact.client.host}/${artifact.repository}`;
  let statement: ReturnType<typeof applicableStatement>;
  try {
    statement = applicableStatement(parseTrustPolicy(Buffer.from(policy).toString('utf8')), repository);
  } catch (error) {
    return { problems: [`"${policyKey}" of ${origin} is not valid: ${messageOf(error)}`] };
  }
  if (!statement) return { problems: [`"${policyKey}" of ${origin} has no statement for the scope "${repository}"`] };
  if (statement.level === 'skip') return { ignored: `the trust policy "${statement.name}" skips verification` };

  const { certificates, problems } = certificatesOf(data);
  const tried = `against the trust policy "${statement.name}" and ${listOf(certificates)} of ${origin}`;
  if (certificates.length === 0 || problems.length > 0) {
    const missing = certificates.length === 0 ? [`${origin} has no certificate under a key "*.crt" or "*.pem"`] : [];
    return { problems: [...missing, ...problems.map((problem) => `${origin}: ${problem}`)] };
  }
  const trusted = certificates.flatMap((file) => file.certificates);
  const target = await artifact.client.resolve(artifact.repository, artifact.digest, artifact.signal);
  const found: string[] = [];
  for await (const { signature, digest } of notationSignatures(artifact)) {
    const verdict = verifyNotationSignature(signature, targetOf(artifact, target), statement, trusted, now);
    if (verdict.refused !== undefined) {
      found.push(`signature ${digest}: ${verdict.refused}`);
      continue;
    }
    const { authenticity } = verdict.logged;
    if (authenticity === undefined) return { verifiedBy: `notation trust policy "${statement.name}"` };
    return { ignored: `the trust policy "${statement.name}" does not enforce authenticity: ${authenticity}` };
  }
  if (found.length === 0) {
    found.push('no signature of the Notary Project refers to it: sign it with "notation sign"');
  }
  return { problems: found, tried };
}

function targetOf({ digest }: SignedArtifact, { mediaType, size }: Target): Target {
  return { digest, mediaType, size };
}

async function* notationSignatures(
  artifact: SignedArtifact,
): AsyncIterable<{ signature: NotationSignature; digest: string }> {
  const manifests = await referringManifests(artifact, (type) => type === artifactType);
  let count = 0;
  for (const { manifest, digest } of manifests) {
    // The type is that of the manifest, or of its config in the older form.
    const type = manifest.artifactType ?? manifest.config?.mediaType;
    const [layer] = manifest.layers ?? [];
    if (type !== artifactType || !layer || layer.size > maxSignatureBytes || count++ >= maxSignatures) continue;
    yield { signature: { mediaType: layer.mediaType, envelope: await signatureBlob(artifact, layer) }, digest };
  }
}

interface CertificateFile {
  name: string;
  certificates: X509Certificate[];
}

/** The certificates under `*.crt` and `*.pem`, PEM or DER, several in one file. */
function certificatesOf(data: Readonly<Record<string, Uint8Array>>): {
  certificates: CertificateFile[];
  problems: string[];
} {
  const certificates: CertificateFile[] = [];
  const problems: string[] = [];
  for (const name of Object.keys(data).sort()) {
    if (!/\.(crt|pem)$/.test(name)) continue;
    try {
      certificates.push({ name, certificates: parseCertificates(Buffer.from(data[name] ?? [])) });
    } catch {
      problems.push(`"${name}" holds no certificate`);
    }
  }
  return { certificates, problems };
}

function parseCertificates(bytes: Buffer): X509Certificate[] {
  const blocks = bytes.toString('latin1').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  return (blocks ?? [bytes]).map((block) => new X509Certificate(block));
}

function listOf(files: readonly CertificateFile[]): string {
  return files.map(({ name }) => `"${name}"`).join(', ');
}
