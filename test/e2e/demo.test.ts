// The demo of `continuo up`, from an empty Git server to running environments, and the first thing that it suggests.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, inject, it } from 'vitest';
import { runDemo } from '../../cli/demo.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { connectCluster, eventually } from './harness.ts';

const client = connectCluster();
const dataDir = mkdtempSync(join(tmpdir(), 'continuo-demo-'));
const platform = {
  dataDir,
  kubeconfigPath: inject('kubeconfig'),
  temporalAddress: inject('temporalAddress'),
  uiUrl: undefined,
  gitUrl: inject('gitUrl'),
  gitRoot: inject('gitRoot'),
  workerUrl: inject('workerUrl'),
  pids: { worker: process.pid },
  binaries: {},
  restartDead: () => Promise.resolve([]),
  dead: () => [],
  stop: () => Promise.resolve(),
};

// A machine on which nobody has ever set up Git.
process.env['GIT_CONFIG_GLOBAL'] = '/dev/null';
process.env['GIT_CONFIG_NOSYSTEM'] = '1';

async function run(): Promise<string> {
  const lines: string[] = [];
  await runDemo(platform, (line) => lines.push(line));
  return lines.join('\n');
}

async function pages(namespace: string): Promise<unknown[]> {
  const resource = { group: '', version: 'v1', kind: 'ConfigMap', resource: 'configmaps', namespaced: true };
  const { items } = await client.list(resource, { namespace, labelSelector: 'app.kubernetes.io/name=hello' });
  return items.map((item: KubeObject) => (item['data'] as Record<string, string>)['index.html']);
}

afterAll(async () => {
  const group = 'kustomize.toolkit.fluxcd.io';
  const root = { group, version: 'v1', kind: 'Kustomization', namespace: 'flux-system', name: 'demo' };
  await client.delete(root);
  await eventually('the demo to be pruned', async () => (await client.get(root)) === undefined);
  await client.close();
  rmSync(dataDir, { recursive: true, force: true });
});

it('reconciles two environments from one push, and again what is pushed from its clone', {
  timeout: 240_000,
}, async () => {
  const output = await run();
  expect(output).toMatch(/✔ pushed the demo repository to http:/);
  for (const name of ['demo', 'staging', 'production']) {
    expect(output).toMatch(new RegExp(`✔ Kustomization/flux-system/${name}: Applied revision: main@sha1:[0-9a-f]{8}`));
  }
  expect(output).toMatch(/staging +Ingress\/hello +hello.staging.example.test/);
  expect(output).toContain('workflows/kustomization%2Fflux-system%2Fstaging');
  expect(await pages('staging')).toEqual(['Hello from staging']);
  expect(await pages('production')).toEqual(['Hello from production']);
  const deployment = { group: 'apps', version: 'v1', kind: 'Deployment', namespace: 'production', name: 'hello' };
  expect(await client.get(deployment)).toMatchObject({ status: { availableReplicas: expect.any(Number) as unknown } });

  const clone = join(dataDir, 'demo');
  const file = join(clone, 'apps', 'staging', 'kustomization.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace('Hello from staging', 'Good morning'));
  execFileSync('git', ['commit', '--quiet', '--all', '--message=Greet'], { cwd: clone });
  execFileSync('git', ['push', '--quiet'], { cwd: clone, stdio: 'pipe' });
  await eventually(
    'the new page, and only that',
    async () => (await pages('staging')).join() === 'Good morning',
    60_000,
  );

  expect(await run()).toMatch(/✔ demo repository is at http:/);
  expect(existsSync(join(clone, '.gitignore'))).toBe(true);
  expect(await pages('staging')).toEqual(['Good morning']);
});
