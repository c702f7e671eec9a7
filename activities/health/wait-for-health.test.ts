import { describe, expect, test } from 'vitest';
import type { KubeObject, ObjectRef } from '../../k8s/object.ts';
import { compareResourceVersions } from '../../k8s/resource-version.ts';
import type { CacheEvent, WatchCache } from '../../k8s/watch-cache.ts';
import { healthOf } from './status.ts';
import { type HealthProgress, waitForHealth, type WaitForHealthOptions } from './wait-for-health.ts';

/** A cache that is told what it has seen. */
function createSeenCache() {
  const objects = new Map<string, KubeObject>();
  const listeners = new Set<(event: CacheEvent) => void>();
  const waiters: (() => void)[] = [];
  let version = '10';
  const cache: WatchCache = {
    scope: { resource: { group: 'batch', version: 'v1', kind: 'Job', resource: 'jobs', namespaced: true } },
    sync: async () => undefined,
    isSynced: true,
    get: (namespace, name) => objects.get(`${namespace}/${name}`),
    list: () => [...objects.values()],
    get resourceVersion() {
      return version;
    },
    async waitForVersion(wanted) {
      while (compareResourceVersions(version, wanted) < 0) await new Promise<void>((resolve) => waiters.push(resolve));
      return true;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => undefined,
  };
  function see(type: CacheEvent['type'], object: KubeObject): void {
    const key = `${object.metadata.namespace}/${object.metadata.name}`;
    const previous = objects.get(key);
    if (type === 'DELETED') objects.delete(key);
    else objects.set(key, object);
    version = object.metadata.resourceVersion ?? version;
    for (const listener of listeners) listener({ type, object, previous });
    for (const wake of waiters.splice(0)) wake();
  }
  return { cache, see, listenerCount: () => listeners.size };
}

const ref = (name: string): ObjectRef => ({ group: 'batch', version: 'v1', kind: 'Job', namespace: 'apps', name });

function job(name: string, resourceVersion: string, condition?: 'Complete' | 'Failed', spec = {}): KubeObject {
  const conditions = condition ? [{ type: condition, status: 'True', message: `is ${condition}` }] : [];
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { namespace: 'apps', name, resourceVersion },
    spec,
    status: { conditions },
  };
}

function wait(seen: ReturnType<typeof createSeenCache>, options: Partial<WaitForHealthOptions>) {
  return waitForHealth({
    targets: [{ ref: ref('a') }],
    cacheFor: async () => seen.cache,
    evaluate: healthOf,
    timeoutMs: 60_000,
    ...options,
  });
}

/** Lets all promises that are ready go on. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('waitForHealth', () => {
  test('resolves when the last object becomes current, and reports on the way', async () => {
    const seen = createSeenCache();
    const reports: HealthProgress[] = [];
    const waiting = wait(seen, { targets: [{ ref: ref('a') }, { ref: ref('b') }], onProgress: (p) => reports.push(p) });
    await settled();

    seen.see('ADDED', job('a', '11', 'Complete'));
    seen.see('ADDED', job('other', '12'));
    seen.see('ADDED', job('b', '13', 'Complete'));

    expect(await waiting).toMatchObject({ checkedCount: 2 });
    expect(reports.map(({ currentCount }) => currentCount)).toEqual([0, 1, 2]);
    expect(reports[0]?.waitingFor).toEqual(['Job/apps/a: does not exist', 'Job/apps/b: does not exist']);
    expect(seen.listenerCount()).toBe(0);
  });

  test('resolves at once for nothing to wait for', async () => {
    expect(await wait(createSeenCache(), { targets: [] })).toMatchObject({ checkedCount: 0 });
  });

  test('fails at the first object that has failed', async () => {
    const seen = createSeenCache();
    const waiting = wait(seen, { targets: [{ ref: ref('a') }, { ref: ref('b') }] });
    await settled();

    seen.see('ADDED', job('b', '11', 'Failed'));

    await expect(waiting).rejects.toMatchObject({
      type: 'HealthCheckFailed',
      message: expect.stringMatching(
        /^health check failed after \S+: failed early due to stalled resources: \[Job\/apps\/b status: 'Failed'\]; Job\/apps\/b is Failed$/,
      ),
    });
  });

  test('waits on after a failure when fail-fast is off', async () => {
    const seen = createSeenCache();
    const waiting = wait(seen, { isFailFast: false });
    await settled();

    seen.see('ADDED', job('a', '11', 'Failed'));
    seen.see('MODIFIED', job('a', '12', 'Complete'));

    expect(await waiting).toMatchObject({ checkedCount: 1 });
  });

  test('names what it was waiting for when the time is up', async () => {
    const seen = createSeenCache();
    seen.see('ADDED', job('a', '11'));
    seen.see('ADDED', job('b', '12', 'Complete'));
    const targets = [{ ref: ref('a') }, { ref: ref('b') }, { ref: ref('c') }];

    await expect(wait(seen, { targets, timeoutMs: 20 })).rejects.toThrow(
      /^health check failed after \d+ms: timeout waiting for: \[Job\/apps\/a status: 'InProgress', Job\/apps\/c status: 'NotFound'\]; /,
    );
  });

  test('does not believe a picture that is older than our own write', async () => {
    const seen = createSeenCache();
    seen.see('ADDED', job('a', '11', 'Failed'));
    const waiting = wait(seen, { targets: [{ ref: ref('a'), minResourceVersion: '20' }] });
    await settled();

    seen.see('MODIFIED', job('a', '20', 'Complete'));

    expect(await waiting).toMatchObject({ checkedCount: 1 });
  });

  test('looks again once the cache has caught up without an event for the object', async () => {
    const seen = createSeenCache();
    seen.see('ADDED', job('a', '11', 'Complete'));
    const waiting = wait(seen, { targets: [{ ref: ref('a'), minResourceVersion: '20' }] });
    await settled();

    seen.see('ADDED', job('other', '21'));

    expect(await waiting).toMatchObject({ checkedCount: 1 });
  });

  test('takes a Job with a time to live that is gone for done', async () => {
    const seen = createSeenCache();
    const running = job('a', '11', undefined, { ttlSecondsAfterFinished: 0 });
    seen.see('ADDED', running);
    const waiting = wait(seen, {});
    await settled();

    seen.see('DELETED', { ...running, metadata: { ...running.metadata, resourceVersion: '12' } });

    expect(await waiting).toMatchObject({ checkedCount: 1 });
    expect(await wait(seen, { targets: [{ ref: ref('a'), minResourceVersion: '11', mayVanish: true }] })).toMatchObject(
      {
        checkedCount: 1,
      },
    );
  });

  test('looks again by itself at a status that changes with time', async () => {
    const seen = createSeenCache();
    seen.see('ADDED', job('a', '11'));
    let looks = 0;

    const waiting = wait(seen, {
      evaluate: () =>
        ++looks > 1
          ? { status: 'Failed', message: 'is too late' }
          : { status: 'InProgress', message: 'has time', reconsiderAfterMs: 5 },
    });

    await expect(waiting).rejects.toThrow(/Job\/apps\/a is too late/);
  });

  test('ends with the reason of the signal and leaves no listener', async () => {
    const seen = createSeenCache();
    const controller = new AbortController();
    const waiting = wait(seen, { signal: controller.signal });
    await settled();

    controller.abort(new Error('a newer revision is there'));

    await expect(waiting).rejects.toThrow('a newer revision is there');
    expect(seen.listenerCount()).toBe(0);
  });

  test('tells of a kind that the API server does not know', async () => {
    const waiting = wait(createSeenCache(), { cacheFor: async () => undefined, timeoutMs: 20 });

    await expect(waiting).rejects.toThrow(/Job\/apps\/a the API server does not know its kind/);
  });

  test('does not believe at once that what we have just written has failed', async () => {
    const seen = createSeenCache();
    const targets = [{ ref: ref('a'), minResourceVersion: '11' }];
    const waiting = wait(seen, { targets, failedForMs: 10_000 });
    seen.see('ADDED', job('a', '11', 'Failed'));
    await settled();
    seen.see('MODIFIED', job('a', '12'));
    seen.see('MODIFIED', job('a', '13', 'Complete'));
    await expect(waiting).resolves.toMatchObject({ checkedCount: 1 });

    const failing = createSeenCache();
    failing.see('ADDED', job('a', '11', 'Failed'));
    await expect(wait(failing, { targets, failedForMs: 20 })).rejects.toThrow(/failed early .*Job\/apps\/a/);
  });

  test('sees the objects of a kind that is served only after a while', async () => {
    const seen = createSeenCache();
    seen.see('ADDED', job('a', '11', 'Complete'));
    let asked = 0;
    const cacheFor = async () => (++asked < 3 ? undefined : seen.cache);

    expect(await wait(seen, { cacheFor })).toMatchObject({ checkedCount: 1 });
    expect(asked).toBe(3);
  });
});
