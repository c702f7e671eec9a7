import { expect, it } from 'vitest';
import { untilAborted } from './until-aborted.ts';

it('gives what the work gives, and its error', async () => {
  const { signal } = new AbortController();
  expect(await untilAborted(Promise.resolve(1), signal)).toBe(1);
  await expect(untilAborted(Promise.reject(new Error('failed')), signal)).rejects.toThrow('failed');
});

it('gives up with the reason of the signal, also of one that was aborted before, whatever becomes of the work', async () => {
  const abort = new AbortController();
  const work = Promise.withResolvers<number>();
  const waiting = untilAborted(work.promise, abort.signal);
  abort.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  await expect(untilAborted(work.promise, abort.signal)).rejects.toThrow('enough');
  work.reject(new Error('failed later'));
  await new Promise((resolve) => setImmediate(resolve));
});
