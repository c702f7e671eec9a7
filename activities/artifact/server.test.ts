import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createArtifactApp, rangeOf } from './server.ts';

let root: string;
let app: ReturnType<typeof createArtifactApp>;
const path = '/gitrepository/apps/demo/a.tar.gz';

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'continuo-server-'));
  const store = join(root, 'store');
  mkdirSync(join(store, 'gitrepository/apps/demo'), { recursive: true });
  mkdirSync(join(store, '.blobs'));
  writeFileSync(join(store, path), 'tarball');
  writeFileSync(join(store, 'gitrepository/apps/demo/a.lock'), 'lock');
  writeFileSync(join(store, 'gitrepository/apps/demo/.tmp-1'), 'half');
  writeFileSync(join(store, '.blobs/secret'), 'secret');
  writeFileSync(join(root, 'outside'), 'outside');
  symlinkSync('a.tar.gz', join(store, 'gitrepository/apps/demo/latest.tar.gz'));
  symlinkSync(join(root, 'outside'), join(store, 'gitrepository/apps/demo/escape'));
  symlinkSync('../../../.blobs/secret', join(store, 'gitrepository/apps/demo/hidden'));
  app = createArtifactApp(store);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('the artifact server', () => {
  it('answers the readiness probe', async () => {
    expect((await app.request('/')).status).toBe(200);
  });

  it('serves a file with length and ETag, and 304 for the same ETag', async () => {
    const response = await app.request(path);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('tarball');
    expect(response.headers.get('content-type')).toBe('application/gzip');
    expect(response.headers.get('content-length')).toBe('7');
    const etag = response.headers.get('etag') ?? '';
    expect((await app.request(path, { headers: { 'if-none-match': etag } })).status).toBe(304);
    const head = await app.request(path, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '7', '']);
    expect(await (await app.request('/gitrepository/apps/demo/latest.tar.gz')).text()).toBe('tarball');
  });

  it.each([
    '/gitrepository',
    '/gitrepository/apps/demo/',
    '/gitrepository/apps/demo/none',
    '/gitrepository/apps/demo/a.lock',
    '/gitrepository/apps/demo/.tmp-1',
    '/gitrepository/apps/demo/escape',
    '/gitrepository/apps/demo/hidden',
    '/.blobs/secret',
    '/%2eblobs/secret',
    '/gitrepository/%2e%2e/.blobs/secret',
    '/gitrepository/..%2f..%2foutside',
    '/%2e%2e/outside',
    '//outside',
    '/gitrepository%00',
    '/%ff%fe',
  ])('gives 404 for %s', async (url) => {
    expect((await app.request(url)).status).toBe(404);
  });

  it('serves a part, and the whole when the file is another one meanwhile', async () => {
    const part = await app.request(path, { headers: { range: 'bytes=3-4' } });
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 3-4/7', 'ba']);
    const head = await app.request(path, { method: 'HEAD', headers: { range: 'bytes=-2' } });
    expect([head.status, head.headers.get('content-length')]).toEqual([206, '2']);
    expect((await app.request(path, { headers: { range: 'bytes=7-' } })).status).toBe(416);
    const other = await app.request(path, { headers: { range: 'bytes=3-4', 'if-range': '"other"' } });
    expect([other.status, await other.text()]).toEqual([200, 'tarball']);
  });

  it('says that the store does not answer', async () => {
    const broken = createArtifactApp(async () => {
      throw new Error('no route');
    });
    expect((await broken.request(path)).status).toBe(503);
    expect((await broken.request('/.blobs/secret')).status).toBe(404);
  });

  it('takes no other method', async () => {
    expect((await app.request(path, { method: 'PUT', body: 'x' })).status).toBe(405);
  });
});

describe('rangeOf', () => {
  it.each([
    [undefined, undefined],
    ['bytes=0-', { first: 0, last: 9 }],
    ['bytes=2-4', { first: 2, last: 4 }],
    ['bytes=2-99', { first: 2, last: 9 }],
    ['bytes=-3', { first: 7, last: 9 }],
    ['bytes=-99', { first: 0, last: 9 }],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=4-2', undefined],
    ['bytes=0-1,3-4', undefined],
    ['items=0-1', undefined],
    ['bytes=-', undefined],
  ])('%s of ten bytes', (header, range) => {
    expect(rangeOf(header, 10)).toEqual(range);
  });
});
