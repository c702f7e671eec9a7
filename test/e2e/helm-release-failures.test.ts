import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { conditionOf, connectCluster, eventually } from './harness.ts';
import {
  chart,
  createReleaseScenario,
  deploymentTemplate,
  reconcileWith,
  releaseStatusOf,
  states,
} from './release-scenario.ts';

let client: KubeClient;

beforeAll(() => {
  client = connectCluster();
});
afterAll(() => client.close());

describe('a rollout that fails', () => {
  test('is a failed revision as Helm would have it, and stalls where nothing is to be undone', async () => {
    const scenario = await createReleaseScenario(client, 'hr-fail', chart(deploymentTemplate));
    await scenario.createRelease({ timeout: '2s', values: { unready: true } });
    const object = await scenario.stalled();

    expect(conditionOf(object, 'Stalled')).toMatchObject({
      reason: 'RetriesExceeded',
      message: 'Failed to install after 1 attempt(s)',
    });
    expect(conditionOf(object, 'Ready')).toMatchObject({ status: 'False', reason: 'InstallFailed' });
    expect(releaseStatusOf(object)).toMatchObject({ failures: 1, installFailures: 1, observedGeneration: 1 });
    expect(scenario.history()[0]).toMatch(/^1 failed Release "app" failed: health check failed after 2/);

    await scenario.change({ values: { unready: false } });
    const ready = await scenario.readyIs('True', 'UpgradeSucceeded');
    expect(releaseStatusOf(ready).failures).toBeUndefined();
    expect(states(scenario)).toEqual(['1 superseded', '2 deployed']);
  });

  test('of an install is uninstalled between the attempts', async () => {
    const scenario = await createReleaseScenario(client, 'hr-reinstall', chart(deploymentTemplate));
    const remediation = { retries: 1, remediateLastFailure: true };
    await scenario.createRelease({ timeout: '2s', install: { remediation }, values: { unready: true } });
    const object = await scenario.stalled();

    expect(conditionOf(object, 'Ready')?.message).toMatch(
      /^Helm uninstall remediation for release \S+\/app\.v1 with chart app@1\.0\.0 succeeded$/,
    );
    expect(releaseStatusOf(object)).toMatchObject({ failures: 2, installFailures: 2 });
    expect(scenario.helm('list', '-q').trim()).toBe('');
  });

  test('of an upgrade is rolled back, tried again, and stalls when its retries are used up; reset tries anew', async () => {
    const scenario = await createReleaseScenario(client, 'hr-rollback', chart(deploymentTemplate));
    await scenario.createRelease({ timeout: '3s', upgrade: { remediation: { retries: 1 } } });
    await scenario.readyIs('True', 'InstallSucceeded');
    await scenario.change({ values: { v: 'two', unready: true } });
    const object = await scenario.stalled();

    expect(states(scenario)).toEqual(['1 superseded', '2 failed', '3 superseded', '4 failed', '5 deployed']);
    expect(conditionOf(object, 'Stalled')?.message).toBe('Failed to upgrade after 2 attempt(s)');
    expect(conditionOf(object, 'Ready')).toMatchObject({
      status: 'False',
      reason: 'RollbackSucceeded',
      message: `Helm rollback to previous release ${scenario.namespace}/app.v3 with chart app@1.0.0 succeeded`,
    });
    expect(conditionOf(object, 'Remediated')).toMatchObject({ status: 'True', reason: 'RollbackSucceeded' });
    expect(conditionOf(object, 'Released')).toMatchObject({ status: 'False', reason: 'UpgradeFailed' });
    expect(releaseStatusOf(object)).toMatchObject({ failures: 2, upgradeFailures: 2 });
    expect((await scenario.configMap('app'))?.data).toEqual({ v: 'one' });

    await reconcileWith(scenario);
    expect(states(scenario)).toHaveLength(5);
    await reconcileWith(scenario, 'resetAt');
    await eventually('another attempt', () => states(scenario).at(-1)?.startsWith('7') || undefined, 30_000);
  });

  test('that was rolled back is ready again once the values are what they were', async () => {
    const scenario = await createReleaseScenario(client, 'hr-revert', chart(deploymentTemplate));
    const remediation = { retries: 0, remediateLastFailure: true };
    await scenario.createRelease({ timeout: '3s', upgrade: { remediation }, values: { v: 'one' } });
    await scenario.readyIs('True', 'InstallSucceeded');
    await scenario.change({ values: { v: 'two', unready: true } });
    await scenario.stalled();
    await scenario.change({ values: { v: 'one', unready: null } });
    const object = await scenario.readyIs('True', 'UpgradeSucceeded');

    expect(states(scenario)).toEqual(['1 superseded', '2 failed', '3 deployed']);
    expect(conditionOf(object, 'Remediated')).toBeUndefined();
    expect(conditionOf(object, 'Stalled')).toBeUndefined();
    expect(conditionOf(object, 'Released')).toMatchObject({ status: 'True' });
  });

  test('is no target of a rollback when nothing was ever healthy', async () => {
    const scenario = await createReleaseScenario(client, 'hr-never', chart(deploymentTemplate));
    const upgrade = { remediation: { retries: 1 } };
    await scenario.createRelease({ timeout: '2s', upgrade, values: { unready: true } });
    await scenario.stalled();
    await scenario.change({ values: { v: 'two', unready: true } });
    const object = await scenario.stalled();

    expect(conditionOf(object, 'Stalled')?.reason).toBe('MissingRollbackTarget');
    expect(states(scenario)).toEqual(['1 failed', '2 failed']);
  });

  test('is tried again over the failed release by the retry strategy', async () => {
    const scenario = await createReleaseScenario(client, 'hr-retry', chart(deploymentTemplate));
    const strategy = { name: 'RetryOnFailure', retryInterval: '1s' };
    await scenario.createRelease({
      timeout: '2s',
      install: { strategy },
      upgrade: { strategy },
      values: { unready: true },
    });
    await eventually('a third attempt', () => states(scenario).length >= 3 || undefined, 30_000);
    expect(conditionOf(await scenario.release(), 'Stalled')).toBeUndefined();
    await scenario.change({ values: { unready: false } });
    const ready = await scenario.readyIs('True', 'UpgradeSucceeded');
    expect(releaseStatusOf(ready).failures).toBeUndefined();
  });
});

test('a newer spec ends the wait for a rollout, and the next upgrade goes through', async () => {
  const scenario = await createReleaseScenario(client, 'hr-supersede', chart(deploymentTemplate));
  await scenario.createRelease({ timeout: '10m' });
  await scenario.readyIs('True', 'InstallSucceeded');
  await scenario.change({ values: { v: 'two', unready: true } });
  await eventually('the rollout', async () => (await scenario.configMap('app'))?.data && states(scenario).length === 2);
  await scenario.change({ values: { v: 'three', unready: null } });
  await scenario.readyIs('True', 'UpgradeSucceeded');

  expect(states(scenario)).toEqual(['1 superseded', '2 failed', '3 deployed']);
  expect(scenario.history()[1]).toContain('superseded by a newer chart, values or spec');
});

test('a newer spec ends a hook that never ends', async () => {
  const hook = `apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-hook
  annotations: { "helm.sh/hook": pre-upgrade }
  labels: { continuo.dev/unready: "true" }
spec:
  restartPolicy: Never
  containers: [{ name: main, image: example/hook, command: ["sleep", "infinity"] }]
`;
  const files = chart({ 'templates/hook.yaml': `{{- if .Values.hangs }}\n${hook}{{- end }}\n` });
  const scenario = await createReleaseScenario(client, 'hr-hook', files);
  await scenario.createRelease({ timeout: '10m' });
  await scenario.readyIs('True', 'InstallSucceeded');
  await scenario.change({ values: { hangs: true } });
  await eventually('the hook', () => scenario.find('v1', 'Pod', 'app-hook'));
  await scenario.change({ values: { v: 'three', hangs: null } });
  await scenario.readyIs('True', 'UpgradeSucceeded');

  expect(states(scenario)).toEqual(['1 superseded', '2 failed', '3 deployed']);
});

test('a release that somebody left pending is unlocked and upgraded', async () => {
  const scenario = await createReleaseScenario(client, 'hr-unlock', chart());
  const { namespace } = scenario;
  await scenario.createRelease();
  await scenario.readyIs('True', 'InstallSucceeded');
  const { gunzipSync, gzipSync } = await import('node:zlib');
  const ref = { group: '', version: 'v1', kind: 'Secret', namespace, name: 'sh.helm.release.v1.app.v1' };
  const secret = await client.get(ref);
  const data = (secret?.data as Record<string, string> | undefined)?.release ?? '';
  const inner = Buffer.from(Buffer.from(data, 'base64').toString('latin1'), 'base64');
  const stored = JSON.parse(gunzipSync(inner).toString('utf8'));
  stored.info.status = 'pending-upgrade';
  const packed = Buffer.from(gzipSync(JSON.stringify(stored)).toString('base64')).toString('base64');
  const locked = { metadata: { labels: { status: 'pending-upgrade' } }, data: { release: packed } };
  await client.patch(ref, locked, { type: 'merge' });

  await scenario.change({ values: { v: 'two' } });
  await scenario.readyIs('True', 'UpgradeSucceeded');
  expect(scenario.history()).toEqual([
    "1 superseded Release unlocked from stale 'pending-upgrade' state",
    '2 deployed Upgrade complete',
  ]);
});

test('a release that somebody rolled back by hand is upgraded again', async () => {
  const scenario = await createReleaseScenario(client, 'hr-foreign', chart());
  await scenario.createRelease();
  await scenario.readyIs('True', 'InstallSucceeded');
  await scenario.change({ values: { v: 'two' } });
  await scenario.readyIs('True', 'UpgradeSucceeded');
  scenario.helm('rollback', 'app', '1', '--force-conflicts');
  await reconcileWith(scenario);

  expect(states(scenario)).toEqual(['1 superseded', '2 superseded', '3 superseded', '4 deployed']);
  expect((await scenario.configMap('app'))?.data).toEqual({ v: 'two' });
});

describe('tests of a chart', () => {
  const pod = (command: string): string => `apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-test
  annotations: { "helm.sh/hook": test }
spec:
  restartPolicy: Never
  containers: [{ name: main, image: example/test, command: ["sh", "-c", "${command}"] }]
`;

  test('are run after an install and told in the history', async () => {
    const scenario = await createReleaseScenario(client, 'hr-test', chart({ 'templates/test.yaml': pod('exit 0') }));
    await scenario.createRelease({ test: { enable: true } });
    const ready = await scenario.readyIs('True', 'TestSucceeded');
    expect(conditionOf(ready, 'TestSuccess')?.message).toBe(
      `Helm test succeeded for release ${scenario.namespace}/app.v1 with chart app@1.0.0: 1 test hook completed successfully`,
    );
    expect(releaseStatusOf(ready).history?.[0]?.testHooks).toMatchObject({ 'app-test': { phase: 'Succeeded' } });
  });

  test('that fail are remediated like a failed install, unless they are ignored', async () => {
    const scenario = await createReleaseScenario(client, 'hr-badtest', chart({ 'templates/test.yaml': pod('exit 1') }));
    await scenario.createRelease({ test: { enable: true } });
    const object = await scenario.stalled();
    expect(conditionOf(object, 'TestSuccess')).toMatchObject({ status: 'False', reason: 'TestFailed' });
    expect(conditionOf(object, 'Ready')).toMatchObject({ status: 'False', reason: 'TestFailed' });
    expect(releaseStatusOf(object)).toMatchObject({ failures: 1, installFailures: 1 });

    await scenario.change({ test: { enable: true, ignoreFailures: true } });
    const ignored = await scenario.readyIs('True', 'InstallSucceeded');
    expect(conditionOf(ignored, 'TestSuccess')).toMatchObject({ status: 'False' });
  });
});

describe('drift', () => {
  const detection = (mode: string, ignore: object[] = []) => ({
    driftDetection: { mode, ignore },
    values: { v: 'one' },
  });

  test('is put right as soon as it happens, without a new revision; what is ignored stays', async () => {
    const scenario = await createReleaseScenario(client, 'hr-drift', chart(deploymentTemplate));
    const { namespace } = scenario;
    const ignore = [{ paths: ['/spec/replicas'], target: { kind: 'Deployment' } }];
    await scenario.createRelease(detection('enabled', ignore));
    await scenario.readyIs('True', 'InstallSucceeded');
    const config = { group: '', version: 'v1', kind: 'ConfigMap', namespace, name: 'app' };
    const deployment = { group: 'apps', version: 'v1', kind: 'Deployment', namespace, name: 'app' };
    await client.patch(deployment, { spec: { replicas: 2 } }, { type: 'merge', fieldManager: 'someone' });
    await client.patch(config, { data: { v: 'changed' } }, { type: 'merge', fieldManager: 'someone' });
    await eventually('the value', async () => {
      const data = (await scenario.configMap('app'))?.data as Record<string, string> | undefined;
      return data?.v === 'one';
    });
    await client.delete(config);
    await eventually('the object', async () => await scenario.configMap('app'));

    expect(scenario.history()).toEqual(['1 deployed Install complete']);
    const live = await client.get(deployment);
    expect(live?.spec).toMatchObject({ replicas: 2 });
    const events = await scenario.events(await scenario.release());
    expect(events.map(({ reason }) => reason)).toContain('DriftCorrected');
    await eventually('the condition', async () => {
      const condition = conditionOf(await scenario.release(), 'Drifted');
      return condition?.status === 'False' && condition.reason === 'NoDriftDetected';
    });
  });

  test('is only told in mode warn', async () => {
    const scenario = await createReleaseScenario(client, 'hr-warn', chart());
    await scenario.createRelease(detection('warn'));
    await scenario.readyIs('True', 'InstallSucceeded');
    const config = refOf((await scenario.configMap('app')) as KubeObject);
    await client.patch(config, { data: { v: 'changed' } }, { type: 'merge', fieldManager: 'someone' });
    const told = await eventually('the condition', async () => {
      const condition = conditionOf(await scenario.release(), 'Drifted');
      return condition?.status === 'True' ? condition : undefined;
    });
    expect(told.message).toContain(`ConfigMap/${scenario.namespace}/app changed (/data/v)`);
    expect((await scenario.configMap('app'))?.data).toEqual({ v: 'changed' });
  });
});
