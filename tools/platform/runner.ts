// Starts the platform's processes detached, with a log file each, waits until they serve, and stops them. Records what
// it started in the data directory, so that a later process can tell, stop or complete it; signals only what is ours.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Component, type ComponentName, componentNames } from './components.ts';
import { isAlive, processIdentity } from './process-identity.ts';
import { isReady } from './readiness.ts';

/** A process as recorded in `<data>/processes.json`. */
export interface ProcessRecord {
  pid: number;
  /** See `processIdentity`. */
  identity: string;
  /** ISO time. */
  startedAt: string;
}

/** What the runner may be told. */
export interface RunnerOptions {
  dataDir: string;
  /** Called with one line per step. */
  report: (line: string) => void;
  /** How long a process may take to serve. @default 60000 */
  readyTimeoutMs?: number;
  /** Ends the waiting of `start`. */
  signal?: AbortSignal;
}

/** Starts, watches and stops the processes of one data directory. */
export interface Runner {
  /** Starts the process unless it runs already, and waits until it serves. Fails with the last lines of its log. */
  start(component: Component): Promise<void>;
  /** The recorded processes that are alive, by name. */
  running(): Partial<Record<ComponentName, ProcessRecord>>;
  /** The processes that this runner itself started and that are no longer alive. */
  dead(): ComponentName[];
  /** The names that this runner itself started. */
  started(): ComponentName[];
  /** Stops the named processes in reverse order of dependence: SIGTERM, then SIGKILL after 10 s. */
  stop(names: readonly ComponentName[], options?: { isForced?: boolean }): Promise<void>;
  /** Kills at once what this runner started; synchronous, for the end of the process. */
  kill(): void;
}

const pollMs = 25;
const stopTimeoutMs = 10_000;

/** Which processes stop together, first to last. */
const stopOrder: readonly (readonly ComponentName[])[] = [
  ['worker'],
  ['kwok', 'kube-scheduler', 'kube-controller-manager', 'git'],
  ['kube-apiserver', 'temporal'],
  ['etcd'],
];

/** Path of a process's log. */
export function logPath(dataDir: string, name: ComponentName): string {
  return join(dataDir, 'logs', `${name}.log`);
}

/** A runner for the data directory, which must exist. */
export function createRunner(options: RunnerOptions): Runner {
  const { dataDir, report } = options;
  const own = new Map<ComponentName, ProcessRecord>();
  mkdirSync(join(dataDir, 'logs'), { recursive: true });

  function running(): Partial<Record<ComponentName, ProcessRecord>> {
    const alive: Partial<Record<ComponentName, ProcessRecord>> = {};
    for (const [name, record] of Object.entries(readRecords(dataDir))) {
      if (isAlive(record.pid, record.identity)) alive[name as ComponentName] = record;
    }
    return alive;
  }

  function launch(component: Component): ProcessRecord {
    const log = openSync(logPath(dataDir, component.name), 'a');
    writeFileSync(log, `--- ${new Date().toISOString()} start\n`);
    const child = spawn(component.binary, component.args, {
      cwd: dataDir,
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...component.env },
    });
    closeSync(log);
    child.on('error', () => undefined); // seen below as a process without a pid
    child.unref();
    if (!child.pid) throw new Error(`${component.name} not started (NotFound): "${component.binary}" does not run`);
    const record = {
      pid: child.pid,
      identity: processIdentity(child.pid),
      startedAt: new Date().toISOString(),
    };
    own.set(component.name, record);
    writeRecords(dataDir, { ...running(), [component.name]: record });
    return record;
  }

  async function start(component: Component): Promise<void> {
    options.signal?.throwIfAborted();
    const existing = running()[component.name];
    if (!existing) report(`► starting ${component.name}`);
    const began = performance.now();
    const { pid, identity } = existing ?? launch(component);
    const deadline = began + (options.readyTimeoutMs ?? 60_000);
    while (!(await isReady(component.readiness))) {
      if (!isAlive(pid, identity)) throw failure(component.name, 'ended before it was ready', dataDir);
      if (performance.now() > deadline) throw failure(component.name, 'not ready in time', dataDir);
      options.signal?.throwIfAborted();
      await sleep(pollMs);
    }
    const seconds = ((performance.now() - began) / 1_000).toFixed(1);
    if (existing) report(`✔ ${component.name} already runs (pid ${pid})`);
    else report(`✔ ${component.name} ready (${seconds} s)`);
  }

  async function stopOne(name: ComponentName, record: ProcessRecord, isForced: boolean): Promise<void> {
    signal(record, isForced ? 'SIGKILL' : 'SIGTERM');
    const deadline = performance.now() + stopTimeoutMs;
    let isKilled = isForced;
    while (isAlive(record.pid, record.identity)) {
      if (performance.now() > deadline && !isKilled) {
        report(`► ${name} did not end in ${stopTimeoutMs / 1_000} s and is killed`);
        signal(record, 'SIGKILL');
        isKilled = true;
      }
      await sleep(pollMs);
    }
  }

  async function stop(names: readonly ComponentName[], { isForced = false } = {}): Promise<void> {
    for (const level of isForced ? [componentNames] : stopOrder) {
      const alive = running();
      const targets = level.filter((name) => names.includes(name) && alive[name]);
      await Promise.all(targets.map((name) => stopOne(name, alive[name] as ProcessRecord, isForced)));
    }
    for (const name of names) own.delete(name);
    writeRecords(dataDir, running());
  }

  return {
    start,
    running,
    stop,
    started: () => [...own.keys()],
    dead: () => [...own].filter(([, { pid, identity }]) => !isAlive(pid, identity)).map(([name]) => name),
    kill() {
      for (const record of own.values()) signal(record, 'SIGKILL');
    },
  };
}

/** Sends the signal to the recorded process alone, never to a later one with its pid. */
function signal(record: ProcessRecord, name: 'SIGTERM' | 'SIGKILL'): void {
  if (!isAlive(record.pid, record.identity)) return;
  try {
    process.kill(record.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The error for a process that did not come up, with the last lines of its log. */
export function failure(name: ComponentName, what: string, dataDir: string): Error {
  const path = logPath(dataDir, name);
  const lines = existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').slice(-12) : [];
  return new Error(`${name} ${what} (Unavailable): last lines of "${path}":\n  ${lines.join('\n  ')}`);
}

function readRecords(dataDir: string): Partial<Record<ComponentName, ProcessRecord>> {
  const path = join(dataDir, 'processes.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Record<ComponentName, ProcessRecord>) : {};
}

/** `processes.json` for ourselves, `pids.json` (name → pid) for whoever measures or kills. */
function writeRecords(dataDir: string, records: Partial<Record<ComponentName, ProcessRecord>>): void {
  const pids = Object.fromEntries(Object.entries(records).map(([name, record]) => [name, record.pid]));
  writeAtomically(join(dataDir, 'processes.json'), records);
  writeAtomically(join(dataDir, 'pids.json'), pids);
}

function writeAtomically(path: string, content: unknown): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(content, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}
