// Runs helm out of a small process. A worker of 400 MB is held up for some 15 ms by each process that it starts, while the
// kernel copies its page tables, and once more by each page that it writes afterwards; one of 50 MB is not
// (docs/decisions/0020).
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { failure } from '../errors.ts';
import { removeOwn } from '../private-directory.ts';
import type { Helm, HelmOptions, HelmResult, HelmRun } from './run-helm.ts';

/** What the worker sends; `id` is that of a run. */
export type StarterRequest =
  | { type: 'open'; options: HelmOptions }
  | { type: 'run'; id: number; run: SentRun }
  | { type: 'abort'; id: number }
  | { type: 'rendered'; id: number; manifests: string }
  | { type: 'notRendered'; id: number; message: string };

/** What comes back. */
export type StarterAnswer =
  | { type: 'beat'; id: number }
  | { type: 'render'; id: number; manifests: string }
  | { type: 'done'; id: number; result: HelmResult }
  | { type: 'failed'; id: number; name: string; message: string };

/** A run without what cannot be sent. */
export interface SentRun extends Omit<HelmRun, 'signal' | 'postRender' | 'heartbeat' | 'hidden'> {
  hidden: string[];
  isPostRendered: boolean;
}

interface RunUnderWay {
  run: HelmRun;
  rendering: AbortController;
  resolve(result: HelmResult): void;
  reject(error: Error): void;
}

export interface HelmStarter extends Helm {
  /** Ends the process, and with it every helm that runs. */
  close(): void;
}

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
/** It passes manifests on, of which there may be 32 MiB for each helm. */
const heapMegabytes = 256;

/** The process is started with the first run, and anew when it has ended. */
export function createHelmStarter(options: HelmOptions): HelmStarter {
  const runs = new Map<number, RunUnderWay>();
  let lastId = 0;
  let starter: ChildProcess | undefined;

  function open(): ChildProcess {
    const path = fileURLToPath(new URL(`./helm-starter-process.${extension}`, import.meta.url));
    const { PATH, NODE_COMPILE_CACHE } = process.env;
    const child = fork(path, {
      execArgv: ['--disable-warning=ExperimentalWarning', `--max-old-space-size=${heapMegabytes}`],
      // Nothing of the worker's own: what it knows by its environment is not for what it starts.
      env: { PATH, ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }) },
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    child.on('message', (answer: StarterAnswer) => void take(child, answer));
    const onEnd = (why: string): void => {
      if (starter !== child) return;
      starter = undefined;
      for (const { reject, rendering } of runs.values()) {
        rendering.abort();
        reject(failure('ReconcileError', `the process that starts helm ended (${why})`, { isTransient: true }));
      }
      runs.clear();
      // Values are in there; what worked with them ends with its starter.
      void removeOwn(options.temporaryDirectory).catch(() => undefined);
    };
    child.once('error', (error) => onEnd(error.message));
    child.once('exit', (code, signal) => onEnd(signal ?? `code ${code}`));
    keepAlive(child, false);
    send(child, { type: 'open', options: { ...options, owner: process.pid } });
    return child;
  }

  async function take(child: ChildProcess, answer: StarterAnswer): Promise<void> {
    const underWay = runs.get(answer.id);
    if (!underWay) return;
    const { run, rendering, resolve, reject } = underWay;
    const { id } = answer;
    switch (answer.type) {
      case 'beat':
        run.heartbeat?.();
        return;
      case 'render':
        try {
          const manifests = await run.postRender?.(answer.manifests, rendering.signal);
          send(child, { type: 'rendered', id, manifests: manifests ?? answer.manifests });
        } catch (error) {
          send(child, { type: 'notRendered', id, message: (error as Error).message });
        }
        return;
      case 'done':
      case 'failed':
        runs.delete(id);
        if (runs.size === 0) keepAlive(child, false);
        rendering.abort();
        if (answer.type === 'done') return resolve(answer.result);
        if (run.signal.aborted) return reject(run.signal.reason as Error);
        return reject(Object.assign(new Error(answer.message), { name: answer.name }));
    }
  }

  return {
    async run(run) {
      const { signal, postRender, heartbeat: _, hidden = [], ...rest } = run;
      signal.throwIfAborted();
      starter ??= open();
      const child = starter;
      const id = ++lastId;
      const { promise, resolve, reject } = Promise.withResolvers<HelmResult>();
      runs.set(id, { run, rendering: new AbortController(), resolve, reject });
      keepAlive(child, true);
      const onAbort = (): void => send(child, { type: 'abort', id });
      signal.addEventListener('abort', onAbort, { once: true });
      send(child, { type: 'run', id, run: { ...rest, hidden: [...hidden], isPostRendered: postRender !== undefined } });
      return await promise.finally(() => signal.removeEventListener('abort', onAbort));
    },
    close() {
      starter?.disconnect();
    },
  };
}

/** A worker does not end before what it runs, and does not stay for a process that waits for work. */
function keepAlive(child: ChildProcess, isNeeded: boolean): void {
  for (const handle of [child, child.channel]) {
    if (isNeeded) handle?.ref();
    else handle?.unref();
  }
}

/** What cannot be sent any more is told by the end of the process. */
function send(child: ChildProcess, request: StarterRequest): void {
  if (child.connected) child.send(request, () => {});
}
