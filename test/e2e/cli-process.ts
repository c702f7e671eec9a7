// The CLI as a person or a script uses it: a process, its output and its exit code.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { inject } from 'vitest';

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunningCli {
  result: Promise<CliResult>;
  output(): string;
  interrupt(): void;
}

/** Starts it against the test platform; variables of `environment` come on top. */
export function startCli(args: readonly string[], environment: Record<string, string> = {}): RunningCli {
  const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      HOME: inject('dataDir'),
      KUBECONFIG: inject('kubeconfig'),
      TEMPORAL_ADDRESS: inject('temporalAddress'),
      CONTINUO_UI_URL: 'http://ui.test',
      CONTINUO_KUSTOMIZE: join(inject('binDir'), 'kustomize'),
      CONTINUO_SOPS: join(inject('binDir'), 'sops'),
      ...environment,
    },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const result = new Promise<CliResult>((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => done({ code, stdout, stderr }));
  });
  return { result, output: () => stdout + stderr, interrupt: () => child.kill('SIGINT') };
}
