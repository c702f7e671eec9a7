import { expect, it } from 'vitest';
import { kept } from './kept-credentials.ts';

const { signal } = new AbortController();
const hour = (): number => Date.now() + 3_600_000;

it('what has an end is kept until shortly before it, and what has none is asked for each time', async () => {
  let asked = 0;
  const ask = (expiresMs?: number) => async () => ({ number: ++asked, expiresMs });
  expect(await kept('ends', ask(hour()), signal)).toMatchObject({ number: 1 });
  expect(await kept('ends', ask(hour()), signal)).toMatchObject({ number: 1 });
  expect(await kept('other', ask(Date.now() + 60_000), signal)).toMatchObject({ number: 2 });
  expect(await kept('other', ask(hour()), signal)).toMatchObject({ number: 3 });
  expect(await kept('endless', ask(), signal)).toMatchObject({ number: 4 });
  expect(await kept('endless', ask(), signal)).toMatchObject({ number: 5 });
});

it('those who ask at the same time share one login; one gives up alone, and a failure is not kept', async () => {
  const login = Promise.withResolvers<{ expiresMs: number }>();
  let asked = 0;
  const ask = async () => {
    asked += 1;
    return await login.promise;
  };
  const abort = new AbortController();
  const [first, second] = [kept('shared', ask, signal), kept('shared', ask, abort.signal)];
  abort.abort(new Error('enough'));
  await expect(second).rejects.toThrow('enough');
  login.reject(new Error('refused'));
  await expect(first).rejects.toThrow('refused');
  expect(asked).toBe(1);
  expect(await kept('shared', async () => ({ expiresMs: hour(), is: 'new' }), signal)).toMatchObject({ is: 'new' });
});
