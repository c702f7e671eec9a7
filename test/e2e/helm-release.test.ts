import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { conditionOf, configMap, connectCluster, createNamespace, eventually } from './harness.ts';
import {
  chart,
  createReleaseScenario,
  deploymentTemplate,
  reconcileWith,
  releaseName,
  releaseStatusOf,
  type ReleaseScenario,
} from './release-scenario.ts';

let client: KubeClient;

beforeAll(() => {
  client = connectCluster();
});
afterAll(() => client.close());

const valueOf = async (scenario: ReleaseScenario, name = releaseName): Promise<string | undefined> =>
  ((await scenario.configMap(name))?.data as Record<string, string> | undefined)?.v;

describe('a release from a chart in Git', () => {
  test('is installed, upgraded with new values and a new chart, and uninstalled with its object', async () => {
    const scenario = await createReleaseScenario(client, 'hr', chart(deploymentTemplate));
    const { namespace } = scenario;
    await scenario.createRelease();
    const installed = await scenario.readyIs('True', 'InstallSucceeded');

    expect(await valueOf(scenario)).toBe('one');
    expect(scenario.history()).toEqual(['1 deployed Install complete']);
    expect(conditionOf(installed, 'Ready')?.message).toBe(
      `Helm install succeeded for release ${namespace}/app.v1 with chart app@1.0.0`,
    );
    expect(conditionOf(installed, 'Released')).toMatchObject({ status: 'True', reason: 'InstallSucceeded' });
    expect(installed.metadata.finalizers).toEqual(['finalizers.fluxcd.io']);
    expect(releaseStatusOf(installed)).toMatchObject({
      observedGeneration: 1,
      helmChart: `${namespace}/${namespace}-app`,
      storageNamespace: namespace,
      lastAttemptedReleaseAction: 'install',
      lastAttemptedRevision: '1.0.0',
      history: [{ apiVersion: 'v2', name: 'app', namespace, version: 1, status: 'deployed', action: 'install' }],
    });
    expect(
      releaseStatusOf(installed)
        .inventory?.entries.map(({ id }) => id)
        .sort(),
    ).toEqual([`${namespace}_app__ConfigMap`, `${namespace}_app_apps_Deployment`]);
    const object = await scenario.configMap('app');
    expect(object?.metadata.labels).toMatchObject({
      'helm.toolkit.fluxcd.io/name': 'app',
      'helm.toolkit.fluxcd.io/namespace': namespace,
      'app.kubernetes.io/managed-by': 'Helm',
    });
    expect(object?.metadata.managedFields?.map(({ manager }) => manager)).toEqual(['helm-controller']);

    await scenario.change({ values: { v: 'two' } });
    await scenario.readyIs('True', 'UpgradeSucceeded');
    expect(await valueOf(scenario)).toBe('two');

    await scenario.push(chart(deploymentTemplate, '1.1.0'));
    await eventually(
      'the new chart to be released',
      async () => releaseStatusOf(await scenario.release()).lastAttemptedRevision === '1.1.0',
    );
    const upgraded = await scenario.readyIs('True', 'UpgradeSucceeded');
    expect(scenario.history()).toEqual([
      '1 superseded Install complete',
      '2 superseded Upgrade complete',
      '3 deployed Upgrade complete',
    ]);
    expect(releaseStatusOf(upgraded).history?.map(({ version, status }) => `${version} ${status}`)).toEqual([
      '3 deployed',
      '2 superseded',
    ]);
    const events = await scenario.events(upgraded);
    expect(events.map(({ reason }) => reason)).toEqual(
      expect.arrayContaining(['InstallSucceeded', 'UpgradeSucceeded']),
    );
    expect(events.find(({ reason }) => reason === 'InstallSucceeded')?.annotations).toMatchObject({
      'helm.toolkit.fluxcd.io/revision': '1.0.0',
      'helm.toolkit.fluxcd.io/app-version': '7',
    });

    await client.delete(refOf(upgraded));
    await eventually('the object to be gone', async () => (await client.get(refOf(upgraded))) === undefined);
    expect(scenario.helm('list', '-q').trim()).toBe('');
    expect(await scenario.configMap('app')).toBeUndefined();
    const made = { group: 'source.toolkit.fluxcd.io', version: 'v1', kind: 'HelmChart', namespace };
    await eventually('the chart to be gone', async () => !(await client.get({ ...made, name: `${namespace}-app` })));
  });

  test('takes values from ConfigMaps and Secrets, wakes with them, and tells none of them', async () => {
    const scenario = await createReleaseScenario(client, 'hr-values', chart());
    const { namespace } = scenario;
    const labels = { 'reconcile.fluxcd.io/watch': 'Enabled' };
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name: 'values', labels } };
    await client.create({ ...secret, stringData: { 'values.yaml': 'v: s3cr3t-one\n' } });
    await scenario.createRelease({ valuesFrom: [{ kind: 'Secret', name: 'values' }] });
    await scenario.readyIs('True', 'InstallSucceeded');
    expect(await valueOf(scenario)).toBe('s3cr3t-one');

    await client.patch(refOf(secret), { stringData: { 'values.yaml': 'v: s3cr3t-two\n' } }, { type: 'merge' });
    await eventually('the new value', async () => (await valueOf(scenario)) === 's3cr3t-two');
    const ready = await scenario.readyIs('True', 'UpgradeSucceeded');
    expect(JSON.stringify(releaseStatusOf(ready))).not.toContain('s3cr3t');

    await scenario.change({ valuesFrom: [{ kind: 'Secret', name: 'values', valuesKey: 'nothing' }] });
    const wrong = await scenario.readyIs('False', 'ValuesError');
    expect(conditionOf(wrong, 'Ready')?.message).toContain('has no key "nothing"');
  });

  test('is put into another namespace and stored in its own, under its long name', async () => {
    const scenario = await createReleaseScenario(client, 'hr-target', chart());
    const target = await createNamespace(client, 'hr-elsewhere');
    await scenario.createRelease({ targetNamespace: target });
    const ready = await scenario.readyIs('True', 'InstallSucceeded');

    const name = `${target}-app`;
    expect(releaseStatusOf(ready).history?.[0]).toMatchObject({ name, namespace: target, status: 'deployed' });
    expect(scenario.history(name)).toEqual(['1 deployed Install complete']);
    const config = { group: '', version: 'v1', kind: 'ConfigMap', namespace: target, name };
    expect(await client.get(config)).toBeDefined();

    await scenario.change({ targetNamespace: null });
    await eventually('the release to have moved', async () => (await scenario.configMap('app')) !== undefined);
    await scenario.readyIs('True', 'InstallSucceeded');
    expect(await client.get(config)).toBeUndefined();
    expect(scenario.helm('list', '-q').trim()).toBe('app');
  });

  test('that is in sync starts nothing, also when it is asked for; force upgrades once', async () => {
    const scenario = await createReleaseScenario(client, 'hr-noop', chart());
    await scenario.createRelease();
    await scenario.readyIs('True', 'InstallSucceeded');

    await reconcileWith(scenario);
    expect(scenario.history()).toEqual(['1 deployed Install complete']);

    const forced = await reconcileWith(scenario, 'forceAt');
    expect(scenario.history()).toEqual(['1 superseded Install complete', '2 deployed Upgrade complete']);
    expect(releaseStatusOf(forced).lastHandledForceAt).toBe(releaseStatusOf(forced).lastHandledReconcileAt);
  });

  test('that is suspended is left alone, and not uninstalled with its object', async () => {
    const scenario = await createReleaseScenario(client, 'hr-suspend', chart());
    await scenario.createRelease();
    await scenario.readyIs('True', 'InstallSucceeded');
    await scenario.change({ suspend: true, values: { v: 'two' } });
    await reconcileWith(scenario);
    expect(await valueOf(scenario)).toBe('one');

    const object = await scenario.release();
    await client.delete(refOf(object));
    await eventually('the object to be gone', async () => (await client.get(refOf(object))) === undefined);
    expect(scenario.history()).toEqual(['1 deployed Install complete']);
  });

  test('waits for a Kustomization, and a Kustomization waits for it', async () => {
    const scenario = await createReleaseScenario(client, 'hr-depends', {
      ...chart(),
      'before/one.yaml': configMap('before', { v: '1' }),
      'after/one.yaml': configMap('after', { v: '1' }),
    });
    await scenario.createRelease({ dependsOn: [{ kind: 'Kustomization', name: 'before' }] });
    const dependsOn = [{ kind: 'HelmRelease', name: releaseName }];
    await scenario.createKustomization({ path: './after', dependsOn }, 'after');
    const waiting = async (object: Promise<KubeObject>): Promise<string> => {
      const { reason, message } = conditionOf(await object, 'Ready') ?? {};
      return reason === 'DependencyNotReady' ? (message ?? '') : '';
    };
    await eventually('the waits', async () => {
      const release = await waiting(scenario.release());
      const after = await waiting(scenario.kustomization('after'));
      return (
        release.includes(`Kustomization/${scenario.namespace}/before does not exist`) &&
        after.includes(`HelmRelease/${scenario.namespace}/app is not ready`)
      );
    });
    expect(scenario.helm('list', '--short').trim()).toBe('');
    expect(await scenario.configMap('after')).toBeUndefined();

    await scenario.createKustomization({ path: './before' }, 'before');
    await scenario.readyIs('True', 'InstallSucceeded');
    await eventually('the last one', async () => (await scenario.configMap('after')) !== undefined);
  });

  test('whose chart is missing says at once what its source says, and goes on when it is there', async () => {
    const scenario = await createReleaseScenario(client, 'hr-missing', { 'README.md': 'no chart yet\n' });
    await scenario.createRelease();
    await eventually('the reason', async () => {
      const ready = conditionOf(await scenario.release(), 'Ready');
      return ready?.reason === 'SourceNotReady' && ready.message.includes('charts/app');
    });
    await scenario.push(chart());
    await scenario.readyIs('True', 'InstallSucceeded');
  });

  test('whose chart cannot be rendered says so and is tried again with the next chart', async () => {
    const broken = { 'templates/broken.yaml': '{{ required "set .Values.needed" .Values.needed }}\n' };
    const scenario = await createReleaseScenario(client, 'hr-broken', chart(broken));
    await scenario.createRelease();
    const failed = await scenario.readyIs('False', 'InstallFailed');
    expect(conditionOf(failed, 'Ready')?.message).toMatch(
      /^Helm install failed for release \S+\/app with chart app@1\.0\.0: .*set \.Values\.needed/s,
    );
    expect(releaseStatusOf(failed).history ?? []).toEqual([]);

    await scenario.change({ values: { needed: 'yes' } });
    await scenario.readyIs('False', 'InstallFailed'); // "yes" is no manifest
    await scenario.push({ 'charts/app/templates/broken.yaml': '', ...chart({}, '1.0.1') });
    await scenario.readyIs('True', 'InstallSucceeded');
  });
});
