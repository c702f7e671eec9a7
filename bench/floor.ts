// The floor: what the API server needs for the same requests when nobody thinks about them.
import type { KubeClient } from '../k8s/client.ts';
import { appObjects } from './load.ts';

const concurrency = 16;

/** Seconds for N applications of four objects: each dry-run and applied, as an engine that breaks nothing must. */
export async function floorOfInstall(client: KubeClient, n: number): Promise<number> {
  const namespace = 'floor';
  await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  const objects = Array.from({ length: n }, (_, index) => appObjects(index, '1.0.0')).flat();
  const placed = objects.map((object) => ({ ...object, metadata: { ...object.metadata, namespace } }));
  const seconds = await timed(placed, async (object) => {
    await client.apply(object, { fieldManager: 'floor', force: true, dryRun: true });
    await client.apply(object, { fieldManager: 'floor', force: true });
  });
  await client.delete({ group: '', version: 'v1', kind: 'Namespace', namespace: '', name: namespace });
  return seconds;
}

/** Seconds for so many small patches of one object: an annotation or a status is no more than that. */
export async function floorOfRequests(client: KubeClient, namespace: string, requests: number): Promise<number> {
  const name = 'floor';
  const ref = { group: '', version: 'v1', kind: 'ConfigMap', namespace, name };
  await client.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name } }, { fieldManager: 'floor' });
  const seconds = await timed(
    Array.from({ length: requests }, (_, index) => index),
    (index) => client.patch(ref, { data: { index: String(index) } }, { type: 'merge' }),
  );
  await client.delete(ref);
  return seconds;
}

async function timed<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<number> {
  const queue = [...items];
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (let item = queue.pop(); item !== undefined; item = queue.pop()) await work(item);
    }),
  );
  return (performance.now() - startedAt) / 1000;
}
