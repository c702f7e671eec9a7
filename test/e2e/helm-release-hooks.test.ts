// Hooks that follow a rollout, and what is cleaned up when one fails: helm is not there while the rollout is waited for, and
// what is stored in the end is what plain helm stores (decision 0019).
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { objectsOf } from '../../activities/helm/release-objects.ts';
import type { ReleaseHook, StoredRelease } from '../../activities/helm/release-storage.ts';
import { helmProcesses } from '../../bench/helm-processes.ts';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { conditionOf, connectCluster, createNamespace, eventually } from './harness.ts';
import {
  chart,
  contentOf,
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

/** A Job that is a hook; its pod never ends while `.Values.hangs` is its name, and fails while `.Values.fails` is. */
function job(name: string, events: string, annotations: Record<string, string> = {}): Record<string, string> {
  const text = `apiVersion: batch/v1
kind: Job
metadata:
  name: ${name}
  annotations:
    helm.sh/hook: ${events}
${Object.entries(annotations)
  .map(([key, value]) => `    helm.sh/${key}: "${value}"\n`)
  .join('')}spec:
  backoffLimit: 0
  template:
    metadata:
      labels:
        hook: ${name}
        {{- if eq (.Values.hangs | default "") "${name}" }}
        continuo.dev/unready: "true"
        {{- end }}
    spec:
      restartPolicy: Never
      containers:
        - name: main
          image: example/hook
          command: ["sh", "-c", "exit {{ if eq (.Values.fails | default "") "${name}" }}1{{ else }}0{{ end }}"]
`;
  return { [`templates/${name}.yaml`]: text };
}

/** A ConfigMap that is a hook. */
function config(name: string, events: string, annotations: Record<string, string> = {}): Record<string, string> {
  const all = Object.entries({ hook: events, ...annotations }).map(([key, value]) => [`helm.sh/${key}`, value]);
  const metadata = { annotations: Object.fromEntries(all) };
  return {
    [`templates/${name}.yaml`]: manifest('v1', 'ConfigMap', name, { metadata, data: { v: '{{ .Values.v }}' } }),
  };
}

const hooks = {
  ...job('before', 'pre-install,pre-upgrade', { 'hook-weight': '-5' }),
  ...config('around', 'pre-install, post-install,pre-upgrade,post-upgrade', { 'hook-weight': '3' }),
  ...job('after-first', 'post-install,post-upgrade', {
    'hook-weight': '-1',
    'hook-delete-policy': 'before-hook-creation,hook-succeeded',
    'hook-output-log-policy': 'hook-failed',
  }),
  ...job('after-last', '"post-install,post-upgrade"', { 'hook-weight': '7' }),
  ...config('tested', 'test', { 'hook-delete-policy': 'hook-failed' }),
  ...config('other', 'post-rollback,post-delete'),
};

/** The helm processes of a scenario's release: `install`, `test` … */
function running({ namespace }: ReleaseScenario): string[] {
  const all = helmProcesses(join(inject('dataDir'), 'worker'));
  const own = all.filter(({ args }) => args.includes(`--namespace=${namespace}`));
  return own.flatMap(({ action = [] }) => action);
}

async function podsOf(namespace: string, labelSelector: string): Promise<KubeObject[]> {
  const pods = await client.resourceFor('', 'v1', 'Pod');
  if (!pods) throw new Error('the API server has no pods');
  return (await client.list(pods, { namespace, labelSelector })).items;
}

/** Lets the pods of a namespace get ready, or end. */
async function free(namespace: string): Promise<void> {
  for (const pod of await podsOf(namespace, 'continuo.dev/unready=true')) {
    await client.patch(refOf(pod), { metadata: { labels: { 'continuo.dev/unready': null } } }, { type: 'merge' });
  }
}

async function isWaiting(scenario: ReleaseScenario): Promise<boolean> {
  const told = conditionOf(await scenario.release(), 'Reconciling')?.message ?? '';
  return told.startsWith('Waiting for the objects of release');
}

/** Plain helm in a namespace of its own, with the chart of the repository; gives what it says when it fails. */
async function plain(namespace: string, ...args: string[]): Promise<string> {
  const env = { PATH: process.env.PATH, HOME: inject('dataDir'), KUBECONFIG: inject('kubeconfig') };
  return await new Promise((resolve) => {
    execFile(join(inject('binDir'), 'helm'), [...args, '--namespace', namespace], { env }, (error, _stdout, stderr) =>
      resolve(error ? stderr : ''),
    );
  });
}

const chartOf = ({ repository }: ReleaseScenario): string => join(repository.directory, 'charts/app');
const setting = (values: object): string[] => ['--set-json', JSON.stringify(values)];

/** Names of the hooks, in the order in which they ran last; those that did not run are left out. */
function runOrder({ hooks: all = [] }: StoredRelease): string[] {
  const startOf = ({ last_run }: ReleaseHook): number => Date.parse(last_run?.started_at ?? '');
  return all
    .filter((hook) => !Number.isNaN(startOf(hook)))
    .sort((a, b) => startOf(a) - startOf(b))
    .map(({ name = '' }) => name);
}

/** `helm get hooks`, without the labels that say whose the hooks are. */
function toldHooks(scenario: ReleaseScenario, namespace: string): unknown[] {
  return objectsOf(scenario.helm('get', 'hooks', 'app', '--namespace', namespace)).map(
    ({ kind, metadata: { name, annotations } }) => ({ kind, name, annotations }),
  );
}

function toldHistory(scenario: ReleaseScenario, namespace: string): unknown[] {
  const text = scenario.helm('history', 'app', '--namespace', namespace, '-o', 'json');
  const told = JSON.parse(text.replaceAll(namespace, 'NAMESPACE')) as object[];
  return told.map((revision) => ({ ...revision, updated: undefined }));
}

/** The release is what plain helm has made in its namespace. */
async function expectSame(scenario: ReleaseScenario, twin: string): Promise<void> {
  const [own, other] = [await scenario.stored(), await scenario.stored('app', twin)];
  expect(contentOf(own)).toEqual(contentOf(other));
  expect(own.hooks?.map(({ name }) => name)).toEqual(other.hooks?.map(({ name }) => name));
  expect(runOrder(own)).toEqual(runOrder(other));
  expect(toldHooks(scenario, scenario.namespace)).toEqual(toldHooks(scenario, twin));
  expect(toldHistory(scenario, scenario.namespace)).toEqual(toldHistory(scenario, twin));
}

describe.concurrent('hooks that follow a rollout', { timeout: 120_000 }, () => {
  test('run when it is ready, by a process of their own; until then there is none', async () => {
    const scenario = await createReleaseScenario(client, 'hooks-run', chart({ ...deploymentTemplate, ...hooks }));
    const { namespace } = scenario;
    const values = { v: 'one', unready: true };
    const installing = scenario.installTwin(values, async (twin) => {
      const freeing = setInterval(() => void free(twin).catch(() => undefined), 200);
      setTimeout(() => clearInterval(freeing), 30_000).unref();
    });
    await scenario.createRelease({ values });
    await eventually('the wait', () => isWaiting(scenario), 60_000);

    expect(running(scenario)).toEqual([]);
    expect((await scenario.find('batch/v1', 'Job', 'before'))?.status).toMatchObject({ succeeded: 1 });
    expect((await scenario.configMap('around'))?.metadata.annotations).toMatchObject({
      'helm.sh/hook': 'pre-install, post-install,pre-upgrade,post-upgrade',
    });
    const around = (await scenario.configMap('around'))?.metadata.uid;
    expect(runOrder(await scenario.stored())).toEqual(['before', 'around']);
    const events = (await scenario.stored()).hooks?.map((hook) => `${hook.name}: ${hook.events?.join()}`).sort();
    expect(events).toEqual([
      'after-first: post-install,post-upgrade',
      'after-last: post-install,post-upgrade',
      'around: pre-install,post-install,pre-upgrade,post-upgrade',
      'before: pre-install,pre-upgrade',
      'other: post-rollback,post-delete',
      'tested: test',
    ]);
    await sleep(2_000);
    expect(running(scenario)).toEqual([]);
    expect(await scenario.find('batch/v1', 'Job', 'after-first')).toBeUndefined();
    expect(await scenario.find('batch/v1', 'Job', 'after-last')).toBeUndefined();

    await free(namespace);
    await scenario.readyIs('True', 'InstallSucceeded', 60_000);
    await expectSame(scenario, await installing);
    expect(runOrder(await scenario.stored())).toEqual(['before', 'after-first', 'around', 'after-last']);
    expect(await scenario.find('batch/v1', 'Job', 'after-first')).toBeUndefined();
    expect((await scenario.find('batch/v1', 'Job', 'after-last'))?.status).toMatchObject({ succeeded: 1 });
    expect((await scenario.configMap('around'))?.metadata.uid).not.toBe(around);
    expect(await scenario.configMap('tested')).toBeUndefined();

    await scenario.change({ values: { v: 'two', unready: true } });
    await eventually('the wait', () => isWaiting(scenario), 60_000);
    expect(runOrder(await scenario.stored())).toEqual(['before', 'around']);
    await free(namespace);
    await scenario.readyIs('True', 'UpgradeSucceeded', 60_000);
    expect(runOrder(await scenario.stored())).toEqual(['before', 'after-first', 'around', 'after-last']);
    expect(scenario.history()).toEqual(['1 superseded Install complete', '2 deployed Upgrade complete']);

    await reconcileWith(scenario);
    expect(states(scenario), 'the release is known as it is stored').toEqual(['1 superseded', '2 deployed']);
    await scenario.remove();
    expect(await scenario.configMap('other'), 'a hook of the deletion').toBeDefined();
  });

  test('fail the action as helm says it, and leave the revision before in place', async () => {
    const files = { ...deploymentTemplate, ...job('after', 'post-install,post-upgrade') };
    const scenario = await createReleaseScenario(client, 'hooks-fail', chart(files));
    const twin = await createNamespace(client, 'hooks-fail-twin');
    const good = { v: 'one', fails: 'none' };
    const bad = { v: 'two', fails: 'after' };
    const waiting = ['--wait', '--wait-for-jobs', '--timeout=30s'];
    expect(await plain(twin, 'install', 'app', chartOf(scenario), ...setting(bad), ...waiting)).toContain(
      'post-install',
    );
    await scenario.createRelease({ values: bad });
    const failed = await scenario.stalled();
    await expectSame(scenario, twin);
    expect(conditionOf(failed, 'Released')).toMatchObject({ status: 'False', reason: 'InstallFailed' });
    expect(conditionOf(failed, 'Released')?.message).toMatch(/: failed post-install: .*Job\/\S+\/after/);
    const events = (await scenario.events(failed)).filter(({ reason }) => reason === 'InstallFailed');
    expect(events.map(({ message }) => message).join()).toContain('Last Helm logs:');

    const upgrade = ['upgrade', 'app', chartOf(scenario), '--reset-values', ...waiting];
    await plain(twin, ...upgrade, ...setting(good));
    await scenario.change({ values: good });
    await scenario.readyIs('True', 'UpgradeSucceeded', 60_000);
    await expectSame(scenario, twin);

    await plain(twin, ...upgrade, ...setting(bad));
    await scenario.change({ values: bad });
    const object = await scenario.stalled();
    await expectSame(scenario, twin);
    expect(states(scenario)).toEqual(['1 superseded', '2 deployed', '3 failed']);
    expect(conditionOf(object, 'Ready')?.message).toMatch(/: post-upgrade hooks failed: .*Job\/\S+\/after/);
    expect(releaseStatusOf(object)).toMatchObject({ failures: 1, upgradeFailures: 1 });
    const known = releaseStatusOf(object).history?.map(({ version, status }) => `${version} ${status}`);
    expect(known).toEqual(['3 failed', '2 deployed', '1 superseded']);
  });

  test('that never end are ended by a newer spec', async () => {
    const files = { ...deploymentTemplate, ...job('after', 'post-upgrade') };
    const scenario = await createReleaseScenario(client, 'hooks-hang', chart(files));
    await scenario.createRelease({ timeout: '10m' });
    await scenario.readyIs('True', 'InstallSucceeded');
    await scenario.change({ values: { v: 'two', hangs: 'after' } });
    await eventually('the hook', async () => (await podsOf(scenario.namespace, 'hook=after')).length > 0, 60_000);
    expect(running(scenario)).toEqual(['test']);
    await scenario.change({ values: { v: 'three', hangs: null } });
    await eventually('the hook’s process to be gone', () => !running(scenario).includes('test'), 2_000);
    await scenario.readyIs('True', 'UpgradeSucceeded');

    expect(states(scenario)).toEqual(['1 superseded', '2 failed', '3 deployed']);
    expect(scenario.history()[1]).toContain('superseded by a newer chart, values or spec');
  });

  test('follow a rollback as well, with the hooks of the revision that it goes back to', async () => {
    const files = {
      ...deploymentTemplate,
      ...config('before-rollback', 'pre-rollback'),
      ...job('after-rollback', 'post-rollback', { 'hook-delete-policy': 'before-hook-creation' }),
      ...job('after', 'post-install,post-upgrade'),
    };
    const scenario = await createReleaseScenario(client, 'hooks-back', chart(files));
    const twin = await createNamespace(client, 'hooks-back-twin');
    const good = { v: 'one', fails: 'none' };
    const bad = { v: 'two', fails: 'after' };
    const waiting = ['--wait', '--wait-for-jobs', '--timeout=30s'];
    await plain(twin, 'install', 'app', chartOf(scenario), ...setting(good), ...waiting);
    await plain(twin, 'upgrade', 'app', chartOf(scenario), '--reset-values', ...setting(bad), ...waiting);
    expect(await plain(twin, 'rollback', 'app', '1', ...waiting)).toBe('');

    const upgrade = { remediation: { retries: 0, remediateLastFailure: true } };
    await scenario.createRelease({ values: good, upgrade });
    await scenario.readyIs('True', 'InstallSucceeded', 60_000);
    await scenario.change({ values: bad });
    const object = await scenario.stalled();
    expect(conditionOf(object, 'Remediated')).toMatchObject({ status: 'True', reason: 'RollbackSucceeded' });
    await expectSame(scenario, twin);
    expect(runOrder(await scenario.stored())).toEqual(expect.arrayContaining(['before-rollback', 'after-rollback']));
    expect((await scenario.find('batch/v1', 'Job', 'after-rollback'))?.status).toMatchObject({ succeeded: 1 });
  });

  test('fail a rollback, whose revision is no pending one then', async () => {
    const files = { ...deploymentTemplate, ...job('after-rollback', 'post-rollback') };
    const scenario = await createReleaseScenario(client, 'hooks-noback', chart(files));
    const upgrade = { timeout: '2s', remediation: { retries: 0, remediateLastFailure: true } };
    await scenario.createRelease({ upgrade, values: { v: 'one', fails: 'after-rollback' } });
    await scenario.readyIs('True', 'InstallSucceeded');
    await scenario.change({ values: { v: 'two', unready: true } });
    await scenario.fails('RollbackFailed', /after-rollback/);
    expect(states(scenario).at(-1)).toBe('3 failed');
  });

  test('are left out where hooks are off, and run at once where nothing is waited for', async () => {
    const files = { ...deploymentTemplate, ...job('after', 'post-install,post-upgrade') };
    const scenario = await createReleaseScenario(client, 'hooks-off', chart(files));
    await scenario.createRelease({ install: { disableHooks: true }, values: { v: 'one' } });
    await scenario.readyIs('True', 'InstallSucceeded');
    expect(await scenario.find('batch/v1', 'Job', 'after')).toBeUndefined();
    await scenario.change({ values: { v: 'two', unready: true }, upgrade: { disableWait: true } });
    await scenario.readyIs('True', 'UpgradeSucceeded');
    expect((await scenario.find('batch/v1', 'Job', 'after'))?.status).toMatchObject({ succeeded: 1 });
    expect((await scenario.stored()).hooks?.[0]).toMatchObject({ events: ['post-install', 'post-upgrade'] });
  });
});

describe.concurrent('an upgrade that cleans up when it fails', { timeout: 120_000 }, () => {
  const extra = {
    'templates/extra.yaml': `{{- if .Values.extra }}
apiVersion: v1
kind: ConfigMap
metadata: { name: extra }
{{- end }}
`,
  };

  test('deletes what it has created when its rollout fails, keeps the rest, and needs no process to wait', async () => {
    const scenario = await createReleaseScenario(client, 'hooks-clean', chart({ ...deploymentTemplate, ...extra }));
    await scenario.createRelease({ upgrade: { cleanupOnFail: true, timeout: '5s' } });
    await scenario.readyIs('True', 'InstallSucceeded');
    await scenario.change({ values: { v: 'two', unready: true, extra: true } });
    await eventually('the wait', () => isWaiting(scenario), 60_000);
    expect(running(scenario)).toEqual([]);
    expect(await scenario.configMap('extra')).toBeDefined();
    const object = await scenario.stalled();

    expect(conditionOf(object, 'Released')).toMatchObject({ status: 'False', reason: 'UpgradeFailed' });
    expect(await scenario.configMap('extra')).toBeUndefined();
    expect((await scenario.configMap('app'))?.data).toEqual({ v: 'two' });
    expect(await scenario.find('apps/v1', 'Deployment', 'app')).toBeDefined();
    expect(states(scenario)).toEqual(['1 deployed', '2 failed']);
  });

  test('does so in another namespace, and where it applies as Helm 3 did', async () => {
    const files = { ...extra, ...config('around', 'pre-install,post-install'), ...job('after', 'post-upgrade') };
    const scenario = await createReleaseScenario(client, 'hooks-client', chart(files));
    const targetNamespace = await createNamespace(client, 'hooks-target');
    const there = (name: string): Promise<KubeObject | undefined> =>
      client.get({ group: '', version: 'v1', kind: 'ConfigMap', namespace: targetNamespace, name });
    const releaseName = 'app';
    const install = { serverSideApply: false };
    await scenario.createRelease({ targetNamespace, releaseName, install, upgrade: { cleanupOnFail: true } });
    await scenario.readyIs('True', 'InstallSucceeded');
    expect(await scenario.stored()).toMatchObject({
      apply_method: 'csa',
      hooks: expect.arrayContaining([
        expect.objectContaining({ name: 'around', last_run: expect.objectContaining({ phase: 'Succeeded' }) }),
      ]),
    });
    expect((await there('around'))?.metadata.annotations).toMatchObject({ 'helm.sh/hook': 'pre-install,post-install' });

    await scenario.change({ values: { v: 'two', extra: true, fails: 'after' } });
    await scenario.stalled();
    expect(states(scenario)).toEqual(['1 deployed', '2 failed']);
    expect(await there('extra')).toBeUndefined();
    expect((await there('app'))?.data).toEqual({ v: 'two' });
  });

  test('does so when a hook after it fails; where it is not asked to, all stays', async () => {
    const files = chart({ ...extra, ...job('after', 'post-upgrade') });
    const [cleaned, kept] = await Promise.all([
      createReleaseScenario(client, 'hooks-clean-hook', files),
      createReleaseScenario(client, 'hooks-keep', files),
    ]);
    await cleaned.createRelease({ upgrade: { cleanupOnFail: true } });
    await kept.createRelease();
    for (const scenario of [cleaned, kept]) {
      await scenario.readyIs('True', 'InstallSucceeded');
      await scenario.change({ values: { v: 'two', extra: true, fails: 'after' } });
      await scenario.stalled();
      expect(states(scenario)).toEqual(['1 deployed', '2 failed']);
    }
    expect(await cleaned.configMap('extra')).toBeUndefined();
    expect((await cleaned.configMap('app'))?.data).toEqual({ v: 'two' });
    expect(await kept.configMap('extra')).toBeDefined();
  });
});
