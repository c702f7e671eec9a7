// The phases about Helm releases, each with figures of its own:
// `hr` installs, upgrades and asks N releases; `hr-crash` kills the worker N times, and Temporal and the API server once
// each; `hr-supersede` ends each kind of wait; `hr-waiting` lets N releases wait for a minute.
import type { Meter } from './measure.ts';
import { crashReleases, type Victim } from './release-crash.ts';
import { measureSpeed } from './release-speed.ts';
import { measureSupersede } from './release-supersede.ts';
import { measureWaiting } from './release-waiting.ts';
import type { ReleaseBench } from './releases.ts';

export const releasePhases = ['hr', 'hr-crash', 'hr-supersede', 'hr-waiting'] as const;

const lanes = 4;
const rounds = 3;

/** Runs those of the phases that are asked for, and prints a line of JSON for each result. */
export async function runReleasePhases(
  bench: ReleaseBench,
  meter: Meter,
  { phases, n, seed }: { phases: ReadonlySet<string>; n: number; seed: number },
): Promise<void> {
  const print = (figures: object): void => console.log(JSON.stringify(figures));
  if (phases.has('hr')) await measureSpeed(bench, meter, n, print);
  if (phases.has('hr-supersede')) await measureSupersede(bench, rounds, print);
  if (phases.has('hr-waiting')) print({ phase: 'waiting', ...(await measureWaiting(bench, meter, n)) });
  if (phases.has('hr-crash')) {
    const workers = Array.from({ length: n }, () => 'worker' as const);
    const victims: Victim[] = [...workers, 'temporal', 'kube-apiserver'];
    const report = (line: string): void => console.error(line);
    print({ phase: 'crash', kills: n, seed, ...(await crashReleases(bench, { seed, victims, lanes, report })) });
  }
}
