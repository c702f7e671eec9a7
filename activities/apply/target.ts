// Where an apply goes: a cluster, and the account on whose behalf it is done (contract 2.1, "impersonation").
import { KubeApiError, type KubeClient } from '../../k8s/client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { ClusterError } from '../../k8s/remote-clusters.ts';
import type { WatchCaches } from '../../k8s/watch-cache.ts';
import { failure, messageOf } from '../errors.ts';

export interface ApplyTarget {
  /** Acts as the account that the spec names. */
  client: KubeClient;
  /** The caches of that cluster; without them every apply is a full one. */
  caches?: WatchCaches;
  /** Aborted with the reason as soon as the cluster is away: nothing there is waited for then. */
  lost?: AbortSignal;
  /** What is wrong with the account; undefined when it exists, or when that cannot be told. */
  accountError?(): Promise<string | undefined>;
  /** Called when the work is over. */
  release?(): void;
}

/** Gives the target of an object. Rejects with `ClusterError` when the cluster cannot be used. */
export type TargetOf = (object: KubeObject) => Promise<ApplyTarget> | ApplyTarget;

/** The target, or ReconciliationFailed with why there is none (contract 2.1, step 9). */
export async function openTarget(targetOf: TargetOf, object: KubeObject): Promise<ApplyTarget> {
  try {
    return await targetOf(object);
  } catch (error) {
    if (error instanceof ClusterError) throw failure('ReconciliationFailed', error.message, { cause: error });
    const isTransient = error instanceof KubeApiError && error.isTransient;
    const message = `the client for the target cluster cannot be built: ${messageOf(error)}`;
    throw failure('ReconciliationFailed', message, { cause: error, isTransient });
  }
}

/** The error of an apply; one for want of rights is told as what is wrong with the account, when that is the reason. */
export async function explainRefusal(error: unknown, target: ApplyTarget): Promise<unknown> {
  if (!(error instanceof Error) || !error.message.includes('(Forbidden)')) return error;
  const wrong = await target.accountError?.().catch(() => undefined);
  return wrong ? failure('ReconciliationFailed', wrong, { cause: error }) : error;
}

/** What a deletion cannot do without: why nothing can be deleted, now or for good. */
export interface TargetLoss {
  message: string;
  /** True when the cluster may come back by itself. */
  isAway: boolean;
}

/**
 * The target of an object that is being deleted, or why there is none: the account, the kubeconfig or its cluster is
 * gone. Other errors are thrown, as they may pass.
 */
export async function openTargetForDeletion(targetOf: TargetOf, object: KubeObject): Promise<ApplyTarget | TargetLoss> {
  try {
    const target = await targetOf(object);
    const wrong = await target.accountError?.();
    if (wrong === undefined) return target;
    target.release?.();
    return { message: wrong, isAway: false };
  } catch (error) {
    if (error instanceof KubeApiError && error.isTransient) throw error;
    return { message: messageOf(error), isAway: error instanceof ClusterError && error.isAway };
  }
}
