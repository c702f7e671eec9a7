// What releases cost that wait for a rollout which does not come: helm processes, API requests, CPU and memory of a minute
// of waiting, and what a healthy release beside them takes.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { helmProcesses } from './helm-processes.ts';
import { type Measured, measure, type Meter, round } from './measure.ts';
import { openReleases, type ReleaseBench, type Releases, until } from './releases.ts';

export interface WaitingFigures {
  /** Releases that wait. */
  waiting: number;
  /** Until all of them had been installed and were waiting. */
  startSeconds: number;
  /** The most helm processes seen at once in the minute, by a look every 100 ms. */
  helmProcesses: number;
  /** The minute. */
  minute: Measured;
  /** Medians of three installs, before any waits and beside all that wait. */
  aloneSeconds: number;
  besideSeconds: number;
}

/** What the status says while readiness is awaited. */
const waitingMessage = /^Waiting for the objects/;
const minuteMs = 60_000;
const lookEveryMs = 100;
const installTimeoutMs = 120_000;
/** One after the other, as it takes the machine whole. */
const startTimeoutMs = 30_000;
/** Runs are closed and events sent by then. */
const calmAfterMs = 15_000;

/** Lets so many releases wait, and measures a minute of it. */
export async function measureWaiting(bench: ReleaseBench, meter: Meter, count: number): Promise<WaitingFigures> {
  const releases = await openReleases(bench, 'hr-waiting');
  const running = () => helmProcesses(join(bench.platform.dataDir, 'worker'));
  const aloneSeconds = await medianInstall(releases, 'alone');

  const names = Array.from({ length: count }, (_, index) => `waiting-${index}`);
  const startedAt = performance.now();
  const spec = { timeout: '1h', values: { v: '1', unready: true } };
  await Promise.all(names.map((name) => releases.apply(name, 'app', spec)));
  const isWaiting = (name: string): boolean =>
    releases.seen(name)?.status?.conditions?.some(({ message }) => waitingMessage.test(message)) ?? false;
  await until('all of them wait', () => names.every(isWaiting), installTimeoutMs + count * startTimeoutMs);
  const startSeconds = round((performance.now() - startedAt) / 1000);
  await sleep(calmAfterMs);

  let most = 0;
  const look = setInterval(() => {
    most = Math.max(most, running().length);
  }, lookEveryMs);
  const minute = await measure(meter, () => sleep(minuteMs));
  clearInterval(look);
  const besideSeconds = await medianInstall(releases, 'beside');
  const left = names.filter((name) => !isWaiting(name));
  if (left.length > 0) throw new Error(`${left.length} releases do not wait any more, such as ${left[0]}`);
  return { waiting: count, startSeconds, helmProcesses: most, minute, aloneSeconds, besideSeconds };
}

/** Seconds from the creation of a release until it is Ready: the median of three. */
async function medianInstall(releases: Releases, prefix: string): Promise<number> {
  const seconds: number[] = [];
  for (let index = 0; index < 3; index++) {
    const name = `${prefix}-${index}`;
    const startedAt = performance.now();
    await releases.apply(name, 'app', { values: { v: '1' } });
    await until(`${name} is installed`, () => releases.isReady(name), installTimeoutMs, 5);
    seconds.push((performance.now() - startedAt) / 1000);
  }
  return round(seconds.toSorted((a, b) => a - b)[1] ?? 0);
}
