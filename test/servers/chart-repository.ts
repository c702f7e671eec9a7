// A Helm repository over HTTP(S): charts packaged by the real helm, its index, and faults on demand.
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { ensureBinaries } from '../../tools/platform/index.ts';
import { type TestTls, tlsOptions } from './git.ts';
import { listenOnLoopback } from './loopback.ts';

/** What goes wrong; may be changed between requests. */
export interface ChartRepositoryFaults {
  /** Answer with this status. */
  status?: number;
  /** Send the headers and this many bytes, then nothing. */
  stallAfterBytes?: number;
  /** Send this many bytes, then cut the connection. */
  cutAfterBytes?: number;
  /** Redirect paths that end so to the same path below this URL. */
  redirect?: { suffix: string; to: string };
  /** Send this in place of files that end so. */
  content?: { suffix: string; body: string | Buffer };
  /** Send it compressed, as many servers do. */
  isCompressed?: boolean;
}

export interface ChartRequest {
  path: string;
  authorization: string | undefined;
  status: number;
}

export interface ChartRepositoryOptions {
  /** User and password that every request needs. */
  login?: { username: string; password: string };
  tls?: TestTls;
}

export interface TestChartRepository {
  url: string;
  /** What is served. */
  directory: string;
  faults: ChartRepositoryFaults;
  requests: ChartRequest[];
  /** Packages a chart of these files and puts it into the index; gives its archive. */
  add(files: Record<string, string>, indexUrl?: string): string;
  helm: Helm;
  close(): Promise<void>;
}

/** The files of a small chart. */
export function chartFiles(name: string, version: string, more: Record<string, string> = {}): Record<string, string> {
  return {
    'Chart.yaml': `apiVersion: v2\nname: ${name}\nversion: ${version}\nappVersion: "1.0"\ndescription: A test\n`,
    'values.yaml': `# how many\nreplicas: 1\nimage:\n  tag: "${version}"\n`,
    'templates/configmap.yaml':
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  replicas: "{{ .Values.replicas }}"\n',
    ...more,
  };
}

/** Writes files below a directory. */
export function writeFiles(directory: string, files: Record<string, string | Buffer>): string {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
  return directory;
}

/** The real helm, without the settings of who runs the tests. */
export interface Helm {
  /** For what asks no server: those of the tests are in this very process. */
  (...args: string[]): string;
  /** For what asks one. */
  online(...args: string[]): Promise<string>;
}

const helmTimeoutMs = 60_000;

export async function createHelm(home: string): Promise<Helm> {
  const { helm } = await ensureBinaries(['helm']);
  const env = {
    PATH: process.env['PATH'],
    HOME: home,
    HELM_CACHE_HOME: join(home, 'cache'),
    HELM_CONFIG_HOME: join(home, 'config'),
    HELM_DATA_HOME: join(home, 'data'),
  };
  const options = { encoding: 'utf8', env, timeout: helmTimeoutMs } as const;
  return Object.assign((...args: string[]) => execFileSync(helm, args, { ...options, stdio: 'pipe' }), {
    online: async (...args: string[]) => (await promisify(execFile)(helm, args, options)).stdout,
  });
}

export async function startChartRepository(options: ChartRepositoryOptions = {}): Promise<TestChartRepository> {
  const root = mkdtempSync(join(tmpdir(), 'continuo-charts-'));
  const directory = join(root, 'served');
  mkdirSync(directory);
  const helm = await createHelm(root);
  const faults: ChartRepositoryFaults = {};
  const requests: ChartRequest[] = [];
  const { login } = options;
  const expected = login && `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
  let count = 0;

  const listener: RequestListener = (request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    const { authorization } = request.headers;
    response.on('finish', () => requests.push({ path, authorization, status: response.statusCode }));
    const answer = (status: number): void => void response.writeHead(status).end(`${status}\n`);
    const { redirect } = faults;
    if (redirect && path.endsWith(redirect.suffix)) {
      response.writeHead(302, { location: redirect.to + path }).end();
      return;
    }
    if (expected && authorization !== expected) return answer(401);
    if (faults.status) return answer(faults.status);
    const file = join(directory, path);
    const replaced = faults.content && path.endsWith(faults.content.suffix) ? faults.content.body : undefined;
    if (replaced === undefined && !(existsSync(file) && statSync(file).isFile())) return answer(404);
    const plain = Buffer.from(replaced ?? readFileSync(file));
    const etag = `"${createHash('sha256').update(plain).digest('hex').slice(0, 16)}"`;
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304, { etag }).end();
      return;
    }
    const body = faults.isCompressed ? gzipSync(plain) : plain;
    const encoding = faults.isCompressed ? { 'content-encoding': 'gzip' } : {};
    response.writeHead(200, { etag, 'content-length': body.length, ...encoding });
    const { stallAfterBytes, cutAfterBytes } = faults;
    if (stallAfterBytes !== undefined) response.write(body.subarray(0, stallAfterBytes));
    else if (cutAfterBytes !== undefined) response.write(body.subarray(0, cutAfterBytes), () => response.destroy());
    else response.end(body);
  };

  const server = await listenOnLoopback(listener, tlsOptions(options.tls));

  return {
    url: server.url,
    directory,
    faults,
    requests,
    helm,
    add(files, indexUrl) {
      const source = writeFiles(join(root, `chart-${count++}`), files);
      const told = helm('package', source, '--destination', directory);
      const index = join(directory, 'index.yaml');
      const merge = existsSync(index) ? ['--merge', index] : [];
      helm('repo', 'index', directory, ...(indexUrl ? ['--url', indexUrl] : []), ...merge);
      return /saved it to: (.*)$/m.exec(told)?.[1] ?? '';
    },
    async close() {
      await server.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
