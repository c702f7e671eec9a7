// A worker of a test's own: `workers/main.ts` as a process with its own environment, log and address, which the test may
// kill. Nothing restarts it.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { componentKubeconfig } from '../../tools/platform/components.ts';
import type { Platform } from '../../tools/platform/index.ts';
import { eventually } from './harness.ts';
import { freePort } from '../servers/free-port.ts';

export interface WorkerOptions {
  /** Its data directory; workers that share a store share this. */
  dataDir: string;
  /** @default the worker's account of the platform */
  kubeconfig?: string;
  /** Address in the artifacts' URLs, the same for all workers of a store. @default the worker's own */
  artifactAddress?: string;
  env?: Record<string, string>;
}

export interface WorkerProcess {
  pid: number;
  /** Where it serves: `http://127.0.0.1:<port>`. */
  url: string;
  /** False once the process has ended, by itself or not. */
  isAlive(): boolean;
  /** SIGKILL; resolves once the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** Stops and continues the process without its knowledge, as a machine that hangs does. */
  freeze(isFrozen: boolean): void;
  log(): string;
}

/** Starts a worker and waits until it is ready. Fails with the end of its log when it ends before. */
export async function startWorker(platform: Platform, options: WorkerOptions): Promise<WorkerProcess> {
  const port = await freePort();
  shareBundle(platform, options.dataDir);
  const logDirectory = mkdtempSync(join(platform.dataDir, 'worker-log-'));
  const logPath = join(logDirectory, 'log');
  const log = openSync(logPath, 'a');
  const moduleOf = (name: string): string => fileURLToPath(new URL(`../../workers/${name}.ts`, import.meta.url));
  const flags = ['--disable-warning=ExperimentalWarning', `--import=${moduleOf('workflow-thread')}`];
  const child = spawn(process.execPath, [...flags, moduleOf('main')], {
    cwd: platform.dataDir,
    stdio: ['ignore', log, log],
    env: {
      ...process.env,
      KUBECONFIG: options.kubeconfig ?? componentKubeconfig(platform.dataDir, 'worker'),
      TEMPORAL_ADDRESS: platform.temporalAddress,
      CONTINUO_DATA_DIR: options.dataDir,
      CONTINUO_HTTP_ADDRESS: `127.0.0.1:${port}`,
      CONTINUO_KUSTOMIZE: platform.binaries.kustomize ?? 'kustomize',
      CONTINUO_HELM: platform.binaries.helm ?? 'helm',
      CONTINUO_SOPS: platform.binaries.sops ?? 'sops',
      ...(options.artifactAddress ? { CONTINUO_ARTIFACT_ADDRESS: options.artifactAddress } : {}),
      ...options.env,
    },
  });
  closeSync(log);
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  void ended.then(() => process.off('exit', onExit));
  const worker: WorkerProcess = {
    pid: child.pid ?? 0,
    url: `http://127.0.0.1:${port}`,
    isAlive: () => isRunning(child),
    async kill() {
      if (isRunning(child)) child.kill('SIGKILL');
      await ended;
    },
    async stop() {
      child.kill('SIGTERM');
      return await ended;
    },
    freeze: (isFrozen) => void child.kill(isFrozen ? 'SIGSTOP' : 'SIGCONT'),
    log: () => readFileSync(logPath, 'utf8'),
  };
  const isReady = async (): Promise<boolean> =>
    !worker.isAlive() || (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
  const wasReady = await eventually('the worker to be ready', isReady, 60_000).catch(() => false);
  if (wasReady && worker.isAlive()) return worker;
  await worker.kill();
  throw new Error(`the worker did not become ready:\n${worker.log().slice(-3_000)}`);
}

/** Has the workers of a platform use the bundle of workflows that the first of them makes, which takes it seconds. */
function shareBundle({ dataDir: shared }: Platform, dataDir: string): void {
  const bundle = join(dataDir, 'bundle');
  if (existsSync(bundle)) return;
  for (const directory of [join(shared, 'bundle'), dataDir]) mkdirSync(directory, { recursive: true });
  symlinkSync(join(shared, 'bundle'), bundle);
}

/** Removes what a worker had kept, as a pod without a volume loses it. */
export function emptyDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}
