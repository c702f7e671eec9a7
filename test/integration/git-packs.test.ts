// Our reading of packs beside Git's own: every object of packs that the real git has written, whole, as deltas by distance
// and by id, and thin; and what happens with packs that are damaged or made with bad intent.
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ObjectStore, openObjectStore } from '../../activities/source/git/object-store.ts';
import { deltaSize, objectId, packEntry as entry, packOf, packTypes } from '../servers/git-pack.ts';

let directory: string;
let work: string;
let store: ObjectStore;

function git(args: string[], input?: string | Buffer): Buffer {
  const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.test', '-c', 'commit.gpgsign=false'];
  return execFileSync('git', [...identity, ...args], { cwd: work, input, maxBuffer: 512 * 1024 * 1024, stdio: 'pipe' });
}

function commit(files: Record<string, string | Buffer>, message: string): string {
  for (const [path, content] of Object.entries(files)) writeFileSync(join(work, path), content);
  git(['add', '-A']);
  git(['commit', '-q', '-m', message]);
  return git(['rev-parse', 'HEAD']).toString().trim();
}

async function add(pack: Buffer, signal = new AbortController().signal): Promise<void> {
  async function* stream(): AsyncGenerator<Buffer> {
    for (let at = 0; at < pack.length; at += 65_536) yield pack.subarray(at, at + 65_536);
  }
  await store.addPack(stream(), 1024 ** 3, signal);
}

function objectIds(...range: string[]): string[] {
  const lines = git(['rev-list', '--objects', ...range])
    .toString()
    .trim()
    .split('\n');
  return lines.map((line) => line.slice(0, 40));
}

async function expectAll(ids: string[]): Promise<void> {
  for (const id of ids) {
    const type = git(['cat-file', '-t', id]).toString().trim();
    const { type: ours, content } = await store.readObject(id);
    expect([ours, content.equals(git(['cat-file', type, id]))]).toEqual([type, true]);
  }
}

const text = (seed: string, lines = 400): string =>
  Array.from(
    { length: lines },
    (_, line) =>
      `${createHash('md5')
        .update(`${seed}${line % 97}`)
        .digest('hex')}`,
  ).join('\n');

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'continuo-packs-'));
  work = join(directory, 'work');
  execFileSync('git', ['init', '-q', '-b', 'main', work]);
  store = await openObjectStore(join(directory, 'store'));
});
afterEach(() => {
  store.close();
  rmSync(directory, { recursive: true, force: true });
});

describe('packs of the real git', () => {
  it.each([
    ['deltas by distance', ['--delta-base-offset']],
    ['deltas by id', []],
    ['no deltas', ['--window=0']],
  ])('are read whole: %s', async (_name, options) => {
    for (let round = 0; round < 12; round += 1) {
      const changed = `${text('a')}\nround ${round}\n${text(`b${round % 3}`, 50)}`;
      commit({ 'a.txt': changed, [`f${round}.bin`]: randomBytes(3_000), 'empty.txt': '' }, `round ${round}`);
    }
    commit({ 'large.bin': Buffer.concat([randomBytes(3_000_000), Buffer.alloc(2_000_000)]) }, 'large');
    git(['tag', '-a', '-m', 'release', 'v1']);
    const ids = objectIds('HEAD', 'v1');
    await add(git(['pack-objects', '--stdout', '--no-reuse-delta', ...options], ids.join('\n')));
    await expectAll(ids);
    expect(await store.hasTag(git(['rev-parse', 'v1']).toString().trim())).toBe(true);
  });

  it('are read when they are thin, over several packs and after they were opened anew', async () => {
    let last = commit({ 'a.txt': text('a') }, 'first');
    await add(git(['pack-objects', '--stdout', '--revs'], last));
    for (let round = 0; round < 5; round += 1) {
      const next = commit({ 'a.txt': `${text('a')}\n${round % 2 === 0 ? 'one' : 'two'}` }, `round ${round}`);
      await add(git(['pack-objects', '--stdout', '--thin', '--revs'], `${next}\n^${last}\n`));
      last = next;
    }
    await expectAll(objectIds('HEAD'));
    store.close();
    store = await openObjectStore(join(directory, 'store'));
    await expectAll(objectIds('HEAD'));
  });

  it('get an index that git reads as well', async () => {
    commit({ 'a.txt': text('a') }, 'first');
    commit({ 'a.txt': `${text('a')}\nmore` }, 'second');
    await add(git(['pack-objects', '--stdout', '--revs'], 'HEAD'));
    const packs = join(directory, 'store', 'objects', 'pack');
    const index = readdirSync(packs).find((name) => name.endsWith('.idx')) ?? '';
    const told = execFileSync('git', ['verify-pack', '-v', join(packs, index)], { encoding: 'utf8' });
    expect(told).toContain(git(['rev-parse', 'HEAD']).toString().trim());
    expect(told).toContain('.pack: ok');
    expect(readFileSync(join(packs, index)).length).toBeGreaterThan(1_000);
  });
});

describe('packs that are not what they should be', () => {
  const { blob, deltaByOid } = packTypes;

  /** A blob, and so many deltas, each on the one before; `last` is the id of the last one. */
  function chainOf(length: number): { entries: Buffer[]; last: string } {
    let last = Buffer.from('text 0');
    const entries = [entry(blob, last)];
    for (let round = 1; round <= length; round += 1) {
      const next = Buffer.from(`text ${round}`);
      const delta = Buffer.concat([deltaSize(last.length), deltaSize(next.length), Buffer.from([next.length]), next]);
      entries.push(entry(deltaByOid, delta, { base: objectId('blob', last) }));
      last = next;
    }
    return { entries, last: objectId('blob', last) };
  }

  it.each([
    [
      'an entry that has more than it says',
      packOf([entry(blob, Buffer.alloc(10_000), { sizeBytes: 100 })]),
      /larger than|another size/,
    ],
    [
      'an entry that has less than it says',
      packOf([entry(blob, Buffer.alloc(100), { sizeBytes: 10_000 })]),
      /another size/,
    ],
    ['fewer entries than it says', packOf([entry(blob, Buffer.from('a'))], 2), /1 objects, it says 2/],
    ['an unknown type', packOf([entry(5, Buffer.from('a'))]), /unknown type 5/],
    [
      'a delta without its base',
      packOf([entry(deltaByOid, Buffer.from('ab'), { base: 'f'.repeat(40) })]),
      /the base of a delta/,
    ],
    ['no compressed data', packOf([Buffer.from([0x31, 1, 2, 3, 4, 5, 6])]), /header check|unexpected|incorrect/],
  ])('are refused: %s', async (_name, pack, message) => {
    await expect(add(pack)).rejects.toThrow(message);
    expect(store.state.packCount).toBe(0);
  });

  it('are refused when a delta would make a giant of a small base', async () => {
    const base = Buffer.alloc(1_000);
    const delta = Buffer.concat([deltaSize(base.length), deltaSize(4 * 1024 ** 3)]);
    const giant = entry(deltaByOid, delta, { base: objectId('blob', base) });
    await expect(add(packOf([entry(blob, base), giant]))).rejects.toMatchObject({
      type: 'GitOperationFailed',
      message: expect.stringContaining('a file of 4294967296 bytes, more than the 268435456 allowed'),
    });
  });

  it('take no memory for a large file that nobody reads, and refuse it when it is read', async () => {
    const giant = Buffer.alloc(300 * 1024 * 1024);
    const small = Buffer.from('small');
    await add(packOf([entry(blob, giant), entry(blob, small)]));
    await expect(store.readBlob(objectId('blob', giant))).rejects.toMatchObject({ type: 'GitOperationFailed' });
    expect((await store.readBlob(objectId('blob', small))).toString()).toBe('small');
  });

  it('are left when the signal is aborted, however long they would take', async () => {
    // Each delta builds on the one behind it: every round through the pack resolves a single one.
    const { entries } = chainOf(6_000);
    await expect(add(packOf(entries.reverse()), AbortSignal.timeout(300))).rejects.toThrow('timeout');
    expect(store.state.packCount).toBe(0);
  });

  it('are refused with a chain of deltas that is longer than any of Git', async () => {
    const { entries, last } = chainOf(10_001);
    await add(packOf(entries)); // in this order each is one step
    store.close();
    store = await openObjectStore(join(directory, 'store'));
    await expect(store.readBlob(last)).rejects.toThrow('builds on more than 10000 others');
  });

  it('are refused at once when they say that they have more objects than anybody needs', async () => {
    await expect(add(packOf([entry(blob, Buffer.from('a'))], 2_000_000))).rejects.toMatchObject({
      type: 'GitOperationFailed',
      message: expect.stringContaining('sends 2000000 objects at once, more than the 1000000 allowed'),
    });
  });
});
