// Which artifact an object is made from, or why there is none (contract 2.1, steps 3 and 4).
import { isWatchedKind, type FluxObjects } from '../../k8s/flux-objects.ts';
import type { KubeObject } from '../../k8s/object.ts';
import type { Obstacle } from '../../workflows/decisions/obstacle.ts';
import type { Artifact } from '../artifact/artifact.ts';
import type { SourceObject } from '../source/source-driver.ts';
import type { ArtifactRef } from './observation.ts';

/** Contract 7: --requeue-dependency. A wake of the source comes long before. */
export const requeueDependencyMs = 30_000;
/** A source that was made a moment ago and was not reconciled yet is given so long before its absence is told. */
const freshSourceMs = 5_000;
const awaitFreshMs = 1_000;
const maxOriginRevision = 200;

export interface SourceLookup {
  objects: FluxObjects;
  isCrossNamespaceAllowed: boolean;
  /** @default true */
  isExternalArtifactAllowed?: boolean;
}

/** Why an object may not be made from a source, whether that exists or not; undefined when it may. */
export function accessRefusal(
  { kind, namespace, name }: { kind: string; namespace: string; name: string },
  ownNamespace: string | undefined,
  { isCrossNamespaceAllowed, isExternalArtifactAllowed = true }: Omit<SourceLookup, 'objects'>,
): Obstacle | undefined {
  const subject = `${kind}/${namespace}/${name}`;
  if (namespace !== ownNamespace && !isCrossNamespaceAllowed) {
    const message = `can't access '${subject}', cross-namespace references have been blocked`;
    return { reason: 'AccessDenied', message };
  }
  if (kind === 'ExternalArtifact' && !isExternalArtifactAllowed) {
    const message = `can't access '${subject}', sources of kind ExternalArtifact are turned off`;
    return { reason: 'AccessDenied', message };
  }
  return undefined;
}

/** Anything with a `spec.sourceRef`; without a namespace the source is in the object's own. */
type Consumer = KubeObject & { spec: { sourceRef: { kind: string; name: string; namespace?: string } } };

export async function sourceOf(
  object: Consumer,
  deps: SourceLookup,
): Promise<ArtifactRef | Obstacle | { awaitMs: number }> {
  const { kind, name, namespace = object.metadata.namespace ?? '' } = object.spec.sourceRef;
  const subject = `${kind}/${namespace}/${name}`;
  const refusal = accessRefusal({ kind, namespace, name }, object.metadata.namespace, deps);
  if (refusal) return refusal;
  const source = isWatchedKind(kind)
    ? ((await deps.objects.get(kind, { namespace, name })) as SourceObject | undefined)
    : undefined;
  if (!source) {
    return { reason: 'ArtifactFailed', message: `Source '${subject}' not found: create it, or correct spec.sourceRef` };
  }
  const artifact = source.status?.artifact;
  if (!artifact) {
    return (
      awaitFresh(source) ?? {
        reason: 'ArtifactFailed',
        message: `Source artifact not found, retrying in ${requeueDependencyMs / 1000}s`,
        retryInMs: requeueDependencyMs,
      }
    );
  }
  return artifactRefOf(artifact);
}

/** So long a source that was made a moment ago, and was not reconciled yet, is waited for without a word. */
export function awaitFresh({ metadata, status }: SourceObject): { awaitMs: number } | undefined {
  const ageMs = Date.now() - Date.parse(metadata.creationTimestamp ?? '');
  const isReconciled = (status?.conditions?.length ?? 0) > 0;
  return !isReconciled && ageMs < freshSourceMs ? { awaitMs: awaitFreshMs } : undefined;
}

/** What consumers need of an artifact. */
export function artifactRefOf({ digest, url, revision, lastUpdateTime, metadata }: Artifact): ArtifactRef {
  // Long ones are cut: whoever makes an artifact writes it, and it enters histories.
  const originRevision = metadata?.['org.opencontainers.image.revision']?.slice(0, maxOriginRevision);
  return { digest, url, revision, updatedAt: lastUpdateTime, ...(originRevision ? { originRevision } : {}) };
}
