// What N releases of a chart with four objects take to install, to upgrade, and to answer a request when nothing has
// changed. The floor is the helm command, run bare for as many releases of the same chart.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { refOf } from '../k8s/object.ts';
import { type Measured, measure, type Meter, round } from './measure.ts';
import { chartFiles } from './release-charts.ts';
import { openReleases, type ReleaseBench, until } from './releases.ts';

export interface SpeedFigures extends Measured {
  phase: string;
  releases: number;
  floorSeconds?: number;
  ratio?: number;
}

type Upgrade = 'install' | 'upgrade';

const run = promisify(execFile);
const timeoutMs = 600_000;

export async function measureSpeed(
  bench: ReleaseBench,
  meter: Meter,
  n: number,
  report: (figures: SpeedFigures) => void,
): Promise<void> {
  const floor = await floorOf(bench, n);
  const releases = await openReleases(bench, 'hr');
  const names = Array.from({ length: n }, (_, index) => `hr-${index}`);

  for (const [action, v] of [
    ['install', '1'],
    ['upgrade', '2'],
  ] as const) {
    const measured = await measure(meter, async () => {
      const applied = await Promise.all(names.map((name) => releases.apply(name, 'plain', { values: { v } })));
      const isDone = (): boolean =>
        applied.every(({ metadata }) => releases.isReady(metadata.name, metadata.generation));
      await until(`all are Ready after their ${action}`, isDone, timeoutMs);
    });
    const floorSeconds = round(floor[action]);
    const ratio = round(measured.seconds / floorSeconds);
    report({ phase: `hr: ${action}`, releases: n, ...measured, floorSeconds, ratio });
  }

  const request = new Date().toISOString();
  const body = { metadata: { annotations: { 'reconcile.fluxcd.io/requestedAt': request } } };
  const measured = await measure(meter, async () => {
    await Promise.all(
      names.flatMap((name) => {
        const object = releases.seen(name);
        return object ? [bench.client.patch(refOf(object), body, { type: 'merge' })] : [];
      }),
    );
    const isAnswered = (name: string): boolean => releases.seen(name)?.status?.lastHandledReconcileAt === request;
    await until('all have answered', () => names.every(isAnswered), timeoutMs);
  });
  report({ phase: 'hr: noop', releases: n, ...measured });
}

/** Seconds of the helm command for each action, one process more than there are cores at a time. */
async function floorOf({ client, platform }: ReleaseBench, n: number): Promise<Record<Upgrade, number>> {
  const namespace = 'hr-floor';
  await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  const directory = mkdtempSync(join(tmpdir(), 'continuo-bench-'));
  for (const [path, content] of Object.entries(chartFiles('1.0.0'))) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
  const env = { PATH: process.env.PATH, HOME: directory, KUBECONFIG: platform.kubeconfigPath };
  const binary = join(platform.dataDir, 'bin', 'helm');
  const chart = join(directory, 'charts', 'plain');

  const all = async (action: Upgrade, v: string): Promise<number> => {
    const left = Array.from({ length: n }, (_, index) => `floor-${index}`);
    const startedAt = performance.now();
    const lane = async (): Promise<void> => {
      for (let name = left.pop(); name !== undefined; name = left.pop()) {
        await run(binary, [action, name, chart, '--namespace', namespace, '--set-string', `v=${v}`], { env });
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() + 1 }, lane));
    return (performance.now() - startedAt) / 1000;
  };
  try {
    return { install: await all('install', '1'), upgrade: await all('upgrade', '2') };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
