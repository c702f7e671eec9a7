// Registries and layers that mean harm: each is refused with a clear word, and neither credentials nor files get out.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Header } from 'tar';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createRegistryClient } from '../../activities/source/oci/registry-client.ts';
import { fluxContentType, fluxLayer } from '../servers/flux-artifact.ts';
import { pushTestArtifact, registryUser, startTestRegistry, type TestRegistry } from '../servers/registry.ts';
import { createOciFixture, dockerConfig, failureOf, type OciFixture } from './oci-fixture.ts';

let registry: TestRegistry;
let closed: TestRegistry;
let fixture: OciFixture;
let count = 0;
let url: string;
let repository: string;

beforeAll(async () => {
  [registry, closed] = await Promise.all([startTestRegistry(), startTestRegistry({ login: 'basic' })]);
});
afterAll(() => Promise.all([registry.close(), closed.close()]));
beforeEach(() => {
  repository = `hostile/app-${count++}`;
  url = `oci://${registry.host}/${repository}`;
  fixture = createOciFixture({ maxFiles: 50, maxUnpackedBytes: 1_000_000, maxLayerBytes: 500_000 });
  for (const one of [registry, closed]) {
    for (const name of Object.keys(one.faults)) delete one.faults[name as keyof typeof one.faults];
  }
});
afterEach(() => fixture.close());

interface Entry {
  path: string;
  type?: 'File' | 'SymbolicLink' | 'Link' | 'CharacterDevice' | 'Directory';
  linkpath?: string;
  content?: string | Buffer;
}

/** A tar archive whose entries may say anything. */
function tarOf(entries: Entry[]): Buffer {
  const blocks = entries.flatMap(({ path, type = 'File', linkpath, content = '' }) => {
    const body = Buffer.from(content);
    const header = new Header({ path, type, linkpath, size: body.length, mode: 0o644 });
    const block = Buffer.alloc(512);
    header.encode(block);
    return [block, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

async function pushTar(archive: Buffer): Promise<void> {
  await pushTestArtifact(registry, repository, 'latest', {
    layers: [{ mediaType: fluxContentType, content: archive }],
  });
  fixture.use(url);
}

describe('a layer', () => {
  it.each<[string, Entry[], string]>([
    ['a path upwards', [{ path: '../../evil', content: 'x' }], 'entry "../../evil" leaves the archive by ".."'],
    ['an absolute path', [{ path: '/etc/evil', content: 'x' }], 'is absolute'],
    ['a device', [{ path: 'null', type: 'CharacterDevice' }], 'is a device'],
    ['a file twice', [{ path: 'a' }, { path: 'a' }], 'is in the archive twice'],
    ['a file that is a directory', [{ path: 'a' }, { path: 'a/b' }], 'the layer cannot be unpacked'],
    ['too many files', Array.from({ length: 60 }, (_, index) => ({ path: `f${index}` })), 'more than the 50 files'],
  ])('with %s is refused', async (_title, entries, words) => {
    await pushTar(gzipSync(tarOf(entries)));
    const refused = await failureOf(fixture.reconcile());
    expect(refused.reason).toBe('OCIArtifactLayerOperationFailed');
    expect(refused.message).toContain(words);
    expect(refused.message).not.toContain(fixture.directory);
    expect(readdirSync(join(fixture.directory, 'data', 'oci'))).toEqual([]);
  });

  it('that unpacks to more than is allowed is refused before it is on disk', async () => {
    await pushTar(gzipSync(tarOf([{ path: 'bomb', content: Buffer.alloc(50_000_000) }])));
    expect(await failureOf(fixture.reconcile())).toEqual({
      reason: 'OCIArtifactLayerOperationFailed',
      message: 'the layer cannot be unpacked: the unpacked archive has more than the 1000000 bytes allowed',
    });
  });

  it('that is larger than allowed is not downloaded', async () => {
    const noise = execFileSync('head', ['-c', '600000', '/dev/urandom']);
    await pushTar(gzipSync(tarOf([{ path: 'noise', content: noise }])));
    const before = registry.requests.length;
    expect((await failureOf(fixture.reconcile())).message).toMatch(/has \d+ bytes, more than the 500000 allowed/);
    expect(registry.requests.slice(before).some(({ path }) => path.includes('/blobs/'))).toBe(false);
  });

  it.each([
    ['less', 10, /blob .* has more than the 10 bytes allowed/],
    ['more', 90_000, /the manifest says that it has 90000 bytes, it has \d+/],
  ])('of which the manifest says that it has %s bytes than it has is refused', async (_title, size, words) => {
    await pushTar(gzipSync(tarOf([{ path: 'a', content: 'x' }])));
    const client = createRegistryClient({ host: registry.host, isInsecure: true });
    const { mediaType, manifest } = await client.manifest(repository, 'latest', fixture.abort.signal);
    const lie = { ...manifest, layers: manifest.layers?.map((layer) => ({ ...layer, size })) };
    await client.pushManifest(repository, 'latest', mediaType, Buffer.from(JSON.stringify(lie)), fixture.abort.signal);
    expect(await failureOf(fixture.reconcile())).toEqual({
      reason: 'OCIArtifactPullFailed',
      message: expect.stringMatching(words) as string,
    });
  });

  it('that is cut off inside, or no archive at all, is refused', async () => {
    const whole = tarOf([{ path: 'a', content: 'x'.repeat(5000) }]);
    await pushTar(gzipSync(whole.subarray(0, 1000)));
    expect((await failureOf(fixture.reconcile())).message).toContain('truncated');
    await pushTar(gzipSync(Buffer.from('no archive'.repeat(100))));
    expect((await failureOf(fixture.reconcile())).reason).toBe('OCIArtifactLayerOperationFailed');
    await pushTar(Buffer.concat([gzipSync(whole).subarray(0, 20), Buffer.from('garbage')]));
    expect((await failureOf(fixture.reconcile())).reason).toBe('OCIArtifactLayerOperationFailed');
  });

  it('loses its links, also one that a later file is meant to be written through', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'continuo-outside-'));
    try {
      await pushTar(
        gzipSync(
          tarOf([
            { path: 'link', type: 'SymbolicLink', linkpath: outside },
            { path: 'hard', type: 'Link', linkpath: '/etc/passwd' },
            { path: 'link/evil', content: 'x' },
            { path: 'kept', content: 'y' },
          ]),
        ),
      );
      const { archived } = await fixture.reconcile();
      expect(fixture.list(archived)).toEqual(['kept', 'link/', 'link/evil']);
      expect(readdirSync(outside)).toEqual([]);
    } finally {
      rmSync(outside, { recursive: true });
    }
  });
});

describe('a registry', () => {
  /** A server that answers everything alike and notes what it was sent. */
  async function startStranger(status: number, headers: Record<string, string> = {}, body = '{}') {
    const seen: IncomingHttpHeaders[] = [];
    const server: Server = createServer((request, response) => {
      seen.push(request.headers);
      response.writeHead(status, headers).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return {
      seen,
      origin: `http://127.0.0.1:${port}`,
      close: () => new Promise((resolve) => server.close(resolve) && server.closeAllConnections()),
    };
  }

  it('that redirects to another host gives it no credentials, and a token server of the other is not asked', async () => {
    const evil = await startStranger(401, { 'www-authenticate': 'Basic realm="give me"' });
    try {
      await pushTestArtifact(closed, 'team/app', 'latest', { layers: [fluxLayer({ a: 'b' })] }, registryUser);
      fixture.secrets['apps/login'] = dockerConfig(closed.host, registryUser);
      fixture.use(`oci://${closed.host}/team/app`, { secretRef: { name: 'login' } });
      await fixture.fetch();
      closed.faults.redirectBlobsTo = evil.origin;
      expect((await failureOf(fixture.reconcile())).reason).toBe('AuthenticationFailed');
      expect(evil.seen.length).toBeGreaterThan(0);
      expect(evil.seen.every(({ authorization }) => authorization === undefined)).toBe(true);
    } finally {
      await evil.close();
    }
  });

  it('may redirect blobs to where they are', async () => {
    const storage = await startTestRegistry();
    try {
      const artifact = { layers: [fluxLayer({ 'a.txt': 'moved' })] };
      await pushTestArtifact(closed, 'team/moved', 'latest', artifact, registryUser);
      await pushTestArtifact(storage, 'team/moved', 'latest', artifact);
      closed.faults.redirectBlobsTo = `http://${storage.host}`;
      fixture.secrets['apps/login'] = dockerConfig(closed.host, registryUser);
      fixture.use(`oci://${closed.host}/team/moved`, { secretRef: { name: 'login' } });
      const { archived } = await fixture.reconcile();
      expect(fixture.read(archived, 'a.txt')).toBe('moved');
      const reads = storage.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'));
      expect(reads.map(({ authorization }) => authorization)).toEqual([undefined]);
    } finally {
      await storage.close();
    }
  });

  const { signal } = new AbortController();
  async function against<T>(
    stranger: Awaited<ReturnType<typeof startStranger>>,
    ask: (client: ReturnType<typeof createRegistryClient>) => Promise<T>,
  ): Promise<string> {
    try {
      const host = new URL(stranger.origin).host;
      return (await failureOf(ask(createRegistryClient({ host, isInsecure: true })))).message;
    } finally {
      await stranger.close();
    }
  }

  it.each<[string, string, string]>([
    ['no JSON', '<html>', 'is no JSON document'],
    ['null', 'null', 'is no JSON document'],
    ['no layers', '{"layers": {"a": 1}}', '"layers" is no list of descriptors'],
    ['a digest that is none', '{"layers": [{"mediaType":"a","digest":"../x","size":1}]}', 'is no list of descriptors'],
    ['annotations that are no texts', '{"annotations": {"a": {}}}', '"annotations" are not texts'],
    ['very many annotations', JSON.stringify({ annotations: { a: 'x'.repeat(70_000) } }), 'of at most 65536 bytes'],
    ['too many bytes', ' '.repeat(5 * 1024 * 1024), 'has more than the 4194304 bytes allowed'],
  ])('that gives a manifest with %s is refused', async (_title, body, words) => {
    const stranger = await startStranger(200, { 'content-type': 'application/json' }, body);
    expect(await against(stranger, (client) => client.manifest('a', 'latest', signal))).toContain(words);
  });

  it('that never ends its list of tags is left', async () => {
    const again = await startStranger(200, { link: '</v2/a/tags/list?n=1000>; rel="next"' }, '{"tags":["a"]}');
    const host = new URL(again.origin).host;
    expect(await createRegistryClient({ host, isInsecure: true }).tags('a', signal)).toEqual(['a']);
    await again.close();
    let page = 0;
    const endless = createServer((_request, response) => {
      response.writeHead(200, { link: `</v2/a/tags/list?p=${page++}>; rel="next"` }).end('{"tags":[]}');
    });
    await new Promise<void>((resolve) => endless.listen(0, '127.0.0.1', resolve));
    const { port } = endless.address() as AddressInfo;
    const client = createRegistryClient({ host: `127.0.0.1:${port}`, isInsecure: true });
    expect((await failureOf(client.tags('a', signal))).message).toContain('has more than 1000 pages');
    await new Promise((resolve) => endless.close(resolve) && endless.closeAllConnections());
  });

  it('whose tags are megabytes long is left', async () => {
    const long = JSON.stringify({ tags: ['x'.repeat(4_000_000)] });
    let page = 0;
    const endless = createServer((_request, response) => {
      response.writeHead(200, { link: `</v2/a/tags/list?p=${page++}>; rel="next"` }).end(long);
    });
    await new Promise<void>((resolve) => endless.listen(0, '127.0.0.1', resolve));
    const { port } = endless.address() as AddressInfo;
    const client = createRegistryClient({ host: `127.0.0.1:${port}`, isInsecure: true });
    expect((await failureOf(client.tags('a', signal))).message).toContain('has more than the 33554432 bytes allowed');
    expect(page).toBeLessThan(10);
    await new Promise((resolve) => endless.close(resolve) && endless.closeAllConnections());
  });

  it('that redirects in a circle is left', async () => {
    const stranger = await startStranger(307, { location: '/v2/again' });
    expect(await against(stranger, (client) => client.manifest('a', 'latest', signal))).toContain(
      'redirects more than 5 times',
    );
  });

  it('whose challenge leads to something that is no address is refused', async () => {
    const stranger = await startStranger(401, { 'www-authenticate': 'Bearer realm="file:///etc/passwd"' });
    expect(await against(stranger, (client) => client.manifest('a', 'latest', signal))).toContain(
      'names a token server that is no http(s) address',
    );
  });
});

it('cleans up what an earlier process has left', async () => {
  const left = join(fixture.directory, 'data', 'oci', 'layer-1-old');
  mkdirSync(left, { recursive: true });
  symlinkSync('/nowhere', join(left, 'link'));
  writeFileSync(join(left, 'file'), 'x');
  execFileSync('touch', ['-d', '3 hours ago', left]);
  await pushTestArtifact(registry, repository, 'latest', { layers: [fluxLayer({ a: 'b' })] });
  fixture.use(url);
  await fixture.reconcile();
  expect(readdirSync(join(fixture.directory, 'data', 'oci'))).toEqual([]);
});
