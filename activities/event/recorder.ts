// Events, as core/v1 objects. Telemetry, not truth: they are sent off the critical path at a bounded rate, repeats are
// counted on the event that is there already (as client-go does), and what cannot be sent after some tries is dropped.
import { createHash } from 'node:crypto';
import { type KubeClient, KubeApiError } from '../../k8s/client.ts';
import type { KubeObject } from '../../k8s/object.ts';

export interface EventWish {
  object: KubeObject;
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
  /** `metadata.annotations` of the event, e.g. `kustomize.toolkit.fluxcd.io/revision`. */
  annotations?: Record<string, string>;
  /** The controller's name as Flux has it; `flux events` and dashboards group by it. */
  component: string;
}

export interface EventRecorder {
  record(wish: EventWish): void;
  /** Resolves once all that was recorded so far is sent or dropped. */
  flush(): Promise<void>;
  close(): void;
}

export interface EventRecorderOptions {
  /** Events a second on average, and at once. Default 20 and 25. */
  ratePerSecond: number;
  burst: number;
  /** Events waiting; past it the oldest Normal one is dropped. Default 1,000. */
  maximumQueued: number;
  /** Seen events that are remembered for counting. Default 4,096. */
  maximumRemembered: number;
}

export const defaultEventRecorderOptions: EventRecorderOptions = {
  ratePerSecond: 20,
  burst: 25,
  maximumQueued: 1_000,
  maximumRemembered: 4_096,
};

/** The API server refuses longer messages (core/v1 validation). */
const maximumMessage = 1_024;
const attempts = 4;

interface Sent {
  name: string;
  count: number;
}

export function createEventRecorder(
  client: KubeClient,
  log: { warn(details: Record<string, unknown>, message: string): void },
  options: Partial<EventRecorderOptions> = {},
): EventRecorder {
  const limits = { ...defaultEventRecorderOptions, ...options };
  const sent = new Map<string, Sent>();
  const queue: EventWish[] = [];
  let tokens = limits.burst;
  let refilledAt = Date.now();
  let working: Promise<void> | undefined;
  let isClosed = false;

  const takeToken = async (): Promise<void> => {
    const now = Date.now();
    tokens = Math.min(limits.burst, tokens + ((now - refilledAt) / 1000) * limits.ratePerSecond);
    refilledAt = now;
    if (tokens < 1) await new Promise((resolve) => setTimeout(resolve, ((1 - tokens) / limits.ratePerSecond) * 1000));
    tokens -= 1;
  };

  const send = async (wish: EventWish): Promise<void> => {
    const key = keyOf(wish);
    const known = sent.get(key);
    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const namespace = wish.object.metadata.namespace ?? 'default';
    if (known) {
      try {
        await client.patch(
          { group: '', version: 'v1', kind: 'Event', namespace, name: known.name },
          { count: known.count + 1, lastTimestamp: now },
          { type: 'merge' },
        );
        known.count += 1;
        return;
      } catch (error) {
        if (!(error instanceof KubeApiError) || error.status !== 404) throw error;
        sent.delete(key); // events expire; it is told anew
      }
    }
    const name = `${wish.object.metadata.name.slice(0, 200)}.${Date.now().toString(16)}${key.slice(0, 8)}`;
    await client.create(eventOf(wish, namespace, name, now));
    sent.set(key, { name, count: 1 });
    const oldest = sent.keys().next().value;
    if (sent.size > limits.maximumRemembered && oldest !== undefined) sent.delete(oldest);
  };

  const work = async (): Promise<void> => {
    for (let wish = queue.shift(); wish && !isClosed; wish = queue.shift()) {
      await takeToken();
      for (let attempt = 1; ; attempt++) {
        try {
          await send(wish);
          break;
        } catch (error) {
          const isWorthRetrying = error instanceof KubeApiError && error.isTransient && attempt < attempts && !isClosed;
          if (!isWorthRetrying) {
            log.warn({ reason: wish.reason, name: wish.object.metadata.name, error: String(error) }, 'event dropped');
            break;
          }
          await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** attempt));
        }
      }
    }
    working = undefined;
  };

  return {
    record(wish) {
      if (isClosed) return;
      if (queue.length >= limits.maximumQueued) {
        const victim = queue.findIndex((queued) => queued.type === 'Normal');
        queue.splice(victim < 0 ? 0 : victim, 1);
      }
      queue.push(wish);
      working ??= work();
    },
    async flush() {
      while (working) await working;
    },
    close() {
      isClosed = true;
    },
  };
}

function keyOf(wish: EventWish): string {
  const { metadata, kind } = wish.object;
  const identity = [kind, metadata.namespace, metadata.name, metadata.uid, wish.type, wish.reason, wish.message];
  return createHash('sha256')
    .update(JSON.stringify([...identity, wish.annotations ?? {}]))
    .digest('hex');
}

function eventOf(wish: EventWish, namespace: string, name: string, now: string): KubeObject {
  const { object } = wish;
  const message = wish.message.length > maximumMessage ? `${wish.message.slice(0, maximumMessage - 1)}…` : wish.message;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, namespace, ...(wish.annotations ? { annotations: wish.annotations } : {}) },
    involvedObject: {
      apiVersion: object.apiVersion,
      kind: object.kind,
      namespace: object.metadata.namespace,
      name: object.metadata.name,
      uid: object.metadata.uid,
      resourceVersion: object.metadata.resourceVersion,
    },
    type: wish.type,
    reason: wish.reason,
    message,
    source: { component: wish.component },
    reportingComponent: wish.component,
    reportingInstance: '',
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  };
}
