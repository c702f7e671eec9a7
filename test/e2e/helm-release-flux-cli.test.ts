// The unmodified flux binary (2.9.4) and a HelmRelease (contract 3).
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { ensureBinaries } from '../../tools/platform/index.ts';
import { connectCluster, statusOf } from './harness.ts';
import { chart, createReleaseScenario, releaseName, type ReleaseScenario } from './release-scenario.ts';

let client: KubeClient;
let binary: string;
let scenario: ReleaseScenario;

const release = `apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: { name: app }
spec:
  interval: 10m
  timeout: 20s
  chart: { spec: { chart: charts/app, sourceRef: { kind: GitRepository, name: app } } }
  valuesFrom: [{ kind: ConfigMap, name: more }]
`;

beforeAll(async () => {
  client = connectCluster();
  ({ flux: binary } = await ensureBinaries(['flux']));
  const more = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"more"},"data":{"values.yaml":"extra: 1"}}\n';
  scenario = await createReleaseScenario(client, 'hr-flux', {
    ...chart(),
    'apps/release.yaml': release,
    'apps/more.yaml': more,
  });
  await scenario.createKustomization({ path: './apps' });
  await scenario.readyIs('True', 'InstallSucceeded', 60_000);
}, 900_000);
afterAll(() => client.close());

/** Runs flux in the scenario's namespace; it has to succeed. Gives all that was printed. */
function flux(...args: string[]): string {
  const run = spawnSync(binary, ['--timeout=30s', `--namespace=${scenario.namespace}`, ...args], {
    encoding: 'utf8',
    timeout: 45_000,
    env: { ...process.env, KUBECONFIG: inject('kubeconfig'), PATH: `${inject('binDir')}:${process.env['PATH']}` },
  });
  expect({ args, code: run.status, stderr: run.status === 0 ? '' : run.stderr }).toEqual({ args, code: 0, stderr: '' });
  return run.stdout + run.stderr;
}

test('get, tree, trace, events and debug read what they expect', () => {
  const { namespace } = scenario;
  const cells = flux('get', 'helmreleases')
    .split('\n')
    .map((line) => line.split('\t').map((cell) => cell.trim()))
    .find(([name]) => name === releaseName);
  const message = `Helm install succeeded for release ${namespace}/app.v1 with chart app@1.0.0`;
  expect(cells?.slice(0, 5)).toEqual([releaseName, '1.0.0', 'False', 'True', message]);
  const tree = flux('tree', 'kustomization', 'app');
  expect(tree).toMatch(new RegExp(`HelmRelease/${namespace}/app\\n(.*\\n)*.*ConfigMap/${namespace}/app`));
  const traced = flux('trace', 'configmap', releaseName);
  expect(traced).toMatch(new RegExp(`HelmRelease: +app`));
  expect(traced).toMatch(/Revision: +1\.0\.0/);
  expect(flux('events', '--for', 'HelmRelease/app')).toContain('app.v1');
  expect(flux('debug', 'helmrelease', releaseName, '--show-values').trim()).toBe('extra: 1');
  const status = flux('debug', 'helmrelease', releaseName, '--show-status');
  for (const line of ['chartName: app', 'reason: InstallSucceeded']) expect(status).toContain(line);
  expect(flux('debug', 'helmrelease', releaseName, '--show-history')).toMatch(/chartVersion: 1\.0\.0/);
});

test('reconcile --with-source brings the new chart, --force upgrades and --reset is answered', async () => {
  const { namespace } = scenario;
  scenario.commit(chart({}, '1.1.0'));
  expect(flux('reconcile', 'helmrelease', releaseName, '--with-source')).toMatch(/applied revision 1\.1\.0/);
  expect(scenario.history().at(-1)).toBe('2 deployed Upgrade complete');
  flux('reconcile', 'helmrelease', releaseName, '--force');
  expect(scenario.history().at(-1)).toBe('3 deployed Upgrade complete');
  flux('reconcile', 'helmrelease', releaseName, '--reset');
  const status = statusOf(await scenario.release()) as Record<string, unknown>;
  expect(status.lastHandledResetAt).toBe(status.lastHandledReconcileAt);
  expect(flux('events', '--for', 'HelmRelease/app')).toContain(
    `Helm upgrade succeeded for release ${namespace}/app.v2`,
  );
});

test('suspend and resume end, and what changed meanwhile is released', async () => {
  flux('suspend', 'helmrelease', releaseName);
  expect(flux('get', 'helmreleases')).toMatch(/^app\s+1\.1\.0\s+True/m);
  await scenario.change({ values: { v: 'two' } });
  expect(flux('resume', 'helmrelease', releaseName)).toMatch(/applied revision 1\.1\.0/);
  expect((await scenario.configMap(releaseName))?.data).toEqual({ v: 'two' });
  expect(scenario.history().at(-1)).toBe('4 deployed Upgrade complete');
});
