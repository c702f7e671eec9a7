import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { withLock } from './lock.ts';
import { isAlive, processIdentity } from './process-identity.ts';

const folder = mkdtempSync(join(tmpdir(), 'lock-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('lets one holder in at a time', async () => {
  const path = join(folder, 'busy.lock');
  let inside = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    inside += 1;
    most = Math.max(most, inside);
    await sleep(5);
    inside -= 1;
  };
  await Promise.all([1, 2, 3, 4].map(() => withLock(path, { pollMs: 1 }, work)));

  expect(most).toBe(1);
  expect(existsSync(path)).toBe(false);
});

test('says who holds the lock, and stops waiting when told to', async () => {
  const path = join(folder, 'held.lock');
  const waited: number[] = [];
  await withLock(path, {}, async () => {
    const signal = AbortSignal.timeout(20);
    const second = withLock(path, { pollMs: 1, signal, onWait: (pid) => waited.push(pid) }, async () => undefined);
    await expect(second).rejects.toThrow('aborted');
  });

  expect(waited).toEqual([process.pid]);
});

test('takes over the lock of a process that is gone, also when its pid is in use again', async () => {
  const path = join(folder, 'stale.lock');
  writeFileSync(path, JSON.stringify({ pid: process.pid, identity: 'an earlier process' }));

  expect(await withLock(path, { pollMs: 1 }, async () => 'taken')).toBe('taken');
});

test('gives the lock back when the work fails', async () => {
  const path = join(folder, 'failing.lock');
  const failing = withLock(path, {}, async () => {
    throw new Error('no disk');
  });

  await expect(failing).rejects.toThrow('no disk');
  expect(existsSync(path)).toBe(false);
});

test('recognises a process by more than its pid', () => {
  expect(isAlive(process.pid, processIdentity(process.pid))).toBe(true);
  expect(isAlive(process.pid, 'another start time')).toBe(false);
});
