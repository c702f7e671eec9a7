// The real controllers of Flux, as processes against a cluster that has the CRDs already.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureBinaries } from '../../tools/platform/binaries.ts';
import type { BinaryName } from '../../tools/platform/binary-table.ts';
import { freePort } from './free-port.ts';

export interface FluxControllerOptions {
  kubeconfig: string;
  /** Further flags. */
  args?: readonly string[];
}

export interface FluxController {
  pid: number;
  /** What it logged last. */
  log(): string;
  stop(): Promise<void>;
}

const readyTimeoutMs = 60_000;

export async function startKustomizeController(options: FluxControllerOptions): Promise<FluxController> {
  return await start('kustomize-controller', options, () => ['--feature-gates=ExternalArtifact=true']);
}

/** Keeps its artifacts in a directory of its own and serves them on loopback. */
export async function startSourceController(options: FluxControllerOptions): Promise<FluxController> {
  const storage = `127.0.0.1:${await freePort()}`;
  return await start('source-controller', options, (root) => {
    const directory = join(root, 'storage');
    mkdirSync(directory);
    return [`--storage-path=${directory}`, `--storage-addr=${storage}`, `--storage-adv-addr=${storage}`];
  });
}

async function start(
  name: BinaryName & `${string}-controller`,
  { kubeconfig, args: further = [] }: FluxControllerOptions,
  argsIn: (root: string) => string[],
): Promise<FluxController> {
  const { [name]: binary } = await ensureBinaries([name], { report: (line) => console.error(line) });
  const root = mkdtempSync(join(tmpdir(), `continuo-${name}-`));
  const health = `127.0.0.1:${await freePort()}`;
  const args = [...argsIn(root), ...further, `--health-addr=${health}`, '--metrics-addr=0', '--log-encoding=console'];
  const child = spawn(binary, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: root, TMPDIR: root, KUBECONFIG: kubeconfig, RUNTIME_NAMESPACE: 'default' },
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-16_000)));
  }
  await untilReady(child, `http://${health}/readyz`, () => `${name}:\n${log}`);
  return {
    pid: child.pid ?? 0,
    log: () => log,
    async stop() {
      process.off('exit', kill);
      const exited = new Promise((resolve) => child.once('exit', resolve));
      if (isRunning(child) && child.kill('SIGKILL')) await exited;
      rmSync(root, { recursive: true, force: true });
    },
  };
}

async function untilReady(child: ChildProcess, url: string, told: () => string): Promise<void> {
  const deadline = Date.now() + readyTimeoutMs;
  while (isRunning(child) && Date.now() < deadline) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return;
    await sleep(100);
  }
  child.kill('SIGKILL');
  throw new Error(`did not become ready: ${told()}`);
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}
