import { expect, test } from 'vitest';
import type { KubeObject } from '../k8s/object.ts';
import type { ReconciledRef } from '../workflows/messages.ts';
import { createConsumerWakes } from './consumer-wakes.ts';

const source = (digest: string): KubeObject => ({
  apiVersion: 'source.toolkit.fluxcd.io/v1',
  kind: 'GitRepository',
  metadata: { namespace: 'team', name: 'apps', resourceVersion: digest },
  status: { artifact: { digest, url: '', revision: digest } },
});
const consumer = (name: string, sourceName = 'apps'): KubeObject => ({
  apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
  kind: 'Kustomization',
  metadata: { namespace: 'team', name },
  spec: { sourceRef: { kind: 'GitRepository', name: sourceName } },
});
const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `app-${index}`);

function createWakes(consumers: KubeObject[], changed: string[]) {
  const woken: string[] = [];
  const wakes = createConsumerWakes({
    objects: {
      list: (kind) => consumers.filter((one) => one.kind === kind),
      isServed: ({ metadata }) => metadata.labels?.['shard'] !== 'other',
    },
    unpacked: { get: async () => ({}) as never },
    signaller: {
      wake: ({ name }: ReconciledRef, { resourceVersion }) => void woken.push(`${name}@${resourceVersion}`),
    },
    isBuilt: async ({ metadata }) => !changed.includes(metadata.name),
    log: { info: () => {} },
  });
  return { wakes, woken };
}

test('what an artifact changes is woken first, and only what consumes it and is served here', async () => {
  const theirs = { ...consumer('b'), metadata: { namespace: 'team', name: 'b', labels: { shard: 'other' } } };
  const { wakes, woken } = createWakes([consumer('a'), theirs, consumer('other', 'elsewhere'), consumer('z')], ['z']);
  await wakes.wake(source('1'));
  expect(woken).toEqual(['z@1', 'a@1']);
  expect(wakes.isIdle()).toBe(true);
});

test('those that only report go a few at a time, each after one that has reported', async () => {
  const consumers = names(30).map((name) => consumer(name));
  const { wakes, woken } = createWakes(consumers, []);
  const done = wakes.wake(source('1'));
  await expect.poll(() => woken.length).toBe(12);
  for (const [index, object] of consumers.entries()) {
    wakes.onReport(object);
    await expect.poll(() => woken.length).toBe(Math.min(13 + index, 30));
  }
  await done;
  expect(new Set(woken).size).toBe(30);
});

test('those that do not report hold nobody up for long', async () => {
  const { wakes, woken } = createWakes(
    names(20).map((name) => consumer(name)),
    [],
  );
  await wakes.wake(source('1'));
  expect(woken).toHaveLength(20);
});

test('a newer artifact takes over', async () => {
  const consumers = names(20).map((name) => consumer(name));
  const { wakes, woken } = createWakes(consumers, []);
  const older = wakes.wake(source('1'));
  await expect.poll(() => woken.length).toBe(12);
  const newer = wakes.wake(source('2'));
  await Promise.all([older, newer]);
  expect(woken.filter((text) => text.endsWith('@1'))).toHaveLength(12);
  expect(woken.filter((text) => text.endsWith('@2'))).toHaveLength(20);
});
