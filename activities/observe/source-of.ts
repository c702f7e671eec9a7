// Which artifact a Kustomization reconciles, or why there is none (contract 2.1, steps 3 and 4).
import type { Kustomization } from '../../k8s/api/kustomization.ts';
import type { GitRepository } from '../../k8s/api/git-repository.ts';
import type { FluxObjects } from '../../k8s/flux-objects.ts';
import type { Obstacle } from '../../workflows/decisions/obstacle.ts';
import type { ArtifactRef } from './observation.ts';

/** Contract 7: --requeue-dependency. A wake of the source comes long before. */
const requeueDependencyMs = 30_000;
/** A source that was made a moment ago and was not reconciled yet is given so long before its absence is told. */
const freshSourceMs = 5_000;
const awaitFreshMs = 1_000;

export async function sourceOf(
  object: Kustomization,
  deps: { objects: FluxObjects; isCrossNamespaceAllowed: boolean },
): Promise<ArtifactRef | Obstacle | { awaitMs: number }> {
  const { sourceRef } = object.spec;
  const namespace = sourceRef.namespace ?? object.metadata.namespace ?? '';
  const subject = `${sourceRef.kind}/${namespace}/${sourceRef.name}`;
  if (namespace !== object.metadata.namespace && !deps.isCrossNamespaceAllowed) {
    return {
      reason: 'AccessDenied',
      message: `can't access '${subject}', cross-namespace references have been blocked`,
    };
  }
  if (sourceRef.kind !== 'GitRepository') {
    return {
      reason: 'ArtifactFailed',
      message: `source '${subject}' is of a kind that this version of Continuo does not reconcile yet; use a GitRepository`,
    };
  }
  const source = (await deps.objects.get('GitRepository', { namespace, name: sourceRef.name })) as
    | GitRepository
    | undefined;
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
  };
}
