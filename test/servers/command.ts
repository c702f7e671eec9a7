// A command as a person or a script runs it: a process, what it prints and its exit code. The test goes on meanwhile, so
// that the servers which the command talks to may be in its process.
import { spawn } from 'node:child_process';
import { join } from 'node:path';

export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunningCommand {
  result: Promise<CommandResult>;
  output(): string;
  interrupt(): void;
}

export type Environment = Record<string, string | undefined>;

/** Starts a command with these variables and no others. */
export function startCommand(command: string, args: readonly string[], env: Environment): RunningCommand {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const result = new Promise<CommandResult>((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => done({ code, stdout, stderr }));
  });
  return { result, output: () => stdout + stderr, interrupt: () => child.kill('SIGINT') };
}

/** Starts `continuo` with these variables, PATH, and the compiled code that `bin/continuo.mjs` would keep. */
export function startContinuo(args: readonly string[], env: Environment): RunningCommand {
  const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  return startCommand(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args], {
    PATH,
    NODE_COMPILE_CACHE,
    ...env,
  });
}
