import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createObjectCaches, type ObjectCaches } from './object-cache.ts';

const signal = new AbortController().signal;
const content = (text: string): Readable => Readable.from([Buffer.from(text)]);
const a = { namespace: 'apps', name: 'a' };
const b = { namespace: 'apps', name: 'b' };
let directory: string;
let caches: ObjectCaches;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'continuo-objects-'));
  caches = createObjectCaches(directory, 10);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('keeps objects for the Bucket that downloaded them, and for no other', async () => {
  await caches.of(a).write('x', content('one'), signal);
  expect(Buffer.from((await caches.of(a).read('x')) ?? []).toString()).toBe('one');
  expect([await caches.of(a).has('x'), await caches.of(b).has('x')]).toEqual([true, false]);
  await caches.remove(a);
  expect(await caches.of(a).read('x')).toBeUndefined();
});

it('keeps nothing of a download that broke off', async () => {
  const broken = Readable.from(
    (async function* () {
      yield Buffer.from('half');
      throw new Error('cut');
    })(),
  );
  await expect(caches.of(a).write('x', broken, signal)).rejects.toThrow('cut');
  expect(await caches.of(a).has('x')).toBe(false);
  expect(readdirSync(join(directory, readdirSync(directory)[0] ?? ''))).toEqual([]);
});

it('removes what the bucket does not hold any more', async () => {
  await caches.of(a).write('x', content('one'), signal);
  await caches.of(a).write('y', content('two'), signal);
  await caches.of(a).keepOnly(new Set(['y']));
  expect([await caches.of(a).has('x'), await caches.of(a).has('y')]).toEqual([false, true]);
});

it('gives up the Bucket that was used longest ago when all together are over the limit', async () => {
  await caches.of(a).write('x', content('12345678'), signal);
  const [place = ''] = readdirSync(directory);
  utimesSync(join(directory, place), 1, 1);
  await caches.shrink(a);
  await caches.of(b).write('x', content('123'), signal);
  await caches.shrink(b);
  expect([await caches.of(a).has('x'), await caches.of(b).has('x')]).toEqual([false, true]);
});
