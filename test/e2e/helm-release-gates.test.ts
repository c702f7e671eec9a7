// Releases where the installation has other defaults: the feature gates of Flux (contract 7) as options of the worker.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { ensureBinaries } from '../../tools/platform/index.ts';
import { conditionOf } from './harness.ts';
import { type OwnPlatform, startOwnPlatform } from './own-platform.ts';
import { chart, createReleaseScenario, deploymentTemplate, releaseName, type HelmPlace } from './release-scenario.ts';
import { startWorker, type WorkerProcess } from './worker-process.ts';

let own: OwnPlatform;
let worker: WorkerProcess;
let place: HelmPlace;
beforeAll(async () => {
  own = await startOwnPlatform();
  const { helm } = await ensureBinaries(['helm']);
  const { dataDir, kubeconfigPath: kubeconfig } = own.platform;
  place = { dataDir, binDir: join(dataDir, 'bin'), kubeconfig };
  worker = await startWorker(own.platform, {
    dataDir: mkdtempSync(join(dataDir, 'data-')),
    env: {
      CONTINUO_HELM: helm,
      CONTINUO_DEFAULT_TO_RETRY_ON_FAILURE: 'true',
      CONTINUO_USE_HELM3_DEFAULTS: 'true',
      CONTINUO_ALLOW_DNS_LOOKUPS: 'true',
    },
  });
});
afterEach(({ task }) => {
  if (task.result?.state === 'fail') console.error(`the worker said:\n${worker.log().slice(-8_000)}`);
});
afterAll(async () => {
  await worker?.kill();
  await own?.stop();
});

const more = {
  'templates/address.yaml':
    'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: address }\ndata: { v: {{ getHostByName "localhost" | quote }} }\n',
  'templates/hook.yaml':
    'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: hook, annotations: { helm.sh/hook: pre-install } }\n',
};

test('Helm 3’s defaults: applied by the client, waited for by helm, hooks as the chart has them; names are resolved', async () => {
  const scenario = await createReleaseScenario(own.client, 'gates', chart({ ...deploymentTemplate, ...more }), place);
  await scenario.createRelease();
  await scenario.readyIs('True', 'InstallSucceeded', 60_000);
  const object = await scenario.configMap(releaseName);
  expect(object?.metadata.managedFields?.map(({ manager, operation }) => `${manager} ${operation}`)).toEqual([
    'helm-controller Update',
  ]);
  expect((await scenario.configMap('hook'))?.metadata.labels ?? {}).not.toHaveProperty('helm.toolkit.fluxcd.io/name');
  expect((await scenario.configMap('address'))?.data).toEqual({ v: expect.stringMatching(/^(127\.|::1)/) });
});

test('a release without a strategy is tried again, and never stalls', async () => {
  const scenario = await createReleaseScenario(own.client, 'retry', chart(deploymentTemplate), place);
  await scenario.createRelease({ timeout: '3s', values: { unready: true } });
  const failed = await scenario.readyIs('False', 'InstallFailed', 60_000);
  expect(conditionOf(failed, 'Stalled')).toBeUndefined();
  await scenario.change({ values: { unready: false } });
  await scenario.readyIs('True', 'UpgradeSucceeded', 60_000);
  expect(scenario.history().map((line) => line.split(' ', 2).join(' '))).toEqual(['1 superseded', '2 deployed']);
});
