// `kill -9` of the worker at random moments of installs, upgrades, tests, rollbacks and uninstalls, several releases at a
// time. What each step ends with is compared with what it ended with before anything was killed: status, helm's history,
// objects. The same seed gives the same pauses; the moments that they meet differ with the machine.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../k8s/object.ts';
import { randomOf } from '../test/e2e/sequence-model.ts';
import type { ComponentName } from '../tools/platform/components.ts';
import type { Platform } from '../tools/platform/index.ts';
import { helmProcesses } from './helm-processes.ts';
import { round } from './measure.ts';
import type { ChartName } from './release-charts.ts';
import { openReleases, type ReleaseBench, type Releases, type ReleaseSpec, until } from './releases.ts';

/** What is killed; a server stays away for ten seconds, a worker is started again at once. */
export type Victim = 'worker' | 'temporal' | 'kube-apiserver';

export interface CrashOptions {
  seed: number;
  /** In this order. */
  victims: readonly Victim[];
  /** Releases at the same time. */
  lanes: number;
  /** Called with a line for each kill. @default nothing is told */
  report?: (line: string) => void;
}

export interface CrashFigures {
  seconds: number;
  /** Releases that went through all steps, and their steps. */
  releases: number;
  steps: number;
  /** helm processes at the moments of the kills, by action; `none` counts kills between two of them. */
  met: Record<string, number>;
  /** The longest time that a helm process outlived its worker. */
  slowestEndMs: number;
  /** What ended in another way than without kills; nothing, if all is well. */
  differences: string[];
}

interface Step {
  what: string;
  /** Undefined: the object is deleted. */
  spec?: ReleaseSpec;
}

const awayMs = 10_000;
const actions = ['install', 'upgrade', 'test', 'rollback', 'uninstall'] as const;
/** So long an action of one of these is waited for, then any will do. */
const patienceMs = 6_000;
/** An action takes about a second; reports and the wait for health come after it. */
const longestPauseMs = 1_500;
/** A worker that dies again and again is waited for by Temporal longer and longer. */
const stepTimeoutMs = 300_000;
/** The end of a process's worker is told by a pipe. */
const endTimeoutMs = 5_000;

const common = {
  timeout: '1m',
  maxHistory: 20,
  test: { enable: true },
  upgrade: { remediation: { retries: 0, remediateLastFailure: true } },
};
const steps: readonly Step[] = [
  { what: 'install', spec: { ...common, values: { v: '1' } } },
  { what: 'upgrade', spec: { ...common, values: { v: '2' } } },
  { what: 'failing test, rollback', spec: { ...common, values: { v: '3', fails: 'test' } } },
  { what: 'upgrade over a rollback', spec: { ...common, values: { v: '4' } } },
  { what: 'failing hook, rollback', spec: { ...common, values: { v: '5', fails: 'before' } } },
  { what: 'failing rollout, rollback', spec: { ...common, values: { v: '6', unready: true, deadline: 2 } } },
  { what: 'upgrade to what it was', spec: { ...common, values: { v: '4' } } },
  { what: 'uninstall' },
];
const charts: readonly ChartName[] = ['app', 'post'];

/** What is seen of a release at the end of a step. Names and durations are left out of it. */
type Look = Record<'conditions' | 'snapshots' | 'status' | 'revisions' | 'objects', string[]>;

/** Runs all steps of releases over and over until all victims were killed, and tells how they ended. */
export async function crashReleases(bench: ReleaseBench, options: CrashOptions): Promise<CrashFigures> {
  const { platform } = bench;
  const releases = await openReleases(bench, `hr-crash-${Date.now().toString(36)}`);
  const workerDataDir = join(platform.dataDir, 'worker');
  const random = randomOf(options.seed);
  const tell = options.report ?? (() => undefined);
  const figures: CrashFigures = { seconds: 0, releases: 0, steps: 0, met: {}, slowestEndMs: 0, differences: [] };
  let isOver = false;

  /** Takes a new release through all steps; once all victims are dead, only to its end. */
  const live = async (name: string, chart: ChartName, onStep: (step: Step, look: Look) => void): Promise<void> => {
    for (const step of steps) {
      const isEarly = isOver;
      if (isEarly && step.spec) continue;
      await perform(releases, name, chart, step);
      if (!isEarly) onStep(step, await persistently(() => lookAt(bench, releases, name)));
    }
  };

  const expected = new Map<string, Look>();
  const learn = async (chart: ChartName): Promise<void> =>
    await live(`calm-${chart}`, chart, ({ what }, look) => expected.set(`${chart} ${what}`, look));
  await Promise.all(charts.map(learn));
  tell('the releases that nothing disturbs are done');

  const lane = async (index: number): Promise<void> => {
    const chart = charts[index % charts.length] ?? 'app';
    for (let round = 0; !isOver; round++) {
      const name = `r${index}-${round}`;
      await live(name, chart, ({ what }, look) => {
        figures.steps++;
        const calm = expected.get(`${chart} ${what}`);
        if (!isDeepStrictEqual(look, calm))
          figures.differences.push(differenceOf(`${name} ${chart} ${what}`, calm, look));
      });
      figures.releases++;
    }
  };

  /** Kills the worker; resolves once every helm process of it has ended, and another worker is there. */
  const killWorker = async (): Promise<string[]> => {
    const met = helmProcesses(workerDataDir).flatMap(({ action = [] }) => action);
    signalTo(platform, 'worker', 'SIGKILL');
    const killedAt = performance.now();
    await until('helm has ended with its worker', () => helmProcesses(workerDataDir).length === 0, endTimeoutMs, 2);
    figures.slowestEndMs = Math.max(figures.slowestEndMs, Math.round(performance.now() - killedAt));
    await until('the worker is gone', () => platform.dead().includes('worker'), endTimeoutMs);
    await platform.restartDead();
    return met;
  };

  const killServer = async (victim: Victim): Promise<string[]> => {
    const met = helmProcesses(workerDataDir).flatMap(({ action = [] }) => action);
    signalTo(platform, victim, 'SIGKILL');
    await sleep(awayMs);
    await platform.restartDead();
    return met;
  };

  /** Waits until an action runs: a worker may die at any moment of any, a server is to die in the middle of an upgrade. */
  const untilUnderWay = async (victim: Victim): Promise<void> => {
    const wanted = victim === 'worker' ? random.pick(actions) : 'upgrade';
    const patienceEndsAt = victim === 'worker' ? Date.now() + patienceMs : Infinity;
    const isUnderWay = (): boolean => {
      const isAnyEnough = Date.now() > patienceEndsAt;
      return helmProcesses(workerDataDir).some(({ action }) => action && (isAnyEnough || action === wanted));
    };
    await until(`helm runs an action: ${wanted}`, isUnderWay, stepTimeoutMs);
    if (victim === 'worker') await sleep(random.fraction() * longestPauseMs);
  };

  const startedAt = performance.now();
  const disturb = async (): Promise<void> => {
    for (const [index, victim] of options.victims.entries()) {
      await untilUnderWay(victim);
      const met = await (victim === 'worker' ? killWorker() : killServer(victim));
      for (const action of met.length > 0 ? met : ['none']) figures.met[action] = (figures.met[action] ?? 0) + 1;
      tell(`${index + 1} ${victim} was killed beside ${met.join(', ') || 'no helm process'}`);
    }
  };
  const lanes = Promise.all(Array.from({ length: options.lanes }, (_, index) => lane(index)));
  try {
    await Promise.race([disturb(), lanes]); // a lane ends before only by failing
  } finally {
    isOver = true;
  }
  await lanes;
  const left = helmProcesses(workerDataDir).map(({ pid, action }) => `process ${pid} (${action}) is left`);
  figures.differences.push(...left);
  return { ...figures, seconds: round((performance.now() - startedAt) / 1000) };
}

/** Signals a process of a platform, which has to be alive. */
export function signalTo(platform: Platform, name: ComponentName, signal: NodeJS.Signals): void {
  const pid = platform.pids[name];
  if (!pid) throw new Error(`${name} does not run`);
  process.kill(pid, signal);
}

/** Asks until the API server is back. */
async function persistently<T>(ask: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + stepTimeoutMs; ; await sleep(500)) {
    try {
      return await ask();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

async function perform(releases: Releases, name: string, chart: ChartName, { what, spec }: Step): Promise<void> {
  if (!spec) {
    await persistently(() => releases.remove(name));
    await until(`${name} is gone`, () => releases.seen(name) === undefined, stepTimeoutMs);
    return;
  }
  const { metadata } = await persistently(() => releases.apply(name, chart, spec));
  const isOver = (): boolean => releases.isSettled(name, metadata.generation);
  await until(`${name} is done: ${what}`, isOver, stepTimeoutMs).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(releases.seen(name)?.status?.conditions)}`);
  });
}

async function lookAt({ client }: ReleaseBench, releases: Releases, name: string): Promise<Look> {
  const { namespace } = releases;
  const { status = {} } = releases.seen(name) ?? {};
  const plain = (lines: string[]): string[] =>
    lines.map((line) =>
      line
        .replaceAll(name, 'NAME')
        .replaceAll(/\d+(\.\d+)?(ms|m|s)\b/g, 'TIME')
        .replaceAll(/NAME-[0-9a-f]{8,10}\b/g, 'REPLICASET'),
    );
  const { failures, installFailures, upgradeFailures, lastAttemptedReleaseAction } = status;
  const objects = [
    { group: '', version: 'v1', kind: 'ConfigMap', name },
    { group: 'apps', version: 'v1', kind: 'Deployment', name },
    { group: 'batch', version: 'v1', kind: 'Job', name: `${name}-before` },
    { group: 'batch', version: 'v1', kind: 'Job', name: `${name}-after` },
    { group: '', version: 'v1', kind: 'Pod', name: `${name}-test` },
    { group: 'source.toolkit.fluxcd.io', version: 'v1', kind: 'HelmChart', name: `${namespace}-${name}` },
  ];
  const seen = await Promise.all(objects.map((ref) => client.get({ ...ref, namespace })));
  const history = await releases.history(name);
  return {
    conditions: plain(
      (status.conditions ?? []).map(({ type, status: is, reason, message }) => `${type} ${is} ${reason}: ${message}`),
    ).toSorted(),
    snapshots: (status.history ?? []).map(({ version, status: is, action, testHooks = {} }) => {
      const tests = Object.values(testHooks).map((test) => test?.phase);
      return `${version} ${is} ${action} ${tests.join()}`;
    }),
    status: [JSON.stringify({ failures, installFailures, upgradeFailures, lastAttemptedReleaseAction })],
    revisions: plain(history.map((one) => `${one.revision} ${one.status} ${one.chart} ${one.description}`)),
    objects: seen.map((object, index) => {
      const isThere = object && object.metadata.deletionTimestamp === undefined;
      return `${objects[index]?.kind} ${isThere ? contentOf(object) : 'absent'}`;
    }),
  };
}

/** What matters of an object of the charts. */
function contentOf({ kind, data, spec, status }: KubeObject): string {
  const { template } = (spec ?? {}) as { template?: { spec: { containers: { image: string }[] } } };
  const { phase, succeeded } = (status ?? {}) as { phase?: string; succeeded?: number };
  if (kind === 'ConfigMap') return JSON.stringify(data);
  return JSON.stringify({ image: template?.spec.containers[0]?.image, phase, succeeded });
}

function differenceOf(what: string, calm: Look | undefined, look: Look): string {
  const differing = (Object.keys(look) as (keyof Look)[]).filter((key) => !isDeepStrictEqual(calm?.[key], look[key]));
  const told = differing.map((key) => `${key}: ${JSON.stringify(look[key])} instead of ${JSON.stringify(calm?.[key])}`);
  return `${what}: ${told.join('; ')}`;
}
