// The options of install, upgrade, rollback and uninstall, each by what it changes in the cluster and in helm's history.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { refOf } from '../../k8s/object.ts';
import { conditionOf, connectCluster, createNamespace, eventually } from './harness.ts';
import {
  chart,
  createReleaseScenario,
  deploymentTemplate,
  reconcileWith,
  releaseStatusOf,
  type ReleaseScenario,
  states,
} from './release-scenario.ts';
import { manifest } from './scenario.ts';

let client: KubeClient;

beforeAll(() => {
  client = connectCluster();
});
afterAll(() => client.close());

const dataOf = async (scenario: ReleaseScenario, name = 'app'): Promise<unknown> =>
  (await scenario.configMap(name))?.data;
const installed = (scenario: ReleaseScenario) => scenario.readyIs('True', 'InstallSucceeded', 60_000);
const upgraded = (scenario: ReleaseScenario) => scenario.readyIs('True', 'UpgradeSucceeded', 60_000);

/** A Job that ends as the command says; one with the label runs for ever. */
function job(command: string, metadata: object = {}, labels: object = {}): string {
  const containers = [{ name: 'main', image: 'example/job', command: ['sh', '-c', command] }];
  const template = { metadata: { labels }, spec: { restartPolicy: 'Never', containers } };
  return manifest('batch/v1', 'Job', 'job', { metadata, spec: { backoffLimit: 0, template } });
}

/** A ConfigMap that is there when the values ask for it. */
const extra = {
  'templates/extra.yaml': `{{- if .Values.extra }}\n${manifest('v1', 'ConfigMap', 'extra')}{{- end }}\n`,
};

/** A finalizer of somebody holds the ConfigMap of the chart. */
async function hold(scenario: ReleaseScenario, isHeld: boolean): Promise<void> {
  const ref = { group: '', version: 'v1', kind: 'ConfigMap', namespace: scenario.namespace, name: 'app' };
  await client.patch(ref, { metadata: { finalizers: isHeld ? ['test.dev/held'] : null } }, { type: 'merge' });
}

describe.concurrent('a release', { timeout: 120_000 }, () => {
  test('goes to its target and storage namespaces under its name, which are made where that is asked for', async () => {
    const scenario = await createReleaseScenario(client, 'opt-places', chart());
    const target = `${scenario.namespace}-made`;
    const storageNamespace = await createNamespace(client, 'opt-storage');
    const remediation = { remediateLastFailure: true };
    const names = { releaseName: 'short', targetNamespace: target, storageNamespace };
    await scenario.createRelease({ ...names, install: { remediation } });
    const refused = conditionOf(await scenario.stalled(), 'Released');
    expect(refused?.message).toContain(`namespaces "${target}" not found`);
    await scenario.change({ install: { createNamespace: true } });
    const ready = await installed(scenario);

    const config = { group: '', version: 'v1', kind: 'ConfigMap', namespace: target, name: 'short' };
    expect((await client.get(config))?.data).toEqual({ v: 'one' });
    expect(scenario.history('short', storageNamespace)).toEqual(['1 deployed Install complete']);
    expect(scenario.helm('list', '--all-namespaces', '--filter', '^short$', '--short').trim()).toBe('short');
    expect(releaseStatusOf(ready)).toMatchObject({
      storageNamespace,
      history: [{ name: 'short', namespace: target, version: 1 }],
      inventory: { entries: [{ id: `${target}_short__ConfigMap`, v: 'v1' }] },
    });
    await scenario.remove();
    expect(await client.get(config)).toBeUndefined();
    expect(scenario.helm('list', '--namespace', storageNamespace, '--short').trim()).toBe('');
    expect(
      await client.get({ group: '', version: 'v1', kind: 'Namespace', namespace: '', name: target }),
    ).toBeDefined();
  });

  test('keeps as many revisions as maxHistory says', async () => {
    const scenario = await createReleaseScenario(client, 'opt-history', chart());
    await scenario.createRelease({ maxHistory: 2 });
    await installed(scenario);
    for (const v of ['two', 'three']) {
      const generation = await scenario.change({ values: { v } });
      await eventually(`the value ${v}`, async () => {
        const { observedGeneration } = releaseStatusOf(await scenario.release());
        return observedGeneration === generation || undefined;
      });
    }
    expect(await dataOf(scenario)).toEqual({ v: 'three' });
    expect(states(scenario)).toEqual(['2 superseded', '3 deployed']);
  });

  test('is applied as Helm 3 did where that is asked for, goes on so, and is moved to the server', async () => {
    const scenario = await createReleaseScenario(client, 'opt-apply', chart());
    const checks = { disableOpenAPIValidation: true };
    await scenario.createRelease({ install: { serverSideApply: false, ...checks }, upgrade: checks });
    await installed(scenario);
    const fields = async () =>
      (await scenario.configMap('app'))?.metadata.managedFields?.map(({ manager, operation }) => [manager, operation]);
    expect(await fields()).toEqual([['helm-controller', 'Update']]);
    expect((await scenario.stored()).apply_method).toBe('csa');
    const ref = refOf((await scenario.configMap('app')) ?? (await scenario.release()));
    await client.patch(ref, { data: { other: 'theirs' } }, { type: 'merge', fieldManager: 'someone' });

    await scenario.change({ values: { v: 'two' } });
    await upgraded(scenario);
    expect(await dataOf(scenario)).toEqual({ v: 'two', other: 'theirs' });
    expect((await scenario.stored()).apply_method).toBe('csa');

    await scenario.change({ values: { v: 'three' }, upgrade: { force: true } });
    await eventually('the replacement', async () => JSON.stringify(await dataOf(scenario)) === '{"v":"three"}');
    await upgraded(scenario);

    await scenario.change({ values: { v: 'four' }, upgrade: { force: null, serverSideApply: 'enabled' } });
    await eventually('the last value', async () => JSON.stringify(await dataOf(scenario)) === '{"v":"four"}');
    await upgraded(scenario);
    expect((await scenario.stored()).apply_method).toBe('ssa');
    expect(await fields()).toContainEqual(['helm-controller', 'Apply']);
    expect(states(scenario)).toEqual(['1 superseded', '2 superseded', '3 superseded', '4 deployed']);
  });

  test('takes over what exists, unless that is turned off', async () => {
    const scenario = await createReleaseScenario(client, 'opt-owner', chart(extra));
    const { namespace } = scenario;
    const create = (name: string) =>
      client.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name }, data: { v: 'theirs' } });
    await Promise.all([create('app'), create('extra')]);
    await scenario.createRelease({ install: { disableTakeOwnership: true } });
    await scenario.fails('InstallFailed', 'cannot be imported into the current release');
    expect(await dataOf(scenario)).toEqual({ v: 'theirs' });
    await scenario.change({ install: { disableTakeOwnership: false } });
    await installed(scenario);
    expect((await scenario.configMap('app'))?.metadata.annotations).toMatchObject({
      'meta.helm.sh/release-name': 'app',
    });

    await scenario.change({ values: { extra: true }, upgrade: { disableTakeOwnership: true } });
    await scenario.fails('UpgradeFailed', 'cannot be imported into the current release');
    await scenario.change({ upgrade: { disableTakeOwnership: false } });
    await upgraded(scenario);
    expect((await scenario.configMap('extra'))?.metadata.labels).toMatchObject({
      'helm.toolkit.fluxcd.io/name': 'app',
    });
  });

  test('leaves its history behind where that is asked for, and its name can be used again', async () => {
    const scenario = await createReleaseScenario(client, 'opt-replace', chart());
    await scenario.createRelease({ uninstall: { keepHistory: true } });
    await installed(scenario);
    await scenario.remove();
    expect(await scenario.configMap('app')).toBeUndefined();
    expect(scenario.history()).toEqual(['1 uninstalled Uninstallation complete']);

    await scenario.createRelease({ values: { v: 'two' } });
    await scenario.fails('InstallFailed', 'cannot reuse a name that is still in use');
    await scenario.change({ install: { replace: true } });
    await installed(scenario);
    expect(scenario.history().at(-1)).toBe('2 deployed Install complete');
    expect(await dataOf(scenario)).toEqual({ v: 'two' });
  });

  test('is not waited for with disableWait; each action has its own time-out', async () => {
    const scenario = await createReleaseScenario(client, 'opt-wait', chart(deploymentTemplate));
    await scenario.createRelease({
      timeout: '10m',
      values: { unready: true },
      install: { disableWait: true },
      upgrade: { timeout: '2s', remediation: { retries: 0, remediateLastFailure: true } },
      rollback: { disableWait: true },
    });
    await installed(scenario);
    await scenario.change({ values: { v: 'two' } });
    const object = await scenario.stalled();
    expect(conditionOf(object, 'Released')?.message).toContain('health check failed after 2');
    expect(conditionOf(object, 'Remediated')?.reason).toBe('RollbackSucceeded');
    await scenario.change({ values: { v: 'three' }, upgrade: { disableWait: true } });
    await upgraded(scenario);
    expect(states(scenario)).toEqual(['1 superseded', '2 failed', '3 superseded', '4 deployed']);
  });

  test('is ready when its jobs have ended, unless they are not to be waited for', async () => {
    const endless = { 'templates/job.yaml': job('sleep infinity', {}, { 'continuo.dev/unready': 'true' }) };
    const scenario = await createReleaseScenario(client, 'opt-jobs', chart(endless));
    await scenario.createRelease({ install: { disableWaitForJobs: true }, upgrade: { timeout: '2s' } });
    await installed(scenario);
    await scenario.change({ values: { v: 'two' } });
    const object = await scenario.stalled();
    expect(conditionOf(object, 'Released')?.message).toContain(`Job/${scenario.namespace}/job`);
    await scenario.change({ values: { v: 'three' }, upgrade: { disableWaitForJobs: true } });
    await upgraded(scenario);
    expect(states(scenario)).toEqual(['1 superseded', '2 failed', '3 deployed']);
  });

  test('has no hooks run where they are turned off', async () => {
    const events = 'pre-install,pre-upgrade,pre-rollback,pre-delete';
    const failing = job('exit 1', { annotations: { 'helm.sh/hook': events } });
    const scenario = await createReleaseScenario(client, 'opt-hooks', chart({ 'templates/job.yaml': failing }));
    await scenario.createRelease({
      install: { disableHooks: true },
      upgrade: { remediation: { retries: 0, remediateLastFailure: true } },
      rollback: { disableHooks: true },
      uninstall: { disableHooks: true },
    });
    await installed(scenario);
    await scenario.change({ values: { v: 'two' } });
    const object = await scenario.stalled();
    expect(conditionOf(object, 'Released')?.message).toContain('pre-upgrade');
    expect(conditionOf(object, 'Remediated')?.reason).toBe('RollbackSucceeded');
    await scenario.change({ values: { v: 'three' }, upgrade: { disableHooks: true } });
    await upgraded(scenario);
    expect(states(scenario)).toEqual(['1 superseded', '2 failed', '3 superseded', '4 deployed']);
    await scenario.remove();
  });

  test('keeps the values of before with preserveValues, and is in sync with them', async () => {
    const scenario = await createReleaseScenario(client, 'opt-values', chart());
    await scenario.createRelease({ upgrade: { preserveValues: true }, values: { map: { a: 1 }, v: 'kept' } });
    await installed(scenario);
    await scenario.change({ values: { map: { a: null, b: 2 }, v: null } });
    await upgraded(scenario);
    expect((await scenario.stored()).config).toEqual({ map: { a: 1, b: 2 }, v: 'kept' });
    await reconcileWith(scenario);
    expect(states(scenario)).toEqual(['1 superseded', '2 deployed']);
  });

  test('that fails takes away what it has made with cleanupOnFail, also when it fails by its rollout', async () => {
    const scenario = await createReleaseScenario(client, 'opt-cleanup', chart({ ...deploymentTemplate, ...extra }));
    await scenario.createRelease({ upgrade: { timeout: '3s', cleanupOnFail: true } });
    await installed(scenario);
    await scenario.change({ values: { extra: true, unready: true, v: 'two' } });
    await scenario.stalled();
    expect(states(scenario)).toEqual(['1 deployed', '2 failed']);
    expect(await scenario.configMap('extra')).toBeUndefined();
    expect(await scenario.find('apps/v1', 'Deployment', 'app')).toBeDefined();
  });

  test('with another chart is made anew, or upgraded in place', async () => {
    const other = { 'charts/app/Chart.yaml': 'apiVersion: v2\nname: other\nversion: 1.0.0\n' };
    const change = async (upgrade: object): Promise<ReleaseScenario> => {
      const scenario = await createReleaseScenario(client, 'opt-name', chart());
      await scenario.createRelease({ upgrade });
      await installed(scenario);
      await scenario.push({ ...other, 'charts/app/values.yaml': 'v: other\n' });
      await eventually(
        'the other chart',
        async () => JSON.stringify(await dataOf(scenario)) === '{"v":"other"}',
        60_000,
      );
      return scenario;
    };
    const [anew, inPlace] = await Promise.all([change({}), change({ chartNameChangeStrategy: 'InPlaceUpdate' })]);
    await Promise.all([installed(anew), upgraded(inPlace)]);
    expect(anew.history()).toEqual(['1 deployed Install complete']);
    expect(inPlace.history()).toEqual(['1 superseded Install complete', '2 deployed Upgrade complete']);
  });

  test('that fails to upgrade is uninstalled where that is its remedy, and installed anew', async () => {
    const scenario = await createReleaseScenario(client, 'opt-remedy', chart(deploymentTemplate));
    const remediation = { retries: 1, strategy: 'uninstall', remediateLastFailure: false };
    await scenario.createRelease({ timeout: '2s', upgrade: { remediation } });
    await installed(scenario);
    await scenario.change({ values: { v: 'two', unready: true } });
    await eventually('the uninstall', async () => {
      const { reason, message } = conditionOf(await scenario.release(), 'Remediated') ?? {};
      return reason === 'UninstallSucceeded' && message?.startsWith('Helm uninstall remediation for release');
    });
    await scenario.stalled();
    expect(scenario.history().length).toBe(1);
    await scenario.change({ values: { v: 'three', unready: null } });
    await scenario.readyIs('True', 'UpgradeSucceeded', 60_000);
    expect(states(scenario)).toEqual(['1 superseded', '2 deployed']);
  });

  test('is waited for as Helm 3 did with the legacy strategy', async () => {
    const scenario = await createReleaseScenario(client, 'opt-legacy', chart(deploymentTemplate));
    await scenario.createRelease({ upgrade: { timeout: '4s' }, waitStrategy: { name: 'legacy' } });
    await installed(scenario);
    await scenario.change({ values: { v: 'two', unready: true } });
    const object = await scenario.stalled();
    const { reason, message } = conditionOf(object, 'Released') ?? {};
    expect(reason).toBe('UpgradeFailed');
    expect(message).not.toContain('health check failed'); // that is what the poller says
    expect(states(scenario)).toEqual(['1 deployed', '2 failed']);
  });

  test('has its health told by expressions, also where hooks run after it', async () => {
    const group = `hr${process.pid}.test.dev`;
    const crd = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `things.${group}` },
      spec: {
        group,
        names: { kind: 'Thing', plural: 'things' },
        scope: 'Namespaced',
        versions: [
          {
            ...{ name: 'v1', served: true, storage: true },
            schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        ],
      },
    };
    const files = {
      'crds/things.json': JSON.stringify(crd),
      'templates/thing.yaml': manifest(`${group}/v1`, 'Thing', 'thing', { spec: { v: '{{ .Values.v }}' } }),
      'templates/after.yaml': manifest('v1', 'ConfigMap', 'after', {
        metadata: { annotations: { 'helm.sh/hook': 'post-upgrade' } },
      }),
    };
    const scenario = await createReleaseScenario(client, 'opt-health', chart(files));
    const expressions = { current: "status.phase == 'Up'", failed: "status.phase == 'Broken'" };
    const healthCheckExprs = [{ apiVersion: `${group}/v1`, kind: 'Thing', ...expressions }];
    await scenario.createRelease({ timeout: '10m', healthCheckExprs });
    const thing = await eventually('the object', () => scenario.find(`${group}/v1`, 'Thing', 'thing'), 60_000);
    const phase = (value: string) => client.patch(refOf(thing), { status: { phase: value } }, { type: 'merge' });
    await eventually('the wait', async () => {
      const reconciling = conditionOf(await scenario.release(), 'Reconciling');
      return reconciling?.message.startsWith('Waiting for the objects of release');
    });
    await phase('Up');
    await installed(scenario);

    await phase('Broken');
    await scenario.change({ values: { v: 'two' } });
    await scenario.stalled();
    await scenario.fails('UpgradeFailed', `Thing/${scenario.namespace}/thing`);
    expect(states(scenario)).toEqual(['1 deployed', '2 failed']);
    await scenario.remove();
    await client.delete(refOf(crd));
  });

  test('is uninstalled as its propagation says', async () => {
    const remove = async (deletionPropagation: string): Promise<ReleaseScenario> => {
      const scenario = await createReleaseScenario(client, `opt-${deletionPropagation}`, chart(deploymentTemplate));
      await scenario.createRelease({ uninstall: { deletionPropagation } });
      await installed(scenario);
      await scenario.remove();
      // Helm's own wait passes over what it has not seen yet.
      await eventually('the Deployment to be gone', async () => {
        return (await scenario.find('apps/v1', 'Deployment', 'app')) === undefined;
      });
      return scenario;
    };
    const replicaSets = async ({ namespace }: ReleaseScenario): Promise<number> => {
      const resource = await client.resourceFor('apps', 'v1', 'ReplicaSet');
      return resource ? (await client.list(resource, { namespace })).items.length : -1;
    };
    const [orphan, foreground] = await Promise.all([remove('orphan'), remove('foreground')]);
    expect(await replicaSets(foreground)).toBe(0);
    expect(await replicaSets(orphan)).toBe(1);
  });

  test('is gone when its objects are, unless that is not to be waited for', async () => {
    const [waiting, leaving] = await Promise.all(
      [{ timeout: '2s' }, { disableWait: true }].map(async (uninstall) => {
        const scenario = await createReleaseScenario(client, 'opt-uninstall', chart());
        await scenario.createRelease({ uninstall });
        await installed(scenario);
        await hold(scenario, true);
        return scenario;
      }),
    );
    if (!waiting || !leaving) throw new Error('there are two scenarios');
    await leaving.remove();
    expect((await leaving.configMap('app'))?.metadata.deletionTimestamp).toBeDefined();
    await hold(leaving, false);

    const removed = waiting.remove();
    const held = await waiting.release();
    await eventually('the failure to be told', async () => {
      const events = await waiting.events(held);
      return events.some(({ message, type }) => type === 'Warning' && message.includes('still exists'));
    });
    await hold(waiting, false);
    await removed;
    expect(waiting.helm('list', '--short').trim()).toBe('');
  });
});
