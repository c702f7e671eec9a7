// A platform of a test's own, whose processes it may kill, with what such tests look at: the cluster's objects, the
// inventory, the workflows.
import { Client, Connection } from '@temporalio/client';
import { expect } from 'vitest';
import type { KubeClient, ResourceInfo } from '../../k8s/client.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { type Platform, startPlatform } from '../../tools/platform/index.ts';
import { configMap, statusOf, useGitServer } from './harness.ts';
import { inventoryOf, newestHistory, type Scenario } from './scenario.ts';

export interface OwnPlatform {
  platform: Platform;
  client: KubeClient;
  stop(): Promise<void>;
}

/** Starts a platform, without a worker unless it is asked for; repositories are made on its Git server from now on. */
export async function startOwnPlatform({ worker = false } = {}): Promise<OwnPlatform> {
  const platform = await startPlatform({ worker, report: (line) => console.error(line) });
  useGitServer(platform);
  const client = createKubeClient({ kubeconfig: platform.kubeconfigPath });
  return {
    platform,
    client,
    async stop() {
      await client.close();
      await platform.stop();
    },
  };
}

const configMaps: ResourceInfo = {
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  resource: 'configmaps',
  namespaced: true,
};

/** `name=v` of every ConfigMap of a scenario, sorted. */
export async function configMapsOf({ client, namespace }: Scenario): Promise<string[]> {
  const { items } = await client.list(configMaps, { namespace });
  return items
    .filter((item) => item.metadata.name !== 'kube-root-ca.crt')
    .map((item) => `${item.metadata.name}=${(item.data as Record<string, string> | undefined)?.v}`)
    .sort();
}

/** `count` ConfigMaps as files of a repository; null instead of a value removes them. */
export function manyFiles(prefix: string, count: number, value: string | null): Record<string, string | null> {
  return Object.fromEntries(
    manyNames(prefix, count).map((name) => [`${name}.yaml`, value === null ? null : configMap(name, { v: value })]),
  );
}

export function manyNames(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}-${String(i).padStart(4, '0')}`);
}

/** `name=value` as `configMapsOf` gives them. */
export function manyValues(prefix: string, count: number, value: string): string[] {
  return manyNames(prefix, count).map((name) => `${name}=${value}`);
}

/**
 * Waits until a revision is applied and asserts that cluster, inventory and status are as if nothing had happened:
 * `values` are the ConfigMaps that the commit holds, `others` the inventory ids of what else it holds.
 */
export async function expectInPlace(
  scenario: Scenario,
  revision: string,
  values: string[],
  others: string[] = [],
  timeoutMs = 90_000,
): Promise<KubeObject> {
  const applied = await scenario.applied(revision, undefined, timeoutMs);
  const { namespace } = scenario;
  expect(await configMapsOf(scenario)).toEqual([...values].sort());
  const names = values.map((value) => `${namespace}_${value.split('=')[0]}__ConfigMap v1`);
  expect(inventoryOf(applied)).toEqual([...names, ...others].sort());
  const { conditions = [], lastAttemptedRevision, history = [] } = statusOf(applied);
  expect(conditions.filter(({ type }) => type === 'Reconciling' || type === 'Stalled')).toEqual([]);
  expect(lastAttemptedRevision).toBe(revision);
  expect(newestHistory(applied)).toMatchObject({ lastReconciledStatus: 'ReconciliationSucceeded' });
  const keys = history.map(({ digest, lastReconciledStatus }) => `${digest} ${lastReconciledStatus}`);
  expect(new Set(keys).size).toBe(keys.length);
  return applied;
}

/** `type id` of every workflow execution that ended in another way than by finishing or rolling over. */
export async function brokenWorkflows(platform: Platform): Promise<string[]> {
  const connection = await Connection.connect({ address: platform.temporalAddress });
  const { workflow } = new Client({ connection });
  const broken: string[] = [];
  const query = "ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut', 'Canceled')";
  for await (const execution of workflow.list({ query }))
    broken.push(`${execution.status.name} ${execution.workflowId}`);
  await connection.close();
  return broken;
}

export async function isGone(client: KubeClient, object: KubeObject): Promise<boolean> {
  return (await client.get(refOf(object))) === undefined;
}
