// What a release tells of itself beside its conditions: its chart, drift and who fights over it, and the history of runs.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import type { RunRecord } from '../../workflows/messages.ts';
import { startCli } from './cli-process.ts';
import { conditionOf, connectCluster, eventually, statusOf } from './harness.ts';
import { chart, createReleaseScenario, releaseName, type ReleaseScenario } from './release-scenario.ts';

let client: KubeClient;
beforeAll(() => {
  client = connectCluster();
});
afterAll(() => client.close());

async function eventOf(scenario: ReleaseScenario, reason: string): Promise<{ type: string; message: string }> {
  const object = await scenario.release();
  return await eventually(`the event ${reason}`, async () =>
    (await scenario.events(object)).find((event) => event.reason === reason),
  );
}

test('the first run of a release is its install, and its HelmChart is told of by events', async () => {
  const scenario = await createReleaseScenario(client, 'hr-told', chart());
  const { namespace } = scenario;
  await scenario.createRelease();
  await scenario.readyIs('True', 'InstallSucceeded');
  const runs = await eventually('the run', async () => {
    const { stdout } = await startCli(['history', 'hr', 'app', '-n', namespace, '-o', 'json']).result;
    const found = JSON.parse(stdout) as RunRecord[];
    return found.some(({ outcome }) => outcome !== ('Running' as string)) && found;
  });
  expect(runs.map(({ trigger, outcome }) => `${trigger} ${outcome}`)).toEqual(['created Succeeded']);
  const source = `with SourceRef 'GitRepository/${namespace}/app'`;
  expect(await eventOf(scenario, 'HelmChartCreated')).toMatchObject({
    type: 'Normal',
    message: `HelmChart/${namespace}/${namespace}-app created ${source}`,
  });

  // The chart's artifact stays the same: it is enough that the HelmChart has seen its new spec.
  await scenario.change({ interval: '11m' });
  await scenario.readyIs('True', 'InstallSucceeded', 15_000);
  await eventOf(scenario, 'HelmChartConfigured');
  expect(statusOf(await scenario.release()).observedGeneration).toBe(2);

  const made = { group: 'source.toolkit.fluxcd.io', version: 'v1', kind: 'HelmChart', namespace };
  await client.create({
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'HelmChart',
    metadata: { namespace, name: 'mine' },
    spec: { chart: 'charts/app', interval: '10m', sourceRef: { kind: 'GitRepository', name: 'app' } },
  });
  await eventually(
    'the chart of my own',
    async () => statusOf(await client.get({ ...made, name: 'mine' })).artifact !== undefined,
  );
  await scenario.change({ chart: null, chartRef: { kind: 'HelmChart', name: 'mine' } });
  await eventOf(scenario, 'HelmChartDeleted');
  await scenario.readyIs('True', 'InstallSucceeded', 15_000);
  expect(scenario.history()).toEqual(['1 deployed Install complete']);
  await eventually(
    'the other chart to be gone',
    async () => !(await client.get({ ...made, name: `${namespace}-app` })),
  );
});

test('a manager that keeps writing back is named in a condition and an event, and the fight ends', async () => {
  const scenario = await createReleaseScenario(client, 'hr-fight', chart());
  await scenario.createRelease({ driftDetection: { mode: 'enabled' } });
  await scenario.readyIs('True', 'InstallSucceeded');
  const rival = 'rival-operator';
  let writes = 0;
  const write = async (): Promise<void> => {
    const object = (await scenario.configMap(releaseName)) as KubeObject;
    if ((object.data as { v?: string }).v === 'rival') return;
    await scenario.patch(object, { data: { v: 'rival' } }, rival);
    writes += 1;
  };
  const conflict = await eventually('the condition DriftConflict', async () => {
    await write();
    return conditionOf(await scenario.release(), 'DriftConflict');
  });
  expect(conflict).toMatchObject({ status: 'True', reason: 'FieldManagerConflict' });
  expect(conflict.message).toContain(`ConfigMap/${scenario.namespace}/app (written by '${rival}')`);
  expect(writes).toBeGreaterThan(1);
  expect(writes).toBeLessThan(10);
  expect(conditionOf(await scenario.release(), 'Ready')?.status).toBe('True');
  expect(await eventOf(scenario, 'FieldManagerConflict')).toMatchObject({ type: 'Warning' });
  expect((await eventOf(scenario, 'DriftDetected')).message).toContain(`ConfigMap/${scenario.namespace}/app changed`);
  await eventOf(scenario, 'DriftCorrected');

  // From now on the rival's value stays until the next interval.
  await write();
  await eventually("the rival's write to be let be", async () => {
    const { stdout } = await startCli(['history', 'hr', 'app', '-n', scenario.namespace, '-o', 'json']).result;
    return (JSON.parse(stdout) as RunRecord[]).every(({ outcome }) => outcome !== ('Running' as string));
  });
  expect((await scenario.configMap(releaseName))?.data).toEqual({ v: 'rival' });
});

test('what somebody does with helm is found on the interval', async () => {
  const scenario = await createReleaseScenario(client, 'hr-interval', chart());
  await scenario.createRelease({ interval: '3s' });
  await scenario.readyIs('True', 'InstallSucceeded');
  await scenario.change({ values: { v: 'two' } });
  const ready = await scenario.readyIs('True', 'UpgradeSucceeded');
  scenario.helm('rollback', releaseName, '1', '--force-conflicts');
  await eventually(
    'the release to be as its object says',
    async () => {
      const told = scenario.history().at(-1);
      return told === '4 deployed Upgrade complete';
    },
    40_000,
  );
  expect((await scenario.configMap(releaseName))?.data).toEqual({ v: 'two' });
  expect((await client.get(refOf(ready)))?.metadata.generation).toBe(2);
});
