// The status of an ArtifactGenerator after a reconcile, as pure functions (contract 1.7). The inventory is written by the
// stage that makes the artifacts.
import type { ArtifactGenerator, ArtifactGeneratorStatus } from '../../k8s/api/artifact-generator.ts';
import { failureWishes, withConditions } from './conditions.ts';

export interface GeneratorContext {
  generation: number;
  /** Value of `reconcile.fluxcd.io/requestedAt` that this answers. */
  request?: string;
  now: string;
}

export function generatorStatusAfterSuccess(
  { status }: Pick<ArtifactGenerator, 'status'>,
  context: GeneratorContext,
  { count, sourcesDigest }: { count: number; sourcesDigest: string },
): ArtifactGeneratorStatus {
  const ready = { type: 'Ready', status: 'True' as const, reason: 'Succeeded', message: generatedMessage(count) };
  return {
    ...status,
    conditions: withConditions(
      status?.conditions,
      [ready],
      ['Reconciling', 'Stalled'],
      context.generation,
      context.now,
    ),
    observedSourcesDigest: sourcesDigest,
    ...(context.request ? { lastHandledReconcileAt: context.request } : {}),
  };
}

/** What was made before stays in the inventory and in use. */
export function generatorStatusAfterFailure(
  { status }: Pick<ArtifactGenerator, 'status'>,
  context: GeneratorContext,
  failed: { reason: string; message: string; isStalled: boolean },
): ArtifactGeneratorStatus {
  return {
    ...status,
    conditions: withConditions(
      status?.conditions,
      failureWishes(failed.reason, failed.message, failed.isStalled),
      [failed.isStalled ? 'Reconciling' : 'Stalled'],
      context.generation,
      context.now,
    ),
    ...(context.request ? { lastHandledReconcileAt: context.request } : {}),
  };
}

export function generatedMessage(count: number): string {
  return `reconciliation succeeded, generated ${count} artifact(s)`;
}
