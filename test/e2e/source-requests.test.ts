// What a source that is asked for again and again costs its server: a webhook for each of many pushes, a person who is
// impatient, ten tools that ask at once.
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { KubeClient } from '../../k8s/client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { reconcileUpdate, workflowIdOf } from '../../workflows/messages.ts';
import { createTestRepository, startTestGitServer, type TestGitServer } from '../servers/git.ts';
import {
  conditionOf,
  configMap,
  connectCluster,
  createNamespace,
  eventually,
  gitRepository,
  statusOf,
} from './harness.ts';
import { appName, createScenario } from './scenario.ts';

let client: KubeClient;
let server: TestGitServer;

beforeAll(async () => {
  client = connectCluster();
  server = await startTestGitServer();
});
afterAll(async () => {
  await client.close();
  await server.close();
});

/** A request is answered no sooner after the one before it (workflows/decisions/decide.ts). */
const spacingMs = 1_000;

async function ask(object: KubeObject, request: string): Promise<void> {
  const annotations = { 'reconcile.fluxcd.io/requestedAt': request };
  await client.patch(refOf(object), { metadata: { annotations } }, { type: 'merge' });
}

async function answered(object: KubeObject, request: string, revision: string): Promise<KubeObject> {
  return await eventually(`the answer to "${request}"`, async () => {
    const seen = await client.get(refOf(object));
    const { lastHandledReconcileAt, artifact } = statusOf(seen);
    const isDone = lastHandledReconcileAt === request && artifact?.revision === revision;
    if (seen && isDone && conditionOf(seen, 'Ready')?.status === 'True') return seen;
    throw new Error(JSON.stringify(seen?.status));
  });
}

test('a source that is asked for ten times in a second asks its server once or twice, and answers the last of them', async () => {
  const namespace = await createNamespace(client, 'requests');
  const repository = createTestRepository(server.root, namespace);
  const push = (value: string): string => {
    repository.write('app.yaml', configMap('app', { v: value }));
    return `main@sha1:${repository.commit(value)}`;
  };
  const first = push('1');
  const source = await client.create(gitRepository(namespace, 'app', `${server.url}/${namespace}.git`));
  await ask(source, 'first');
  await answered(source, 'first', first);

  /** Requests at the server while a push is asked for, and the time that the asking took. */
  const costOf = async (value: string, asks: number): Promise<{ requests: number; tookMs: number }> => {
    await sleep(spacingMs);
    const revision = push(value);
    server.requests.length = 0;
    const startedAt = performance.now();
    for (let n = 1; n <= asks; n++) {
      await ask(source, `${value}-${n}`);
      if (n < asks) await sleep(50);
    }
    const tookMs = performance.now() - startedAt;
    await answered(source, `${value}-${asks}`, revision);
    return { requests: server.requests.length, tookMs };
  };
  const once = await costOf('2', 1);
  const often = await costOf('3', 10);
  // Twice in a second; a busy machine takes longer to ask, and gets one more answer for each further second.
  const answers = 2 + Math.floor(often.tookMs / spacingMs);
  expect(often.requests).toBeGreaterThanOrEqual(once.requests);
  expect(often.requests).toBeLessThanOrEqual(answers * once.requests);
});

test('who waits for the answer to a request gets that of its own turn', async () => {
  const scenario = await createScenario(client, 'turns', { 'app.yaml': configMap('app', { v: '0' }) });
  await scenario.createSource();
  const connection = await Connection.connect({ address: inject('temporalAddress') });
  const id = workflowIdOf({ kind: 'GitRepository', namespace: scenario.namespace, name: appName });
  const handle = new Client({ connection }).workflow.getHandle(id);
  await eventually('the first artifact', async () => statusOf(await scenario.source()).artifact !== undefined);
  for (const v of ['1', '2', '3']) {
    const revision = scenario.commit({ 'app.yaml': configMap('app', { v }) });
    expect(await handle.executeUpdate(reconcileUpdate)).toMatchObject({ outcome: 'Succeeded', revision });
  }
  await connection.close();
});
