import { gzipSync } from 'node:zlib';
import { Header } from 'tar';
import { describe, expect, it } from 'vitest';
import { readChartArchive } from './chart-files.ts';
import { defaultHelmLimits } from './helm-limits.ts';

interface Entry {
  path: string;
  content?: Buffer | string;
  type?: 'File' | 'Directory' | 'SymbolicLink' | 'Link' | 'CharacterDevice';
  linkpath?: string;
}

/** A tarball as a hostile server would make it. */
function tarball(entries: Entry[]): Buffer {
  const blocks = entries.flatMap(({ path, content = '', type = 'File', linkpath = '' }) => {
    const body = Buffer.from(content);
    const header = new Header({ path, type, linkpath, size: body.length, mode: 0o644, mtime: new Date(0) });
    const block = Buffer.alloc(512);
    header.encode(block);
    return [block, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

const packed = (...entries: Entry[]): Buffer => gzipSync(tarball(entries));
const chart = { path: 'web/Chart.yaml', content: 'name: web\n' };

describe('the archive of a chart', () => {
  it('gives its files without the directory, and passes over links and devices', async () => {
    const files = await readChartArchive(
      packed(
        { path: 'web/', type: 'Directory' },
        chart,
        { path: 'web/templates/a.yaml', content: '\ufeffa: 1\n' },
        { path: 'web/link', type: 'SymbolicLink', linkpath: '/etc/passwd' },
        { path: 'web/hard', type: 'Link', linkpath: 'web/Chart.yaml' },
        { path: 'web/device', type: 'CharacterDevice' },
      ),
    );
    expect([...files].map(([path, content]) => [path, Buffer.from(content).toString('utf8')])).toEqual([
      ['Chart.yaml', 'name: web\n'],
      ['templates/a.yaml', 'a: 1\n'],
    ]);
  });

  it.each<[string, Buffer, string]>([
    ['no archive at all', Buffer.from('<html>'), 'it is no tar.gz'],
    ['an empty archive', packed(), 'its tar stream is broken'],
    ['nothing but a directory', packed({ path: 'web/', type: 'Directory' }), 'it has no files'],
    ['a path that climbs out', packed({ path: 'web/../../x' }), 'leads out of the chart'],
    ['an absolute path', packed({ path: '/etc/passwd' }), 'leads out of the chart'],
    ['a path of another system', packed({ path: String.raw`web\..\..\x` }), 'leads out of the chart'],
    ['a drive', packed({ path: 'C:/x' }), 'leads out of the chart'],
    ['a file without a directory', packed({ path: 'Chart.yaml' }), 'is not below the directory of the chart'],
    ['a crooked path', packed({ path: 'web//x' }), 'is no normal path'],
    [
      'a large file',
      packed({ path: 'web/x', content: Buffer.alloc(5 * 1024 * 1024 + 1) }),
      'larger than the 5 MiB allowed',
    ],
    ['a bomb', gzipSync(Buffer.alloc(101 * 1024 * 1024)), 'unpacks to more than the 100 MiB allowed'],
    ['a large archive', Buffer.alloc(10 * 1024 * 1024 + 1), 'larger than the 10 MiB allowed'],
    [
      'too many files',
      packed(...Array.from({ length: 10_001 }, (_, i) => ({ path: `web/${i}` }))),
      'more than the 10000 files',
    ],
    ['a truncated archive', gzipSync(tarball([chart]).subarray(0, 700)), 'its tar stream is broken'],
  ])('is refused: %s', async (_title, archive, problem) => {
    await expect(readChartArchive(archive)).rejects.toThrow(problem);
  });

  it('has the limits of the installation', async () => {
    const archive = packed(chart, { path: 'web/x', content: Buffer.alloc(6 * 1024 * 1024) });
    const limits = { ...defaultHelmLimits, chartFileBytes: 6 * 1024 * 1024 };
    expect((await readChartArchive(archive, limits)).size).toBe(2);
    await expect(readChartArchive(archive, { ...limits, chartBytes: 1024 })).rejects.toThrow(
      'MiB allowed (CONTINUO_HELM_CHART_MAX_MIB)',
    );
  });
});
