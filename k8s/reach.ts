// Whether an API server answers. One that is away must cost nobody time: it is asked by one small request at a time, and
// as long as it is away every request to it fails at once instead of waiting for its time-out.
import { KubeApiError, type KubeClient } from './client.ts';

export interface ReachOptions {
  /** The server's address, for messages. */
  server: string;
  /** The small request: resolves when the server answers it. */
  probe(signal: AbortSignal): Promise<unknown>;
  /** Longest time for an answer. Default 3 s. */
  probeTimeoutMs?: number;
  /** Milliseconds since the epoch; for tests. */
  now?(): number;
}

export interface Reach {
  /** Resolves when the server answered in the last ten seconds, or does so now; rejects with the reason if not. */
  check(): Promise<void>;
  /** Aborted with the reason as soon as the server is away. */
  readonly lost: AbortSignal;
  /** The same client, whose requests fail at once while the server is away, also those that are under way. */
  guard(client: KubeClient): KubeClient;
  /** A guarded client whose lists and watches wait while the server is away: for caches, which need no back-off then. */
  patient(client: KubeClient): KubeClient;
  /** Calls the listener each time the server is there again; returns the unsubscriber. */
  onBack(listener: () => void): () => void;
  /** Ends all that waits. */
  close(): void;
}

/** An answer is believed so long. */
const freshMs = 10_000;
/** And its absence so long. */
const awayMs = 5_000;
const maxPauseMs = 30_000;
/** A request that takes longer makes one ask whether the server is still there. */
const slowMs = 4_000;

export function createReach(options: ReachOptions): Reach {
  const { server, probe, probeTimeoutMs = 3_000, now = Date.now } = options;
  const listeners = new Set<() => void>();
  const closing = new AbortController();
  let outage: KubeApiError | undefined;
  /** Aborted when the server goes away; a new one when it is back. */
  let lost = new AbortController();
  let back = Promise.withResolvers<void>();
  let answeredAtMs = -Infinity;
  let askedAtMs = -Infinity;
  let asking: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  async function ask(): Promise<void> {
    askedAtMs = now();
    try {
      await probe(AbortSignal.any([closing.signal, AbortSignal.timeout(probeTimeoutMs)]));
      onAnswer();
    } catch (error) {
      if (closing.signal.aborted) return;
      const cause = outageOf(error, server, probeTimeoutMs);
      if (cause) onSilence(cause);
      else onAnswer();
    }
  }

  function askOnce(): Promise<void> {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  }

  function onAnswer(): void {
    answeredAtMs = now();
    if (!outage) return;
    outage = undefined;
    clearTimeout(timer);
    lost = new AbortController();
    back.resolve();
    back = Promise.withResolvers();
    for (const listener of listeners) listener();
  }

  function onSilence(cause: KubeApiError): void {
    const isNew = outage === undefined;
    outage = cause;
    if (!isNew) return;
    lost.abort(cause);
    askAgainIn(1_000);
  }

  function askAgainIn(ms: number): void {
    timer = setTimeout(() => {
      void askOnce().then(() => {
        if (outage && !closing.signal.aborted) askAgainIn(Math.min(ms * 2, maxPauseMs));
      });
    }, ms);
    timer.unref();
  }

  /** Sends a request unless the server is away; its silence starts a probe, which ends the request if need be. */
  async function send<T>(signal: AbortSignal | undefined, request: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (outage) throw outage;
    const patience = setTimeout(() => void askOnce(), slowMs);
    patience.unref();
    try {
      const ending = signal ? AbortSignal.any([signal, lost.signal]) : lost.signal;
      const answer = await orAborted(request(ending), ending);
      answeredAtMs = now();
      return answer;
    } catch (error) {
      note(error);
      throw error;
    } finally {
      clearTimeout(patience);
    }
  }

  function note(error: unknown): void {
    if (error instanceof KubeApiError && error.status === 0 && !outage && !closing.signal.aborted) void askOnce();
  }

  /** Discovery, which may come first, takes no signal: it is left alone then. */
  async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
    const ended = Promise.withResolvers<never>();
    const onAbort = (): void => ended.reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([work, ended.promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async function untilBack(signal: AbortSignal | undefined): Promise<void> {
    const ending = signal ? AbortSignal.any([signal, closing.signal]) : closing.signal;
    while (outage) {
      ending.throwIfAborted();
      await orAborted(back.promise, ending);
    }
  }

  function guard(client: KubeClient): KubeClient {
    return {
      ...client,
      resourceFor: (group, version, kind) => send(undefined, () => client.resourceFor(group, version, kind)),
      get: (ref, rest) => send(rest?.signal, (signal) => client.get(ref, { ...rest, signal })),
      list: (resource, rest) => send(rest?.signal, (signal) => client.list(resource, { ...rest, signal })),
      async *watch(resource, rest) {
        if (outage) throw outage;
        const signal = rest.signal ? AbortSignal.any([rest.signal, lost.signal]) : lost.signal;
        try {
          yield* client.watch(resource, { ...rest, signal });
        } catch (error) {
          note(error);
          throw error;
        }
      },
      apply: (object, rest) => send(rest.signal, (signal) => client.apply(object, { ...rest, signal })),
      create: (object, rest) => send(rest?.signal, (signal) => client.create(object, { ...rest, signal })),
      patch: (ref, body, rest) => send(rest.signal, (signal) => client.patch(ref, body, { ...rest, signal })),
      delete: (ref, rest) => send(rest?.signal, (signal) => client.delete(ref, { ...rest, signal })),
      impersonate: (user, groups) => guard(client.impersonate(user, groups)),
    };
  }

  function patient(client: KubeClient): KubeClient {
    const guarded = guard(client);
    return {
      ...guarded,
      async list(resource, rest) {
        await untilBack(rest?.signal);
        return await guarded.list(resource, rest);
      },
      async *watch(resource, rest) {
        await untilBack(rest.signal);
        yield* guarded.watch(resource, rest);
      },
      impersonate: (user, groups) => patient(client.impersonate(user, groups)),
    };
  }

  return {
    async check() {
      if (outage ? now() - askedAtMs < awayMs : now() - answeredAtMs < freshMs) {
        if (outage) throw outage;
        return;
      }
      await askOnce();
      if (outage) throw outage;
    },
    get lost() {
      return lost.signal;
    },
    guard,
    patient,
    onBack(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      clearTimeout(timer);
      closing.abort(new Error(`the connection to ${server} was closed`));
      listeners.clear();
    },
  };
}

/** Why a server counts as away; undefined for an answer, be it a refusal of this one request. */
function outageOf(error: unknown, server: string, timeoutMs: number): KubeApiError | undefined {
  if (!(error instanceof KubeApiError)) {
    return new KubeApiError(`the API server at ${server} did not answer within ${timeoutMs / 1000}s`, 0, 'TimedOut');
  }
  if (error.status === 0) return error;
  if (error.status === 401) {
    return new KubeApiError(`the API server at ${server} refused the credentials: ${error.message}`, 401, error.reason);
  }
  if (error.status < 500) return undefined;
  return new KubeApiError(`the API server at ${server} is not ready: ${error.message}`, error.status, error.reason);
}
