// Where cosign puts signatures, and what is signed in each layout: the tag `sha256-<hex>.sig` with simple signing payloads
// (cosign 1 and 2), and Sigstore bundles that refer to the artifact (cosign 3). Contract 1.2, verify.
import { type Bundle, bundleFromJSON } from '@sigstore/bundle';
import * as z from 'zod';
import { messageOf } from '../../../errors.ts';
import type { Descriptor } from '../registry-client.ts';
import {
  findManifest,
  maxSignatureBytes,
  maxSignatures,
  referringManifests,
  type SignedArtifact,
  signatureBlob,
} from './signature-manifests.ts';

/** A signature over a simple signing payload. */
export interface SimpleSignature {
  layout: 'simple';
  payload: Buffer;
  signature: Buffer;
  /** Of the layer: certificate, chain and log entry of a keyless signature. */
  annotations: Readonly<Record<string, string>>;
}

/** A signature in a Sigstore bundle, over an in-toto statement. */
export interface BundledSignature {
  layout: 'bundle';
  bundle: Bundle;
}

export type CosignSignature = (SimpleSignature | BundledSignature) & {
  /** Where it was found, for messages. */
  origin: string;
};

/** What was found, and what looked like a signature and cannot be read. */
export interface FoundSignatures {
  signatures: CosignSignature[];
  unreadable: string[];
}

const simpleSigningType = 'application/vnd.dev.cosign.simplesigning.v1+json';
const bundleTypePrefix = 'application/vnd.dev.sigstore.bundle';
const cosignTypePrefix = 'application/vnd.dev.cosign';
const signatureAnnotation = 'dev.cosignproject.cosign/signature';

/** The tag under which cosign 1 and 2 keep the signatures of an artifact. */
export function signatureTagOf(digest: string): string {
  return `${digest.replace(':', '-')}.sig`;
}

/** Every signature of the artifact, in both layouts. Fails as the registry does. */
export async function findCosignSignatures(artifact: SignedArtifact): Promise<FoundSignatures> {
  const found: FoundSignatures = { signatures: [], unreadable: [] };
  const isCosign = (type: string): boolean => type.startsWith(bundleTypePrefix) || type.startsWith(cosignTypePrefix);
  for (const { digest, manifest } of await referringManifests(artifact, isCosign)) {
    await readLayers(artifact, manifest.layers ?? [], `the referrer ${digest}`, found);
  }
  const tag = signatureTagOf(artifact.digest);
  const tagged = await findManifest(artifact, tag);
  if (tagged) await readLayers(artifact, tagged.manifest.layers ?? [], `the tag "${tag}"`, found);
  return found;
}

async function readLayers(
  artifact: SignedArtifact,
  layers: readonly Descriptor[],
  origin: string,
  found: FoundSignatures,
): Promise<void> {
  for (const layer of layers) {
    if (found.signatures.length + found.unreadable.length >= maxSignatures) return;
    const isSimple = layer.mediaType === simpleSigningType;
    if (!isSimple && !layer.mediaType.startsWith(bundleTypePrefix)) continue;
    if (layer.size > maxSignatureBytes) {
      found.unreadable.push(`${origin} has ${layer.size} bytes, more than the ${maxSignatureBytes} allowed`);
    } else if (isSimple) {
      const signature = layer.annotations?.[signatureAnnotation];
      if (typeof signature !== 'string' || !signature) {
        found.unreadable.push(`${origin} has a payload without the annotation "${signatureAnnotation}"`);
        continue;
      }
      found.signatures.push({
        layout: 'simple',
        payload: await signatureBlob(artifact, layer),
        signature: Buffer.from(signature, 'base64'),
        annotations: layer.annotations ?? {},
        origin,
      });
    } else {
      const content = await signatureBlob(artifact, layer);
      try {
        found.signatures.push({
          layout: 'bundle',
          bundle: bundleFromJSON(JSON.parse(content.toString('utf8'))),
          origin,
        });
      } catch (error) {
        found.unreadable.push(`${origin} is no Sigstore bundle (${messageOf(error)})`);
      }
    }
  }
}

const simplePayload = z.object({
  critical: z.object({
    type: z.string(),
    image: z.object({ 'docker-manifest-digest': z.string() }),
  }),
});
const statement = z.object({
  subject: z.array(z.object({ digest: z.record(z.string(), z.string()) })),
});
const statementType = 'application/vnd.in-toto+json';

/**
 * What is wrong with what a signature says, signature aside: it has to be about the artifact of this digest. Undefined
 * when it is.
 */
export function claimProblem(signature: CosignSignature, digest: string): string | undefined {
  const claimed = signature.layout === 'simple' ? claimOfPayload(signature.payload) : claimsOfBundle(signature.bundle);
  if (typeof claimed === 'string') return claimed;
  return claimed.digests.includes(digest) ? undefined : `it signs ${claimed.digests.join(', ') || 'nothing'}`;
}

function claimOfPayload(payload: Buffer): { digests: string[] } | string {
  const parsed = simplePayload.safeParse(jsonOf(payload));
  if (!parsed.success) return 'its payload is no simple signing document';
  const { critical } = parsed.data;
  // cosign writes the first; older versions and other signers of the same format write the second.
  if (!['cosign container image signature', 'atomic container signature'].includes(critical.type)) {
    return `its payload is of the type "${critical.type}"`;
  }
  return { digests: [critical.image['docker-manifest-digest']] };
}

function claimsOfBundle({ content }: Bundle): { digests: string[] } | string {
  if (content.$case !== 'dsseEnvelope') return 'its bundle has a bare signature: expected a DSSE envelope';
  const { payload, payloadType } = content.dsseEnvelope;
  if (payloadType !== statementType) return `its envelope holds "${payloadType}": expected "${statementType}"`;
  const parsed = statement.safeParse(jsonOf(payload));
  if (!parsed.success) return 'its envelope holds no in-toto statement';
  return {
    digests: parsed.data.subject.flatMap((subject) =>
      Object.entries(subject.digest).map(([algorithm, hex]) => `${algorithm}:${hex}`),
    ),
  };
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
