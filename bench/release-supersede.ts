// How soon a new chart or new values end what a release waits for: a rollout that fails, a hook or a test that hangs. From
// the moment that the change is in the cluster until helm starts with it, and until the release is Ready.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { helmProcesses } from './helm-processes.ts';
import { round } from './measure.ts';
import type { ChartName, ChartValues } from './release-charts.ts';
import { openReleases, type ReleaseBench, until } from './releases.ts';

interface Wait {
  what: string;
  chart: ChartName;
  values: Partial<ChartValues>;
  /** What a helm process that waits was started for; unset: none waits. Hooks after a rollout are run as tests. */
  action?: 'upgrade' | 'test';
  /** What becomes of the revision whose wait is ended. @default 'failed' */
  revision?: 'superseded';
}

const waits: readonly Wait[] = [
  { what: 'a rollout that fails', chart: 'app', values: { unready: true } },
  { what: 'a rollout before a post-upgrade hook', chart: 'post', values: { unready: true } },
  { what: 'a pre-upgrade hook that hangs', chart: 'app', values: { hangs: 'before' }, action: 'upgrade' },
  { what: 'a post-upgrade hook that hangs', chart: 'post', values: { hangs: 'after' }, action: 'test' },
  { what: 'a test that hangs', chart: 'app', values: { hangs: 'test' }, action: 'test', revision: 'superseded' },
];

/** By what a wait is ended. */
type Change = 'values' | 'chart';

/** What one kind of wait and change took, over all rounds. */
export interface SupersedeFigures {
  phase: string;
  by: Change;
  rounds: number;
  /** Until helm runs the next upgrade. */
  nextSeconds: { median: number; most: number };
  /** Until the release is Ready. */
  readySeconds: { median: number; most: number };
}

interface Taken {
  next: number;
  ready: number;
}

const timeoutMs = 120_000;
/** By then helm has applied, and waits. */
const appliedAfterMs = 3_000;

/** Measures each kind of wait, ended by either. Fails when a release is left in another state than the change wants. */
export async function measureSupersede(
  bench: ReleaseBench,
  rounds: number,
  report: (figures: SupersedeFigures) => void,
): Promise<void> {
  const releases = await openReleases(bench, 'hr-supersede');
  let changes = 0;

  /** Makes a change; gives the moment at which it is in the cluster, and whether it is in place. */
  async function change(name: string, { chart }: Wait, by: Change, values: Partial<ChartValues>) {
    const number = String(++changes);
    if (by === 'chart') {
      const version = `1.1.${number}`;
      const atMs = await releases.pushCharts(name, version, values);
      const isInPlace = (): boolean =>
        releases.isReady(name) && releases.seen(name)?.status?.history?.[0]?.chartVersion === version;
      return { atMs, isInPlace };
    }
    const atMs = performance.now();
    const spec = { timeout: '10m', maxHistory: 50, test: { enable: true }, values: { v: number, ...values } };
    const { metadata } = await releases.apply(name, chart, spec);
    return { atMs, isInPlace: () => releases.isReady(name, metadata.generation) };
  }

  async function supersede(name: string, wait: Wait, by: Change): Promise<Taken> {
    const processes = () => helmProcesses(join(bench.platform.dataDir, 'worker')).filter(({ action }) => action);
    const upgrades = () => processes().flatMap(({ pid, action }) => (action === 'upgrade' ? [pid] : []));
    const before = await releases.history(name);
    await change(name, wait, by, wait.values);
    await sleep(appliedAfterMs);
    const isWaiting = (): boolean =>
      processes().every(({ action }) => action === wait.action) && !releases.isReady(name);
    await until(`${name} waits`, () => isWaiting() && processes().length === (wait.action ? 1 : 0), timeoutMs);

    const old = upgrades();
    const { atMs, isInPlace } = await change(name, wait, by, {});
    await until('the next upgrade runs', () => upgrades().some((pid) => !old.includes(pid)), timeoutMs, 5);
    const nextMs = performance.now();
    await until(`${name} is Ready`, isInPlace, timeoutMs);
    const readyMs = performance.now();

    const [ended, last] = (await releases.history(name)).slice(before.length);
    const states = `${ended?.status} ${last?.status}`;
    const wanted = `${wait.revision ?? 'failed'} deployed`;
    if (states !== wanted) throw new Error(`${name} was left with revisions "${states}" instead of "${wanted}"`);
    return { next: (nextMs - atMs) / 1000, ready: (readyMs - atMs) / 1000 };
  }

  for (const wait of waits) {
    const name = wait.what.replaceAll(/[^a-z]+/g, '-');
    const { isInPlace } = await change(name, wait, 'values', {});
    await until(`${name} is installed`, isInPlace, timeoutMs);
    for (const by of ['values', 'chart'] as const) {
      const taken: Taken[] = [];
      for (let index = 0; index < rounds; index++) taken.push(await supersede(name, wait, by));
      const nextSeconds = summaryOf(taken.map(({ next }) => next));
      const readySeconds = summaryOf(taken.map(({ ready }) => ready));
      report({ phase: `supersede: ${wait.what}`, by, rounds, nextSeconds, readySeconds });
    }
    await releases.remove(name);
    await until(`${name} is gone`, () => releases.seen(name) === undefined, timeoutMs);
  }
}

function summaryOf(seconds: number[]): { median: number; most: number } {
  const sorted = seconds.toSorted((a, b) => a - b);
  return { median: round(sorted[Math.floor(sorted.length / 2)] ?? 0), most: round(sorted.at(-1) ?? 0) };
}
