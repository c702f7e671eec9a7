import { describe, expect, test } from 'vitest';
import type { HelmRelease } from '../k8s/api/helm-release.ts';
import type { KubeObject } from '../k8s/object.ts';
import type { WatchCache } from '../k8s/watch-cache.ts';
import type { PreparedRelease } from '../activities/helm/release-types.ts';
import type { ReleaseFacts } from '../workflows/decisions/release-state.ts';
import { createSettledReleases } from './settled-releases.ts';

const artifact = { digest: 'sha256:a', url: 'http://x', revision: '1.0.0' };
const ref = { namespace: 'apps', name: 'web' };

function release(spec: object = {}, status: object = {}): HelmRelease {
  return {
    apiVersion: 'helm.toolkit.fluxcd.io/v2',
    kind: 'HelmRelease',
    metadata: { ...ref, uid: 'u', generation: 1 },
    spec: { interval: '1m', ...spec },
    status: {
      observedGeneration: 1,
      conditions: [{ type: 'Ready', status: 'True', reason: '', message: '', lastTransitionTime: '' }],
      history: [{ version: 2, digest: 'sha256:d' }],
      inventory: { entries: [{ id: 'apps_web__ConfigMap', v: 'v1' }] },
      ...status,
    },
  } as HelmRelease;
}

const inSync = { stored: { version: 2, status: 'deployed' }, isManaged: true, tests: 'off', isForced: false };

/** A cluster whose caches hold what the test puts there, `namespace/name` → resourceVersion. */
function world(object: HelmRelease) {
  const held = new Map([
    ['apps/sh.helm.release.v1.web.v2', '10'],
    ['apps/values', '20'],
    ['apps/web', '30'],
  ]);
  const state = { object, isSynced: true };
  const cache = {
    get isSynced() {
      return state.isSynced;
    },
    sync: async () => {},
    get(namespace: string, name: string): KubeObject | undefined {
      const resourceVersion = held.get(`${namespace}/${name}`);
      if (resourceVersion === undefined) return undefined;
      return { apiVersion: 'v1', kind: 'X', metadata: { namespace, name, uid: name, resourceVersion } };
    },
  } as unknown as WatchCache;
  const settled = createSettledReleases({
    helmRelease: async () => state.object,
    references: { cacheOf: () => cache },
    locate: async () =>
      ({
        id: '',
        caches: { open: () => cache },
        client: {
          resourceFor: async () => ({
            group: '',
            version: 'v1',
            kind: 'ConfigMap',
            resource: 'configmaps',
            namespaced: true,
          }),
        },
      }) as never,
  });
  const look = async (facts: object = {}, during = () => {}): Promise<void> => {
    await settled.noting({ helmRelease: ref, generation: 1, artifact }, async () => {
      during();
      return { facts: { ...inSync, ...facts } as ReleaseFacts } as PreparedRelease;
    });
  };
  return { held, state, look, isSettled: (now = artifact) => settled.isSettled(state.object, now) };
}

const withAll = { valuesFrom: [{ kind: 'Secret', name: 'values' }], driftDetection: { mode: 'enabled' } };

describe('a release is settled', () => {
  test('once a look has found it in sync, and as long as nothing changes', async () => {
    const { look, isSettled } = world(release(withAll));
    expect(await isSettled()).toBe(false);
    await look();
    expect(await isSettled()).toBe(true);
  });

  const changes: [string, (w: ReturnType<typeof world>) => void][] = [
    ['its spec changes', ({ state }) => (state.object.metadata.generation = 2)],
    ['somebody writes to its release', ({ held }) => held.set('apps/sh.helm.release.v1.web.v2', '11')],
    ['somebody makes another revision', ({ held }) => held.set('apps/sh.helm.release.v1.web.v3', '11')],
    ['its release is gone', ({ held }) => held.delete('apps/sh.helm.release.v1.web.v2')],
    ['its values change', ({ held }) => held.set('apps/values', '21')],
    ['an object of it changes', ({ held }) => held.set('apps/web', '31')],
    ['an object of it is gone', ({ held }) => held.delete('apps/web')],
    ['a watch is away', ({ state }) => (state.isSynced = false)],
    ['it is not Ready', ({ state }) => (state.object = release(withAll, { conditions: [] }))],
  ];
  test.each(changes)('no longer when %s', async (_, change) => {
    const all = world(release(withAll));
    await all.look();
    change(all);
    expect(await all.isSettled()).toBe(false);
  });

  test('no longer with another chart', async () => {
    const { look, isSettled } = world(release());
    await look();
    expect(await isSettled({ ...artifact, digest: 'sha256:b' })).toBe(false);
  });

  const unproven: [string, HelmRelease, object, (w: ReturnType<typeof world>) => void][] = [
    ['a look that found something to do', release(), { difference: 'chart' }, () => {}],
    ['a look that a person has forced', release(), { isForced: true }, () => {}],
    ['a change while it was looked at', release(), {}, ({ held }) => held.set('apps/sh.helm.release.v1.web.v2', '11')],
    ['values that are not watched', release({ valuesFrom: [{ kind: 'Secret', name: 'other' }] }), {}, () => {}],
  ];
  test.each(unproven)('never by %s', async (_, object, facts, during) => {
    const all = world(object);
    await all.look(facts, () => during(all));
    expect(await all.isSettled()).toBe(false);
  });
});
