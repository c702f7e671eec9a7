// Runs the helm binary: in a private directory, without anything of the worker's environment, bounded in time and output,
// and never longer than the worker itself lives.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { createPlaces } from './places.ts';
import { createProcessDirectory, type ProcessDirectory, type ProcessDirectoryInput } from './run-helm-directory.ts';
import { createHelmLog, type HelmLog } from './run-helm-log.ts';
import { channels, superviseScript } from './run-helm-scripts.ts';

export interface HelmOptions {
  /** Path of the binary. */
  binary: string;
  /** Private directories are made below it. */
  temporaryDirectory: string;
  /** Processes that work at the same time; one that has turned to waiting counts no longer. @default 4 */
  concurrency?: number;
  /** The process with whose end the private directories are abandoned. @default this one */
  owner?: number;
}

export interface HelmRun extends ProcessDirectoryInput {
  /** Of command.ts. */
  args: readonly string[];
  /** Changes what helm has rendered; a failure of it is the failure of the run. @default nothing is changed */
  postRender?(manifests: string, signal: AbortSignal): Promise<string>;
  /** Longest time for the whole process. */
  timeoutMs: number;
  /** Asks helm to end (SIGTERM), and ends it after the grace period; the run then rejects with the signal's reason. */
  signal: AbortSignal;
  /** Between SIGTERM and SIGKILL. @default 5000 */
  graceMs?: number;
  /** Called when the process has started, and about every two seconds while it runs; not while it waits to be started. */
  heartbeat?(): void;
  /** Texts that no message or log line may hold, such as values out of Secrets. */
  hidden?: Iterable<string>;
  /** Keep what helm prints, up to 32 MiB: for dry runs. It may hold secrets. @default false */
  isOutputWanted?: boolean;
}

/** What came of a run that ended by itself. */
export interface HelmResult {
  /** What helm says is wrong, without its prefixes; undefined when it succeeded. */
  error?: string;
  /** The last lines of helm's log, oldest first, each as `<time>: <message>`. */
  log: string[];
  /** Empty unless it was asked for. */
  output: string;
  durationMs: number;
}

export interface Helm {
  /**
   * Runs one command. Resolves whenever helm ended by itself, also with an error. Rejects with the reason of the signal,
   * with a time-out (`name` is `TimeoutError`), or with an `Error` that says why the process cannot be run.
   */
  run(run: HelmRun): Promise<HelmResult>;
}

const shell = '/bin/sh';
const defaultConcurrency = 4;
/** Helm does its own work in less; what lasts longer waits for hooks or for a slow server, and takes no core for that. */
const workingMs = 3_000;
const heartbeatMs = 2_000;
const defaultGraceMs = 5_000;
const maxOutputBytes = 32 * 1024 * 1024;
/** Helm keeps a manifest in one Secret of 1 MiB, compressed; 32 MiB of text is beyond any. */
const maxRenderedBytes = 32 * 1024 * 1024;

/** Opens the way to the binary; nothing is run before the first call. */
export function createHelm(options: HelmOptions): Helm {
  const places = createPlaces(options.concurrency ?? defaultConcurrency);
  return {
    async run(run) {
      const leavePlace = await places.take(run.signal);
      const working = setTimeout(leavePlace, workingMs);
      const startedMs = performance.now();
      let directory: ProcessDirectory | undefined;
      try {
        directory = await createProcessDirectory(options.temporaryDirectory, run, options.owner);
        const log = createHelmLog(directory.path, run.hidden);
        const supervised = supervise(options.binary, run, directory.path, directory.environment, log);
        const { error, output } = await supervised;
        return { error, output, log: log.lines(), durationMs: performance.now() - startedMs };
      } finally {
        clearTimeout(working);
        leavePlace();
        await directory?.remove();
      }
    },
  };
}

async function supervise(
  binary: string,
  run: HelmRun,
  cwd: string,
  env: Readonly<Record<string, string>>,
  log: HelmLog,
): Promise<{ error?: string; output: string }> {
  const child = spawn(shell, ['-c', superviseScript, 'helm', binary, ...run.args, '--debug'], {
    cwd,
    env,
    detached: true, // a group of its own, so that all of it can be ended at once
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
  });
  const [control, , , , changed] = child.stdio as [Writable, Readable, Readable, Readable, Writable];
  // A pipe whose other end is gone is told by the end of the process.
  for (const pipe of [control, changed]) pipe.on('error', () => {});
  const ending = createEnding(child, control, run.graceMs ?? defaultGraceMs);
  const rendering = new AbortController();
  const output = collect(child.stdio[channels.output], run.isOutputWanted ? maxOutputBytes : 0);
  child.stdio[channels.errors].on('data', (chunk: Buffer) => log.add(chunk));
  let renderError: Error | undefined;
  answerPostRenderer(child.stdio[channels.rendered] as Readable, changed, async (manifests) => {
    try {
      return run.postRender ? await run.postRender(manifests, rendering.signal) : manifests;
    } catch (error) {
      renderError = error as Error;
      throw error;
    }
  });
  const onAbort = (): void => ending.begin(asError(run.signal.reason));
  run.signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => ending.begin(timeOut(run.timeoutMs)), run.timeoutMs);
  const beat = run.heartbeat && setInterval(run.heartbeat, heartbeatMs);
  try {
    if (run.signal.aborted) onAbort();
    run.heartbeat?.();
    const code = await exitOf(child, binary);
    if (ending.reason) throw ending.reason;
    if (code === 0) return { output: output() };
    return { error: renderError ? log.hide(renderError.message) : log.error(code), output: output() };
  } finally {
    rendering.abort();
    ending.over();
    clearTimeout(timer);
    clearInterval(beat);
    run.signal.removeEventListener('abort', onAbort);
    for (const pipe of child.stdio) pipe?.destroy();
  }
}

/** Ends a process politely first. */
function createEnding(child: ChildProcess, control: Writable, graceMs: number) {
  let timer: NodeJS.Timeout | undefined;
  let reason: Error | undefined;
  return {
    get reason() {
      return reason;
    },
    begin(why: Error): void {
      if (reason) return;
      reason = why;
      control.write('TERM\n');
      timer = setTimeout(() => killGroup(child), graceMs);
    },
    over(): void {
      clearTimeout(timer);
      killGroup(child);
    },
  };
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // all of it has ended
  }
}

async function exitOf(child: ChildProcess, binary: string): Promise<number | null> {
  return await new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new Error(`helm "${binary}" cannot be run: ${error.message}`)));
    child.once('close', resolve);
  });
}

/** Answers each stream of manifests, which ends with a zero byte, by its changed form behind its length. */
function answerPostRenderer(
  rendered: Readable,
  changed: Writable,
  change: (manifests: string) => Promise<string>,
): void {
  let chunks: Buffer[] = [];
  let sizeBytes = 0;
  let last = Promise.resolve();

  async function answer(manifests: Buffer): Promise<void> {
    try {
      if (manifests.length > maxRenderedBytes) throw new Error(`the chart renders more than ${maxRenderedBytes} bytes`);
      const result = Buffer.from(await change(manifests.toString('utf8')));
      changed.write(`${result.length}\n`);
      changed.write(result);
    } catch {
      changed.write('-1\n');
    }
  }

  rendered.on('data', (chunk: Buffer) => {
    let rest = chunk;
    for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
      const manifests = Buffer.concat([...chunks, rest.subarray(0, end)]);
      last = last.then(() => answer(manifests));
      chunks = [];
      sizeBytes = 0;
      rest = rest.subarray(end + 1);
    }
    sizeBytes += rest.length;
    // What is too much is only counted, and refused at its end.
    if (sizeBytes <= maxRenderedBytes + 1) chunks.push(rest);
  });
  rendered.on('error', () => {});
}

/** Collects a stream up to a limit, and drops the rest. */
function collect(stream: Readable, limitBytes: number): () => string {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  stream.on('data', (chunk: Buffer) => {
    sizeBytes += chunk.length;
    if (sizeBytes <= limitBytes) chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

function timeOut(timeoutMs: number): Error {
  const error = new Error(`helm was stopped: not done after ${timeoutMs / 1000}s`);
  error.name = 'TimeoutError';
  return error;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('helm was cancelled');
}
