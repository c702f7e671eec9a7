// What a phase costs: seconds, API requests by the API server's own counters, CPU and memory of the processes.
import { readFileSync, readdirSync } from 'node:fs';
import type { KubeClient } from '../k8s/client.ts';

/** Clock ticks a second of /proc/<pid>/stat; Linux has had 100 on every architecture for decades. */
const ticksPerSecond = 100;
const pageBytes = 4096;

/** CPU seconds of a process, and of all that it has started. */
export function cpuSeconds(pid: number): number {
  const own = (one: number): number =>
    statOf(one)
      .slice(11, 15)
      .reduce((sum, ticks) => sum + Number(ticks), 0);
  return sumOver(processTree(pid), own) / ticksPerSecond;
}

/** Resident memory of a process, and of what it has started, in megabytes. */
export function residentMegabytes(pid: number): number {
  const own = (one: number): number => Number(readFileSync(`/proc/${one}/statm`, 'utf8').split(' ')[1] ?? 0);
  return Math.round((sumOver(processTree(pid), own) * pageBytes) / 1e6);
}

function processTree(pid: number): number[] {
  let children = '';
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  } catch {
    // it has just ended
  }
  return [
    pid,
    ...children
      .split(' ')
      .filter(Boolean)
      .flatMap((child) => processTree(Number(child))),
  ];
}

/** A process that ends meanwhile counts with its parent from then on. */
function sumOver(pids: number[], valueOf: (pid: number) => number): number {
  return pids.reduce((sum, pid, index) => {
    try {
      return sum + valueOf(pid);
    } catch (error) {
      if (index === 0) throw error;
      return sum;
    }
  }, 0);
}

function statOf(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** The machine, for people who read the figures. */
export function machine(): string {
  const cpus = readdirSync('/sys/devices/system/cpu').filter((name) => /^cpu\d+$/.test(name)).length;
  const model = /model name\s*: (.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown CPU';
  const memoryKb = Number(/MemTotal:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0);
  return `${cpus} × ${model}, ${Math.round(memoryKb / 1024 / 1024)} GiB`;
}

/** Requests that the API server has answered so far, by verb; leases and the counters themselves are left out. */
export async function requestCounts(metrics: () => Promise<string>): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const line of (await metrics()).split('\n')) {
    if (!line.startsWith('apiserver_request_total{') || line.includes('resource="leases"')) continue;
    const verb = /verb="([^"]+)"/.exec(line)?.[1] ?? '?';
    const key = /dry_run="[^"]+"/.test(line) ? `${verb}+dry` : verb;
    counts.set(key, (counts.get(key) ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1)));
  }
  return counts;
}

export interface Measured {
  seconds: number;
  /** Answered during the phase, by verb: the engine's, the controllers' and the bench's own. */
  requests: Record<string, number>;
  cpuSeconds: Record<string, number>;
  /** Resident, of the engine's processes together. */
  engineMegabytes: number;
}

export interface Meter {
  client: KubeClient;
  metrics: () => Promise<string>;
  /** Whose CPU is counted. */
  pids: Record<string, number>;
  /** Those of them whose memory is. */
  engine: readonly string[];
}

/** Runs a phase and says what it cost. */
export async function measure(meter: Meter, phase: () => Promise<void>): Promise<Measured> {
  const cpu = (): [string, number][] => Object.entries(meter.pids).map(([name, pid]) => [name, cpuSeconds(pid)]);
  const requestsBefore = await requestCounts(meter.metrics);
  const cpuBefore = new Map(cpu());
  const startedAt = performance.now();
  await phase();
  const seconds = (performance.now() - startedAt) / 1000;
  const requests: Record<string, number> = {};
  for (const [verb, count] of await requestCounts(meter.metrics)) {
    const added = count - (requestsBefore.get(verb) ?? 0);
    if (added > 0) requests[verb] = added;
  }
  const used = cpu().map(([name, seconds]) => [name, round(seconds - (cpuBefore.get(name) ?? 0))]);
  return {
    seconds: round(seconds),
    requests,
    cpuSeconds: Object.fromEntries(used) as Record<string, number>,
    engineMegabytes: meter.engine.reduce((sum, name) => sum + residentMegabytes(meter.pids[name] ?? process.pid), 0),
  };
}

export function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
