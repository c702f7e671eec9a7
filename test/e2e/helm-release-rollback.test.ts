// Rollback of a release by a person: by the command and by the workflow's update; what was wanted is held (decision 0010).
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { type ReconcileResult, type RunRecord, workflowIdOf } from '../../workflows/messages.ts';
import { startCli } from './cli-process.ts';
import { conditionOf, connectCluster, eventually } from './harness.ts';
import { chart, createReleaseScenario, reconcileWith, releaseName, type ReleaseScenario } from './release-scenario.ts';

let client: KubeClient;
let connection: Connection;
let temporal: Client;
beforeAll(async () => {
  client = connectCluster();
  connection = await Connection.connect({ address: inject('temporalAddress') });
  temporal = new Client({ connection });
});
afterAll(async () => {
  await connection.close();
  await client.close();
});

async function valueOf(scenario: ReleaseScenario): Promise<string | undefined> {
  return ((await scenario.configMap(releaseName))?.data as { v?: string } | undefined)?.v;
}

/** A release whose second revision, with the value `two`, is in place. */
async function createUpgraded(prefix: string, spec: object = {}): Promise<ReleaseScenario> {
  const scenario = await createReleaseScenario(client, prefix, chart());
  await scenario.createRelease(spec);
  await scenario.readyIs('True', 'InstallSucceeded');
  await scenario.change({ values: { v: 'two' } });
  await scenario.readyIs('True', 'UpgradeSucceeded');
  return scenario;
}

function handleOf({ namespace }: ReleaseScenario) {
  return temporal.workflow.getHandle(workflowIdOf({ kind: 'HelmRelease', namespace, name: releaseName }));
}

test('continuo rollback goes back by a revision of helm, keeps it in sync and holds it until the spec changes', async () => {
  const scenario = await createUpgraded('hr-back', { driftDetection: { mode: 'enabled' } });
  const { namespace } = scenario;
  const rolledBack = await startCli(['rollback', 'hr', 'app', '-n', namespace]).result;
  expect(rolledBack).toMatchObject({ code: 0, stderr: '' });
  expect(rolledBack.stdout).toContain(
    `✔ HelmRelease/${namespace}/app Helm rollback to previous release ${namespace}/app.v1 with chart app@1.0.0 succeeded: ` +
      'chart app@1.0.0 with its values is held until chart, values or spec change, or a reconcile is requested',
  );
  expect(await valueOf(scenario)).toBe('one');
  const history = ['1 superseded Install complete', '2 superseded Upgrade complete', '3 deployed Rollback to 1'];
  expect(scenario.history()).toEqual(history);
  const held = await scenario.readyIs('True', 'RollbackHeld');
  expect(conditionOf(held, 'Remediated')).toMatchObject({ status: 'True', reason: 'RollbackHeld' });
  expect((await scenario.events(held)).map(({ reason }) => reason)).toContain('RollbackHeld');

  const object = await scenario.configMap(releaseName);
  await scenario.patch(object as never, { data: { v: 'theirs' } }, 'somebody');
  await eventually('the drift to be corrected', async () => (await valueOf(scenario)) === 'one');
  await scenario.readyIs('True', 'RollbackHeld');
  expect(scenario.history()).toEqual(history);

  await scenario.change({ values: { v: 'three' } });
  const ready = await scenario.readyIs('True', 'UpgradeSucceeded');
  expect(conditionOf(ready, 'Remediated')).toBeUndefined();
  expect(await valueOf(scenario)).toBe('three');

  const toFirst = await startCli(['rollback', 'hr', 'app', '-n', namespace, '--to', '2']).result;
  expect(toFirst.code).toBe(0);
  expect(await valueOf(scenario)).toBe('two');
});

test('the update is a step of its run, is lifted by a request, and refused where there is nothing to go back to', async () => {
  const scenario = await createUpgraded('hr-update');
  const result = await handleOf(scenario).executeUpdate<ReconcileResult, [object]>('rollback', { args: [{}] });
  expect(result).toMatchObject({ outcome: 'RolledBack', reason: 'RollbackHeld', revision: '1.0.0' });
  const { memo } = await handleOf(scenario).describe();
  expect(memo?.run as RunRecord).toMatchObject({
    trigger: 'rollback',
    outcome: 'RolledBack',
    changes: { rollback: 1 },
  });

  await reconcileWith(scenario);
  await scenario.readyIs('True', 'UpgradeSucceeded');
  expect(await valueOf(scenario)).toBe('two');

  const refusal = async (...args: string[]): Promise<string> => {
    const { code, stderr } = await startCli(['rollback', 'hr', 'app', '-n', scenario.namespace, ...args]).result;
    expect(code).toBe(1);
    return stderr;
  };
  expect(await refusal('--to', '9')).toContain('"9" is no good revision; expected one of 3, 2, 1');
  expect(await refusal('--to', '4')).toContain('"4" is in place');
  await scenario.change({ suspend: true });
  await eventually(
    'the suspension to be seen',
    async () => (await handleOf(scenario).query<{ suspended: boolean }>('status')).suspended,
  );
  expect(await refusal()).toContain('is suspended: resume it first');
});

test('a rollback that fails holds nothing: what the spec says is released again', async () => {
  const hook = {
    'templates/hook.yaml': `{{- if eq .Values.v "one" }}
apiVersion: batch/v1
kind: Job
metadata:
  name: before
  annotations: { helm.sh/hook: pre-rollback }
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: main, image: example/job, command: [sh, -c, exit 1] }]
{{- end }}
`,
  };
  const scenario = await createReleaseScenario(client, 'hr-back-fails', chart(hook));
  await scenario.createRelease();
  await scenario.readyIs('True', 'InstallSucceeded');
  await scenario.change({ values: { v: 'two' } });
  await scenario.readyIs('True', 'UpgradeSucceeded');
  const { code, stderr } = await startCli(['rollback', 'hr', 'app', '-n', scenario.namespace]).result;
  expect(code).toBe(1);
  expect(stderr).toContain('was not rolled back (ReconcileError)');
  await eventually('the spec again', async () => {
    expect(scenario.history().at(-1)).toBe('4 deployed Upgrade complete');
    return true;
  });
  expect(await valueOf(scenario)).toBe('two');
  await scenario.readyIs('True', 'UpgradeSucceeded');
});
