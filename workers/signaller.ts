// Sends wakes to workflows: coalesced while one is on its way, bounded, tried again while Temporal is away. A workflow
// that does not exist is asked for instead.
import { type Client, isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';
import { mergeWakes } from '../workflows/decisions/wakes.ts';
import {
  clusterWorkflowId,
  ensureSignal,
  type ReconciledRef,
  type WakeReason,
  wakeSignal,
  workflowIdOf,
} from '../workflows/messages.ts';
import type { Log } from './log.ts';

/** Signals under way at the same time. */
const concurrency = 24;
const retryAfterMs = 500;
/** Refs in one `ensure` signal: far below the payload limit. */
const ensureBatch = 200;

export interface Signaller {
  wake(ref: ReconciledRef, reason: WakeReason): void;
  /** Has the workflow of an object started that has none. */
  ensure(ref: ReconciledRef): void;
  /** True when everything has reached Temporal. */
  isIdle(): boolean;
  close(): void;
}

/** Only what `isServed` is woken; `deleted` goes to everyone, as it ends the workflow of an object that is served no more. */
export function createSignaller(
  client: Client,
  cluster: string,
  log: Pick<Log, 'warn'>,
  isServed: (ref: ReconciledRef) => boolean,
): Signaller {
  const pending = new Map<string, { ref: ReconciledRef; reasons: WakeReason[] }>();
  const inFlight = new Set<string>();
  let missing = new Map<string, ReconciledRef>();
  let isEnsuring = false;
  let isClosed = false;

  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, retryAfterMs));

  const pump = (): void => {
    for (const [id, entry] of pending) {
      if (inFlight.size >= concurrency || isClosed) return;
      if (inFlight.has(id)) continue;
      pending.delete(id);
      inFlight.add(id);
      void send(id, entry).finally(() => {
        inFlight.delete(id);
        pump();
      });
    }
  };

  const send = async (id: string, entry: { ref: ReconciledRef; reasons: WakeReason[] }): Promise<void> => {
    try {
      await client.workflow.getHandle(id).signal(wakeSignal, entry.reasons);
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) {
        // A deleted object needs no workflow any more; whatever else happened to it, it needs one.
        if (entry.reasons.some((reason) => reason.type !== 'deleted')) ensure(entry.ref);
        return;
      }
      log.warn({ workflowId: id, error: told(error) }, 'signal failed, trying again');
      await pause();
      add(entry.ref, entry.reasons);
    }
  };

  const add = (ref: ReconciledRef, reasons: WakeReason[]): void => {
    const id = workflowIdOf(ref);
    pending.set(id, { ref, reasons: mergeWakes(pending.get(id)?.reasons ?? [], reasons) });
    pump();
  };

  const ensure = (ref: ReconciledRef): void => {
    missing.set(workflowIdOf(ref), ref);
    if (!isEnsuring) {
      isEnsuring = true;
      // One turn of the event loop collects what a list or a burst of events brings at once.
      setImmediate(() => void sendEnsures());
    }
  };

  const sendEnsures = async (): Promise<void> => {
    while (missing.size > 0 && !isClosed) {
      const refs = [...missing.values()].slice(0, ensureBatch);
      for (const ref of refs) missing.delete(workflowIdOf(ref));
      try {
        await client.workflow.getHandle(clusterWorkflowId(cluster)).signal(ensureSignal, refs);
      } catch (error) {
        log.warn({ count: refs.length, error: told(error) }, 'asking for workflows failed, trying again');
        missing = new Map([...refs.map((ref) => [workflowIdOf(ref), ref] as const), ...missing]);
        await pause();
      }
    }
    isEnsuring = false;
  };

  return {
    wake(ref, reason) {
      if (reason.type === 'deleted' || isServed(ref)) add(ref, [reason]);
    },
    ensure,
    isIdle: () => pending.size === 0 && inFlight.size === 0 && missing.size === 0 && !isEnsuring,
    close() {
      isClosed = true;
    },
  };
}

function told(error: unknown): string {
  return isGrpcServiceError(error) ? error.details : String(error);
}
