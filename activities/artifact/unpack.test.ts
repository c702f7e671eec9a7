import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Header } from 'tar';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createFileArtifactStore } from './file-store.ts';
import { createUnpackedArtifacts, type UnpackedArtifactsOptions } from './unpack.ts';

interface Entry {
  path: string;
  type?: ConstructorParameters<typeof Header>[0] extends infer D ? Extract<D, { type?: unknown }>['type'] : never;
  body?: string;
  linkpath?: string;
  size?: number;
}

/** A tar.gz with entries as they are, however hostile. */
function tarball(entries: Entry[], end = true): Buffer {
  const parts: Buffer[] = [];
  for (const { path, type = 'File', body = '', linkpath, size } of entries) {
    const content = Buffer.from(body);
    const block = Buffer.alloc(512);
    new Header({ path, type, linkpath, size: size ?? content.length, mode: 0o644, uid: 0, gid: 0 }).encode(block, 0);
    parts.push(block, content, Buffer.alloc((512 - (content.length % 512)) % 512));
  }
  if (end) parts.push(Buffer.alloc(1024));
  return gzipSync(Buffer.concat(parts));
}

const digestOf = (bytes: Buffer, algorithm = 'sha256'): string =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;

let directory: string;
let server: Server;
let baseUrl: string;
/** Path → answers, the last one repeats. */
const answers = new Map<string, (number | Buffer)[]>();
let requestCount = 0;

beforeAll(async () => {
  server = createServer((request, response) => {
    requestCount++;
    const list = answers.get(request.url ?? '') ?? [404];
    const answer = list.length > 1 ? list.shift() : list[0];
    if (typeof answer === 'number') response.writeHead(answer === 0 ? 200 : answer);
    if (answer === 0) response.write('x', () => response.destroy());
    else setTimeout(() => response.end(typeof answer === 'number' ? 'no' : answer), 20);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'continuo-unpack-'));
  answers.clear();
  requestCount = 0;
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function open(options: Partial<UnpackedArtifactsOptions> = {}) {
  return createUnpackedArtifacts({ directory: join(directory, 'cache'), retries: 2, retryDelayMs: 1, ...options });
}

function serve(bytes: Buffer, ...before: number[]) {
  answers.set('/a.tar.gz', [...before, bytes]);
  return { url: `${baseUrl}/a.tar.gz`, digest: digestOf(bytes), revision: 'main@sha1:1' };
}

async function messageOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => new Error('did not fail'),
    (thrown: unknown) => thrown as Error & { type?: string },
  );
  expect(error).toMatchObject({ type: 'ArtifactFailed' });
  return error.message;
}

describe('unpacked artifacts', () => {
  it('downloads once for concurrent calls and gives an index of digests', async () => {
    const artifact = serve(
      tarball([{ path: './a/', type: 'Directory' }, { path: './a/b.yaml', body: 'x: 1\n' }, { path: 'c' }]),
    );
    const cache = open();
    expect(cache.peek(artifact.digest)).toBeUndefined();
    const [one, two] = await Promise.all([cache.get(artifact), cache.get(artifact)]);
    expect(one).toBe(two);
    expect(requestCount).toBe(1);
    expect(Object.fromEntries(one.files)).toEqual({
      'a/b.yaml': createHash('sha256').update('x: 1\n').digest('hex'),
      c: createHash('sha256').digest('hex'),
    });
    expect(readFileSync(join(one.directory, 'a/b.yaml'), 'utf8')).toBe('x: 1\n');
    expect(cache.peek(artifact.digest)?.directory).toBe(one.directory);
    const restarted = open();
    expect(restarted.peek(artifact.digest)?.files).toEqual(one.files);
    rmSync(one.directory, { recursive: true });
    expect(restarted.peek(artifact.digest)).toBeUndefined();
    expect(existsSync(join((await restarted.get(artifact)).directory, 'c'))).toBe(true);
  });

  it('leaves out symbolic and hard links', async () => {
    const artifact = serve(
      tarball([
        { path: 'link', type: 'SymbolicLink', linkpath: '/etc' },
        { path: 'hard', type: 'Link', linkpath: '/etc/passwd' },
        { path: 'link/inside', body: 'stays here' },
      ]),
    );
    const unpacked = await open().get(artifact);
    expect([...unpacked.files.keys()]).toEqual(['link/inside']);
    expect(statSync(join(unpacked.directory, 'link')).isDirectory()).toBe(true);
  });

  it.each<[string, Buffer, string]>([
    ['..', tarball([{ path: '../evil' }]), 'entry "../evil" leaves the archive by ".."'],
    ['.. inside', tarball([{ path: 'a/../../evil' }]), 'leaves the archive by ".."'],
    ['an absolute path', tarball([{ path: '/etc/evil' }]), 'entry "/etc/evil" is absolute'],
    ['an absolute directory', tarball([{ path: '/evil/', type: 'Directory' }]), 'is absolute'],
    ['a device', tarball([{ path: 'dev', type: 'CharacterDevice' }]), 'entry "dev" is a device'],
    ['a pipe', tarball([{ path: 'fifo', type: 'FIFO' }]), 'is a device'],
    ['a file twice', tarball([{ path: 'a' }, { path: 'a' }]), 'entry "a" is in the archive twice'],
    ['a file as directory', tarball([{ path: 'a' }, { path: 'a/b' }]), 'cannot be unpacked'],
    ['a directory as file', tarball([{ path: 'a/b' }, { path: 'a' }]), 'is a file and a directory'],
    ['a truncated file', tarball([{ path: 'a', body: 'x', size: 5000 }], false), 'ends inside a file (truncated)'],
    ['no end marker', tarball([{ path: 'a', body: 'x' }], false), 'without its end marker (truncated)'],
    ['a truncated gzip', tarball([{ path: 'a', body: 'x'.repeat(5000) }]).subarray(0, 60), 'cannot be unpacked'],
    ['no gzip', Buffer.from('hello'), 'cannot be unpacked: incorrect header check'],
    ['no tar', gzipSync(Buffer.alloc(600, 'x')), 'wrong checksum'],
  ])('refuses an archive with %s', async (_title, bytes, message) => {
    expect(await messageOf(open().get(serve(bytes)))).toContain(message);
    expect(readdirSync(join(directory, 'cache'))).toEqual([]);
    expect(existsSync(join(directory, 'evil'))).toBe(false);
  });

  it('refuses a bomb: by what comes out, not by what a header says', async () => {
    const bomb = serve(tarball([{ path: 'zeros', body: '0'.repeat(3_000_000) }]));
    expect(await messageOf(open({ maxBytes: 1_000_000 }).get(bomb))).toContain('more than the 1000000 bytes allowed');
    expect(readdirSync(join(directory, 'cache'))).toEqual([]);
  });

  it('refuses too many files and too large a download', async () => {
    const many = serve(tarball(Array.from({ length: 20 }, (_, n) => ({ path: `f${n}` }))));
    expect(await messageOf(open({ maxFiles: 10 }).get(many))).toContain('more than the 10 files and directories');
    const deep = serve(tarball([{ path: `${'d/'.repeat(40)}f` }]));
    expect(await messageOf(open({ maxFiles: 10 }).get(deep))).toContain('more than the 10 files and directories');
    expect(await messageOf(open({ maxDownloadBytes: 50 }).get(many))).toContain('more than the 50 bytes allowed');
  });

  it('verifies the digest and names algorithms that it does not know', async () => {
    const bytes = tarball([{ path: 'a' }]);
    const artifact = serve(bytes);
    for (const algorithm of ['sha384', 'sha512']) {
      expect((await open().get({ ...artifact, digest: digestOf(bytes, algorithm) })).files.size).toBe(1);
    }
    const wrong = `sha256:${'0'.repeat(64)}`;
    expect(await messageOf(open().get({ ...artifact, digest: wrong }))).toBe(
      `artifact "main@sha1:1" at "${baseUrl}/a.tar.gz": its digest does not match: expected "${wrong}", got "${artifact.digest}"`,
    );
    for (const digest of [`blake3:${'0'.repeat(64)}`, 'md5:00', 'sha256:zz', 'nonsense', '../../evil']) {
      expect(await messageOf(open().get({ ...artifact, digest }))).toContain('digest');
    }
    expect(await messageOf(open().get({ ...artifact, digest: `blake3:${'0'.repeat(64)}` }))).toContain(
      '"blake3" is not supported',
    );
  });

  it('tries again after a server error and a cut connection, not after 404', async () => {
    const artifact = serve(tarball([{ path: 'a' }]), 503, 0);
    expect((await open().get(artifact)).files.size).toBe(1);
    expect(requestCount).toBe(3);
    expect(
      await messageOf(open().get({ ...artifact, digest: digestOf(Buffer.from('1')), url: `${baseUrl}/none` })),
    ).toContain('not found; the source stores it again when it reconciles');
    expect(requestCount).toBe(4);
    answers.set('/down', [500]);
    expect(
      await messageOf(open().get({ ...artifact, digest: digestOf(Buffer.from('2')), url: `${baseUrl}/down` })),
    ).toContain('HTTP 500');
    expect(requestCount).toBe(7);
  });

  it('ends with the reason of the signal, and goes on for the others that wait', async () => {
    const artifact = serve(tarball([{ path: 'a' }]));
    const cache = open();
    const abort = new AbortController();
    const first = cache.get(artifact, abort.signal);
    const second = cache.get(artifact);
    abort.abort(new Error('superseded'));
    await expect(first).rejects.toThrow('superseded');
    expect((await second).files.size).toBe(1);
    const alone = new AbortController();
    answers.set('/slow', [500]);
    const third = open({ retries: 9, retryDelayMs: 5_000 }).get(
      { ...artifact, digest: digestOf(Buffer.from('3')), url: `${baseUrl}/slow` },
      alone.signal,
    );
    setTimeout(() => alone.abort(new Error('superseded')), 50);
    await expect(third).rejects.toThrow('superseded');
  });

  it('reads its own store without HTTP and rewrites other hosts', async () => {
    const storeDirectory = join(directory, 'store');
    const store = createFileArtifactStore({ directory: storeDirectory, advertisedAddress: 'nowhere.test' });
    const published = await store.publish({ kind: 'GitRepository', namespace: 'a', name: 'b' }, 'x.tar.gz', 'r', [
      { path: 'dir/run.sh', isExecutable: true, content: async () => Buffer.from('#!') },
    ]);
    const localStore = { directory: storeDirectory, baseUrl: 'http://nowhere.test/' };
    const unpacked = await open({ localStore }).get(published);
    expect(statSync(join(unpacked.directory, 'dir/run.sh')).mode & 0o777).toBe(0o700);
    expect(requestCount).toBe(0);
    expect(
      await messageOf(
        open({ localStore }).get({ ...published, digest: digestOf(Buffer.from('4')), url: 'http://nowhere.test/none' }),
      ),
    ).toContain('not found');

    const artifact = serve(tarball([{ path: 'a' }]));
    const inCluster = { ...artifact, url: 'http://source-controller.flux-system.svc.cluster.local./a.tar.gz' };
    expect((await open({ hostRewrite: new URL(baseUrl).host }).get(inCluster)).files.size).toBe(1);
  });

  it('evicts what was used longest ago, never what is in use', async () => {
    const digests: string[] = [];
    const add = async (cache: ReturnType<typeof open>, name: string): Promise<void> => {
      const artifact = serve(tarball([{ path: name, body: name }]));
      digests.push(artifact.digest);
      await cache.get(artifact);
    };
    const root = join(directory, 'cache');
    const cache = open({ maxCachedArtifacts: 2 });
    for (const name of ['one', 'two', 'three']) await add(cache, name);
    expect(readdirSync(root)).toHaveLength(3);

    for (const [index, digest] of digests.entries()) {
      const seconds = Date.now() / 1000 - 10_000 + index;
      utimesSync(join(root, digest.replace(':', '-')), seconds, seconds);
    }
    mkdirSync(join(root, '.tmp-dead'));
    writeFileSync(join(root, '.tmp-dead', 'x'), '');
    utimesSync(join(root, '.tmp-dead'), 1, 1);
    await add(open({ maxCachedArtifacts: 2 }), 'four');
    expect(readdirSync(root).sort()).toEqual(
      [digests[2], digests[3]].map((digest) => digest?.replace(':', '-')).sort(),
    );
  });
});
