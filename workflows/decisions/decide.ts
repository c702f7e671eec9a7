// The one rule that every kind shares: what to do with an object, given what is seen of it and what was done before.
import type { WakeReason } from '../messages.ts';
import type { Obstacle } from './obstacle.ts';

/** What an observation says of any kind; each kind's own observation extends it. */
export interface Observation {
  exists: boolean;
  isDeleting: boolean;
  isSuspended: boolean;
  hasFinalizer: boolean;
  generation: number;
  observedGeneration: number;
  /** Value of `reconcile.fluxcd.io/requestedAt`, and the one that the status has recorded as handled. */
  requestedAt?: string;
  handledRequest?: string;
  /** The revision that a reconcile would bring; undefined where only the remote knows (sources). */
  revision?: string;
  /** Digest of what else a reconcile is made from, where that can change without the spec: labelled values. */
  inputs?: string;
  /** The revision that the status says is in place. */
  appliedRevision?: string;
  readyStatus?: string;
  isStalled: boolean;
  /** Why no reconcile can succeed now. */
  obstacle?: Obstacle;
  /** What it needs is on its way: look again so much later, unless a wake comes first, and say nothing meanwhile. */
  awaitMs?: number;
  /** What is awaited then, for people. */
  awaiting?: string;
  /** Nothing would change: what is wanted is in place and healthy, as far as memory proves it. */
  isSettled: boolean;
  intervalMs: number;
  /** At every interval the bridge looks whether all is still in order; absent in histories of before. */
  isIntervalWatched?: boolean;
  /** A request is answered no sooner than so long after the attempt before it; the first one at once. @default 0 */
  requestSpacingMs?: number;
}

/** What the workflow remembers between passes. Losing it costs one pass. */
export interface Cursor {
  /** Generation, revision and request of the last attempt, whatever came of it. */
  generation?: number;
  revision?: string;
  request?: string;
  outcome?: 'succeeded' | 'failed' | 'stalled';
  /** Failures in a row. */
  failures: number;
  /** When the last attempt began (epoch ms). */
  attemptedAtMs?: number;
  /** When the next pass is due (epoch ms); undefined: only a wake brings one. */
  dueAtMs?: number;
}

export type Trigger =
  | 'created'
  | 'spec'
  | 'request'
  | 'revision'
  | 'dependency'
  | 'drift'
  | 'retry'
  | 'interval'
  | 'rollback';

export type Decision =
  | { do: 'finish' }
  | { do: 'finalize' }
  /** Suspended: record the request as handled, do nothing else. */
  | { do: 'echo' }
  /** All is in place already: only the status has to say so. */
  | { do: 'acknowledge'; trigger: Trigger }
  | { do: 'reconcile'; trigger: Trigger }
  /** Look again after so long. */
  | { do: 'await'; ms: number }
  /** Nothing to do before the next wake, or before the timer. */
  | { do: 'wait' };

/** Decides a pass. Order matters: deletion before suspension, suspension before everything that works. */
export function decide(o: Observation, cursor: Cursor, wakes: readonly WakeReason[], nowMs: number): Decision {
  if (!o.exists) return { do: 'finish' };
  if (o.isDeleting) return o.awaitMs === undefined ? { do: 'finalize' } : { do: 'await', ms: o.awaitMs };
  const isRequested = o.requestedAt !== undefined && o.requestedAt !== o.handledRequest;
  if (o.isSuspended) return isRequested ? { do: 'echo' } : { do: 'wait' };

  // A person's word, which needs neither source nor dependencies.
  if (wakes.some((wake) => wake.type === 'rollback')) return { do: 'reconcile', trigger: 'rollback' };
  if (o.awaitMs !== undefined) return { do: 'await', ms: o.awaitMs };

  const trigger = triggerOf(o, cursor, wakes, nowMs, isRequested);
  if (!trigger) return { do: 'wait' };
  if (trigger === 'request') {
    const ms = (cursor.attemptedAtMs ?? 0) + (o.requestSpacingMs ?? 0) - nowMs;
    if (ms > 0) return { do: 'await', ms };
  }
  if (o.isSettled && (trigger === 'request' || trigger === 'revision' || trigger === 'dependency')) {
    return { do: 'acknowledge', trigger };
  }
  if (o.isSettled && (trigger === 'interval' || trigger === 'drift')) return { do: 'wait' };
  return { do: 'reconcile', trigger };
}

function triggerOf(
  o: Observation,
  cursor: Cursor,
  wakes: readonly WakeReason[],
  nowMs: number,
  isRequested: boolean,
): Trigger | undefined {
  // A workflow that has just started (or lost its cursor) takes what the status says for what was attempted.
  const generation = cursor.generation ?? o.observedGeneration;
  if (!o.hasFinalizer || generation < 0) return 'created';
  if (generation !== o.generation) return 'spec';
  if (isRequested && o.requestedAt !== cursor.request) return 'request';
  if (o.revision !== undefined && o.revision !== (cursor.revision ?? o.appliedRevision)) return 'revision';
  // The same revision in another artifact, e.g. after a change of the source's ignore rules.
  if (cursor.outcome !== undefined && !o.isSettled && wakes.some((wake) => wake.type === 'artifact')) return 'revision';
  // Something that it refers to or depends on has changed. Still waiting for a dependency is no news.
  const isStillWaiting = cursor.outcome === 'failed' && o.obstacle?.reason === 'DependencyNotReady';
  const isFine = o.isSettled && cursor.outcome !== 'failed' && cursor.outcome !== 'stalled';
  if (!isFine && !isStillWaiting && wakes.some((wake) => wake.type === 'dependency')) return 'dependency';
  if (cursor.outcome === 'stalled' || (cursor.outcome === undefined && o.isStalled)) return undefined;
  const isDue = cursor.dueAtMs !== undefined && nowMs >= cursor.dueAtMs;
  if (cursor.outcome === 'failed') return isDue ? 'retry' : undefined;
  if (wakes.some((wake) => wake.type === 'drift')) return 'drift';
  // Nobody watched for a while, so anything may have changed: compared as on the interval.
  if (isDue || wakes.some((wake) => wake.type === 'resync')) return 'interval';
  // After a restart nothing is known: a status that is not Ready is tried again, a Ready one is compared.
  if (cursor.outcome === undefined) return o.readyStatus === 'True' ? 'interval' : 'retry';
  return undefined;
}

/** Whether what is seen now makes the reconcile under way pointless: a newer spec, revision or inputs, suspension, deletion. */
export function isSupersededBy(running: Observation, now: Observation): boolean {
  const isOther =
    !now.exists ||
    now.isDeleting !== running.isDeleting ||
    (now.isSuspended && !running.isSuspended) ||
    now.generation !== running.generation;
  if (isOther) return true;
  if (isRevisionOutOfSight(running, now)) return false;
  return now.revision !== running.revision || now.inputs !== running.inputs;
}

/**
 * Whether something hides the revision that is being reconciled: a source that is not ready for a moment, or was deleted.
 * It stands in the way of the next reconcile, and does not make this one pointless.
 */
export function isRevisionOutOfSight(running: Observation, now: Observation): boolean {
  return running.revision !== undefined && now.revision === undefined;
}
