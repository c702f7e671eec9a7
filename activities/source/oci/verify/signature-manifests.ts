// What a registry holds beside an artifact to sign it: the manifests that refer to it, and the blobs in them.
import type { Descriptor, PulledManifest, RegistryClient } from '../registry-client.ts';
import { RegistryError } from '../registry-error.ts';

/** An artifact of a registry, and how to reach it. */
export interface SignedArtifact {
  client: Pick<RegistryClient, 'host' | 'resolve' | 'manifest' | 'blob' | 'referrers'>;
  /** The path without the host. */
  repository: string;
  /** `sha256:<hex>` of the manifest. */
  digest: string;
  signal: AbortSignal;
}

/** Most signatures of one artifact that are looked at; whoever may push could attach any number. */
export const maxSignatures = 50;
/** Largest signature that is read, 1 MiB: envelopes have a few kilobytes, and what is larger is an attestation with a payload. */
export const maxSignatureBytes = 1024 * 1024;

/** `<host>/<repository>@<digest>`, for messages. */
export function nameOfArtifact({ client, repository, digest }: SignedArtifact): string {
  return `${client.host}/${repository}@${digest}`;
}

/** The manifest of a tag or digest; undefined when there is none. */
export async function findManifest(
  { client, repository, signal }: SignedArtifact,
  reference: string,
): Promise<PulledManifest | undefined> {
  try {
    return await client.manifest(repository, reference, signal);
  } catch (error) {
    if (error instanceof RegistryError && error.problem === 'notFound') return undefined;
    throw error;
  }
}

/** The manifests that name the artifact as their subject, those of the given type or without a type. */
export async function referringManifests(
  artifact: SignedArtifact,
  isWanted: (artifactType: string) => boolean,
): Promise<PulledManifest[]> {
  const { client, repository, digest, signal } = artifact;
  const listed = await client.referrers(repository, digest, undefined, signal);
  const wanted = listed.filter(({ artifactType }) => typeof artifactType !== 'string' || isWanted(artifactType));
  const manifests: PulledManifest[] = [];
  for (const descriptor of wanted.slice(0, maxSignatures)) {
    const pulled = await findManifest(artifact, descriptor.digest);
    if (pulled) manifests.push(pulled);
  }
  return manifests;
}

/** A blob that a signature's manifest names, 1 MiB at most. */
export async function signatureBlob(
  { client, repository, signal }: SignedArtifact,
  { digest }: Descriptor,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of client.blob(repository, digest, signal, maxSignatureBytes)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
