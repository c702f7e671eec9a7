// Waits until objects are healthy, driven by the events of shared watch caches: nothing is polled, one timer runs.
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeApiError } from '../../k8s/client.ts';
import { formatDuration } from '../../k8s/duration.ts';
import { type KubeObject, type ObjectRef, subjectOf } from '../../k8s/object.ts';
import { compareResourceVersions } from '../../k8s/resource-version.ts';
import type { CacheEvent, WatchCache } from '../../k8s/watch-cache.ts';
import { failure } from '../errors.ts';
import type { Evaluate } from './health-expressions.ts';
import type { Health } from './status.ts';

/** One object to wait for. */
export interface HealthTarget {
  ref: ObjectRef;
  /** Version of our own last write: an older picture of the object is not believed. */
  minResourceVersion?: string;
  /** True for a Job with ttlSecondsAfterFinished: when it is gone it has finished. */
  mayVanish?: boolean;
}

export interface HealthProgress {
  totalCount: number;
  currentCount: number;
  /** The first few that are waited for, as `Kind/ns/name: message`. */
  waitingFor: string[];
}

export interface WaitForHealthOptions {
  targets: readonly HealthTarget[];
  /** The cache that holds an object; undefined when the API server does not know its kind. */
  cacheFor(ref: ObjectRef): Promise<WatchCache | undefined>;
  evaluate: Evaluate;
  timeoutMs: number;
  signal?: AbortSignal;
  /** Give up at the first Failed object. Default true. */
  isFailFast?: boolean;
  /** How long an object that we have just written must be Failed to be believed. @default 2000 */
  failedForMs?: number;
  /** Called whenever the status of an object changed. */
  onProgress?(progress: HealthProgress): void;
  /** Milliseconds since the epoch; for tests. */
  now?(): number;
}

export interface HealthResult {
  checkedCount: number;
  durationMs: number;
}

interface Watched extends HealthTarget {
  cache: WatchCache | undefined;
  health: Health;
  /** It was seen, or our write of it was; only then can it have vanished. */
  wasThere: boolean;
  /** Since when it is Failed, in milliseconds since the epoch. */
  failedAtMs?: number;
}

const maxWaitingShown = 5;
const maxListed = 100;
/**
 * A controller that takes up what we have written may at first repeat its verdict on what was there before: a Deployment
 * whose rollout timed out says so for the next one too, until its first pod is up.
 */
const defaultFailedForMs = 2_000;
/** No watch tells of a kind that is not served yet: it is asked for again, at first so soon and then twice as late each time. */
const firstAskAgainMs = 250;
const lastAskAgainMs = 5_000;

/**
 * Resolves as soon as every target is Current. Fails with HealthCheckFailed on the time-out, and at once when an object
 * is Failed; rejects with the signal's reason when aborted.
 */
export async function waitForHealth(options: WaitForHealthOptions): Promise<HealthResult> {
  const { targets, evaluate, timeoutMs, signal, isFailFast = true, now = Date.now } = options;
  const { failedForMs = defaultFailedForMs } = options;
  signal?.throwIfAborted();
  const startMs = now();
  const watched: Watched[] = targets.map((target) => ({
    ...target,
    cache: undefined,
    health: { status: 'Unknown', message: 'is not looked at yet' },
    wasThere: target.minResourceVersion !== undefined,
  }));
  const done = Promise.withResolvers<HealthResult>();
  const stopping = new AbortController();
  const closers: (() => void)[] = [];
  let timer: NodeJS.Timeout | undefined;
  let pending = watched.length;

  function look(target: Watched): void {
    const before = target.health;
    target.health = healthOfTarget(target, evaluate, now());
    pending += Number(before.status === 'Current') - Number(target.health.status === 'Current');
    target.failedAtMs = target.health.status === 'Failed' ? (target.failedAtMs ?? now()) : undefined;
    if (target.health.reconsiderAfterMs !== undefined || untilBelievedMs(target) !== undefined) startTimer();
  }

  /** How long a Failed object is not believed yet; undefined for one that is, or is not Failed. */
  function untilBelievedMs({ failedAtMs, minResourceVersion }: Watched): number | undefined {
    if (!isFailFast || failedAtMs === undefined || minResourceVersion === undefined) return undefined;
    const leftMs = failedAtMs + failedForMs - now();
    return leftMs > 0 ? leftMs : undefined;
  }

  function settle(): void {
    const durationMs = now() - startMs;
    if (pending === 0) return done.resolve({ checkedCount: watched.length, durationMs });
    const isFinal = (target: Watched): boolean =>
      target.health.status === 'Failed' && untilBelievedMs(target) === undefined;
    const failed = watched.filter(isFinal);
    if (isFailFast && failed.length > 0)
      done.reject(healthFailure(durationMs, 'failed early due to stalled resources', failed));
  }

  function report(): void {
    if (!options.onProgress) return;
    const waiting = watched.filter(({ health }) => health.status !== 'Current').slice(0, maxWaitingShown);
    options.onProgress({
      totalCount: watched.length,
      currentCount: watched.length - pending,
      waitingFor: waiting.map(({ ref, health }) => `${subjectOf(ref)}: ${health.message}`),
    });
  }

  /** Looks at targets again, and ends the wait if that decides it. */
  function update(changed: readonly Watched[]): void {
    const before = changed.map(({ health }) => health);
    for (const target of changed) look(target);
    settle();
    if (changed.some(({ health }, index) => !isSameHealth(health, before[index]))) report();
  }

  /** The one timer: the time-out, or the moment at which a status changes by time alone. */
  function startTimer(): void {
    clearTimeout(timer);
    const leftMs = startMs + timeoutMs - now();
    const waits = watched.flatMap((target) =>
      [target.health.reconsiderAfterMs ?? [], untilBelievedMs(target) ?? []].flat(),
    );
    const nextMs = Math.min(leftMs, ...waits);
    timer = setTimeout(onTimer, Math.max(Math.min(nextMs, maxTimerMs), 0));
  }

  function onTimer(): void {
    if (now() - startMs >= timeoutMs) {
      const waiting = watched.filter(({ health }) => health.status !== 'Current');
      return done.reject(healthFailure(now() - startMs, 'timeout waiting for', waiting));
    }
    startTimer();
    update(
      watched.filter(({ health, failedAtMs }) => health.reconsiderAfterMs !== undefined || failedAtMs !== undefined),
    );
  }

  async function watch(cache: WatchCache, of: Watched[]): Promise<void> {
    const byName = Map.groupBy(of, ({ ref }) => nameKey(ref.namespace, ref.name));
    closers.push(
      cache.subscribe((event) => {
        const { namespace, name } = event.object.metadata;
        const found = byName.get(nameKey(namespace, name));
        if (found) update(remember(found, event));
      }),
    );
    await cache.sync(stopping.signal);
    update(of);
    await catchUp(cache, of);
  }

  /** Our own writes may not have come through the watch yet; once they have, everything is looked at again. */
  async function catchUp(cache: WatchCache, of: Watched[]): Promise<void> {
    const versions = new Set(of.flatMap(({ minResourceVersion }) => minResourceVersion ?? []));
    for (const version of versions) {
      if (stopping.signal.aborted) return;
      if (await cache.waitForVersion(version, Math.max(startMs + timeoutMs - now(), 0))) {
        update(of.filter(({ minResourceVersion }) => minResourceVersion === version));
      }
    }
  }

  /** Opens the caches of targets, and those of kinds that are not served yet as soon as they are. */
  async function start(of: readonly Watched[], askAgainMs = firstAskAgainMs): Promise<void> {
    const isFirst = askAgainMs === firstAskAgainMs;
    // What was waited for long is not given up because the server does not answer once.
    const ask = async ({ ref }: Watched): Promise<WatchCache | undefined> =>
      options.cacheFor(ref).catch((error: unknown) => {
        if (!isFirst && error instanceof KubeApiError && error.isTransient) return undefined;
        throw error;
      });
    const caches = await Promise.all(of.map(ask));
    for (const [index, target] of of.entries()) {
      target.cache = caches[index];
      if (!target.cache) target.health = unknownKind;
    }
    if (stopping.signal.aborted) return;
    const groups = Map.groupBy(of, ({ cache }) => cache);
    await Promise.all([...groups].map(([cache, some]) => (cache ? watch(cache, some) : startLater(some, askAgainMs))));
  }

  async function startLater(of: readonly Watched[], askAgainMs: number): Promise<void> {
    const isOver = await sleep(askAgainMs, false, { signal: stopping.signal }).catch(() => true);
    if (!isOver) await start(of, Math.min(2 * askAgainMs, lastAskAgainMs));
  }

  const onAbort = (): void => done.reject(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  startTimer();
  settle();
  start(watched).catch((error: unknown) => done.reject(error));
  try {
    return await done.promise;
  } finally {
    clearTimeout(timer);
    stopping.abort();
    signal?.removeEventListener('abort', onAbort);
    for (const close of closers) close();
  }
}

const unknownKind: Health = { status: 'NotFound', message: 'the API server does not know its kind' };

/** The health of a target as its cache has it now; a cache that is older than our own write does not count. */
export function healthOfTarget(
  target: HealthTarget & { cache: WatchCache | undefined; wasThere: boolean },
  evaluate: Evaluate,
  nowMs: number,
): Health {
  const { cache, ref, minResourceVersion } = target;
  if (!cache) return unknownKind;
  if (!cache.isSynced) return { status: 'Unknown', message: 'its kind is not listed yet' };
  const object = cache.get(ref.namespace, ref.name);
  if (object) target.wasThere = true;
  if (minResourceVersion && !isAtLeast(object, cache, minResourceVersion)) {
    return { status: 'InProgress', message: 'its newest version has not come through the watch yet' };
  }
  if (!object && target.mayVanish && target.wasThere) {
    return { status: 'Current', message: 'has finished and was cleaned up' };
  }
  return evaluate(object, nowMs);
}

function isAtLeast(object: KubeObject | undefined, cache: WatchCache, version: string): boolean {
  const known = [object?.metadata.resourceVersion, cache.resourceVersion];
  return known.some((candidate) => candidate !== undefined && compareResourceVersions(candidate, version) >= 0);
}

function remember(targets: Watched[], event: CacheEvent): Watched[] {
  const { spec } = (event.previous ?? event.object) as { spec?: { ttlSecondsAfterFinished?: number } };
  for (const target of targets) {
    target.wasThere = true;
    if (event.object.kind === 'Job' && spec?.ttlSecondsAfterFinished !== undefined) target.mayVanish = true;
  }
  return targets;
}

function healthFailure(durationMs: number, what: string, targets: readonly Watched[]): Error {
  const listed = targets.slice(0, maxListed).map(({ ref, health }) => `${subjectOf(ref)} status: '${health.status}'`);
  if (targets.length > maxListed) listed.push(`and ${targets.length - maxListed} more`);
  const why = targets.slice(0, maxWaitingShown).map(({ ref, health }) => `${subjectOf(ref)} ${health.message}`);
  const message = `health check failed after ${formatDuration(durationMs)}: ${what}: [${listed.join(', ')}]`;
  const [first] = targets;
  return failure('HealthCheckFailed', `${message}; ${why.join('; ')}`, { subject: first && subjectOf(first.ref) });
}

function isSameHealth(a: Health, b: Health | undefined): boolean {
  return a.status === b?.status && a.message === b.message;
}

function nameKey(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`;
}

/** setTimeout cannot count further. */
const maxTimerMs = 2 ** 31 - 1;
