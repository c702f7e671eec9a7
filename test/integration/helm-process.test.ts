// The helm binary under its supervisor, against the real API server: every action, what it may see and say, and how it
// ends when it is cancelled, takes too long, or loses its worker.
import { once } from 'node:events';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { runKustomize } from '../../activities/build/kustomize.ts';
import { type ApiGateway, createApiGateway } from '../../activities/helm/api-gateway.ts';
import {
  dryRunArgs,
  installArgs,
  rollbackArgs,
  testArgs,
  uninstallArgs,
  upgradeArgs,
} from '../../activities/helm/command.ts';
import { type ReleaseNames, releaseNamesOf } from '../../activities/helm/names.ts';
import { createPostRender } from '../../activities/helm/post-render.ts';
import { createReleaseStorage, type ReleaseStorage } from '../../activities/helm/release-storage.ts';
import { createHelmStarter, type HelmStarter } from '../../activities/helm/helm-starter.ts';
import type { HelmResult, HelmRun } from '../../activities/helm/run-helm.ts';
import { removeAbandoned } from '../../activities/private-directory.ts';
import { matchesSnapshot, snapshotOf, testHooksOf } from '../../activities/helm/snapshot.ts';
import type { HelmRelease, HelmReleaseSpec } from '../../k8s/api/helm-release.ts';
import type { KubeClient } from '../../k8s/client.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { ensureBinaries } from '../../tools/platform/binaries.ts';
import { waitingChart, webChart, writeChart } from '../servers/helm-charts.ts';
import { createNamespace, eventually } from '../servers/kube-fixture.ts';

let client: KubeClient;
let gateway: ApiGateway;
let helm: HelmStarter;
let binary: string;
let root: string;
let chart: string;
let waiting: string;
let object: HelmRelease;
let names: ReleaseNames;
let storage: ReleaseStorage;

beforeAll(async () => {
  client = createKubeClient({ kubeconfig: inject('kubeconfig') });
  gateway = createApiGateway();
  root = mkdtempSync(join(tmpdir(), 'continuo-helm-'));
  binary = (await ensureBinaries(['helm'])).helm;
  helm = createHelmStarter({ binary, temporaryDirectory: join(root, 'processes') });
  chart = await writeChart(join(root, 'web.tgz'), webChart);
  waiting = await writeChart(join(root, 'waiting.tgz'), waitingChart);
});
beforeEach(async () => {
  const target = await createNamespace(client, 'helm-target');
  const own = await createNamespace(client, 'helm-own');
  use({ targetNamespace: target, releaseName: 'web' }, own);
});
afterEach(() => {
  const left = readdirSync(join(root, 'processes'));
  if (left.length > 0) throw new Error(`a process has left its directory: ${left.join(', ')}`);
});
afterAll(async () => {
  await gateway.close();
  await client.close();
  rmSync(root, { recursive: true, force: true });
});

function use(spec: Partial<HelmReleaseSpec>, namespace = object.metadata.namespace ?? ''): void {
  object = {
    apiVersion: 'helm.toolkit.fluxcd.io/v2',
    kind: 'HelmRelease',
    metadata: { name: 'web', namespace },
    spec: { interval: '1m', ...spec },
  };
  names = releaseNamesOf(object);
  storage = createReleaseStorage({ client, namespace: names.storageNamespace });
}

async function run(args: string[], more: Partial<HelmRun> = {}): Promise<HelmResult> {
  const session = await gateway.open({ client, ...names, attempt: 'test' });
  try {
    return await helm.run({
      args,
      server: session.server,
      namespace: names.namespace,
      chart,
      values: { message: 'first' },
      postRender: createPostRender(object, { kustomize, temporaryDirectory: join(root, 'post-render') }),
      timeoutMs: 60_000,
      signal: new AbortController().signal,
      ...more,
    });
  } finally {
    session.close();
  }
}

async function kustomize(directory: string, signal: AbortSignal): Promise<string> {
  const options = { restrictor: 'root', timeoutMs: 30_000, maxOutputBytes: 32 * 1024 * 1024 } as const;
  const path = join(inject('binDir'), 'kustomize');
  return await runKustomize({ binary: path, directory, target: directory, home: directory, signal, ...options });
}

async function configMap(): Promise<KubeObject | undefined> {
  const { namespace } = names;
  return await client.get({ group: '', version: 'v1', kind: 'ConfigMap', namespace, name: 'web' });
}

const input = () => ({ spec: object.spec, names });

test('a release is installed, upgraded, rolled back, tested and uninstalled, and helm history tells all of it', async () => {
  expect(await run(installArgs(input()))).toMatchObject({ error: undefined });
  expect(await configMap()).toMatchObject({ data: { message: 'first' } });
  expect(
    await run(upgradeArgs({ ...input(), lastApplyMethod: 'ssa' }), { values: { message: 'second' } }),
  ).toMatchObject({
    error: undefined,
  });
  expect(await configMap()).toMatchObject({ data: { message: 'second' } });
  expect(await run(rollbackArgs({ ...input(), lastApplyMethod: 'ssa', version: 1 }))).toMatchObject({
    error: undefined,
  });
  expect(await configMap()).toMatchObject({ data: { message: 'first' } });
  expect(await run(testArgs(input()))).toMatchObject({ error: undefined });

  const history = JSON.parse(
    execFileSync(binary, ['history', 'web', '-n', names.storageNamespace, '-o', 'json'], {
      encoding: 'utf8',
      env: { ...process.env, KUBECONFIG: inject('kubeconfig') },
    }),
  ) as object[];
  expect(history).toMatchObject([
    { revision: 1, status: 'superseded', chart: 'web-1.2.3', app_version: '7', description: 'Install complete' },
    { revision: 2, status: 'superseded', description: 'Upgrade complete' },
    { revision: 3, status: 'deployed', description: 'Rollback to 1' },
  ]);
  const last = await storage.last('web');
  expect(last?.release).toMatchObject({ version: 3, apply_method: 'ssa', namespace: names.namespace });
  expect(last && testHooksOf(last.release)).toMatchObject({ 'web-test': { phase: 'Succeeded' } });

  expect(await run(uninstallArgs(input()))).toMatchObject({ error: undefined });
  expect(await storage.list('web')).toEqual([]);
  expect(await configMap()).toBeUndefined();
  expect(await run(uninstallArgs(input())), 'a release that is gone').toMatchObject({ error: undefined });
});

test('objects are written by the manager of the contract and carry the labels of their HelmRelease', async () => {
  use({ ...object.spec, commonMetadata: { labels: { team: 'shop' }, annotations: { note: 'yes: no' } } });
  await run(installArgs(input()));
  const { metadata } = (await configMap()) as KubeObject;
  expect(metadata.labels).toMatchObject({
    app: 'web',
    team: 'shop',
    'helm.toolkit.fluxcd.io/name': 'web',
    'helm.toolkit.fluxcd.io/namespace': object.metadata.namespace,
    'app.kubernetes.io/managed-by': 'Helm',
  });
  expect(metadata.annotations).toMatchObject({ note: 'yes: no' });
  expect(metadata.managedFields?.map(({ manager, operation }) => `${manager} ${operation}`)).toEqual([
    'helm-controller Apply',
  ]);
});

test('patches and images are applied by the real kustomize', async () => {
  const patch = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\ndata:\n  added: "0644"\n';
  use({ ...object.spec, postRenderers: [{ kustomize: { patches: [{ patch }] } }] });
  expect(await run(installArgs(input()))).toMatchObject({ error: undefined });
  expect(await configMap()).toMatchObject({ data: { added: '0644', message: 'first' } });
});

test('a patch that fits nothing fails the run with its place in the spec, and no revision is written', async () => {
  const patch = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: other\ndata: {}\n';
  use({ ...object.spec, postRenderers: [{}, { kustomize: { patches: [{ patch }] } }] });
  const { error } = await run(installArgs(input()));
  expect(error).toMatch(/^spec\.postRenderers\[1\] failed: .*no matches for/s);
  expect(await storage.list('web')).toEqual([]);
});

test('a snapshot fits its release until somebody else changes that', async () => {
  await run(installArgs(input()));
  const last = await storage.last('web');
  if (!last) throw new Error('no release');
  const snapshot = snapshotOf(last.release, { action: 'install' });
  expect(snapshot).toMatchObject({ version: 1, status: 'deployed', chartName: 'web', chartVersion: '1.2.3' });
  expect(matchesSnapshot(snapshot, last.release)).toBe(true);
  await run(testArgs(input()));
  const tested = await storage.last('web');
  expect(tested && matchesSnapshot(snapshot, tested.release), 'tests change no digest').toBe(true);
  const failed = await storage.setStatus(tested ?? last, 'failed', 'by hand');
  const read = await storage.last('web');
  expect(read).toMatchObject({ status: 'failed', release: { info: { status: 'failed', description: 'by hand' } } });
  expect(matchesSnapshot(snapshot, failed.release)).toBe(false);
  await expect(storage.setStatus(last, 'deployed', 'late')).rejects.toMatchObject({ reason: 'Conflict' });
});

test('a pending release is unlocked as the contract says, and an upgrade goes through', async () => {
  await run(installArgs(input()));
  const last = await storage.last('web');
  if (!last) throw new Error('no release');
  const pending = await storage.setStatus(last, 'pending-upgrade', 'Preparing upgrade');
  expect(await run(upgradeArgs({ ...input(), lastApplyMethod: 'ssa' }))).toMatchObject({
    error: expect.stringContaining('another operation'),
  });
  await storage.unlock(pending);
  expect((await storage.last('web'))?.release.info).toMatchObject({
    status: 'failed',
    description: "Release unlocked from stale 'pending-upgrade' state",
  });
  expect(await run(upgradeArgs({ ...input(), lastApplyMethod: 'ssa' }))).toMatchObject({ error: undefined });
});

test('the error of a template is told without the values of Secrets, and the log without the directory', async () => {
  const values = { message: '', secret: 'top-secret-value' };
  const failing = await writeChart(join(root, 'failing.tgz'), {
    ...webChart,
    'templates/fail.yaml': '{{ fail (printf "cannot use %s" .Values.secret) }}',
  });
  const { error, log } = await run(installArgs(input()), { chart: failing, values, hidden: ['top-secret-value'] });
  expect(error).toContain('cannot use ***');
  expect(error).not.toContain('INSTALLATION FAILED');
  expect(log.join('\n')).not.toContain(root);
  expect(await storage.list('web')).toEqual([]);
});

test('no value and no credential is in the command line, the environment or a file that others may read', async () => {
  const cancel = new AbortController();
  const values = { message: 'top-secret-value' };
  process.env.WORKER_SECRET = 'of-the-worker';
  const ended = run(installArgs(input()), { chart: waiting, values, signal: cancel.signal, graceMs: 200 });
  ended.catch(() => {});
  const pid = await eventually('the process of helm', async () => processesOf(binary, names.namespace)[0]);
  delete process.env.WORKER_SECRET;
  const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
  expect(commandLine).not.toContain('top-secret');
  expect(environment).not.toContain('of-the-worker');
  expect(environment).not.toContain('top-secret');
  const [directory = ''] = readdirSync(join(root, 'processes'));
  const listed = execFileSync('find', [join(root, 'processes', directory), '-perm', '/077', '-not', '-type', 'l'], {
    encoding: 'utf8',
  });
  expect(listed.split('\n').filter((path) => /kubeconfig|values/.test(path))).toEqual([]);
  cancel.abort(new Error('enough'));
  await expect(ended).rejects.toThrow('enough');
});

test('a cancelled run ends its process within the grace period', async () => {
  const cancel = new AbortController();
  const ended = run(installArgs(input()), { chart: waiting, signal: cancel.signal, graceMs: 300 });
  ended.catch(() => {});
  await eventually('a pending release', async () => (await storage.last('web'))?.status === 'pending-install');
  cancel.abort(new Error('a newer revision'));
  await expect(ended).rejects.toThrow('a newer revision');
  expect(processesOf(binary, names.namespace)).toEqual([]);
});

test('a run that takes too long is ended and says so', async () => {
  let beats = 0;
  const ended = run(installArgs(input()), { chart: waiting, timeoutMs: 3_000, graceMs: 200, heartbeat: () => beats++ });
  await expect(ended).rejects.toThrow('helm was stopped: not done after 3s');
  expect(beats).toBeGreaterThanOrEqual(2);
  expect(processesOf(binary, names.namespace)).toEqual([]);
});

test('no process of helm outlives a worker that is killed, and the next one removes what it left', async () => {
  const processes = join(root, 'killed');
  const script = join(root, 'worker.mts');
  const here = new URL('../../activities/helm/', import.meta.url).href;
  const session = await gateway.open({ client, ...names, attempt: 'killed' });
  const options = {
    args: installArgs(input()),
    server: session.server,
    namespace: names.namespace,
    chart: waiting,
    values: { message: 'x' },
    timeoutMs: 60_000,
  };
  writeFileSync(
    script,
    `import { createHelmStarter } from '${here}helm-starter.ts';
    const helm = createHelmStarter(${JSON.stringify({ binary, temporaryDirectory: processes })});
    await helm.run({ ...${JSON.stringify(options)}, signal: new AbortController().signal });`,
  );
  const worker = spawn(process.execPath, [script], { stdio: 'ignore' });
  try {
    await eventually('a pending release', async () => (await storage.last('web'))?.status === 'pending-install');
    expect(processesOf(binary, names.namespace).length).toBeGreaterThan(0);
  } finally {
    const ended = once(worker, 'exit');
    worker.kill('SIGKILL');
    session.close();
    await ended;
  }
  await eventually('the end of helm', async () => processesOf(binary, names.namespace).length === 0);
  expect(readdirSync(processes)).toHaveLength(1);
  await removeAbandoned(processes);
  expect(readdirSync(processes)).toEqual([]);
  await sleep(0);
});

test('a run whose starting process is killed may be tried again, and leaves no helm behind', async () => {
  const ended = run(installArgs(input()), { chart: waiting });
  ended.catch(() => {});
  await eventually('a pending release', async () => (await storage.last('web'))?.status === 'pending-install');
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ');
  const isStarter = (pid: string): boolean =>
    pid !== '' && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('helm-starter-process');
  process.kill(Number(children.find(isStarter)), 'SIGKILL');
  await expect(ended).rejects.toMatchObject({
    type: 'ReconcileError',
    nonRetryable: false,
    message: 'the process that starts helm ended (SIGKILL)',
  });
  await eventually('the end of helm', async () => processesOf(binary, names.namespace).length === 0);
  await eventually('nothing of it on disk', () => readdirSync(join(root, 'processes')).length === 0);
  const { output } = await run(dryRunArgs({ ...input(), isInstalled: false }), { isOutputWanted: true });
  expect(output).toContain('manifest');
});

test('a dry run prints what would be applied, and changes nothing', async () => {
  const { output } = await run(dryRunArgs({ ...input(), isInstalled: false }), { isOutputWanted: true });
  const rendered = JSON.parse(output) as { manifest: string };
  expect(rendered.manifest).toContain('message: "first"');
  expect(await configMap()).toBeUndefined();
  expect(await storage.list('web')).toEqual([]);
});

test('a megabyte of manifests passes through the post-renderer as it is', async () => {
  const large = await writeChart(join(root, 'large.tgz'), {
    'Chart.yaml': 'apiVersion: v2\nname: large\nversion: 1.0.0\n',
    'templates/large.yaml': `{{ range $i := until 10 }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: large-{{ $i }}
data:
  text: |
{{ range $j := until 1000 }}    {{ $i }} {{ $j }} ${'x'.repeat(90)} äöü
{{ end }}{{ end }}`,
  });
  expect(await run(installArgs(input()), { chart: large })).toMatchObject({ error: undefined });
  const { namespace } = names;
  const last = await client.get({ group: '', version: 'v1', kind: 'ConfigMap', namespace, name: 'large-9' });
  const { text = '' } = (last?.data ?? {}) as Record<string, string>;
  expect(text.split('\n')).toHaveLength(1001);
  expect(text).toContain(`9 999 ${'x'.repeat(90)} äöü`);
  const manifest = (await storage.last('web'))?.release.manifest ?? '';
  expect(Buffer.byteLength(manifest)).toBeGreaterThan(1_000_000);
});

test('real helm takes every option of the contract', async () => {
  const all = {
    disableWait: true,
    disableWaitForJobs: true,
    disableHooks: true,
    disableOpenAPIValidation: true,
  } as const;
  const more = { disableSchemaValidation: true, disableTakeOwnership: true, timeout: '1m30s' } as const;
  use({
    ...object.spec,
    maxHistory: 3,
    install: { ...all, ...more, replace: true, createNamespace: true, serverSideApply: false, crds: 'Skip' },
    upgrade: { ...all, ...more, force: true, preserveValues: true, cleanupOnFail: true, serverSideApply: 'disabled' },
    rollback: { timeout: '20s', disableHooks: true, force: true, cleanupOnFail: true, serverSideApply: 'enabled' },
    uninstall: { timeout: '20s', disableHooks: true, keepHistory: true, deletionPropagation: 'orphan' },
    test: { enable: true, timeout: '20s', filters: [{ name: 'web-test' }, { name: 'other', exclude: true }] },
  });
  const following = { ...input(), lastApplyMethod: 'csa', isDnsAllowed: true } as const;
  expect(await run(installArgs({ ...input(), wait: 'legacy', isDnsAllowed: true }))).toMatchObject({
    error: undefined,
  });
  expect((await storage.last('web'))?.release.apply_method).toBe('csa');
  expect(await run(upgradeArgs({ ...following, wait: 'watcher' }), { values: { added: 1 } })).toMatchObject({
    error: undefined,
  });
  expect((await storage.last('web'))?.release.config).toEqual({ message: 'first', added: 1 });
  expect(await run(testArgs(input()))).toMatchObject({ error: undefined });
  expect(await run(rollbackArgs({ ...following, version: 1 }))).toMatchObject({ error: undefined });
  expect(await run(uninstallArgs(input()))).toMatchObject({ error: undefined });
  expect((await storage.list('web'))[0]).toMatchObject({ status: 'uninstalled' });
});

/** Processes of the binary, told from those of other tests by the namespace in their command line. */
function processesOf(path: string, namespace: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const [first, ...rest] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return first === path && rest.includes(`--namespace=${namespace}`);
      } catch {
        return false;
      }
    })
    .map(Number);
}
