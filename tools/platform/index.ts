// The platform: Kubernetes without containers, a Temporal server, a Git server and a worker, from plain binaries in one
// data directory. `continuo up` and the tests both start it here; nothing is left running when a start fails.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { cachedPath, ensureBinaries, findBinary } from './binaries.ts';
import type { BinaryName } from './binary-table.ts';
import { type ClusterAccess, createNode, waitForNode } from './cluster.ts';
import {
  buildComponents,
  type Component,
  type ComponentName,
  componentKubeconfig,
  credentialPaths,
  type PortName,
} from './components.ts';
import { writeContextKubeconfig } from './context.ts';
import { ensureCredentials, writeKubeconfigs } from './credentials.ts';
import { withLock } from './lock.ts';
import { modulePath, packageRoot } from './package-root.ts';
import { createRunner, type Runner } from './runner.ts';
import { choosePorts, readSettings, writeSettings } from './settings.ts';

export { type GitServer, type GitServerOptions, startGitServer } from './git-server.ts';
export { ensureBinaries } from './binaries.ts';
export type { BinaryName } from './binary-table.ts';

/** What `startPlatform` may be told. */
export interface PlatformOptions {
  /**
   * Where everything is kept. Given, state survives `stop()` and a platform that already runs there is completed.
   * @default a temporary directory, deleted by `stop()`
   */
  dataDir?: string;
  /** Context of the user's kubeconfig to use; no Kubernetes process is started then. */
  context?: string;
  /** `host:port` of a Temporal server to use; none is started then. */
  temporalAddress?: string;
  /** Whether a worker is started. @default false */
  worker?: boolean;
  /** Ports to use. @default those of the last start in this directory, else free ones */
  ports?: Partial<Record<PortName, number>>;
  /** Whether etcd and Temporal wait for the disk on every write; without it a power cut may lose the data. @default false */
  fsync?: boolean;
  /** Called with one line per step. @default no output */
  report?: (line: string) => void;
  /** Ends a start that is under way, as a failure. */
  signal?: AbortSignal;
}

/** A running platform. */
export interface Platform {
  dataDir: string;
  /** Administrator's kubeconfig. */
  kubeconfigPath: string;
  /** `host:port` */
  temporalAddress: string;
  /** Address of Temporal's web UI; undefined when the Temporal server is not ours. */
  uiUrl: string | undefined;
  /** `http://127.0.0.1:<port>`; the bare repository `<gitRoot>/a.git` is served as `<gitUrl>/a.git`. */
  gitUrl: string;
  gitRoot: string;
  /** `http://127.0.0.1:<port>` of the worker: health, metrics, artifacts. */
  workerUrl: string;
  /** Pid by process name, of everything that runs. */
  pids: Partial<Record<ComponentName, number>>;
  /** Path by name, of what was needed. */
  binaries: Partial<Record<BinaryName, string>>;
  /** Starts again what this start had started and what has died since; gives the names. */
  restartDead(): Promise<ComponentName[]>;
  /** Names of the processes of this start that have died. */
  dead(): ComponentName[];
  /** Stops what this start has started; without a given `dataDir` at once, and deletes the directory. */
  stop(): Promise<void>;
}

const controllers = ['kube-controller-manager', 'kube-scheduler', 'kwok'] as const;
const kubernetesBinaries = ['etcd', 'kube-apiserver', ...controllers] as const;

/** The names of the processes that these options ask for. */
export function plannedComponents(options: PlatformOptions): ComponentName[] {
  return [
    ...(options.context ? [] : kubernetesBinaries),
    ...(options.temporalAddress ? [] : (['temporal'] as const)),
    'git',
    ...(options.worker ? (['worker'] as const) : []),
  ];
}

/** Starts the platform and gives its addresses once everything serves. */
export async function startPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const isTemporary = options.dataDir === undefined;
  const dataDir = options.dataDir ? resolve(options.dataDir) : mkdtempSync(join(realpathSync(tmpdir()), 'continuo-'));
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  chmodSync(dataDir, 0o700);
  const report = options.report ?? (() => undefined);
  // One failure ends the waiting for all others, so that the clean-up is not kept waiting.
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const runner = createRunner({ dataDir, report, signal });
  const kill = (): void => {
    runner.kill();
    if (isTemporary) rmSync(dataDir, { recursive: true, force: true });
  };
  // A test process that ends without `stop()` must leave nothing behind; a detached `up` ends and must leave it all.
  if (isTemporary) process.once('exit', kill);
  const stop = async (): Promise<void> => {
    await runner.stop(runner.started(), { isForced: isTemporary });
    process.off('exit', kill);
    if (isTemporary) rmSync(dataDir, { recursive: true, force: true });
  };
  const onWait = (pid: number): void => report(`► waiting for process ${pid}, which starts this platform`);
  try {
    return await withLock(join(dataDir, 'up.lock'), { onWait, signal: options.signal }, () =>
      startAll({ ...options, dataDir }, { runner, report, stop, failed }),
    );
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The processes as `startPlatform` would start them, without starting or writing anything (`up --dry-run`). */
export async function planPlatform(options: PlatformOptions & { dataDir: string }): Promise<Component[]> {
  const dataDir = resolve(options.dataDir);
  const settings = await readSettings(dataDir);
  const running = existsSync(dataDir)
    ? heldPorts(createRunner({ dataDir, report: () => undefined }))
    : new Set<PortName>();
  const ports = await choosePorts(options.ports ?? {}, settings?.ports ?? {}, running, () => undefined);
  const binaries = Object.fromEntries(
    neededBinaries(options).map((name) => [name, findBinary(name) ?? cachedPath(name)]),
  );
  return planComponents({ ...options, dataDir }, ports, binaries);
}

/** What one start works with. */
interface Starting {
  runner: Runner;
  report: (line: string) => void;
  stop: () => Promise<void>;
  failed: AbortController;
}

async function startAll(
  options: PlatformOptions & { dataDir: string },
  { runner, report, stop, failed }: Starting,
): Promise<Platform> {
  const { dataDir } = options;
  const binaries = await ensureBinaries(neededBinaries(options), { report, signal: options.signal });
  const last = await readSettings(dataDir);
  const ports = await choosePorts(options.ports ?? {}, last?.ports ?? {}, heldPorts(runner), report);
  await writeSettings(dataDir, { ports });

  const components = planComponents(options, ports, binaries);
  const start = async (name: ComponentName): Promise<void> => {
    const component = components.find((candidate) => candidate.name === name);
    if (!component) return;
    await runner.start(component).catch((error: Error) => {
      failed.abort(error);
      throw error;
    });
  };
  const kubeconfigPath = join(dataDir, 'kubeconfig');
  const gitRoot = join(dataDir, 'git');
  mkdirSync(gitRoot, { recursive: true });
  mkdirSync(join(dataDir, 'worker'), { recursive: true });

  const startApi = async (): Promise<ClusterAccess | undefined> => {
    if (options.context) {
      await writeContextKubeconfig(binaries.kubectl, options.context, kubeconfigPath);
      return undefined;
    }
    const tokens = await ensureCredentials(dataDir);
    await start('etcd');
    await start('kube-apiserver');
    const server = `https://127.0.0.1:${ports.apiserver}`;
    await writeKubeconfigs(dataDir, server, tokens, kubeconfigPath);
    return { server, caFile: credentialPaths(dataDir).authority, token: tokens.admin };
  };
  const startNode = async (access: ClusterAccess | undefined): Promise<void> => {
    if (!access) return;
    await settleAll([createNode(access), ...controllers.map(start)]);
    await waitForNode(access);
  };
  const api = startApi();
  const temporal = start('temporal');
  const startWorker = async (): Promise<void> => {
    await Promise.all([api, temporal]);
    await start('worker');
  };
  await settleAll([temporal, start('git'), api.then(startNode), startWorker()]);

  const platform: Platform = {
    dataDir,
    kubeconfigPath,
    temporalAddress: temporalAddressOf(options, ports),
    uiUrl: options.temporalAddress ? undefined : `http://127.0.0.1:${ports.temporalUi}`,
    gitUrl: `http://127.0.0.1:${ports.git}`,
    gitRoot,
    workerUrl: `http://127.0.0.1:${ports.worker}`,
    get pids() {
      return Object.fromEntries(Object.entries(runner.running()).map(([name, record]) => [name, record.pid]));
    },
    binaries,
    dead: () => runner.dead(),
    async restartDead() {
      const dead = components.filter(({ name }) => runner.dead().includes(name));
      for (const component of dead) await runner.start(component);
      return dead.map(({ name }) => name);
    },
    stop,
  };
  writeEnvironment(platform);
  return platform;
}

/** Waits for all, also when one fails, so that nothing starts behind the back of the clean-up. */
async function settleAll(work: Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

function planComponents(
  options: PlatformOptions & { dataDir: string },
  ports: Record<PortName, number>,
  binaries: Partial<Record<BinaryName, string>>,
): Component[] {
  const { dataDir } = options;
  return buildComponents(plannedComponents(options), {
    dataDir,
    ports,
    binaries: { ...binaries, node: process.execPath },
    modules: {
      gitServer: modulePath('tools/platform/git-server'),
      worker: modulePath('workers/main'),
      workflowThread: modulePath('workers/workflow-thread'),
      stages: join(packageRoot(), 'tools', 'platform', 'stages'),
    },
    fsync: options.fsync ?? false,
    temporalAddress: temporalAddressOf(options, ports),
    workerKubeconfig: options.context ? join(dataDir, 'kubeconfig') : componentKubeconfig(dataDir, 'worker'),
  });
}

function temporalAddressOf(options: PlatformOptions, ports: Record<PortName, number>): string {
  return options.temporalAddress ?? `127.0.0.1:${ports.temporal}`;
}

function neededBinaries(options: PlatformOptions): BinaryName[] {
  return [
    'kustomize',
    'helm',
    'sops',
    'kubectl',
    ...(options.temporalAddress ? [] : (['temporal'] as const)),
    ...(options.context ? [] : kubernetesBinaries),
  ];
}

/** The ports of processes of ours that run; they must stay as they are. */
function heldPorts(runner: Runner): Set<PortName> {
  const held: Record<ComponentName, PortName[]> = {
    etcd: ['etcd', 'etcdPeer'],
    temporal: ['temporal', 'temporalUi'],
    git: ['git'],
    'kube-apiserver': ['apiserver'],
    'kube-controller-manager': ['controllerManager'],
    'kube-scheduler': ['scheduler'],
    kwok: ['kwok'],
    worker: ['worker'],
  };
  return new Set(Object.keys(runner.running()).flatMap((name) => held[name as ComponentName]));
}

/** Writes `<data>/bin` and `<data>/env`, which a shell sources to have the tools and addresses. */
function writeEnvironment(platform: Platform): void {
  const bin = join(platform.dataDir, 'bin');
  rmSync(bin, { recursive: true, force: true });
  mkdirSync(bin);
  writeFileSync(join(bin, '.continuo-bin'), 'written by `continuo up`\n');
  for (const [name, path] of Object.entries(platform.binaries)) symlinkSync(path, join(bin, name));
  const variables: Record<string, string | undefined> = {
    KUBECONFIG: platform.kubeconfigPath,
    TEMPORAL_ADDRESS: platform.temporalAddress,
    CONTINUO_GIT_URL: platform.gitUrl,
    CONTINUO_GIT_ROOT: platform.gitRoot,
    CONTINUO_UI_URL: platform.uiUrl,
    CONTINUO_WORKER_URL: platform.workerUrl,
  };
  const lines = Object.entries(variables)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `export ${name}='${value?.replaceAll("'", `'\\''`)}'`);
  lines.push(`export PATH='${bin.replaceAll("'", `'\\''`)}'${delimiter}"$PATH"`);
  writeFileSync(join(platform.dataDir, 'env'), `${lines.join('\n')}\n`, { mode: 0o600 });
}
