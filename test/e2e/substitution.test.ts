// spec.postBuild: values of ConfigMaps, Secrets and the spec itself in the objects that are applied.
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { configMap, connectCluster, eventually, requestReconcile } from './harness.ts';
import { createAppliedScenario, createScenario, manifest, newestHistory, type Scenario } from './scenario.ts';

let client: KubeClient;
beforeAll(() => {
  client = connectCluster();
});
afterAll(() => client.close());

async function create(scenario: Scenario, kind: 'ConfigMap' | 'Secret', name: string, values: object): Promise<void> {
  const data = kind === 'Secret' ? { stringData: values } : { data: values };
  await client.create({ apiVersion: 'v1', kind, metadata: { name, namespace: scenario.namespace }, ...data });
}

async function dataOf(scenario: Scenario, name: string): Promise<unknown> {
  return (await scenario.configMap(name))?.data;
}

const web = manifest('apps/v1', 'Deployment', 'web-${env}', {
  metadata: { labels: { region: '${region}' } },
  spec: {
    replicas: '${replicas}',
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'main', image: 'example/web:${tag:=latest}', args: ['--env=${env^^}'] }] },
    },
  },
});

test('values of ConfigMaps, Secrets and the spec are put in, and a changed Secret is picked up by the next reconcile', async () => {
  const scenario = await createScenario(client, 'subst', {});
  const revision = scenario.commit({
    'web.yaml': web,
    'settings.yaml': configMap('settings', { url: 'https://${user}:${password}@${host:-localhost}/', env: '${env}' }),
    'script.yaml': manifest('v1', 'ConfigMap', 'script', {
      metadata: { annotations: { 'kustomize.toolkit.fluxcd.io/substitute': 'disabled' } },
      data: { 'run.sh': 'echo ${HOME} ${env' },
    }),
  });
  await create(scenario, 'ConfigMap', 'common', { env: 'test', region: 'north', replicas: '2' });
  await create(scenario, 'Secret', 'login', { user: 'me', password: 'hunter2\n', region: 'south' });
  await scenario.createSource();
  await scenario.createKustomization({
    postBuild: {
      substitute: { env: 'prod' },
      substituteFrom: [
        { kind: 'ConfigMap', name: 'common' },
        { kind: 'Secret', name: 'login' },
        { kind: 'Secret', name: 'absent', optional: true },
      ],
    },
  });
  const applied = await scenario.applied(revision);

  const deployment = await scenario.find('apps/v1', 'Deployment', 'web-prod');
  expect(deployment?.metadata.labels).toMatchObject({ region: 'south' });
  expect(deployment?.spec).toMatchObject({
    replicas: 2,
    template: { spec: { containers: [{ image: 'example/web:latest', args: ['--env=PROD'] }] } },
  });
  expect(await dataOf(scenario, 'settings')).toEqual({ url: 'https://me:hunter2@localhost/', env: 'prod' });
  expect(await dataOf(scenario, 'script')).toEqual({ 'run.sh': 'echo ${HOME} ${env' });

  const digest = newestHistory(applied)?.digest;
  const secret = { group: '', version: 'v1', kind: 'Secret', namespace: scenario.namespace, name: 'login' };
  await client.patch(secret, { stringData: { password: 'hunter3' } }, { type: 'merge' });
  await requestReconcile(client, await scenario.kustomization());
  await eventually('the new password', async () => {
    const data = (await dataOf(scenario, 'settings')) as { url: string };
    return data.url === 'https://me:hunter3@localhost/';
  });
  await eventually('another digest', async () => newestHistory(await scenario.kustomization())?.digest !== digest);
  expect(await historiesOf(scenario)).not.toMatch(/hunter[23]/);
});

/** All histories of the scenario's Kustomization as one text, payloads decoded. */
async function historiesOf({ namespace }: Scenario): Promise<string> {
  const connection = await Connection.connect({ address: inject('temporalAddress') });
  try {
    const { workflow } = new Client({ connection });
    const histories: unknown[] = [];
    for await (const { workflowId, runId } of workflow.list()) {
      if (!workflowId.includes(`/${namespace}/`)) continue;
      histories.push(await workflow.getHandle(workflowId, runId).fetchHistory());
    }
    const text = JSON.stringify(histories, (key, value: unknown) =>
      key === 'data' && typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : value,
    );
    expect(text).toContain('manifestsDigest');
    return text;
  } finally {
    await connection.close();
  }
}

test('an undefined variable is told by name, applies nothing, and heals once it is set', async () => {
  const scenario = await createScenario(client, 'unset', {});
  const revision = scenario.commit({
    'a.yaml': configMap('a', { v: 'x' }),
    'b.yaml': configMap('b', { 'app.conf': 'host=${host}\nport=${port:=80}\n' }),
  });
  await scenario.createSource();
  await scenario.createKustomization({ postBuild: { substitute: { env: 'prod' } }, retryInterval: '10m' });

  expect(await scenario.refused('BuildFailed')).toBe(
    `post build failed for ConfigMap/${scenario.namespace}/b at data."app.conf": variable not set (strict mode): "host"; ` +
      'set it in spec.postBuild, give a default as in "${host:=value}", or write "$${host}" for the text itself',
  );
  expect(await scenario.configMap('a')).toBeUndefined();

  await scenario.patch(await scenario.kustomization(), {
    spec: { postBuild: { substitute: { host: 'example.org' } } },
  });
  await scenario.applied(revision);
  expect(await dataOf(scenario, 'b')).toEqual({ 'app.conf': 'host=example.org\nport=80\n' });
});

test('a missing Secret is told by name, keeps what is applied, and heals once it is there', async () => {
  const scenario = await createAppliedScenario(
    client,
    'missing',
    { 'a.yaml': configMap('a', { v: 'x${word:=none}' }) },
    { kustomization: { retryInterval: '1s', postBuild: { substituteStrategy: 'Always' } } },
  );
  expect(await dataOf(scenario, 'a')).toEqual({ v: 'xnone' });

  const substituteFrom = [{ kind: 'Secret', name: 'words' }];
  await scenario.patch(await scenario.kustomization(), { spec: { postBuild: { substituteFrom } } });
  expect(await scenario.refused('BuildFailed')).toBe(
    `post build failed: Secret/${scenario.namespace}/words of spec.postBuild.substituteFrom does not exist: ` +
      'create it, or set "optional: true"',
  );
  expect(await dataOf(scenario, 'a')).toEqual({ v: 'xnone' });

  await create(scenario, 'Secret', 'words', { word: 'some' });
  await eventually(
    'the value',
    async () => (await dataOf(scenario, 'a')) && JSON.stringify(await dataOf(scenario, 'a')) === '{"v":"xsome"}',
  );
  await scenario.applied(scenario.first);
});
