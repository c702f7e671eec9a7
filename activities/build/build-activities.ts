// The build stage as an activity, and the question "would a build give something new?" as a plain function.
import { cancellationSignal } from '@temporalio/activity';
import type { KubeObject, NamespacedName } from '../../k8s/object.ts';
import { subjectOf } from '../../k8s/object.ts';
import type { Artifact, UnpackedArtifact, UnpackedArtifacts } from '../artifact/artifact.ts';
import type { ManifestStore } from '../artifact/manifests.ts';
import { failure } from '../errors.ts';
import { type BuildOptions, buildObjects, planBuild } from './build-manifests.ts';
import { buildSpecOf } from './build-spec.ts';
import { type DecryptionDependencies, loadDecryption } from './decryption/decryption.ts';
import { resolveSubstitution, type SubstitutionDependencies, substituteObjects } from './substitution/substitution.ts';

export interface BuildDependencies extends BuildOptions, DecryptionDependencies, SubstitutionDependencies {
  unpacked: UnpackedArtifacts;
  manifests: ManifestStore;
  /** The Kustomization as the caches hold it, or undefined when it does not exist. */
  kustomization(ref: NamespacedName): KubeObject | undefined | Promise<KubeObject | undefined>;
}

export interface BuildManifestsInput {
  kustomization: NamespacedName;
  /** `metadata.generation` that the build is for. */
  generation: number;
  artifact: Pick<Artifact, 'digest' | 'url' | 'revision'>;
}

export interface BuildManifestsResult {
  /** Digest under which the manifest store has the objects. */
  manifestsDigest: string;
  count: number;
  /** Absent when a remote base makes every build a new one. */
  buildKey?: string;
  /** True when nothing had to be built. */
  isCached: boolean;
}

/** What {@link createFindBuilt} knows of a build that need not be done. */
export interface FoundBuild {
  manifestsDigest: string;
  count: number;
  buildKey: string;
}

/** The activities of the build stage. */
export interface BuildActivities {
  /**
   * Builds the manifests of a Kustomization and stores them; gives only their digest, as manifests may hold secrets.
   * Fails with ArtifactFailed (artifact or path), BuildFailed, StorageOperationFailed.
   */
  buildManifests(input: BuildManifestsInput): Promise<BuildManifestsResult>;
}

export function createBuildActivities(deps: BuildDependencies): BuildActivities {
  async function buildManifests(input: BuildManifestsInput): Promise<BuildManifestsResult> {
    return buildKustomization(deps, input, cancellationSignal());
  }
  return { buildManifests };
}

/** {@link BuildActivities.buildManifests} without Temporal around it. */
export async function buildKustomization(
  deps: BuildDependencies,
  input: BuildManifestsInput,
  signal?: AbortSignal,
): Promise<BuildManifestsResult> {
  const kustomization = await deps.kustomization(input.kustomization);
  if (!kustomization) {
    const subject = subjectOf({ kind: 'Kustomization', ...input.kustomization });
    throw failure('BuildFailed', `${subject} does not exist any more`, { subject });
  }
  const generation = kustomization.metadata.generation ?? 0;
  if (generation < input.generation) {
    // The cache of this worker is behind; the watch brings the spec within moments.
    const message = `Kustomization is known at generation ${generation}, expected ${input.generation}`;
    throw failure('BuildFailed', message, { isTransient: true });
  }
  const spec = buildSpecOf(kustomization);
  const artifact = await deps.unpacked.get(input.artifact, signal);
  const decryption = await loadDecryption(kustomization, deps);
  const substitution = await resolveSubstitution(kustomization, deps);
  const others = { decryption: decryption?.digest, substitution: substitution?.digest };
  const plan = planBuild(artifact, spec, deps, others);
  const { buildKey } = plan;
  const known = buildKey ? await deps.manifests.lookup(buildKey) : undefined;
  if (known) return { manifestsDigest: known.digest, count: known.count, buildKey, isCached: true };
  const objects = await buildObjects(artifact, spec, plan, deps, signal, decryption);
  const stored = await deps.manifests.put(
    substitution ? await substituteObjects(objects, substitution, signal) : objects,
  );
  if (buildKey) await deps.manifests.remember(buildKey, stored);
  return { manifestsDigest: stored.digest, count: stored.count, buildKey, isCached: false };
}

/**
 * A function that tells at once whether a new artifact changes anything for a Kustomization: the manifests that a build
 * would give if they were built before, else undefined. It reads kustomization files it has not seen yet, what
 * `decryption.secretRef` and `postBuild.substituteFrom` name and, after a restart, the remembered digest; it starts no
 * process and never throws: what is wrong is for the build to say.
 */
export function createFindBuilt(
  deps: BuildOptions &
    DecryptionDependencies &
    SubstitutionDependencies & { manifests: Pick<ManifestStore, 'peekKey' | 'lookup'> },
): (kustomization: KubeObject, unpacked: UnpackedArtifact) => Promise<FoundBuild | undefined> {
  return async (kustomization, unpacked) => {
    try {
      const decryption = await loadDecryption(kustomization, deps);
      const substitution = await resolveSubstitution(kustomization, deps);
      const others = { decryption: decryption?.digest, substitution: substitution?.digest };
      const { buildKey } = planBuild(unpacked, buildSpecOf(kustomization), deps, others);
      if (!buildKey) return undefined;
      const known = deps.manifests.peekKey(buildKey) ?? (await deps.manifests.lookup(buildKey));
      return known ? { manifestsDigest: known.digest, count: known.count, buildKey } : undefined;
    } catch {
      return undefined;
    }
  };
}
