// The health stage: an activity that waits, and a question that is answered at once from memory.
import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';
import { KubeApiError, type KubeClient, type ResourceInfo } from '../../k8s/client.ts';
import { ClusterError } from '../../k8s/remote-clusters.ts';
import { type KubeObject, type NamespacedName, type ObjectRef, subjectOf } from '../../k8s/object.ts';
import type { CacheScope, WatchCache, WatchCaches } from '../../k8s/watch-cache.ts';
import { failure } from '../errors.ts';
import {
  compileHealthExpressions,
  type Evaluate,
  type HealthExpression,
  isJudgedByExpression,
} from './health-expressions.ts';
import {
  type AppliedObject,
  hasHealthChecks,
  healthSpecOf,
  healthTargets,
  type PlannedTarget,
} from './health-targets.ts';
import type { NamedCaches } from './named-caches.ts';
import { type HealthProgress, type HealthResult, healthOfTarget, waitForHealth } from './wait-for-health.ts';

/** The cluster whose objects are looked at. */
export interface HealthCluster {
  /** The caches that hold what we applied. */
  caches: WatchCaches;
  /** Watches of single objects that are not in those caches. */
  named: NamedCaches;
  client: Pick<KubeClient, 'resourceFor'>;
  /** The user as whom objects that we did not apply are looked at. Default: the client's own. */
  user?: string;
  /** Called when nothing is looked at any more. */
  release?(): void;
}

export interface HealthDependencies {
  /** The cluster to which a Kustomization applies. Rejects with `ClusterError` when it cannot be used now. */
  clusterOf(kustomization: KubeObject): HealthCluster | Promise<HealthCluster>;
  /** The scope of the cache in which objects of a kind are that an object of ours has applied. */
  scopeFor(resource: ResourceInfo, appliedBy?: string): CacheScope;
  /** The Kustomization as the caches hold it, or undefined when it does not exist. */
  kustomization(ref: NamespacedName): KubeObject | undefined | Promise<KubeObject | undefined>;
  /** The same for a HelmRelease. */
  helmRelease?(ref: NamespacedName): KubeObject | undefined | Promise<KubeObject | undefined>;
  /** What apply has recorded under an inventory key. */
  appliedObjects(inventoryKey: string): Promise<readonly AppliedObject[]>;
  /** Give up at the first Failed object. Default true (gate DisableFailFastBehavior turns it off). */
  isFailFast?: boolean;
}

export interface WaitForHealthInput {
  kustomization: NamespacedName;
  /** What it is that has applied the objects. @default 'Kustomization' */
  kind?: string;
  /** `metadata.generation` that was applied. */
  generation: number;
  /** Revision that was applied, for people who read the history. */
  revision: string;
  /** Where apply has recorded what it applied. */
  inventoryKey: string;
  timeoutMs: number;
}

export interface HealthActivities {
  /**
   * Waits until what a Kustomization wants healthy is so; returns at once when it wants nothing.
   * Heartbeats its progress; cancelling ends it at once. Fails with HealthCheckFailed, InvalidCELExpression.
   */
  waitForHealth(input: WaitForHealthInput): Promise<HealthResult>;
}

const heartbeatMs = 5000;

export function createHealthActivities(deps: HealthDependencies): HealthActivities {
  async function wait(input: WaitForHealthInput): Promise<HealthResult> {
    let progress: HealthProgress | undefined;
    const timer = activityInfo().isLocal ? undefined : setInterval(() => heartbeat(progress), heartbeatMs);
    try {
      return await waitForKustomization(deps, input, cancellationSignal(), (seen) => {
        progress = seen;
      });
    } finally {
      clearInterval(timer);
    }
  }
  return { waitForHealth: wait };
}

/** {@link HealthActivities.waitForHealth} without Temporal around it. */
export async function waitForKustomization(
  deps: HealthDependencies,
  input: WaitForHealthInput,
  signal?: AbortSignal,
  onProgress?: (progress: HealthProgress) => void,
): Promise<HealthResult> {
  const { kind = 'Kustomization' } = input;
  const find = kind === 'HelmRelease' ? deps.helmRelease : deps.kustomization;
  const kustomization = await find?.(input.kustomization);
  if (!kustomization) {
    const subject = subjectOf({ kind, ...input.kustomization });
    throw failure('HealthCheckCanceled', `${subject} does not exist any more`, { subject });
  }
  if (!hasHealthChecks(kustomization)) return { checkedCount: 0, durationMs: 0 };
  const evaluate = evaluatorOf(kustomization);
  const expressions = healthSpecOf(kustomization).healthCheckExprs;
  const targets = healthTargets(kustomization, await deps.appliedObjects(input.inventoryKey));
  const applied = new Set(targets.filter(({ isApplied }) => isApplied).map(({ ref }) => ref));
  const cluster = await clusterOf(deps, kustomization);
  const releases: (() => void)[] = [() => cluster.release?.()];

  async function cacheFor(ref: ObjectRef): Promise<WatchCache | undefined> {
    const resource = await cluster.client.resourceFor(ref.group, ref.version, ref.kind);
    if (!resource) return undefined;
    const scope = deps.scopeFor(resource, kind);
    if (applied.has(ref) && isEnough(scope, expressions, ref)) {
      const cache = cluster.caches.open(scope);
      if (await mayList(cache, signal)) return cache;
    }
    // Whatever it did not apply, a Kustomization sees with the eyes of its account.
    const { cache, release } = cluster.named.acquire(resource, ref.namespace, ref.name, cluster.user);
    releases.push(release);
    return cache;
  }

  try {
    const { timeoutMs } = input;
    const { isFailFast } = deps;
    return await waitForHealth({ targets, cacheFor, evaluate, timeoutMs, signal, isFailFast, onProgress });
  } catch (error) {
    throw isForbidden(error) ? forbiddenFailure(kustomization, error, cluster.user) : error;
  } finally {
    for (const release of releases) release();
  }
}

/** A cluster that cannot be used is told at once: waiting for health cannot mend it. */
async function clusterOf(deps: HealthDependencies, kustomization: KubeObject): Promise<HealthCluster> {
  try {
    return await deps.clusterOf(kustomization);
  } catch (error) {
    if (error instanceof ClusterError) throw failure('ReconciliationFailed', error.message, { cause: error });
    throw error;
  }
}

/** False for a scope of metadata alone when an expression may ask for any field of the object. */
function isEnough(scope: CacheScope, expressions: readonly HealthExpression[] | undefined, ref: ObjectRef): boolean {
  return !scope.metadataOnly || !isJudgedByExpression(expressions ?? [], ref);
}

/** False when the whole kind may not be listed, as with a kubeconfig that is good for some namespaces only. */
async function mayList(cache: WatchCache, signal: AbortSignal | undefined): Promise<boolean> {
  if (cache.isSynced) return true;
  try {
    await cache.sync(signal);
    return true;
  } catch (error) {
    if (isForbidden(error)) return false;
    throw error;
  }
}

function isForbidden(error: unknown): error is KubeApiError {
  return error instanceof KubeApiError && error.status === 403;
}

function forbiddenFailure(kustomization: KubeObject, error: KubeApiError, user: string | undefined): Error {
  const { namespace = '', name } = kustomization.metadata;
  const subject = subjectOf({ kind: kustomization.kind, namespace, name });
  const whose = user ? `"${user}"` : 'the account that applies';
  const message = `health cannot be read (Forbidden): ${error.message}: allow ${whose} to get, list and watch what spec.healthChecks name`;
  return failure('HealthCheckFailed', message, { subject, cause: error });
}

/**
 * True when everything that a Kustomization wants healthy is so now, told from open and synced caches alone; false also
 * when that is not known. With it a workflow need not schedule a wait at all.
 */
export function healthNow(
  deps: Pick<HealthCluster, 'caches' | 'named' | 'user'> & Pick<HealthDependencies, 'scopeFor'>,
  kustomization: KubeObject,
  applied: readonly AppliedObject[],
): boolean {
  if (!hasHealthChecks(kustomization)) return true;
  const evaluate = evaluatorOrUndefined(kustomization);
  if (!evaluate) return false;
  const expressions = healthSpecOf(kustomization).healthCheckExprs;
  const find = appliedCacheFinder(deps);
  const nowMs = Date.now();
  return healthTargets(kustomization, applied).every((target) => {
    const shared = target.isApplied ? find(target.ref) : undefined;
    const cache = shared && isEnough(shared.scope, expressions, target.ref) ? shared : namedCache(deps, target);
    if (!cache?.isSynced) return false;
    const seen = { ...target, cache, wasThere: target.minResourceVersion !== undefined };
    return healthOfTarget(seen, evaluate, nowMs).status === 'Current';
  });
}

function namedCache(
  { named, user }: Pick<HealthCluster, 'named' | 'user'>,
  { ref }: PlannedTarget,
): WatchCache | undefined {
  return named.peek(ref.group, ref.kind, ref.namespace, ref.name, user);
}

/** The open cache in which applied objects of a kind are. */
function appliedCacheFinder(
  deps: Pick<HealthCluster, 'caches'> & Pick<HealthDependencies, 'scopeFor'>,
): (ref: ObjectRef) => WatchCache | undefined {
  const byKind = new Map<string, WatchCache>();
  for (const cache of deps.caches.opened()) {
    const { resource, labelSelector, metadataOnly } = cache.scope;
    const wanted = deps.scopeFor(resource);
    if (labelSelector === wanted.labelSelector && Boolean(metadataOnly) === Boolean(wanted.metadataOnly)) {
      byKind.set(`${resource.group}/${resource.version}/${resource.kind}`, cache);
    }
  }
  return (ref) => byKind.get(`${ref.group}/${ref.version}/${ref.kind}`);
}

/** Compiled expressions by the object of this very version of the spec: expressions are compiled once a spec. */
const evaluators = new WeakMap<object, Evaluate>();

function evaluatorOf(kustomization: KubeObject): Evaluate {
  const expressions = healthSpecOf(kustomization).healthCheckExprs;
  if (!expressions) return compileHealthExpressions([]);
  let evaluate = evaluators.get(expressions);
  if (!evaluate) {
    evaluate = compileHealthExpressions(expressions);
    evaluators.set(expressions, evaluate);
  }
  return evaluate;
}

function evaluatorOrUndefined(kustomization: KubeObject): Evaluate | undefined {
  try {
    return evaluatorOf(kustomization);
  } catch {
    return undefined; // the wait itself says what is wrong with it
  }
}
