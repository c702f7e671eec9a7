// What the status of an object of ours says: ready, still going on, failed (and tried again), or stalled.
import type { Condition } from '../k8s/api/shared/status.ts';
import type { KubeObject } from '../k8s/object.ts';

/** The fields of status that the CLI reads of any kind. */
export interface AnyStatus {
  conditions?: Condition[];
  observedGeneration?: number;
  lastHandledReconcileAt?: string;
}

export interface Readiness {
  state: 'ready' | 'progressing' | 'failed' | 'stalled';
  reason: string;
  message: string;
}

export function statusOf(object: KubeObject): AnyStatus {
  return object['status'] ?? {};
}

export function conditionOf(object: KubeObject, type: string): Condition | undefined {
  return statusOf(object).conditions?.find((condition) => condition.type === type);
}

export function isSuspended(object: KubeObject): boolean {
  if (object.metadata.annotations?.['source.extensions.fluxcd.io/reconcile'] === 'disabled') return true;
  return (object['spec'] as { suspend?: boolean } | undefined)?.suspend === true;
}

/** How the object stands with the spec that it has now (contract 3, "Ready wait"). */
export function readinessOf(object: KubeObject): Readiness {
  const ready = conditionOf(object, 'Ready');
  const stalled = conditionOf(object, 'Stalled');
  const told = { reason: ready?.reason ?? '', message: ready?.message ?? 'waiting to be reconciled' };
  if (stalled?.status === 'True') return { state: 'stalled', reason: stalled.reason, message: stalled.message };
  if (!ready) return { state: 'progressing', ...told };
  const generation = object.metadata.generation ?? 0;
  const observed = ready.observedGeneration ?? statusOf(object).observedGeneration;
  const isCurrent = observed === undefined || observed >= generation;
  if (ready.status === 'False' && isCurrent) return { state: 'failed', ...told };
  const isReconciling = conditionOf(object, 'Reconciling')?.status === 'True';
  return { state: ready.status === 'True' && isCurrent && !isReconciling ? 'ready' : 'progressing', ...told };
}
