// Hooks that follow an action, run by the real helm on a release without them: what an attempt does that replaces another,
// and what is left in the storage (decision 0019). Whole releases are in test/e2e/helm-release-hooks.test.ts.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type ApiGateway, createApiGateway } from '../../activities/helm/api-gateway.ts';
import { createReleaseMemory } from '../../activities/helm/release-memory.ts';
import { createReleaseStorage, type ReadRelease } from '../../activities/helm/release-storage.ts';
import type { ReleaseActionResult } from '../../activities/helm/release-types.ts';
import { createHelm, type Helm } from '../../activities/helm/run-helm.ts';
import { runPostHooks } from '../../activities/helm/run-post-hooks.ts';
import { matchesSnapshot, snapshotOf } from '../../activities/helm/snapshot.ts';
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import type { KubeClient } from '../../k8s/client.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { ensureBinaries } from '../../tools/platform/binaries.ts';
import { webChart, writeChart } from '../servers/helm-charts.ts';
import { createNamespace } from '../servers/kube-fixture.ts';

let client: KubeClient;
let gateway: ApiGateway;
let helm: Helm;
let binary: string;
let root: string;
let chart: string;

/** A ConfigMap that is a hook. */
const hook = (name: string, policy: string): string => `apiVersion: v1
kind: ConfigMap
metadata:
  name: ${name}
  annotations:
    helm.sh/hook: post-install
    helm.sh/hook-delete-policy: ${policy}
`;

beforeAll(async () => {
  client = createKubeClient({ kubeconfig: inject('kubeconfig') });
  gateway = createApiGateway();
  root = mkdtempSync(join(tmpdir(), 'continuo-post-hooks-'));
  binary = (await ensureBinaries(['helm'])).helm;
  helm = createHelm({ binary, temporaryDirectory: join(root, 'processes') });
  chart = await writeChart(join(root, 'web.tgz'), {
    ...webChart,
    'templates/passing.yaml': hook('passing', 'before-hook-creation,hook-succeeded'),
    'templates/staying.yaml': hook('staying', 'before-hook-creation'),
  });
});
afterAll(async () => {
  await gateway.close();
  await client.close();
  rmSync(root, { recursive: true, force: true });
});

/** A release whose objects are there and whose hooks have not run. */
async function installWithoutHooks() {
  const namespace = await createNamespace(client, 'post-hooks');
  const env = { ...process.env, KUBECONFIG: inject('kubeconfig') };
  const run = (...args: string[]): string =>
    execFileSync(binary, [...args, '-n', namespace], { encoding: 'utf8', env });
  run('install', 'web', chart, '--no-hooks');
  const storage = createReleaseStorage({ client, namespace });
  const stored = async (): Promise<ReadRelease> => {
    const read = await storage.last('web');
    if (!read) throw new Error('no release');
    return read;
  };
  const object: HelmRelease = {
    apiVersion: 'helm.toolkit.fluxcd.io/v2',
    kind: 'HelmRelease',
    metadata: { name: 'web', namespace },
    spec: { interval: '1m', timeout: '30s' },
  };
  const result: ReleaseActionResult = {
    action: 'install',
    release: { name: 'web', namespace, storageNamespace: namespace },
    snapshot: snapshotOf((await stored()).release, { action: 'install' }),
    ...{ mustWait: true, postHooks: 'post-install', timeoutMs: 30_000, durationMs: 0 },
  };
  const target = {
    ...{ client, releases: createReleaseMemory() },
    ...{ accountError: async () => undefined, release: () => undefined },
  };
  const configMap = async (name: string): Promise<KubeObject | undefined> =>
    await client.get({ group: '', version: 'v1', kind: 'ConfigMap', namespace, name });
  return {
    ...{ namespace, helm: run, stored, configMap },
    /** As the attempt of an activity; one that replaces another has the same name. */
    runHooks: (activityId: string): Promise<ReleaseActionResult> =>
      new MockActivityEnvironment({ activityId }).run(() =>
        runPostHooks({ deps: { gateway, helm }, object, target, result }),
      ),
    startsOf: async () =>
      Object.fromEntries(((await stored()).release.hooks ?? []).map((one) => [one.name, one.last_run?.started_at])),
  };
}

test('the hooks of the event run, the tests do not, and the release is what it was in all else', async () => {
  const release = await installWithoutHooks();
  const before = (await release.stored()).release;
  const { failure, snapshot, postHooks, mustWait } = await release.runHooks('1');
  expect({ failure, postHooks, mustWait }).toEqual({ failure: undefined, postHooks: undefined, mustWait: false });

  const after = (await release.stored()).release;
  expect({ ...after, hooks: [] }).toEqual({ ...before, hooks: [] });
  expect(after.hooks).toMatchObject([
    { name: 'passing', events: ['post-install'], last_run: { phase: 'Succeeded' } },
    { name: 'staying', events: ['post-install'], last_run: { phase: 'Succeeded' } },
    { name: 'web-test', events: ['test'], last_run: { phase: '' } },
  ]);
  expect(snapshot && matchesSnapshot(snapshot, after)).toBe(true);
  expect(await release.configMap('staying')).toBeDefined();
  expect(await release.configMap('passing')).toBeUndefined();
  expect(await release.configMap('web-test')).toBeUndefined();
  expect(release.helm('test', 'web')).toContain('web-test');
  expect(await release.configMap('web-test')).toBeDefined();
});

test('an attempt that had run them all is not run again, and what it had still to delete is; another one runs them', async () => {
  const release = await installWithoutHooks();
  await release.runHooks('1');
  const first = await release.startsOf();
  const { namespace } = release;
  await client.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name: 'passing' } });
  expect(await release.runHooks('1')).toMatchObject({ failure: undefined, snapshot: { version: 1 } });
  expect(await release.startsOf()).toEqual(first);
  expect(await release.configMap('passing')).toBeUndefined();
  expect(await release.configMap('staying')).toBeDefined();

  await release.runHooks('2');
  expect(await release.startsOf()).not.toEqual(first);
});

test('the hooks of a revision that is not the last one any more are left alone', async () => {
  const release = await installWithoutHooks();
  release.helm('upgrade', 'web', chart, '--no-hooks');
  await expect(release.runHooks('1')).rejects.toMatchObject({
    type: 'ReconcileError',
    message: `release ${release.namespace}/web has revision 2, expected 1: its post-install hooks are not run`,
  });
  expect(await release.configMap('staying')).toBeUndefined();
});
