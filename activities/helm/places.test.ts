import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createPlaces } from './places.ts';

const { signal } = new AbortController();

/** Who has a place, in the order in which they got it. */
function queue(count: number) {
  const places = createPlaces(count);
  const order: string[] = [];
  const take = async (name: string, until = signal) => {
    const giveUp = await places.take(until);
    order.push(name);
    return giveUp;
  };
  return { order, take };
}

test('those that come when all places are taken get one in their order', async () => {
  const { order, take } = queue(2);
  const [a] = await Promise.all([take('a'), take('b')]);
  void take('c');
  void take('d');
  await turn();
  expect(order).toEqual(['a', 'b']);
  a();
  await turn();
  expect(order).toEqual(['a', 'b', 'c']);
});

test('a place that is given up twice is one place', async () => {
  const { order, take } = queue(1);
  const a = await take('a');
  a();
  a();
  void take('b');
  void take('c');
  await turn();
  expect(order).toEqual(['a', 'b']);
});

test('who is cancelled while waiting takes no place', async () => {
  const { order, take } = queue(1);
  const a = await take('a');
  const cancelled = new AbortController();
  const b = take('b', cancelled.signal);
  void take('c');
  cancelled.abort(new Error('superseded'));
  await expect(b).rejects.toThrow('superseded');
  a();
  await turn();
  expect(order).toEqual(['a', 'c']);
});
