// An owner in a namespace of its own, with everything that applies for it: used by the tests of the apply stage.
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, inject } from 'vitest';
import { createApplyActivities } from '../../activities/apply/apply-activities.ts';
import { applyManifests } from '../../activities/apply/apply-manifests.ts';
import type { ApplyOptions, ApplyResult } from '../../activities/apply/apply-types.ts';
import { type ApplyMemory, createApplyMemory } from '../../activities/apply/memory.ts';
import type { ApplyOwner } from '../../activities/apply/owner.ts';
import type { KubeClient } from '../../k8s/client.ts';
import { createKubeClient } from '../../k8s/kube-client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import type { WatchCaches } from '../../k8s/watch-cache.ts';
import { createWatchCaches } from '../../k8s/watch-caches.ts';
import { createNamespace, uniqueName } from './kube-fixture.ts';

export interface ApplyFixture {
  namespace: string;
  owner: ApplyOwner;
  memory: ApplyMemory;
  blobs: ReturnType<typeof createBlobs>;
  /** Applies objects and gives `Kind/ns/name action` without the namespace. */
  apply(objects: KubeObject[], options?: Partial<ApplyOptions>): Promise<string[]>;
  result(objects: KubeObject[], options?: Partial<ApplyOptions>): Promise<ApplyResult>;
  /** The object of the owner, which the activities read. */
  kustomization: KubeObject & { spec: Record<string, unknown>; status: Record<string, unknown> };
  activities: ReturnType<typeof createApplyActivities>;
  /** Runs an activity as a worker would. */
  run<T, R>(activity: (input: T) => Promise<R>, input: T): Promise<R>;
  /** Manifests by digest. */
  manifests: Map<string, KubeObject[]>;
}

/** Blobs in memory. */
export function createBlobs() {
  const blobs = new Map<string, Uint8Array>();
  return {
    blobs,
    readBlob: async (key: string) => blobs.get(key),
    writeBlob: async (key: string, content: Uint8Array) => void blobs.set(key, content),
    removeBlob: async (key: string) => void blobs.delete(key),
  };
}

/** A client of the test cluster and its watch caches, for the tests of one file. */
export function useCluster(): { client: KubeClient; caches: WatchCaches } {
  const client = createKubeClient({ kubeconfig: inject('kubeconfig') });
  const caches = createWatchCaches(client);
  afterAll(async () => {
    caches.close();
    await client.close();
  });
  return { client, caches };
}

/** Makes an owner; `caches` is undefined to test without watch caches. */
export async function createApplyFixture(client: KubeClient, caches: WatchCaches | undefined): Promise<ApplyFixture> {
  const namespace = await createNamespace(client, 'apply');
  const owner: ApplyOwner = { kind: 'Kustomization', namespace, name: uniqueName('ks') };
  const blobs = createBlobs();
  const memory = createApplyMemory(blobs);
  const manifests = new Map<string, KubeObject[]>();
  const kustomization = {
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { namespace, name: owner.name },
    spec: { prune: true, interval: '10m' } as Record<string, unknown>,
    status: {} as Record<string, unknown>,
  };
  const result = async (objects: KubeObject[], options?: Partial<ApplyOptions>): Promise<ApplyResult> =>
    applyManifests({ client, caches, owner, objects, memory: await memory.load(owner), options });
  return {
    namespace,
    owner,
    memory,
    blobs,
    kustomization,
    manifests,
    result,
    apply: async (objects, options) => {
      const { changes } = await result(objects, options);
      return changes.map(({ subject, action }) => `${subject.replace(`/${namespace}/`, '/')} ${action}`);
    },
    activities: createApplyActivities({
      targetOf: () => ({ client, caches }),
      store: blobs,
      memory,
      kustomization: () => kustomization,
      manifests: async (digest) => manifests.get(digest) ?? [],
    }),
    run: (activity, input) => new MockActivityEnvironment().run(activity, input),
  };
}
