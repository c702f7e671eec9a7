// Follows one object until it is where somebody wants it: every phase that passes is told, from the workflow where
// Temporal can be reached, from the conditions where it cannot.
import { setTimeout as sleep } from 'node:timers/promises';
import type { KindDefinition } from '../k8s/api/definition.ts';
import type { KubeClient } from '../k8s/client.ts';
import type { KubeObject, NamespacedName } from '../k8s/object.ts';
import type { TemporalAccess } from './connect.ts';
import { CommandError, exitCodes } from './exit.ts';
import { servedResource } from './objects.ts';
import { shortDuration, shortHashes } from './output.ts';
import { conditionOf, readinessOf } from './readiness.ts';
import { oneLine } from './table.ts';
import { watchObjects } from './watch-objects.ts';
import { isReconciledKind, queryStatus } from './workflow-view.ts';

export interface FollowOptions {
  kube: KubeClient;
  temporal: TemporalAccess;
  definition: KindDefinition;
  ref: NamespacedName;
  /** True once the object is where it is to be. */
  isOver(object: KubeObject): boolean;
  timeoutMs: number;
  /** True for an object that may not exist yet: it is waited for. Default false. */
  isAwaited?: boolean;
  /** Aborted when nobody wants to follow any more. */
  interrupt: AbortSignal;
  report(line: string): void;
}

/** A reconcile of nothing takes a tenth of a second: the first looks are close together. */
const firstPollMs = 60;
const maxPollMs = 500;

/**
 * Gives the object as it was when `isOver` held. Throws a {@link CommandError}: exit code 3 after `timeoutMs`, 130 when
 * interrupted, 1 when the object is deleted.
 */
export async function followObject(options: FollowOptions): Promise<KubeObject> {
  const { kube, definition, ref, timeoutMs, interrupt } = options;
  const subject = `${definition.kind}/${ref.namespace}/${ref.name}`;
  const resource = await servedResource(kube, definition);
  const isDone = new AbortController();
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = AbortSignal.any([isDone.signal, timeout, interrupt]);
  const say = phaseReporter(subject, options.report);
  const phases = followPhases(options, say, signal);
  let last: KubeObject | undefined;
  try {
    const scope = { namespace: ref.namespace, fieldSelector: `metadata.name=${ref.name}`, signal };
    for await (const change of watchObjects(kube, resource, scope)) {
      const object = change.type === 'LISTED' ? change.objects[0] : change.object;
      if (!object && options.isAwaited) continue;
      if (!object || change.type === 'DELETED') {
        throw new CommandError(`${subject} is gone (NotFound): it was deleted meanwhile`);
      }
      last = object;
      if (options.isOver(object)) return object;
      const { state, message } = readinessOf(object);
      const reconciling = conditionOf(object, 'Reconciling');
      if (state === 'failed') say(`not ready yet: ${message}`);
      else if (reconciling?.status === 'True') say(reconciling.message);
    }
  } finally {
    isDone.abort();
    await phases;
  }
  if (interrupt.aborted) {
    throw new CommandError(`${subject} is not followed any more; its reconcile goes on`, exitCodes.interrupted);
  }
  throw new CommandError(
    `${subject} not finished within ${shortDuration(timeoutMs)}${standing(last)}`,
    exitCodes.timedOut,
  );
}

/** How an object stands that was followed for too long. */
function standing(object: KubeObject | undefined): string {
  if (!object) return ': it was never seen';
  const { state, reason, message } = readinessOf(object);
  if (state === 'ready') return ': nobody has taken the request up, does a worker run?';
  return ` (${reason || 'Progressing'}): ${shortHashes(oneLine(message))}; it goes on, see "continuo get --watch"`;
}

/** Tells each phase once, for as long as it lasts. */
function phaseReporter(subject: string, report: (line: string) => void): (phase: string) => void {
  let told = '';
  return (phase) => {
    const text = shortHashes(oneLine(phase));
    if (text === '' || text === told) return;
    told = text;
    report(`► ${subject}: ${text}`);
  };
}

async function followPhases(
  { temporal, definition, ref, report }: FollowOptions,
  say: (phase: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { kind } = definition;
  if (!isReconciledKind(kind)) return;
  try {
    for (let pauseMs = firstPollMs; !signal.aborted; pauseMs = Math.min(pauseMs * 1.3, maxPollMs)) {
      const status = await queryStatus(temporal, { kind, ...ref }, signal);
      if (status && status.phase !== 'waiting') say(status.phase);
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  } catch (error) {
    if (!signal.aborted)
      report(`► ${error instanceof Error ? error.message : String(error)}; conditions are shown instead`);
  }
}
