// Which artifact an object is made from, or why there is none (contract 2.1, steps 3 and 4).
import { isWatchedKind, type FluxObjects } from '../../k8s/flux-objects.ts';
import type { KubeObject } from '../../k8s/object.ts';
import type { Obstacle } from '../../workflows/decisions/obstacle.ts';
import type { SourceObject } from '../source/source-driver.ts';
import type { ArtifactRef } from './observation.ts';

/** Contract 7: --requeue-dependency. A wake of the source comes long before. */
const requeueDependencyMs = 30_000;
/** A source that was made a moment ago and was not reconciled yet is given so long before its absence is told. */
const freshSourceMs = 5_000;
const awaitFreshMs = 1_000;

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
    const ageMs = Date.now() - Date.parse(source.metadata.creationTimestamp ?? '');
    const isReconciled = (source.status?.conditions?.length ?? 0) > 0;
    if (!isReconciled && ageMs < freshSourceMs) return { awaitMs: awaitFreshMs };
    return {
      reason: 'ArtifactFailed',
      message: `Source artifact not found, retrying in ${requeueDependencyMs / 1000}s`,
      retryInMs: requeueDependencyMs,
    };
  }
  return {
    digest: artifact.digest,
    url: artifact.url,
    revision: artifact.revision,
    updatedAt: artifact.lastUpdateTime,
    ...originRevisionOf(artifact),
  };
}

/** Long ones are cut: whoever makes an artifact writes it, and it enters histories. */
function originRevisionOf({ metadata }: { metadata?: Record<string, string> }): { originRevision?: string } {
  const originRevision = metadata?.['org.opencontainers.image.revision']?.slice(0, maxOriginRevision);
  return originRevision ? { originRevision } : {};
}

const maxOriginRevision = 200;
