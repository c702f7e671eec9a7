// Serves the bare repositories of a folder over Git's smart HTTP, by handing each request to `git http-backend`. Takes
// clones, fetches and pushes; bodies are streamed both ways. Meant for loopback: it has no TLS and by default no login.
import { spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What `startGitServer` may be told. */
export interface GitServerOptions {
  /** Folder that holds the bare repositories; `<root>/a.git` is served as `<url>/a.git`. */
  root: string;
  /** @default a free one */
  port?: number;
  /** When set, every request needs these by HTTP basic authentication. */
  auth?: { username: string; password: string };
  /**
   * Called for each request before Git sees it, so that a test can slow it down or refuse it: wait in the function,
   * and return a status code to answer with that instead.
   */
  intercept?: (request: IncomingMessage) => Promise<number | undefined> | number | undefined;
}

/** A running Git server. */
export interface GitServer {
  /** `http://127.0.0.1:<port>`, without a slash at the end. */
  url: string;
  port: number;
  /** Ends open requests and frees the port. */
  close(): Promise<void>;
}

/** Settings that a hosted Git service has too: pushes, partial clones and fetches of a commit by its id. */
const gitConfig = {
  'http.receivepack': 'true',
  'uploadpack.allowFilter': 'true',
  'uploadpack.allowAnySHA1InWant': 'true',
  'safe.directory': '*',
};

/** Starts the server on 127.0.0.1. Fails when the port is taken. */
export async function startGitServer(options: GitServerOptions): Promise<GitServer> {
  const server = createServer((request, response) => {
    void serve(options, request, response).catch((error: Error) => {
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end(`${error.message}\n`);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

async function serve(options: GitServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const status = await options.intercept?.(request);
  if (status) {
    response.writeHead(status).end();
    return;
  }
  const url = new URL(request.url ?? '/', 'http://localhost');
  if (url.pathname === '/healthz') {
    response.writeHead(200).end('ok\n');
    return;
  }
  if (options.auth && !isAuthorized(request, options.auth)) {
    response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('authentication required\n');
    return;
  }
  runBackend(options, url, request, response);
}

function isAuthorized(request: IncomingMessage, auth: { username: string; password: string }): boolean {
  const wanted = Buffer.from(`${auth.username}:${auth.password}`).toString('base64');
  return request.headers.authorization === `Basic ${wanted}`;
}

function runBackend(options: GitServerOptions, url: URL, request: IncomingMessage, response: ServerResponse): void {
  const headers = request.headers;
  const child = spawn('git', ['http-backend'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      ...configEnvironment(),
      GIT_PROJECT_ROOT: options.root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_NOSYSTEM: '1',
      REQUEST_METHOD: request.method,
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: headers['content-type'] ?? '',
      REMOTE_ADDR: request.socket.remoteAddress ?? '',
      REMOTE_USER: options.auth?.username ?? 'anonymous',
      // Without a length (a chunked body) the backend reads to the end of its input.
      ...(headers['content-length'] ? { CONTENT_LENGTH: headers['content-length'] } : {}),
      ...(headers['content-encoding'] ? { HTTP_CONTENT_ENCODING: headers['content-encoding'] } : {}),
      ...(headers['git-protocol'] ? { GIT_PROTOCOL: String(headers['git-protocol']) } : {}),
    },
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-2_000)));
  child.stdin.on('error', () => undefined); // the backend may end before it has read the whole body
  child.once('error', (error) => response.destroy(error));
  request.pipe(child.stdin);
  response.once('close', () => child.kill());

  let head = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    child.stdout.off('data', onData);
    const { status, fields } = parseCgiHead(head.subarray(0, end).toString('latin1'));
    response.writeHead(status, fields);
    response.write(head.subarray(end + 4));
    child.stdout.pipe(response);
  };
  child.stdout.on('data', onData);
  child.once('close', () => {
    if (!response.headersSent) response.writeHead(500).end(errors || 'git http-backend gave no answer\n');
    if (errors && !options.intercept) process.stderr.write(`${url.pathname}: ${errors}`);
  });
}

/** Splits the head of a CGI answer into its status (200 unless it says otherwise) and header fields. */
export function parseCgiHead(head: string): { status: number; fields: Record<string, string> } {
  const fields: Record<string, string> = {};
  let status = 200;
  for (const line of head.split('\r\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10);
    else fields[name] = value;
  }
  return { status, fields };
}

/** Git reads settings from these variables as if they were in every repository's config. */
function configEnvironment(): Record<string, string> {
  const env: Record<string, string> = { GIT_CONFIG_COUNT: String(Object.keys(gitConfig).length) };
  Object.entries(gitConfig).forEach(([key, value], index) => {
    env[`GIT_CONFIG_KEY_${index}`] = key;
    env[`GIT_CONFIG_VALUE_${index}`] = value;
  });
  return env;
}

/** Run as a process: `node tools/platform/git-server.ts --root <folder> --port <port>`. */
if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { root: { type: 'string' }, port: { type: 'string' } } });
  if (!values.root) throw new Error('git server not started (InvalidArgument): --root is missing');
  const server = await startGitServer({ root: values.root, port: Number(values.port ?? 0) });
  console.log(`git server on ${server.url}, repositories of ${values.root}`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => void server.close().then(() => process.exit(0)));
  }
}
