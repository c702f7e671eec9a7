// The unmodified flux binary (2.9.4) against the engine: what it shows, and that its waits end (contract 3).
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { ensureBinaries } from '../../tools/platform/index.ts';
import { conditionOf, configMap, connectCluster, createNamespace, eventually, statusOf } from './harness.ts';
import { createAppliedScenario, createScenario, deployment, type Scenario, service } from './scenario.ts';

let client: KubeClient;
let binary: string;
let scenario: Scenario & { first: string };

beforeAll(async () => {
  client = connectCluster();
  ({ flux: binary } = await ensureBinaries(['flux']));
  scenario = await createAppliedScenario(
    client,
    'flux',
    {
      'app/one.yaml': configMap('one', { v: '1' }),
      'app/svc.yaml': service('svc'),
      'app/web.yaml': deployment('web'),
    },
    { kustomization: { path: './app', wait: true } },
  );
}, 900_000);
afterAll(() => client.close());

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs flux in the scenario's namespace, or another. */
function flux(args: string[], namespace = scenario.namespace): Outcome {
  const run = spawnSync(binary, ['--timeout=30s', `--namespace=${namespace}`, ...args], {
    encoding: 'utf8',
    timeout: 45_000,
    env: { ...process.env, KUBECONFIG: inject('kubeconfig'), PATH: `${inject('binDir')}:${process.env['PATH']}` },
  });
  return { code: run.status, stdout: run.stdout, stderr: run.stderr };
}

/** As {@link flux}, for what has to succeed: gives all that was printed. */
function succeed(args: string[], namespace?: string): string {
  const { code, stdout, stderr } = flux(args, namespace);
  expect({ args, code, stderr: code === 0 ? '' : stderr + stdout }).toEqual({ args, code: 0, stderr: '' });
  return stdout + stderr;
}

/** The cells of a table's row that starts with these words. */
function row(table: string, ...start: string[]): string[] {
  const rows = table.split('\n').map((line) => line.split('\t').map((cell) => cell.trim()));
  const found = rows.find((cells) => start.every((word, index) => cells[index] === word));
  if (!found) throw new Error(`no row ${start.join(' ')} in:\n${table}`);
  return found.slice(0, -1); // every line ends with a tab
}

/** A revision as flux shows it: the hash cut to 8 digits. */
function short(revision: string): string {
  return revision.replace(/(sha1:[0-9a-f]{8})[0-9a-f]{32}/, '$1');
}

test('get shows names, revisions, readiness and messages', () => {
  const { namespace, first } = scenario;
  const revision = short(first);
  expect(row(succeed(['get', 'sources', 'git']), 'app')).toEqual([
    'app',
    revision,
    'False',
    'True',
    `stored artifact for revision '${revision}'`,
  ]);
  expect(row(succeed(['get', 'kustomizations']), 'app')).toEqual([
    'app',
    revision,
    'False',
    'True',
    `Applied revision: ${revision}`,
  ]);
  expect(row(succeed(['get', 'kustomizations', 'app', '--status-selector', 'ready=true']), 'app')[3]).toBe('True');
  const all = succeed(['get', 'all', '-A']);
  expect(row(all, namespace, 'gitrepository/app')[4]).toBe('True');
  expect(row(all, namespace, 'kustomization/app')[4]).toBe('True');
});

test('reconcile source git prints the revision that it fetched', async () => {
  const second = scenario.commit({ 'app/one.yaml': configMap('one', { v: '2' }) });
  const printed = succeed(['reconcile', 'source', 'git', 'app']);
  expect(printed).toContain(`fetched revision ${second}`);
  await scenario.applied(second);
});

test('reconcile kustomization --with-source ends with the new commit applied', async () => {
  const third = scenario.commit({ 'app/one.yaml': configMap('one', { v: '3' }) });
  const printed = succeed(['reconcile', 'kustomization', 'app', '--with-source']);
  expect(printed).toContain(`fetched revision ${third}`);
  expect(printed).toContain(`applied revision ${third}`);
  expect((await scenario.configMap('one'))?.data).toEqual({ v: '3' });
  expect(statusOf(await scenario.kustomization()).lastAppliedRevision).toBe(third);
});

test('reconcile of what is in place already ends as well', () => {
  expect(succeed(['reconcile', 'kustomization', 'app'])).toContain('applied revision');
  expect(succeed(['reconcile', 'source', 'git', 'app'])).toContain('fetched revision');
});

test.each([
  ['kustomization', ['kustomization', 'app'], ['kustomizations']],
  ['source git', ['source', 'git', 'app'], ['sources', 'git']],
])('suspend and resume of a %s, which reconcile refuses in between', (_title, object, list) => {
  expect(succeed(['suspend', ...object])).toMatch(/suspended/);
  expect(row(succeed(['get', ...list]), 'app')[2]).toBe('True');
  const refused = flux(['reconcile', ...object]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('resource is suspended');
  expect(succeed(['resume', ...object])).toMatch(/(reconciliation completed|fetched revision|applied revision)/);
  expect(row(succeed(['get', ...list]), 'app')[2]).toBe('False');
});

test('trace leads from an applied object to its Kustomization and its source', () => {
  const printed = succeed(['trace', 'configmap', 'one']);
  expect(printed).toMatch(/Object:\s+ConfigMap\/one/);
  expect(printed).toMatch(/Status:\s+Managed by Flux/);
  expect(printed).toMatch(/Kustomization:\s+app/);
  expect(printed).toMatch(/GitRepository:\s+app/);
  expect(printed).toMatch(new RegExp(`URL:\\s+${scenario.repository.url}\\n`));
  expect(printed).toMatch(/Message:\s+Applied revision: main@sha1:/);
  expect(printed).toMatch(/Message:\s+stored artifact for revision 'main@sha1:/);
});

test('tree shows the inventory', () => {
  const { namespace } = scenario;
  expect(succeed(['tree', 'kustomization', 'app']).trim().split('\n')).toEqual([
    `Kustomization/${namespace}/app`,
    expect.stringContaining(`ConfigMap/${namespace}/one`),
    expect.stringContaining(`Service/${namespace}/svc`),
    expect.stringContaining(`Deployment/${namespace}/web`),
  ]);
});

test('events shows those of the Kustomization and of its source', async () => {
  const printed = await eventually('the events', () => {
    const seen = succeed(['events', '--for', 'Kustomization/app']);
    return seen.includes('GitRepository/app') && seen;
  });
  expect(printed).toMatch(
    new RegExp(`Normal\\s+Progressing\\s+Kustomization/app\\s.*ConfigMap/${scenario.namespace}/one`),
  );
  expect(printed).toMatch(/Normal\s+ReconciliationSucceeded\s+Kustomization\/app\s.*Reconciliation finished in/);
  expect(printed).toMatch(/Normal\s+NewArtifact\s+GitRepository\/app\s.*stored artifact for commit 'change'/);
  expect(printed).not.toContain('Warning');
});

test('export prints both objects without their status', () => {
  const source = succeed(['export', 'source', 'git', 'app']);
  expect(source).toContain('kind: GitRepository');
  expect(source).toContain(`url: ${scenario.repository.url}`);
  const exported = succeed(['export', 'kustomization', 'app']);
  expect(exported).toContain('path: ./app');
  expect(exported).not.toContain('status:');
});

test('create waits until the source and the Kustomization are Ready, delete until they are gone', async () => {
  const { namespace, repository } = scenario;
  const created = succeed([
    'create',
    'source',
    'git',
    'made',
    `--url=${repository.url}`,
    '--branch=main',
    '--interval=10m',
  ]);
  expect(created).toMatch(/fetched revision: main@sha1:/);
  const target = await createNamespace(client, 'made');
  const applied = succeed([
    'create',
    'kustomization',
    'made',
    '--source=GitRepository/made',
    '--path=./app',
    '--prune=true',
    '--interval=10m',
    `--target-namespace=${target}`,
    '--wait=true',
  ]);
  expect(applied).toMatch(/applied revision main@sha1:/);
  const made = { group: '', version: 'v1', kind: 'ConfigMap', namespace: target, name: 'one' };
  expect(await client.get(made)).toBeDefined();

  succeed(['delete', 'kustomization', 'made', '--silent']);
  succeed(['delete', 'source', 'git', 'made', '--silent']);
  await eventually('what was applied to be pruned', async () => (await client.get(made)) === undefined);
  const [group, version] = ['kustomize.toolkit.fluxcd.io', 'v1'];
  await eventually(
    'the Kustomization to be gone',
    async () => (await client.get({ group, version, kind: 'Kustomization', namespace, name: 'made' })) === undefined,
  );
});

test('build and diff of a Kustomization: quiet when all is applied, loud when something differs', () => {
  const { directory } = scenario.repository;
  const path = join(directory, 'app');
  const built = succeed(['build', 'kustomization', 'app', `--path=${path}`]);
  expect(built).toContain('kind: Deployment');
  expect(built).toContain(`namespace: ${scenario.namespace}`);
  const same = flux(['diff', 'kustomization', 'app', `--path=${path}`, '--progress-bar=false']);
  expect({ code: same.code, stdout: same.stdout.trim() }).toEqual({ code: 0, stdout: '' });

  const changed = mkdtempSync(join(tmpdir(), 'continuo-diff-'));
  writeFileSync(join(changed, 'one.yaml'), configMap('one', { v: 'other' }));
  const differs = flux(['diff', 'kustomization', 'app', `--path=${changed}`, '--progress-bar=false']);
  expect(differs.code).toBe(1);
  expect(differs.stdout).toContain(`ConfigMap/${scenario.namespace}/one drifted`);
  expect(differs.stdout).toContain(`Service/${scenario.namespace}/svc deleted`);
});

test('stats counts the reconcilers', () => {
  const stats = succeed(['stats']);
  expect(row(stats, 'GitRepository')).toEqual([
    'GitRepository',
    '1',
    '0',
    '0',
    expect.stringMatching(/^\d+(\.\d+)? (B|KiB)$/),
  ]);
  expect(row(stats, 'Kustomization')).toEqual(['Kustomization', '1', '0', '0', '-']);
});

test('a reconcile that fails and is tried again ends with the time-out of flux, as the kind of failure demands', async () => {
  const bad = await createScenario(client, 'fluxbad', { 'one.yaml': 'kind: [' });
  await bad.createSource();
  await bad.createKustomization({ retryInterval: '1m' });
  await bad.refused('BuildFailed');
  const failed = flux(['reconcile', 'kustomization', 'app', '--timeout=5s'], bad.namespace);
  expect(failed.code).toBe(1);
  expect(failed.stderr).toMatch(/context deadline exceeded|timeout|one\.yaml/);
  expect(row(succeed(['get', 'kustomizations'], bad.namespace), 'app')[3]).toBe('False');
});

test('a stalled object ends the wait at once', async () => {
  const stalled = await createScenario(client, 'fluxstall', {});
  const revision = stalled.commit({ 'one.yaml': configMap('one', {}) });
  await stalled.createSource();
  await stalled.createKustomization({
    suspend: true,
    wait: false,
    healthCheckExprs: [{ apiVersion: 'v1', current: 'not cel (' }],
  });
  const resumed = flux(['resume', 'kustomization', 'app'], stalled.namespace);
  expect(resumed.code).toBe(1);
  expect(resumed.stderr).toContain('spec.healthCheckExprs[0].current');
  expect(resumed.stderr).not.toContain('deadline');
  expect(await stalled.refused('InvalidCELExpression')).toMatch(
    /^Reconciliation failed terminally due to configuration error: spec\.healthCheckExprs\[0\]\.current "not cel \("/,
  );
  expect(conditionOf(await stalled.kustomization(), 'Stalled')?.status).toBe('True');
  const reconciled = flux(['reconcile', 'kustomization', 'app'], stalled.namespace);
  expect(reconciled.code).toBe(1);
  expect(reconciled.stderr).not.toContain('deadline');

  await stalled.patch(await stalled.kustomization(), { spec: { healthCheckExprs: null } });
  expect(conditionOf(await stalled.applied(revision), 'Stalled')).toBeUndefined();
});
