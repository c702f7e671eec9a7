import { hash, randomBytes } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { ArchiveFile } from './artifact.ts';
import { packArchive, type PackedPart, type PackOptions, partsOf } from './pack-archive.ts';
import { planTar } from './tar-writer.ts';

function file(path: string, content: string | Buffer, options: { isExecutable?: boolean; noId?: boolean } = {}) {
  const bytes = Buffer.from(content as string);
  const { isExecutable = false } = options;
  const contentId = options.noId ? undefined : hash('sha1', bytes);
  return { path, isExecutable, contentId, content: async () => bytes } satisfies ArchiveFile;
}

async function pack(files: ArchiveFile[], options?: PackOptions): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of packArchive(files, options)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Content that is the same on every machine. */
function text(seed: number, lines: number): string {
  return Array.from(
    { length: lines },
    (_, line) => `key-${(seed * 31 + line * 17) % 101}: ${hash('md5', `${seed} ${line}`)}\n`,
  ).join('');
}

const many = Array.from({ length: 300 }, (_, index) =>
  file(`apps/${index % 7}/file-${index}.yaml`, text(index, 1 + (index % 90)), { isExecutable: index % 11 === 0 }),
);

async function packed(files: ArchiveFile[]): Promise<{ bytes: Buffer; parts: PackedPart[] }> {
  let parts: PackedPart[] = [];
  const bytes = await pack(files, { onPacked: (told) => (parts = told) });
  return { bytes, parts };
}

/** Says which files are read. */
function watched(files: ArchiveFile[], read: string[]): ArchiveFile[] {
  return files.map((one) => ({
    ...one,
    content: async () => {
      read.push(one.path);
      return await one.content();
    },
  }));
}

describe('an archive', () => {
  it('has the digest that it had when this test was written, on every machine', async () => {
    const files = [...many, file('large.bin', text(7, 60_000)), file('empty', ''), file('a/päth/with ünicode', 'x')];
    const bytes = await pack(files);
    expect(hash('sha256', gunzipSync(bytes))).toBe('a83dabf59daa672a19feb2cdfdcd8aea2e08ae890ad65a2b0b44389ed18f8173');
    expect(hash('sha256', bytes)).toBe('70bc1b3d38361874776601de0f44186ca3ed7f115b016bca92d402c92172d5df');
  });

  it('does not depend on the order of the files, the time, or the time zone', async () => {
    const first = await pack(many);
    const shuffled = [...many].sort((a, b) => (hash('md5', a.path) < hash('md5', b.path) ? -1 : 1));
    const before = process.env['TZ'];
    process.env['TZ'] = 'Pacific/Kiritimati';
    try {
      expect((await pack(shuffled)).equals(first)).toBe(true);
    } finally {
      if (before === undefined) delete process.env['TZ'];
      else process.env['TZ'] = before;
    }
  });

  it('is one gzip member with a right checksum, whatever it was put together from', async () => {
    const files = [...many, file('large.bin', randomBytes(3_500_000)), file('no-id', 'x', { noId: true })];
    const { bytes, parts } = await packed(files);
    const changed = files.map((one) => (one.path === 'apps/3/file-3.yaml' ? file(one.path, 'changed') : one));
    const reuse = { parts, read: async (at: number, size: number) => bytes.subarray(at, at + size) };
    const again = await pack(changed, { reuse });
    expect(gunzipSync(again).equals(gunzipSync(await pack(changed)))).toBe(true);
    expect(again.equals(await pack(changed))).toBe(true);
  });
});

describe('what is as it was in the last archive', () => {
  it('is copied, and only the part of a changed file is read', async () => {
    const { bytes, parts } = await packed(many);
    const read: string[] = [];
    const changed = many.map((one) => (one.path === 'apps/5/file-5.yaml' ? file(one.path, 'changed') : one));
    const reuse = { parts, read: async (at: number, size: number) => bytes.subarray(at, at + size) };
    await pack(watched(changed, read), { reuse });
    expect(read).toContain('apps/5/file-5.yaml');
    expect(read.length).toBeLessThanOrEqual(64);
  });

  it('is packed anew when the last archive is damaged, cut off or gone', async () => {
    const { bytes, parts } = await packed(many);
    const damaged = Buffer.from(bytes);
    for (let at = 20; at < damaged.length; at += 1_000) damaged[at] = (damaged[at] ?? 0) ^ 1;
    const reads: ((at: number, size: number) => Promise<Uint8Array>)[] = [
      async (at, size) => damaged.subarray(at, at + size),
      async (at, size) => bytes.subarray(at, at + Math.floor(size / 2)),
      async () => await Promise.reject(new Error('gone')),
    ];
    for (const read of reads) expect((await pack(many, { reuse: { parts, read } })).equals(bytes)).toBe(true);
  });

  it.each([
    ['another content', (one: ArchiveFile) => file(one.path, 'other')],
    ['another mode', (one: ArchiveFile) => ({ ...one, isExecutable: !one.isExecutable })],
    ['another path', (one: ArchiveFile) => ({ ...one, path: `${one.path}.moved` })],
    ['no name for its content', (one: ArchiveFile) => ({ ...one, contentId: undefined })],
  ])('is not what has %s', async (_name, change) => {
    const { bytes, parts } = await packed(many);
    const files = many.map((one, index) => (index === 100 ? change(one) : one));
    const reuse = { parts, read: async (at: number, size: number) => bytes.subarray(at, at + size) };
    expect((await pack(files, { reuse })).equals(await pack(files))).toBe(true);
  });
});

describe('the parts of an archive', () => {
  it('end where paths say so, so that a new file moves few ends', () => {
    const ends = (files: ArchiveFile[]): Set<string> =>
      new Set(partsOf(planTar(files)).map((part) => part.at(-1)?.file.path ?? ''));
    const before = ends(many);
    const after = ends([...many, file('apps/3/file-0new.yaml', 'new')]);
    expect([...after].filter((end) => !before.has(end)).length).toBeLessThanOrEqual(2);
    expect(Math.max(...partsOf(planTar(many)).map((part) => part.length))).toBeLessThanOrEqual(64);
  });
});

it('refuses more bytes than any consumer would unpack', async () => {
  await expect(pack(many, { maxBytes: 10_000 })).rejects.toThrow('more than the 10000 bytes allowed together');
});
