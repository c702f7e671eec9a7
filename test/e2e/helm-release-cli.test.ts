// The verbs of the CLI for a HelmRelease, as processes against the test platform.
import { mkdtempSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { refOf } from '../../k8s/object.ts';
import { type CliResult, startCli } from './cli-process.ts';
import { connectCluster, eventually, statusOf } from './harness.ts';
import { chart, createReleaseScenario, releaseName, type ReleaseScenario } from './release-scenario.ts';

let client: KubeClient;
let scenario: ReleaseScenario;
beforeAll(async () => {
  client = connectCluster();
  scenario = await createReleaseScenario(client, 'hr-cli', chart());
});
afterAll(() => client.close());

async function continuo(...args: string[]): Promise<CliResult> {
  return await startCli([...args, '-n', scenario.namespace]).result;
}

/** As {@link continuo}, for what has to succeed: gives what was printed. */
async function succeed(...args: string[]): Promise<string> {
  const result = await continuo(...args);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  return result.stdout;
}

/** Writes the scenario's chart to a directory; gives its path. */
function writeChart(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'continuo-chart-'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return join(root, 'charts/app');
}

test('create installs and waits; get, tree, trace, history and export tell of it', async () => {
  const { namespace } = scenario;
  const created = await succeed('create', 'hr', releaseName, '--chart=./charts/app', '--source=GitRepository/app');
  expect(created).toContain(`Helm install succeeded for release ${namespace}/app.v1 with chart app@1.0.0`);
  expect(await succeed('get', 'hr')).toMatch(/^app +1\.0\.0 +False +True +Helm install succeeded/m);
  const [first, ...rest] = (await succeed('tree', 'hr', releaseName)).split('\n');
  expect(first).toContain(`HelmRelease/${namespace}/app Ready: Helm install succeeded`);
  expect(rest).toEqual([`└── ConfigMap/${namespace}/app Current`, '']);
  const traced = await succeed('trace', 'configmap', releaseName);
  for (const step of [
    `HelmRelease: +${namespace}/app`,
    `HelmChart: +${namespace}/${namespace}-app`,
    'GitRepository: ',
  ]) {
    expect(traced).toMatch(new RegExp(step));
  }
  expect(await succeed('history', 'hr', releaseName)).toMatch(/1\.0\.0 +created +Succeeded .*1 install/);
  expect(await succeed('export', 'hr', releaseName)).toMatch(/kind: HelmRelease[^]*chart: \.\/charts\/app/);
});

test('reconcile asks, and with --force upgrades what is in sync; --reset forgets failures', async () => {
  expect(await succeed('reconcile', 'hr', releaseName, '--force')).toContain('1 upgrade');
  expect(scenario.history()).toEqual(['1 superseded Install complete', '2 deployed Upgrade complete']);
  expect(await succeed('reconcile', 'hr', releaseName, '--with-source', '--reset')).toContain(
    `HelmChart/${scenario.namespace}/${scenario.namespace}-app is ready`,
  );
});

test('suspend holds a release back, resume lets it go on', async () => {
  await succeed('suspend', 'hr', releaseName);
  expect(await succeed('get', 'hr')).toMatch(/^app +1\.0\.0 +True/m);
  const refused = await continuo('reconcile', 'hr', releaseName);
  expect(refused).toMatchObject({ code: 1 });
  expect(refused.stderr).toContain('is suspended and not reconciled: resume it first');
  await scenario.change({ values: { v: 'resumed' } });
  await succeed('resume', 'hr', releaseName);
  expect((await scenario.configMap(releaseName))?.data).toEqual({ v: 'resumed' });
});

test('diff shows what an upgrade would change, field by field, and changes nothing', async () => {
  const { namespace } = scenario;
  expect(await succeed('diff', 'hr', releaseName)).toBe('✔ 1 unchanged (app@1.0.0)\n');

  const values = join(writeChart({}), '..', '..', 'values.yaml');
  writeFileSync(values, 'v: three\n');
  expect(await continuo('diff', 'hr', releaseName, '--values', values)).toEqual({
    code: 1,
    stderr: '',
    stdout:
      `► ConfigMap/${namespace}/app drifted\n    ~ data.v: resumed → three\n` +
      '► 1 drifted, 0 unchanged (app@1.0.0)\n',
  });

  const next = chart({ 'templates/config.yaml': '', 'templates/account.yaml': account }, '1.1.0');
  const directory = writeChart({ ...next, 'charts/app/crds/thing.yaml': definition });
  const compared = await continuo('diff', 'hr', releaseName, '--path', directory);
  expect(compared).toMatchObject({ code: 1, stderr: '' });
  expect(compared.stdout.split('\n')).toEqual([
    '► CustomResourceDefinition/difflings.example.org created',
    `► ServiceAccount/${namespace}/app created`,
    `► ConfigMap/${namespace}/app deleted`,
    '► 2 created, 1 deleted, 0 unchanged (app@1.0.0 → app@1.1.0)',
    '',
  ]);
  expect((await scenario.configMap(releaseName))?.data).toEqual({ v: 'resumed' });
  expect(scenario.history().at(-1)).toBe('3 deployed Upgrade complete');
});

test('diff hides what comes from a Secret, says what would fail, and refuses what it cannot compare', async () => {
  const { namespace } = scenario;
  await client.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace, name: 'login' },
    stringData: { 'values.yaml': 'v: s3cr3t-word\n' },
  });
  await scenario.change({ suspend: true, values: null, valuesFrom: [{ kind: 'Secret', name: 'login' }] });
  const hidden = await continuo('diff', 'hr', releaseName);
  expect(hidden).toMatchObject({ code: 1, stderr: '' });
  expect(hidden.stdout).toContain('~ data.v: "***** (before)" → "***** (after)"');
  expect(hidden.stdout).not.toContain('s3cr3t');
  await scenario.change({ suspend: null, values: { v: 'resumed' }, valuesFrom: null });
  await scenario.readyIs('True', 'UpgradeSucceeded');

  const failing = writeChart(chart({ 'templates/broken.yaml': '{{ fail "not so" }}\n' }));
  const refusals: [string[], string][] = [
    [
      ['hr', releaseName, '--path', failing],
      'would fail (UpgradeFailed): execution error at (app/templates/broken.yaml',
    ],
    [['hr', releaseName, '--path', join(failing, 'templates')], 'holds no chart'],
    [['gitrepository', 'app'], 'expected a Kustomization or a HelmRelease, got a GitRepository'],
  ];
  for (const [args, message] of refusals) {
    const { code, stderr } = await continuo('diff', ...args);
    expect({ code, isTold: stderr.includes(message) || stderr }).toEqual({ code: 2, isTold: true });
  }
});

test('delete uninstalls the release', async () => {
  const object = await scenario.release();
  await succeed('delete', 'hr', releaseName, '--silent');
  await eventually('the object to be gone', async () => (await client.get(refOf(object))) === undefined);
  expect(scenario.helm('list', '-q').trim()).toBe('');
  expect(statusOf(object).conditions).toBeDefined();
});

const account = 'apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: {{ .Release.Name }} }\n';
const definition = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: difflings.example.org }
spec:
  group: example.org
  names: { kind: Diffling, plural: difflings }
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
`;
