// Waits until an object is ready, and says how it comes to be.
import type { KindDefinition } from '../k8s/api/definition.ts';
import type { KubeClient } from '../k8s/client.ts';
import type { KubeObject } from '../k8s/object.ts';
import type { TemporalAccess } from './connect.ts';
import { CommandError } from './exit.ts';
import { followObject } from './follow.ts';
import { subjectOfObject } from './objects.ts';
import { printLine, shortHashes } from './output.ts';
import { isSuspended, readinessOf } from './readiness.ts';
import { oneLine } from './table.ts';

export interface AwaitReadyOptions {
  kube: KubeClient;
  temporal: TemporalAccess;
  definition: KindDefinition;
  object: KubeObject;
  timeoutMs: number;
  interrupt: AbortSignal;
  /** Reasons of Ready=False that may pass when another object changes, and are waited for. Default none. */
  passingReasons?: readonly string[];
}

/** Throws a {@link CommandError} when the object fails, is suspended, or takes longer than the time-out. */
export async function awaitReady(options: AwaitReadyOptions): Promise<void> {
  const { kube, temporal, definition, object, timeoutMs, interrupt, passingReasons = [] } = options;
  const ref = { namespace: object.metadata.namespace ?? '', name: object.metadata.name };
  const isOver = (now: KubeObject): boolean => {
    const { state, reason } = readinessOf(now);
    return isSuspended(now) || !(state === 'progressing' || (state === 'failed' && passingReasons.includes(reason)));
  };
  const over = await followObject({ kube, temporal, definition, ref, isOver, timeoutMs, interrupt, report: printLine });
  const subject = subjectOfObject(over);
  if (isSuspended(over)) throw new CommandError(`${subject} is suspended, and so is not reconciled`);
  const { state, reason, message } = readinessOf(over);
  const text = shortHashes(oneLine(message));
  if (state !== 'ready') throw new CommandError(`${subject} is not ready (${reason}): ${text}`);
  printLine(`✔ ${subject} is ready: ${text}`);
}
