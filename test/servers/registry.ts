// A real OCI registry: the CNCF distribution registry over a directory, with and without login and TLS, behind a proxy
// that notes requests and misbehaves on demand.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRegistryClient, type Descriptor, digestOf } from '../../activities/source/oci/registry-client.ts';
import { request } from 'undici';
import { dispatcherFor } from '../../activities/source/http/dispatcher.ts';
import { ensureBinaries } from '../../tools/platform/binaries.ts';
import { testPem } from './git.ts';
import { type RegistryFaults, type SeenRequest, startFaultProxy } from './fault-proxy.ts';
import { startTokenServer, type TokenServer } from './token-server.ts';
import { freePort } from './free-port.ts';

/** Whom registries with login know. */
export const registryUser = { username: 'alice', password: 's3cret-pw' };
/** bcrypt of the password, as htpasswd writes it. */
const passwordHash = '$2y$05$abcdefghijklmnopqrstuuzSvhclVSvY9ufOheOOhcPviTPFJlqIC';

export interface TestRegistry {
  /** `127.0.0.1:<port>`; without TLS that of the proxy, with TLS that of the registry itself. */
  host: string;
  /** Without effect on a registry with TLS. */
  faults: RegistryFaults;
  requests: SeenRequest[];
  /** With login by token. */
  tokens: TokenServer | undefined;
  /** The file in which the registry keeps a blob or manifest, to be tampered with. */
  blobFile(digest: string): string;
  close(): Promise<void>;
}

export interface TestRegistryOptions {
  /** Default: everybody may do everything. */
  login?: 'basic' | 'token';
  /** `server` for TLS with the test certificate, `mutual` to demand the client certificate as well. */
  tls?: 'server' | 'mutual';
}

export async function startTestRegistry({ login, tls }: TestRegistryOptions = {}): Promise<TestRegistry> {
  const { registry: binary } = await ensureBinaries(['registry'], { report: (line) => console.error(line) });
  const root = mkdtempSync(join(tmpdir(), 'continuo-registry-'));
  const data = join(root, 'data');
  mkdirSync(data);
  const tokens = login === 'token' ? await startTokenServer({ ...registryUser, isTls: tls !== undefined }) : undefined;
  const port = await freePort();
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: data }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}`, ...(tls && { tls: tlsConfig(root, tls === 'mutual') }) },
    ...(login && { auth: login === 'basic' ? basicAuth(root) : tokenAuth(root, tokens as TokenServer) }),
  };
  // JSON is YAML.
  writeFileSync(join(root, 'config.yml'), JSON.stringify(config));
  const server = spawn(binary, ['serve', join(root, 'config.yml')], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env['PATH'], OTEL_TRACES_EXPORTER: 'none' },
  });
  let log = '';
  server.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-4000)));
  await serving(server, `${tls ? 'https' : 'http'}://127.0.0.1:${port}/v2/`, () => log);
  const proxy = tls ? undefined : await startFaultProxy(port);
  return {
    host: `127.0.0.1:${proxy?.port ?? port}`,
    faults: proxy?.faults ?? {},
    requests: proxy?.requests ?? [],
    tokens,
    blobFile(digest) {
      const [algorithm = '', hex = ''] = digest.split(':');
      return join(data, 'docker/registry/v2/blobs', algorithm, hex.slice(0, 2), hex, 'data');
    },
    async close() {
      await proxy?.close();
      await tokens?.close();
      const exited = new Promise((resolve) => server.once('exit', resolve));
      if (server.exitCode === null && server.kill()) await exited;
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function tlsConfig(root: string, isMutual: boolean): object {
  for (const name of ['ca.crt', 'server.crt', 'server.key'] as const) writeFileSync(join(root, name), testPem(name));
  const own = { certificate: join(root, 'server.crt'), key: join(root, 'server.key') };
  return isMutual ? { ...own, clientcas: [join(root, 'ca.crt')] } : own;
}

function basicAuth(root: string): object {
  writeFileSync(join(root, 'htpasswd'), `${registryUser.username}:${passwordHash}\n`);
  return { htpasswd: { realm: 'test', path: join(root, 'htpasswd') } };
}

function tokenAuth(root: string, { realm, service, issuer, jwks }: TokenServer): object {
  writeFileSync(join(root, 'jwks.json'), JSON.stringify(jwks));
  return { token: { realm, service, issuer, jwks: join(root, 'jwks.json') } };
}

async function serving(server: ChildProcess, url: string, log: () => string): Promise<void> {
  const tls = { ca: testPem('ca.crt'), certificate: testPem('client.crt'), key: testPem('client.key') };
  const dispatcher = dispatcherFor({ tls });
  for (let attempt = 0; attempt < 200; attempt++) {
    if (server.exitCode !== null) throw new Error(`the registry ended with ${server.exitCode}: ${log()}`);
    try {
      const { body } = await request(url, { dispatcher });
      await body.dump();
      return;
    } catch {
      await sleep(50);
    }
  }
  server.kill();
  throw new Error(`the registry does not serve ${url}: ${log()}`);
}

/** A layer, as bytes or as files to be packed like `flux push artifact` does. */
export interface TestLayer {
  mediaType: string;
  content: Uint8Array;
  annotations?: Record<string, string>;
}

export interface TestArtifact {
  layers: TestLayer[];
  /** @default 'application/vnd.cncf.flux.config.v1+json' */
  configMediaType?: string;
  annotations?: Record<string, string>;
  /** Default: none. */
  artifactType?: string;
  subject?: Descriptor;
}

/** Pushes an artifact under a tag, or under its digest without one; gives its descriptor. */
export async function pushTestArtifact(
  registry: Pick<TestRegistry, 'host'>,
  repository: string,
  tag: string | undefined,
  artifact: TestArtifact,
  login: { username: string; password: string } | undefined = undefined,
): Promise<Descriptor> {
  const credentials = login && { ...login, origin: 'the test' };
  const connection = { tls: { ca: testPem('ca.crt'), certificate: testPem('client.crt'), key: testPem('client.key') } };
  const client = createRegistryClient({ host: registry.host, isInsecure: true, credentials, connection });
  const { signal } = new AbortController();
  const push = (mediaType: string, content: Uint8Array): Promise<Descriptor> =>
    client.pushBlob(repository, mediaType, content, signal);
  const { configMediaType = 'application/vnd.cncf.flux.config.v1+json', annotations, artifactType, subject } = artifact;
  const config = await push(configMediaType, Buffer.from('{}'));
  const layers: Descriptor[] = [];
  for (const { mediaType, content, annotations: notes } of artifact.layers) {
    layers.push({ ...(await push(mediaType, content)), annotations: notes });
  }
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = { schemaVersion: 2, mediaType, artifactType, config, layers, subject, annotations };
  const bytes = Buffer.from(JSON.stringify(manifest));
  return await client.pushManifest(repository, tag ?? digestOf(bytes, 'sha256'), mediaType, bytes, signal);
}

/** Writes other bytes of the same length into a stored blob. */
export function tamperWith(registry: TestRegistry, digest: string): void {
  const file = registry.blobFile(digest);
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0xff;
  writeFileSync(file, bytes);
}
