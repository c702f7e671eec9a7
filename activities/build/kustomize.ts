// Runs the kustomize binary in a workspace: no plugins, no secrets in its environment, bounded time and output.
import { spawn } from 'node:child_process';
import { explainStderr } from './build-error.ts';

export interface KustomizeOptions {
  /** Path of the binary. */
  binary: string;
  /** Root of the workspace; its path never shows in a message. */
  directory: string;
  /** The directory to build, below the root. */
  target: string;
  home: string;
  /** `none` allows files anywhere (they were checked before), `root` only below the kustomization that names them. */
  restrictor: 'none' | 'root';
  timeoutMs: number;
  maxOutputBytes: number;
  /** Further variables, for Git and proxies; only given to builds with remote bases. */
  environment?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
}

const maxErrorBytes = 64 * 1024;
const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The YAML that kustomize prints. Throws an `Error` in a person's words; `signal.reason` when aborted. */
export async function runKustomize(options: KustomizeOptions): Promise<string> {
  options.signal?.throwIfAborted();
  const restrictor = options.restrictor === 'none' ? 'LoadRestrictionsNone' : 'LoadRestrictionsRootOnly';
  const child = spawn(options.binary, ['build', '--load-restrictor', restrictor, options.target], {
    cwd: options.directory,
    detached: true, // a group of its own, so that a git which it started ends with it
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: searchPath,
      HOME: options.home,
      TMPDIR: options.home,
      GIT_TERMINAL_PROMPT: '0',
      GIT_CONFIG_NOSYSTEM: '1',
      ...options.environment,
    },
  });
  let stopped: Error | undefined;
  function stop(why: Error): void {
    stopped ??= why;
    try {
      if (child.pid) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // it has ended already
    }
  }
  const output = collect(child.stdout, options.maxOutputBytes, (limit) =>
    stop(new Error(`kustomize build printed more than ${limit} bytes; split the Kustomization`)),
  );
  const errors = collect(child.stderr, maxErrorBytes, () => undefined);
  const timer = setTimeout(
    () => stop(new Error(`kustomize build was stopped: not done after ${options.timeoutMs / 1000}s`)),
    options.timeoutMs,
  );
  const onAbort = (): void => stop(asError(options.signal?.reason));
  options.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', (error) =>
        reject(new Error(`kustomize "${options.binary}" cannot be run: ${error.message}`)),
      );
      child.once('close', resolve);
    });
    if (stopped) throw stopped;
    if (code !== 0) throw new Error(explainStderr(errors(), options.directory));
    return output();
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

/** Collects a stream up to a limit; past it `onOverflow` is called once and the rest is dropped. */
function collect(stream: NodeJS.ReadableStream, limit: number, onOverflow: (limit: number) => void): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    if (size <= limit && size + chunk.length > limit) onOverflow(limit);
    size += chunk.length;
    if (size <= limit) chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('kustomize build was cancelled');
}
