import { MockActivityEnvironment } from '@temporalio/testing';
import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../k8s/object.ts';
import type { WatchCache } from '../../k8s/watch-cache.ts';
import type { AppliedObject } from './health-targets.ts';
import { createHealthActivities, type HealthCluster, type HealthDependencies, healthNow } from './health-activities.ts';

const resource = { group: '', version: 'v1', kind: 'ConfigMap', resource: 'configmaps', namespaced: true };
const applied: AppliedObject[] = [
  { ref: { group: '', version: 'v1', kind: 'ConfigMap', namespace: 'apps', name: 'a' }, resourceVersion: '5' },
];
const configMap: KubeObject = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace: 'apps', name: 'a', resourceVersion: '5' },
};

function setup(cached: KubeObject | undefined, spec: object, isOpen = true) {
  const cache: WatchCache = {
    scope: { resource, labelSelector: 'ours' },
    sync: async () => undefined,
    isSynced: true,
    resourceVersion: '4',
    get: () => cached,
    list: () => [],
    waitForVersion: () => new Promise(() => undefined),
    subscribe: () => () => undefined,
    close: () => undefined,
  };
  const caches = { open: () => cache, opened: () => (isOpen ? [cache] : []), close: () => undefined };
  const kustomization: KubeObject = { apiVersion: 'v1', kind: 'Kustomization', metadata: { name: 'k' }, spec };
  const cluster: HealthCluster = {
    caches,
    named: { acquire: () => ({ cache, release: () => undefined }), peek: () => undefined, close: () => undefined },
    client: { resourceFor: async () => resource },
  };
  const deps: HealthDependencies & HealthCluster = {
    ...cluster,
    clusterOf: () => cluster,
    scopeFor: () => ({ resource, labelSelector: 'ours' }),
    kustomization: () => kustomization,
    appliedObjects: async () => applied,
  };
  return { deps, kustomization };
}

const input = {
  kustomization: { namespace: 'apps', name: 'k' },
  generation: 1,
  revision: 'main@sha1:1',
  inventoryKey: 'k',
  timeoutMs: 60_000,
};

describe('waitForHealth', () => {
  test('gives how many were checked', async () => {
    const { deps } = setup(configMap, { wait: true });

    const result = await new MockActivityEnvironment().run(createHealthActivities(deps).waitForHealth, input);

    expect(result).toMatchObject({ checkedCount: 1 });
  });

  test('ends as cancelled when the activity is cancelled', async () => {
    const { deps } = setup(undefined, { wait: true });
    const environment = new MockActivityEnvironment();
    const waiting = environment.run(createHealthActivities(deps).waitForHealth, input);

    environment.cancel();

    await expect(waiting).rejects.toMatchObject({ name: 'CancelledFailure' });
  });
});

describe('healthNow', () => {
  test.each<[string, KubeObject | undefined, object, boolean, boolean]>([
    ['a healthy object in an open cache', configMap, { wait: true }, true, true],
    ['nothing to check', undefined, {}, false, true],
    ['an object that is not there', undefined, { wait: true }, true, false],
    ['a cache that is not open', configMap, { wait: true }, false, false],
    [
      'a picture older than our write',
      { ...configMap, metadata: { ...configMap.metadata, resourceVersion: '4' } },
      { wait: true },
      true,
      false,
    ],
    [
      'a check on an object that nobody watches',
      configMap,
      { healthChecks: [{ kind: 'Pod', name: 'x' }] },
      true,
      false,
    ],
    [
      'expressions that do not compile',
      configMap,
      { wait: true, healthCheckExprs: [{ apiVersion: 'v1', current: '(' }] },
      true,
      false,
    ],
    [
      'an expression that holds',
      configMap,
      { wait: true, healthCheckExprs: [{ apiVersion: 'v1', current: 'metadata.name == "a"' }] },
      true,
      true,
    ],
  ])('%s', (_, cached, spec, isOpen, expected) => {
    const { deps, kustomization } = setup(cached, spec, isOpen);

    expect(healthNow(deps, kustomization, applied)).toBe(expected);
  });
});
