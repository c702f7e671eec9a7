// The way of a helm process to an API server: a loopback address of this worker, good for one process. Credentials and
// impersonation are added here, so none are ever on disk; a process whose session is over, or whose worker died, reaches
// nothing any more. Two things that the helm command cannot do are done on the way: its release Secrets go to the storage
// namespace, and its writes are those of the contract's field manager.
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { KubeApiError, type KubeClient } from '../../k8s/client.ts';
import { type KubeObject, subjectOf } from '../../k8s/object.ts';
import { messageOf } from '../errors.ts';
import { isReleaseSecretName } from './names.ts';
import { stampSecret } from './stamp-secret.ts';

/** Who writes the objects of a release (contract 2.2, "apply behaviour"). */
export const helmManager = 'helm-controller';
/** On a release Secret: the attempt that wrote it last, so that a later attempt knows its own work again. */
export const attemptAnnotation = 'continuo.dev/attempt';

export interface GatewaySession {
  /** The cluster, as the account that acts. */
  client: Pick<KubeClient, 'forward'>;
  /** Namespace of the release, in which helm believes its Secrets to be. */
  namespace: string;
  /** Namespace in which they are. */
  storageNamespace: string;
  /** Name of this attempt, for {@link attemptAnnotation}. */
  attempt: string;
}

/** The way that one process goes. */
export interface OpenedGateway {
  /** Base URL for the process's kubeconfig; whoever has it acts as the account of the session. */
  server: string;
  /** `Kind/namespace/name` of each object that the process has written, with the version that it got. */
  readonly written: ReadonlyMap<string, string>;
  /** Cuts the process off, also from answers that are under way. */
  close(): void;
}

export interface ApiGateway {
  open(session: GatewaySession): Promise<OpenedGateway>;
  close(): Promise<void>;
}

interface Session extends GatewaySession {
  closing: AbortController;
  written: Map<string, string>;
}

const maxBodyBytes = 16 * 1024 * 1024;
const tokenBytes = 32;
const own = new Set([
  'host',
  'authorization',
  'connection',
  'content-length',
  'transfer-encoding',
  'keep-alive',
  'upgrade',
  'expect',
]);

/** Opens on a free loopback port with the first session. */
export function createApiGateway(): ApiGateway {
  /** By digest of the token: what is looked up is nothing that a caller could guess piece by piece. */
  const sessions = new Map<string, Session>();
  const server = createServer((request, response) => {
    void answer(request, response).catch((error: unknown) => refuse(response, error));
  });
  server.keepAliveTimeout = 60_000;
  let listening: Promise<number> | undefined;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, token = '', rest = ''] = /^\/([0-9a-f]+)(\/.*)$/.exec(request.url ?? '') ?? [];
    const session = sessions.get(keyOf(token));
    if (!session) return void response.writeHead(401).end();
    const { signal } = session.closing;
    const onAbort = (): void => void response.destroy();
    signal.addEventListener('abort', onAbort, { once: true });
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      const url = new URL(rest, 'http://gateway');
      const { path, isStorage } = placeOf(url, session);
      const sent = await bodyOf(request);
      const isStorageWrite = isStorage && (request.method === 'POST' || request.method === 'PUT');
      const { storageNamespace, attempt } = session;
      const stamp = { namespace: storageNamespace, annotation: attemptAnnotation, value: attempt };
      const body = sent && isStorageWrite ? stampSecret(sent, stamp) : sent;
      const answered = await session.client.forward({
        method: request.method ?? 'GET',
        path,
        headers: headersOf(request.headers),
        body,
        signal: AbortSignal.any([signal, gone.signal]),
      });
      const isKept = (name: string): boolean => name === 'content-length' || !own.has(name);
      for (const [name, value] of Object.entries(answered.headers)) {
        if (value !== undefined && isKept(name)) response.setHeader(name, value);
      }
      response.writeHead(answered.status);
      response.flushHeaders(); // of a watch that has nothing to tell yet
      const isTold = sent && !isStorage && answered.status < 300 && !answered.headers['content-encoding'];
      if (isTold) await pipeline(answered.body, noteVersion(session.written), response);
      else await pipeline(answered.body, response);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async function listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    server.unref();
    return (server.address() as AddressInfo).port;
  }

  return {
    async open(session) {
      listening ??= listen();
      const port = await listening;
      const token = randomBytes(tokenBytes).toString('hex');
      const opened: Session = { ...session, closing: new AbortController(), written: new Map() };
      sessions.set(keyOf(token), opened);
      return {
        server: `http://127.0.0.1:${port}/${token}`,
        written: opened.written,
        close() {
          sessions.delete(keyOf(token));
          opened.closing.abort();
        },
      };
    },
    async close() {
      for (const session of sessions.values()) session.closing.abort();
      sessions.clear();
      if (!listening) return;
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Reads the object in an answer as it passes through. */
function noteVersion(written: Map<string, string>): (source: AsyncIterable<Buffer>) => AsyncGenerator<Buffer> {
  return async function* note(source) {
    const chunks: Buffer[] = [];
    for await (const chunk of source) {
      chunks.push(chunk);
      yield chunk;
    }
    try {
      const { kind, metadata } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as KubeObject;
      const { namespace = '', name, resourceVersion } = metadata;
      if (resourceVersion) written.set(subjectOf({ kind, namespace, name }), resourceVersion);
    } catch {
      // the answer to a deletion, or another encoding
    }
  };
}

function keyOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Where a request goes in truth, and whether it is about the Secrets that hold releases. */
export function placeOf(
  url: URL,
  { namespace, storageNamespace }: Pick<GatewaySession, 'namespace' | 'storageNamespace'>,
): { path: string; isStorage: boolean } {
  const query = new URLSearchParams(url.search);
  if (query.get('fieldManager') === 'helm') query.set('fieldManager', helmManager);
  const text = query.toString();
  const secrets = `/api/v1/namespaces/${namespace}/secrets`;
  const isCollection = url.pathname === secrets;
  const name = url.pathname.startsWith(`${secrets}/`) ? url.pathname.slice(secrets.length + 1) : '';
  // A collection is listed by label; what is created there is known by its type alone.
  const isList = isCollection && (query.get('labelSelector') ?? '').split(',').includes('owner=helm');
  const isStorage = isList || isReleaseSecretName(decodeURIComponent(name)) || (isCollection && text === '');
  const pathname = isStorage
    ? url.pathname.replace(secrets, `/api/v1/namespaces/${storageNamespace}/secrets`)
    : url.pathname;
  return { path: text ? `${pathname}?${text}` : pathname, isStorage };
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array | undefined> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBodyBytes) throw new KubeApiError(`a request of more than ${maxBodyBytes} bytes`, 413, '');
    chunks.push(chunk);
  }
  return sizeBytes > 0 ? Buffer.concat(chunks) : undefined;
}

function headersOf(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const kept = Object.entries(headers).filter(
    ([name, value]) => value !== undefined && !own.has(name) && !name.startsWith('impersonate-'),
  );
  return Object.fromEntries(kept) as Record<string, string | string[]>;
}

/** Told in the server's own form, so that helm says it in its message. */
function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  const code = error instanceof KubeApiError && error.status > 0 ? error.status : 502;
  const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, message: messageOf(error) };
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(status));
}
