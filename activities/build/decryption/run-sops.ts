// One run of the sops binary: encrypted content in by standard input, plain content out by standard output, so that
// neither lies on a disk; keys by environment and private files, never by argument.
import { spawn } from 'node:child_process';
import type { SopsFormat } from './sops-metadata.ts';

/** What a run is told. */
export interface SopsRun {
  binary: string;
  content: Uint8Array;
  input: SopsFormat;
  output: SopsFormat;
  /** Decrypt also what no longer fits its message authentication code. */
  isMacIgnored: boolean;
  /** Private directory; the working directory of the process. */
  home: string;
  variables: Readonly<Record<string, string>>;
  timeoutMs: number;
  maxOutputBytes: number;
  signal?: AbortSignal;
}

/** How a run ended; `plain` is whole only with exit code 0. */
export interface SopsResult {
  exitCode: number | null;
  plain: Uint8Array;
  /** May quote plain text: never to be shown as it is. */
  stderr: string;
}

const maxErrorBytes = 64 * 1024;

/** Runs sops to its end. Throws an `Error` when it cannot be run or takes too long, `signal.reason` when aborted. */
export async function runSops(run: SopsRun): Promise<SopsResult> {
  run.signal?.throwIfAborted();
  const options = ['--input-type', run.input, '--output-type', run.output];
  const child = spawn(run.binary, ['decrypt', ...options, ...(run.isMacIgnored ? ['--ignore-mac'] : [])], {
    cwd: run.home,
    env: { ...run.variables },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stopped: Error | undefined;
  function stop(why: Error): void {
    stopped ??= why;
    child.kill('SIGKILL');
  }
  const output = collect(child.stdout, run.maxOutputBytes, () =>
    stop(new Error(`sops printed more than ${run.maxOutputBytes} bytes`)),
  );
  const errors = collect(child.stderr, maxErrorBytes, () => undefined);
  const timer = setTimeout(
    () => stop(new Error(`sops was stopped: not done after ${run.timeoutMs / 1000}s; is the key service reachable?`)),
    run.timeoutMs,
  );
  const onAbort = (): void => stop(asError(run.signal?.reason));
  run.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const exitCode = await new Promise<number | null>((resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) => reject(cannotRun(run.binary, error)));
      child.once('close', resolve);
      child.stdin.once('error', () => undefined); // it ended before it had read all; the exit code says why
      child.stdin.end(run.content);
    });
    if (stopped) throw stopped;
    return { exitCode, plain: output(), stderr: errors().toString('utf8') };
  } finally {
    clearTimeout(timer);
    run.signal?.removeEventListener('abort', onAbort);
  }
}

function cannotRun(binary: string, error: NodeJS.ErrnoException): Error {
  const cause = error.code === 'ENOENT' ? 'there is no such program' : error.message;
  return new Error(`sops "${binary}" cannot be run: ${cause}; install sops, or set CONTINUO_SOPS to its path`);
}

/** Collects a stream up to a limit; past it `onOverflow` is called once and the rest is dropped. */
function collect(stream: NodeJS.ReadableStream, limit: number, onOverflow: () => void): () => Buffer {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    if (size <= limit && size + chunk.length > limit) onOverflow();
    size += chunk.length;
    if (size <= limit) chunks.push(chunk);
  });
  return () => Buffer.concat(chunks);
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('decryption was cancelled');
}
