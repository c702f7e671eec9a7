import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Kustomization } from '../k8s/api/kustomization.ts';
import { watchIntervals } from './interval-watch.ts';

const object = (name: string, spec: object = {}, ready = 'True'): Kustomization =>
  ({
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { namespace: 'team', name, uid: name },
    spec: { interval: '1m', ...spec },
    status: { conditions: [{ type: 'Ready', status: ready }] },
  }) as unknown as Kustomization;

function watching(objects: Kustomization[], unsettled: string[]) {
  const looks: string[] = [];
  const woken: string[] = [];
  const stop = watchIntervals({
    appliers: () => objects,
    async isSettled({ metadata }) {
      looks.push(metadata.name);
      return !unsettled.includes(metadata.name);
    },
    wake: ({ metadata }) => void woken.push(metadata.name),
  });
  return { looks, woken, stop };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('looks at what is in order once an interval, and wakes what is not settled', async () => {
  const { looks, woken, stop } = watching([object('a'), object('b')], ['b']);
  await vi.advanceTimersByTimeAsync(10 * 60_000);
  stop();
  for (const name of ['a', 'b']) {
    const count = looks.filter((one) => one === name).length;
    expect(count).toBeGreaterThanOrEqual(9);
    expect(count).toBeLessThanOrEqual(11);
  }
  expect(new Set(woken)).toEqual(new Set(['b']));
});

test('leaves alone what is suspended or not ready, and ends when it is stopped', async () => {
  const { looks, stop } = watching([object('a', { suspend: true }), object('b', {}, 'False'), object('c')], []);
  await vi.advanceTimersByTimeAsync(3 * 60_000);
  expect(new Set(looks)).toEqual(new Set(['c']));
  stop();
  const before = looks.length;
  await vi.advanceTimersByTimeAsync(3 * 60_000);
  expect(looks.length).toBe(before);
});

test('a shorter interval counts at once', async () => {
  const objects = [object('a', { interval: '1h' })];
  const { looks, stop } = watching(objects, []);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(looks).toEqual([]);
  objects[0] = object('a', { interval: '10s' });
  await vi.advanceTimersByTimeAsync(60_000);
  stop();
  expect(looks.length).toBeGreaterThanOrEqual(4);
});
