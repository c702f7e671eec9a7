// Workers that are killed while Helm works: each release ends as it would have without, and no revision is there twice.
import { mkdtempSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { conditionOf, eventually } from './harness.ts';
import { brokenWorkflows, type OwnPlatform, startOwnPlatform } from './own-platform.ts';
import { chart, createReleaseScenario, deploymentTemplate, type ReleaseScenario } from './release-scenario.ts';
import { startWorker, type WorkerProcess } from './worker-process.ts';

let own: OwnPlatform;
let dataDir: string;
let worker: WorkerProcess;

beforeAll(async () => {
  own = await startOwnPlatform();
  dataDir = mkdtempSync(join(own.platform.dataDir, 'worker-'));
  worker = await startWorker(own.platform, { dataDir });
}, 180_000);
afterAll(async () => {
  await worker?.kill();
  await own?.stop();
});

/** A hook that runs before the objects are applied. */
const slowHook = {
  'templates/hook.yaml': `apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-hook
  annotations: { "helm.sh/hook": "pre-install,pre-upgrade" }
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: main, image: example/hook }]
`,
};

const scenarioOf = async (prefix: string): Promise<ReleaseScenario> => {
  const { platform, client } = own;
  const place = { binDir: `${platform.dataDir}/bin`, dataDir: platform.dataDir, kubeconfig: platform.kubeconfigPath };
  return await createReleaseScenario(client, prefix, chart({ ...deploymentTemplate, ...slowHook }), place);
};

const states = (scenario: ReleaseScenario): string[] =>
  scenario.history().map((line) => line.split(' ').slice(0, 2).join(' '));

/** Kills the worker so long after the release was changed, and starts another. */
async function killAfter(ms: number): Promise<void> {
  await sleep(ms);
  await worker.kill();
  worker = await startWorker(own.platform, { dataDir });
}

// The moments of an install or upgrade of about a second: preparing, helm starting, its hook, its apply, its last write,
// the wait, the report.
const moments = [100, 300, 500, 700, 900, 1_200, 1_600, 2_200];

test('an install and an upgrade under kill -9 make each revision once', { timeout: 600_000 }, async () => {
  const scenario = await scenarioOf('hr-crash');
  await scenario.createRelease({ timeout: '60s' });
  await killAfter(1_500);
  await scenario.readyIs('True', 'InstallSucceeded', 90_000);
  expect(states(scenario)).toEqual(['1 deployed']);

  for (const [index, moment] of moments.entries()) {
    await scenario.change({ values: { v: `round-${index}` } });
    await killAfter(moment);
    await eventually(
      `the values of round ${index}`,
      async () => ((await scenario.configMap('app'))?.data as { v?: string } | undefined)?.v === `round-${index}`,
      90_000,
    );
    const ready = await scenario.readyIs('True', 'UpgradeSucceeded', 90_000);
    expect(conditionOf(ready, 'Stalled')).toBeUndefined();
    const told = scenario.history();
    expect(told.at(-1)).toBe(`${index + 2} deployed Upgrade complete`);
    expect(told.filter((line) => line.includes('pending'))).toEqual([]);
  }
  expect(await brokenWorkflows(own.platform)).toEqual([]);
});
