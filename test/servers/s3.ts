// A real S3 server: versitygw over a directory, behind a proxy that notes requests and misbehaves on demand.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AwsClient } from 'aws4fetch';
import { ensureBinaries } from '../../tools/platform/binaries.ts';
import { type TestTls, tlsOptions } from './git.ts';
import { listenOnLoopback } from './loopback.ts';
import { freePort } from './free-port.ts';

/** What goes wrong; may be changed between requests. */
export interface S3Faults {
  /** Wait before each answer. */
  delayMs?: number;
  /** Answer with this status. */
  status?: number;
  /** Cut the connection after so many bytes of the answer to a read of an object. */
  cutAfterBytes?: number;
  /** Turn every byte of an object that is read into another. */
  isTampered?: boolean;
  /** Redirect everything there. */
  redirectTo?: string;
  /** Called before a request goes on. */
  before?: (method: string, path: string) => Promise<void> | void;
}

export interface S3Request {
  method: string;
  /** Path and query. */
  path: string;
  authorization: string | undefined;
}

export interface TestS3Server {
  /** `http://127.0.0.1:<port>`, or `https` with TLS. */
  url: string;
  /** `127.0.0.1:<port>`. */
  host: string;
  accessKey: string;
  secretKey: string;
  faults: S3Faults;
  requests: S3Request[];
  createBucket(name: string): Promise<void>;
  /** Writes objects; null removes them. */
  put(bucket: string, objects: Record<string, string | Uint8Array | null>): Promise<void>;
  get(bucket: string, key: string): Promise<string | undefined>;
  /** Keys of a bucket, sorted. */
  keys(bucket: string): Promise<string[]>;
  close(): Promise<void>;
}

export interface TestS3ServerOptions {
  tls?: TestTls;
}

const concurrentWrites = 16;
const accessKey = 'continuo-test';
const secretKey = 'a-secret-of-the-test';

export async function startTestS3Server(options: TestS3ServerOptions = {}): Promise<TestS3Server> {
  const { versitygw } = await ensureBinaries(['versitygw'], { report: (line) => console.error(line) });
  const root = mkdtempSync(join(realpathSync(tmpdir()), 'continuo-s3-'));
  for (const directory of ['buckets', 'meta']) mkdirSync(join(root, directory));
  const backendPort = await freePort();
  const backend = spawnServer(versitygw, backendPort, root);
  const kill = (): void => void backend.kill('SIGKILL');
  process.once('exit', kill);
  await untilItAnswers(backend, backendPort);

  const faults: S3Faults = {};
  const requests: S3Request[] = [];

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: path = '' } = incoming;
    requests.push({ method, path, authorization: incoming.headers.authorization });
    await faults.before?.(method, path);
    if (faults.delayMs) await sleep(faults.delayMs);
    if (faults.status) return void response.writeHead(faults.status).end();
    if (faults.redirectTo) return void response.writeHead(307, { location: faults.redirectTo + path }).end();
    const isObject = method === 'GET' && !path.includes('list-type');
    const onward = request(
      { host: '127.0.0.1', port: backendPort, method, path, headers: incoming.headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        let sentBytes = 0;
        answer.on('data', (chunk: Buffer) => {
          sentBytes += chunk.length;
          if (isObject && faults.cutAfterBytes !== undefined && sentBytes > faults.cutAfterBytes) {
            answer.destroy();
            response.destroy();
          } else response.write(isObject && faults.isTampered ? chunk.map((byte) => byte ^ 1) : chunk);
        });
        answer.on('end', () => response.end());
        answer.on('error', () => response.destroy());
      },
    );
    onward.on('error', () => response.destroy());
    incoming.pipe(onward);
  }

  const listener = (incoming: IncomingMessage, response: ServerResponse): void => {
    void serve(incoming, response).catch(() => response.destroy());
  };
  const server = await listenOnLoopback(listener, tlsOptions(options.tls));

  const administrator = new AwsClient({
    accessKeyId: accessKey,
    secretAccessKey: secretKey,
    service: 's3',
    region: 'us-east-1',
    retries: 0,
  });
  const direct = async (method: string, path: string, content?: string | Uint8Array): Promise<Response> => {
    const url = `http://127.0.0.1:${backendPort}/${path}`;
    if (content === undefined) return await administrator.fetch(url, { method });
    const body = Buffer.from(content as string);
    const checksum = createHash('sha256').update(body).digest('base64');
    return await administrator.fetch(url, { method, body, headers: { 'x-amz-checksum-sha256': checksum } });
  };
  const pathOf = (bucket: string, key: string): string =>
    `${bucket}/${key.split('/').map(encodeURIComponent).join('/')}`;
  const expectOk = async (answer: Response): Promise<void> => {
    if (!answer.ok && answer.status !== 404) throw new Error(`${answer.status}: ${await answer.text()}`);
  };

  return {
    url: server.url,
    host: server.host,
    accessKey,
    secretKey,
    faults,
    requests,
    createBucket: async (name) => await expectOk(await direct('PUT', name)),
    async put(bucket, objects) {
      const left = Object.entries(objects);
      while (left.length > 0) await Promise.all(left.splice(0, concurrentWrites).map(write));

      async function write([key, content]: [string, string | Uint8Array | null]): Promise<void> {
        const path = pathOf(bucket, key);
        await expectOk(content === null ? await direct('DELETE', path) : await direct('PUT', path, content));
      }
    },
    async get(bucket, key) {
      const answer = await direct('GET', pathOf(bucket, key));
      return answer.ok ? await answer.text() : undefined;
    },
    async keys(bucket) {
      const text = await (await direct('GET', `${bucket}?list-type=2`)).text();
      return [...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key ?? '').sort();
    },
    async close() {
      await server.close();
      const ended = new Promise((resolve) => backend.once('exit', resolve));
      kill();
      await ended;
      process.off('exit', kill);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function spawnServer(binary: string, port: number, root: string): ChildProcess {
  const flags = ['--access', accessKey, '--secret', secretKey, '--port', `127.0.0.1:${port}`, '--quiet'];
  return spawn(binary, [...flags, 'posix', '--sidecar', join(root, 'meta'), join(root, 'buckets')], {
    cwd: root,
    stdio: 'ignore',
  });
}

async function untilItAnswers(backend: ChildProcess, port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (backend.exitCode !== null) throw new Error(`versitygw ended with ${backend.exitCode}`);
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer) return;
    await sleep(50);
  }
  throw new Error('versitygw does not answer');
}
