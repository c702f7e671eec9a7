// What helm processes ask of the API server through the gateway, and how many of them work at a time (decision 0016).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type ApiGateway, createApiGateway } from '../../activities/helm/api-gateway.ts';
import { installArgs, upgradeArgs } from '../../activities/helm/command.ts';
import { createReleaseMemory } from '../../activities/helm/release-memory.ts';
import { createReleaseStorage } from '../../activities/helm/release-storage.ts';
import { createHelm, type Helm, type HelmResult, type HelmRun } from '../../activities/helm/run-helm.ts';
import type { ForwardedRequest } from '../../k8s/rest.ts';
import type { KubeClient } from '../../k8s/client.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import { ensureBinaries } from '../../tools/platform/binaries.ts';
import { waitingChart, webChart, writeChart } from '../servers/helm-charts.ts';
import { createNamespace } from '../servers/kube-fixture.ts';

let client: KubeClient;
let gateway: ApiGateway;
let helm: Helm;
let root: string;
let chart: string;
let waiting: string;

beforeAll(async () => {
  client = createKubeClient({ kubeconfig: inject('kubeconfig') });
  gateway = createApiGateway();
  root = mkdtempSync(join(tmpdir(), 'continuo-gateway-'));
  const { helm: binary } = await ensureBinaries(['helm']);
  helm = createHelm({ binary, temporaryDirectory: join(root, 'processes'), concurrency: 1 });
  chart = await writeChart(join(root, 'web.tgz'), webChart);
  waiting = await writeChart(join(root, 'waiting.tgz'), waitingChart);
});
afterAll(async () => {
  await gateway.close();
  await client.close();
  rmSync(root, { recursive: true, force: true });
});

/** A release `web` in a namespace of its own. */
async function createRelease() {
  const namespace = await createNamespace(client, 'helm-gateway');
  const names = { releaseName: 'web', namespace, storageNamespace: namespace };
  const asked: ForwardedRequest[] = [];
  const memory = createReleaseMemory();
  const noting: Pick<KubeClient, 'forward' | 'server'> = {
    server: client.server,
    async forward(request) {
      asked.push(request);
      return await client.forward(request);
    },
  };

  async function run(args: string[], more: Partial<HelmRun> = {}): Promise<HelmResult> {
    const onStored = (answer: Buffer): void => memory.learn(client.server, answer);
    const session = await gateway.open({ client: noting, ...names, attempt: 'test', onStored });
    const signal = new AbortController().signal;
    const values = { message: 'first' };
    try {
      const { server } = session;
      return await helm.run({ args, server, namespace, chart, values, timeoutMs: 60_000, signal, ...more });
    } finally {
      session.close();
    }
  }

  const input = { spec: { interval: '1m' }, names };
  return {
    /** `GET /apis` …, oldest first, and empties the list. */
    takeAsked: () => asked.splice(0).map(({ method, path }) => `${method} ${path.replace(/\?.*/, '')}`),
    install: (more?: Partial<HelmRun>) => run(installArgs(input), more),
    upgrade: (more?: Partial<HelmRun>) => run(upgradeArgs({ ...input, lastApplyMethod: 'ssa' }), more),
    storage: createReleaseStorage({ client, namespace }),
    /** Knows what helm has written, and cannot read anything else. */
    remembered: createReleaseStorage({
      client: { ...client, get: () => Promise.reject(new Error('not remembered')) },
      namespace,
      memory,
    }),
  };
}

test('what helm asks again and again reaches the server once in a process, and its documents once in all', async () => {
  const release = await createRelease();
  expect(await release.install()).toMatchObject({ error: undefined });
  release.takeAsked();
  expect(await release.upgrade()).toMatchObject({ error: undefined });
  const known = release.takeAsked().filter((request) => /^GET \/(?:version|apis?|openapi\/.*)$/.test(request));
  expect(known.sort()).toEqual(['GET /api', 'GET /apis', 'GET /openapi/v3', 'GET /version']);
});

test('a field that the server does not know is refused by it', async () => {
  const misspelt = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: misspelt}\ndatum: {}\n';
  const wrong = await writeChart(join(root, 'wrong.tgz'), { ...webChart, 'templates/wrong.yaml': misspelt });
  const { install } = await createRelease();
  expect((await install({ chart: wrong })).error).toContain('.datum: field not declared in schema');
});

test('what helm has written is known without being read', async () => {
  const { install, upgrade, remembered, storage } = await createRelease();
  await install();
  await upgrade();
  const records = await remembered.list('web');
  expect(records.map(({ version, status }) => [version, status])).toEqual([
    [2, 'deployed'],
    [1, 'superseded'],
  ]);
  for (const record of records) {
    expect(await remembered.open('web', record)).toEqual(await storage.read('web', record.version));
  }
});

test('a process that waits for a hook leaves its place to the next', async () => {
  const [stuck, next] = await Promise.all([createRelease(), createRelease()]);
  const cancel = new AbortController();
  const ended = stuck.install({ chart: waiting, signal: cancel.signal, graceMs: 200 });
  ended.catch(() => {});
  expect(await next.install()).toMatchObject({ error: undefined });
  expect(await stuck.storage.last('web')).toMatchObject({ status: 'pending-install' });
  cancel.abort(new Error('enough'));
  await expect(ended).rejects.toThrow('enough');
});
