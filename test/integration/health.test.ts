// Health against a real API server, controllers and (without containers) pods that live and die.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type AppliedObject, type HealthCheck } from '../../activities/health/health-targets.ts';
import { type HealthDependencies, healthNow, waitForKustomization } from '../../activities/health/health-activities.ts';
import type { HealthExpression } from '../../activities/health/health-expressions.ts';
import { createNamedCaches } from '../../activities/health/named-caches.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { createWatchCaches } from '../../k8s/watch-caches.ts';

const label = 'health.test/run';
const run = randomBytes(4).toString('hex');
const namespace = `health-${run}`;
const client = createKubeClient({ kubeconfig: inject('kubeconfig') ?? process.env.KUBECONFIG });
const caches = createWatchCaches(client);
const named = createNamedCaches(client);

beforeAll(async () => {
  await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
});

afterAll(async () => {
  await client.delete({ group: '', version: 'v1', kind: 'Namespace', namespace: '', name: namespace });
  caches.close();
  named.close();
  await client.close();
});

interface PodOptions {
  isUnready?: boolean;
  command?: string;
  restartPolicy?: 'Never';
}

function podTemplate(app: string, { isUnready, command = 'run', restartPolicy }: PodOptions): object {
  return {
    metadata: { labels: { app, ...(isUnready ? { 'continuo.dev/unready': 'true' } : {}) } },
    spec: { restartPolicy, containers: [{ name: 'a', image: 'example.org/a:1', command: ['sh', '-c', command] }] },
  };
}

function object(apiVersion: string, kind: string, name: string, body: object = {}): KubeObject {
  return { apiVersion, kind, metadata: { namespace, name, labels: { [label]: run } }, ...body };
}

function deployment(name: string, options: PodOptions & { progressDeadlineSeconds?: number } = {}): KubeObject {
  const { progressDeadlineSeconds } = options;
  const spec = {
    replicas: 2,
    progressDeadlineSeconds,
    selector: { matchLabels: { app: name } },
    template: podTemplate(name, options),
  };
  return object('apps/v1', 'Deployment', name, { spec });
}

function job(name: string, command: string, ttlSecondsAfterFinished?: number): KubeObject {
  const template = podTemplate(name, { command, restartPolicy: 'Never' });
  return object('batch/v1', 'Job', name, { spec: { backoffLimit: 0, ttlSecondsAfterFinished, template } });
}

/** Applies objects as the apply stage would and gives what it would have recorded. */
async function apply(...objects: KubeObject[]): Promise<AppliedObject[]> {
  const applied: AppliedObject[] = [];
  for (const desired of objects) {
    const stored = await client.apply(desired, { fieldManager: 'kustomize-controller', force: true });
    const { ttlSecondsAfterFinished } = (desired.spec ?? {}) as { ttlSecondsAfterFinished?: number };
    const mayVanish = ttlSecondsAfterFinished !== undefined;
    applied.push({ ref: refOf(desired), resourceVersion: stored.metadata.resourceVersion, mayVanish });
  }
  return applied;
}

interface Spec {
  wait?: boolean;
  healthChecks?: HealthCheck[];
  healthCheckExprs?: HealthExpression[];
}

function kustomization(spec: Spec): KubeObject {
  return { ...object('kustomize.toolkit.fluxcd.io/v1', 'Kustomization', 'apps'), spec };
}

/** As for what is applied: of ConfigMaps the metadata alone is kept. */
const scopeFor: HealthDependencies['scopeFor'] = (resource) => ({
  resource,
  labelSelector: `${label}=${run}`,
  metadataOnly: resource.kind === 'ConfigMap',
});

function dependencies(applied: AppliedObject[], spec: Spec): HealthDependencies {
  return {
    clusterOf: () => ({ caches, named, client }),
    scopeFor,
    kustomization: () => kustomization(spec),
    appliedObjects: async () => applied,
  };
}

function wait(applied: AppliedObject[], options: { spec?: Spec; timeoutMs?: number; signal?: AbortSignal } = {}) {
  const { spec = { wait: true }, timeoutMs = 45_000, signal } = options;
  const input = {
    kustomization: { namespace, name: 'apps' },
    generation: 1,
    revision: 'main@sha1:1',
    inventoryKey: 'k',
  };
  return waitForKustomization(dependencies(applied, spec), { ...input, timeoutMs }, signal);
}

function isHealthyNow(applied: AppliedObject[], spec: Spec = { wait: true }): boolean {
  return healthNow({ caches, named, scopeFor }, kustomization(spec), applied);
}

describe('health in a cluster', () => {
  test('a rollout, a Job and what has no status become current, and are known to be so afterwards', async () => {
    const service = object('v1', 'Service', 'web', { spec: { selector: { app: 'web' }, ports: [{ port: 80 }] } });
    const applied = await apply(deployment('web'), job('migrate', 'true'), service, object('v1', 'ConfigMap', 'a'));

    expect(await wait(applied)).toMatchObject({ checkedCount: 4 });
    expect(isHealthyNow(applied)).toBe(true);
  });

  test('a new rollout is waited for, although the cache still shows the old one as healthy', async () => {
    const first = await apply(deployment('roll'));
    await wait(first);

    const second = await apply(deployment('roll', { command: 'other' }));
    expect(isHealthyNow(second)).toBe(false);
    await wait(second);

    const after = await client.get(refOf(deployment('roll')));
    expect(after?.status).toMatchObject({ observedGeneration: 2, updatedReplicas: 2, availableReplicas: 2 });
  });

  test('a rollout past its progress deadline fails at once, and says why', async () => {
    const applied = await apply(deployment('late', { isUnready: true, progressDeadlineSeconds: 2 }));

    await expect(wait(applied)).rejects.toMatchObject({
      type: 'HealthCheckFailed',
      message: expect.stringMatching(
        new RegExp(
          `^health check failed after \\S+s: failed early due to stalled resources: \\[Deployment/${namespace}/late status: 'Failed'\\]; .*progress`,
          'i',
        ),
      ),
    });
  });

  test('pods that do not become ready are named when the time is up', async () => {
    const applied = await apply(deployment('unready', { isUnready: true }), object('v1', 'ConfigMap', 'b'));

    await expect(wait(applied, { timeoutMs: 1500 })).rejects.toThrow(
      new RegExp(
        `^health check failed after 1\\.\\d+s: timeout waiting for: \\[Deployment/${namespace}/unready status: 'InProgress'\\]; ` +
          `Deployment/${namespace}/unready 0 of 2 replicas are available$`,
      ),
    );
    expect(isHealthyNow(applied)).toBe(false);
  });

  test('a Job that fails, fails the check', async () => {
    const applied = await apply(job('broken', 'exit 1'));

    await expect(wait(applied)).rejects.toThrow(/stalled resources: \[Job\/\S+\/broken status: 'Failed'\]/);
  });

  test('a Job that is cleaned up after it has finished counts as done', async () => {
    const applied = await apply(job('swept', 'true', 0));

    expect(await wait(applied)).toMatchObject({ checkedCount: 1 });
    await expect.poll(() => client.get(refOf(job('swept', 'true'))), { timeout: 20_000 }).toBeUndefined();
    expect(await wait(applied)).toMatchObject({ checkedCount: 1 });
  });

  test('health checks may name what was not applied, and what comes only later', async () => {
    const spec = { healthChecks: [{ kind: 'ConfigMap', name: 'foreign', namespace }] };
    const waiting = wait([], { spec });
    const { metadata } = object('v1', 'ConfigMap', 'foreign');
    await client.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name: metadata.name } });

    expect(await waiting).toMatchObject({ checkedCount: 1 });
    expect(isHealthyNow([], spec)).toBe(true);
  });

  test('an expression sees all fields, also of a kind of which the metadata alone is kept', async () => {
    const [failed, current] = ['data.state == "bad"', 'data.state == "good"'];
    const spec = { wait: true, healthCheckExprs: [{ apiVersion: 'v1', kind: 'ConfigMap', failed, current }] };
    const bad = await apply(object('v1', 'ConfigMap', 'judged', { data: { state: 'bad' } }));
    expect(isHealthyNow(bad, spec)).toBe(false);
    await expect(wait(bad, { spec })).rejects.toMatchObject({
      message: expect.stringContaining("judged status: 'Failed'"),
    });

    const good = await apply(object('v1', 'ConfigMap', 'judged', { data: { state: 'good' } }));
    expect(await wait(good, { spec })).toMatchObject({ checkedCount: 1 });
    expect(isHealthyNow(good, spec)).toBe(true);
  });

  test('a kind that the server does not know is told', async () => {
    const spec = { healthChecks: [{ apiVersion: 'example.org/v1', kind: 'Thing', name: 'x', namespace }] };

    await expect(wait([], { spec, timeoutMs: 500 })).rejects.toThrow(/status: 'NotFound'\]; .*does not know its kind/);
  });

  test('an abort ends the wait', async () => {
    const applied = await apply(deployment('cancelled', { isUnready: true }));
    const controller = new AbortController();
    const waiting = wait(applied, { signal: controller.signal });

    controller.abort(new Error('a newer revision is there'));

    await expect(waiting).rejects.toThrow('a newer revision is there');
  });

  test('without wait and health checks nothing is looked at', async () => {
    expect(await wait([], { spec: {} })).toEqual({ checkedCount: 0, durationMs: 0 });
    expect(isHealthyNow([], {})).toBe(true);
  });
});
