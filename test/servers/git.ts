// A Git server that misbehaves on demand: a proxy with authentication, TLS and faults in front of the platform's Git
// server. Repositories are made with the git binary.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request, type RequestListener, type ServerResponse } from 'node:http';
import type { ServerOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startGitServer } from '../../tools/platform/git-server.ts';
import { listenOnLoopback } from './loopback.ts';

/** What goes wrong; may be changed between requests. */
export interface GitFaults {
  /** Wait before each answer. */
  delayMs?: number;
  /** Answer with this status. */
  status?: number;
  /** Cut the connection after so many bytes of the answer to a POST. */
  cutAfterBytes?: number;
  /** Hide protocol 2 from Git. */
  isFirstVersionOnly?: boolean;
  /** Redirect every GET to the same path below this URL. */
  redirectTo?: string;
  /** Refuse fetches of protocol 2 that want this commit, as servers without free wants do. */
  forbiddenWant?: string;
}

export interface SeenRequest {
  method: string;
  path: string;
  authorization: string | undefined;
  responseBytes: number;
}

export interface TestGitServer {
  url: string;
  /** Folder of the bare repositories. */
  root: string;
  faults: GitFaults;
  requests: SeenRequest[];
  close(): Promise<void>;
}

export interface TestGitServerOptions {
  /** Value that the Authorization header must have. */
  authorization?: string;
  tls?: TestTls;
}

/** `server` for the test certificate, `mutual` to demand the client certificate as well. */
export type TestTls = 'server' | 'mutual';

/** A PEM file of `test/servers/tls`. */
export function testPem(name: 'ca.crt' | 'server.crt' | 'server.key' | 'client.crt' | 'client.key'): string {
  return readFileSync(join(import.meta.dirname, 'tls', name), 'utf8');
}

/** The certificate of an authority that has issued none of them. */
export function otherCaPem(): string {
  return readFileSync(join(import.meta.dirname, '../fixtures/notation/other-root.crt'), 'utf8');
}

/** What a server needs for it. */
export function tlsOptions(tls: TestTls | undefined): ServerOptions | undefined {
  const isMutual = tls === 'mutual';
  const pems = { cert: testPem('server.crt'), key: testPem('server.key'), ca: testPem('ca.crt') };
  return tls && { ...pems, requestCert: isMutual, rejectUnauthorized: isMutual };
}

export async function startTestGitServer(options: TestGitServerOptions = {}): Promise<TestGitServer> {
  const root = mkdtempSync(join(tmpdir(), 'continuo-git-'));
  const backend = await startGitServer({ root });
  const faults: GitFaults = {};
  const requests: SeenRequest[] = [];
  const listener: RequestListener = (incoming, response) => {
    void serve(incoming, response).catch(() => response.destroy());
  };

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const seen: SeenRequest = {
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      authorization: incoming.headers.authorization,
      responseBytes: 0,
    };
    requests.push(seen);
    const body: Buffer[] = [];
    for await (const chunk of incoming) body.push(chunk as Buffer);
    const content = Buffer.concat(body);
    if (faults.delayMs) await new Promise((resolve) => setTimeout(resolve, faults.delayMs));
    if (faults.redirectTo && incoming.method === 'GET') {
      response.writeHead(302, { location: faults.redirectTo + seen.path }).end();
    } else if (options.authorization && seen.authorization !== options.authorization) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('no\n');
    } else if (faults.status) {
      response.writeHead(faults.status).end('no\n');
    } else if (faults.forbiddenWant && content.includes(`want ${faults.forbiddenWant}`)) {
      const line = `ERR upload-pack: not our ref ${faults.forbiddenWant}`;
      response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-result' });
      response.end((line.length + 4).toString(16).padStart(4, '0') + line);
    } else {
      forward(incoming, content, response, seen);
    }
  }

  function forward(incoming: IncomingMessage, content: Buffer, response: ServerResponse, seen: SeenRequest): void {
    const headers = { ...incoming.headers };
    delete headers.authorization;
    if (faults.isFirstVersionOnly) delete headers['git-protocol'];
    const cutAfterBytes = incoming.method === 'POST' ? faults.cutAfterBytes : undefined;
    const onward = request(backend.url + seen.path, { method: seen.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on('data', (chunk: Buffer) => {
        seen.responseBytes += chunk.length;
        if (cutAfterBytes !== undefined && seen.responseBytes > cutAfterBytes) {
          answer.destroy();
          response.destroy();
          return;
        }
        if (!response.write(chunk)) {
          answer.pause();
          response.once('drain', () => answer.resume());
        }
      });
      answer.on('end', () => response.end());
      answer.on('error', () => response.destroy());
    });
    onward.on('error', () => response.destroy());
    onward.end(content);
  }

  const server = await listenOnLoopback(listener, tlsOptions(options.tls));
  return {
    url: server.url,
    root,
    faults,
    requests,
    async close() {
      await server.close();
      await backend.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** A bare repository with a working copy beside it. */
export interface TestRepository {
  /** Runs git in the working copy and gives its output without the last newline. */
  git(...args: string[]): string;
  write(path: string, content: string | Uint8Array, mode?: number): void;
  /** Commits everything and pushes the current branch; gives the commit. */
  commit(message: string): string;
}

/** Makes `<root>/<name>.git`, empty, with the branch main checked out in a working copy that the root holds as well. */
export function createTestRepository(root: string, name: string): TestRepository {
  const bare = join(root, `${name}.git`);
  const work = join(root, `${name}.work`);
  const run = (cwd: string, args: string[]): string =>
    execFileSync('git', args, {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        HOME: root,
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_AUTHOR_NAME: 'Test',
        GIT_AUTHOR_EMAIL: 'test@example.test',
        GIT_COMMITTER_NAME: 'Test',
        GIT_COMMITTER_EMAIL: 'test@example.test',
      },
    }).replace(/\n$/, '');
  mkdirSync(work, { recursive: true });
  run(root, ['init', '-q', '--bare', '-b', 'main', bare]);
  run(bare, ['config', 'receive.denyDeleteCurrent', 'ignore']);
  run(work, ['init', '-q', '-b', 'main']);
  // What tests pack is small or random: compressing it is time for nothing.
  for (const directory of [bare, work]) run(directory, ['config', 'core.compression', '0']);
  run(work, ['remote', 'add', 'origin', bare]);
  const git = (...args: string[]): string => run(work, args);
  return {
    git,
    write(path, content, mode) {
      mkdirSync(dirname(join(work, path)), { recursive: true });
      writeFileSync(join(work, path), content, mode === undefined ? {} : { mode });
    },
    commit(message) {
      git('add', '-A');
      git('commit', '-q', '--allow-empty', '-m', message);
      git('push', '-q', '-f', 'origin', 'HEAD');
      return git('rev-parse', 'HEAD');
    },
  };
}
