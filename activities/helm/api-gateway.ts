// The way of a helm process to an API server: a loopback address of this worker, good for one process. Credentials and
// impersonation are added here, so none are ever on disk; a process whose session is over, or whose worker died, reaches
// nothing any more. Three things that the helm command cannot do are done on the way: its release Secrets go to the storage
// namespace, its writes are those of the contract's field manager, and it sees only the hooks that it is to run.
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { KubeApiError, type KubeClient } from '../../k8s/client.ts';
import { inventoryEntryOf, type KubeObject, refOf } from '../../k8s/object.ts';
import type { ForwardedAnswer } from '../../k8s/rest.ts';
import { messageOf } from '../errors.ts';
import { createGatewayAnswers, isKnowable, type SessionAnswers, type WholeAnswer } from './gateway-answers.ts';
import type { HookView } from './hook-view.ts';
import { isReleaseSecretName } from './names.ts';
import { stampSecret } from './stamp-secret.ts';
import { type ChangePacked, changeReleases, secretNameOf } from './stored-secret.ts';

/** Who writes the objects of a release (contract 2.2, "apply behaviour"). */
export const helmManager = 'helm-controller';
/** On a release Secret: the attempt that made it, so that a later attempt knows its own work again. */
export const attemptAnnotation = 'continuo.dev/attempt';

export interface GatewaySession {
  /** The cluster, as the account that acts. */
  client: Pick<KubeClient, 'forward' | 'server'>;
  /** Namespace of the release, in which helm believes its Secrets to be. */
  namespace: string;
  /** Namespace in which they are. */
  storageNamespace: string;
  /** Name of this attempt, for {@link attemptAnnotation}. */
  attempt: string;
  /** It works on a revision that is there, and marks that as well. @default only those that it makes */
  isMarkingAll?: boolean;
  /** What the process sees of the hooks of releases. @default what is stored */
  view?: Pick<HookView, 'read' | 'written' | 'sent'>;
  /** Called with each release Secret that the process has written, as the server answers it. */
  onStored?(answer: Buffer): void;
}

/** The way that one process goes. */
export interface OpenedGateway {
  /** Base URL for the process's kubeconfig; whoever has it acts as the account of the session. */
  server: string;
  /** The inventory id of each object that the process has written, with the version that it got. */
  readonly written: ReadonlyMap<string, string>;
  /** Those of them that were not there before. */
  readonly created: ReadonlySet<string>;
  /** True once the API server has left a request of the process without its answer. */
  readonly wasServerAway: boolean;
  /** Cuts the process off, also from answers that are under way. */
  close(): void;
}

export interface ApiGateway {
  open(session: GatewaySession): Promise<OpenedGateway>;
  close(): Promise<void>;
}

interface Session extends GatewaySession {
  closing: AbortController;
  answers: SessionAnswers;
  written: Map<string, string>;
  created: Set<string>;
  /** Names of the release Secrets that the process has made. */
  made: Set<string>;
  wasServerAway: boolean;
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
  const answers = createGatewayAnswers();
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
    const ending = new AbortController();
    const onClosing = (): void => {
      ending.abort();
      response.destroy();
    };
    signal.addEventListener('abort', onClosing, { once: true });
    response.once('close', () => {
      signal.removeEventListener('abort', onClosing);
      if (!response.writableFinished) ending.abort();
    });
    try {
      await passOn(session, { request, path: rest, response, signal: ending.signal });
    } catch (error) {
      session.wasServerAway ||= !ending.signal.aborted && isAnswerLost(error);
      throw error;
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
      const closing = new AbortController();
      const opened: Session = {
        ...session,
        closing,
        written: new Map(),
        created: new Set(),
        made: new Set(),
        wasServerAway: false,
        answers: answers.session(session.client.server),
      };
      sessions.set(keyOf(token), opened);
      return {
        server: `http://127.0.0.1:${port}/${token}`,
        written: opened.written,
        created: opened.created,
        get wasServerAway() {
          return opened.wasServerAway;
        },
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

interface Exchange {
  request: IncomingMessage;
  /** As helm asks for it. */
  path: string;
  response: ServerResponse;
  signal: AbortSignal;
}

async function passOn(session: Session, { request, path: asked, response, signal }: Exchange): Promise<void> {
  const { client, answers, view } = session;
  const { path, isStorage } = placeOf(new URL(asked, 'http://gateway'), session);
  const { method = 'GET', headers } = request;
  const isReading = method === 'GET' || method === 'HEAD';
  if (!isReading) answers.forget();
  if (method === 'GET' && isKnowable(path)) {
    const { accept = '*/*' } = headers;
    // Other processes may wait for the same: it ends with none of them.
    const ask = async () => await readWhole(await client.forward({ method, path, headers: { accept } }));
    return sendWhole(response, await answers.get(path, accept, ask));
  }
  const sent = await bodyOf(request);
  const isStorageWrite = isStorage && (method === 'POST' || method === 'PUT');
  const isOwn = (): boolean =>
    method === 'POST' || session.isMarkingAll === true || session.made.has(lastSegmentOf(path));
  const body = sent && (isStorageWrite ? storedForm(sent, session, isOwn()) : (view?.sent?.(sent) ?? sent));
  const read = isStorage && isReading ? view?.read : undefined;
  // What is changed, or looked at, on the way has to come unpacked; large answers would not.
  const passed = headersOf(read || !isReading ? { ...headers, 'accept-encoding': undefined } : headers);
  const answered = await client.forward({ method, path, headers: passed, body, signal });
  // One object is small; a list, a watch and a log have no end that is known.
  if (isReading && !read && /\?|\/log$/.test(path)) return await stream(response, answered);
  const whole = await readWhole(answered);
  if (sent && whole.status < 300) {
    if (isStorageWrite) {
      if (method === 'POST') session.made.add(secretNameOf(sent));
      session.onStored?.(whole.body);
    } else noteWritten(session, whole);
  }
  sendWhole(response, read && whole.status === 200 ? seenForm(whole, read) : whole);
}

/** A release Secret as it is stored. What helm changes of an older revision does not make that the work of the attempt. */
function storedForm(sent: Uint8Array, { view, storageNamespace, attempt }: Session, isOwn: boolean): Uint8Array {
  const body = view ? changeReleases(sent, view.written) : sent;
  const value = isOwn ? attempt : `${attempt} (changed, not made)`;
  return stampSecret(body, { namespace: storageNamespace, annotation: attemptAnnotation, value });
}

function lastSegmentOf(path: string): string {
  const { pathname } = new URL(path, 'http://gateway');
  return decodeURIComponent(pathname.slice(pathname.lastIndexOf('/') + 1));
}

/** Release Secrets as the process is to see them; what is damaged it sees as it is. */
function seenForm(answer: WholeAnswer, read: ChangePacked): WholeAnswer {
  const careful: ChangePacked = (packed) => {
    try {
      return read(packed);
    } catch {
      return packed;
    }
  };
  return { ...answer, body: changeReleases(answer.body, careful) };
}

/** A connection that was refused, or broken before the end of the answer. */
function isAnswerLost(error: unknown): boolean {
  if (error instanceof KubeApiError) return error.status === 0;
  return typeof (error as { code?: unknown }).code === 'string';
}

/** Notes the object in an answer. */
function noteWritten({ written, created }: Session, { status, body }: WholeAnswer): void {
  try {
    const object = JSON.parse(body.toString('utf8')) as KubeObject;
    const { resourceVersion } = object.metadata;
    if (!resourceVersion) return;
    const { id } = inventoryEntryOf(refOf(object));
    written.set(id, resourceVersion);
    if (status === 201) created.add(id);
  } catch {
    // the answer to a deletion, or another encoding
  }
}

async function readWhole({ status, headers, body }: ForwardedAnswer): Promise<WholeAnswer> {
  return { status, headers, body: Buffer.concat(await body.toArray()) };
}

/** In one piece, which costs both sides one turn of their loops. */
function sendWhole(response: ServerResponse, { status, headers, body }: WholeAnswer): void {
  setHeaders(response, headers);
  response.writeHead(status, { 'content-length': body.length }).end(body);
}

async function stream(response: ServerResponse, { status, headers, body }: ForwardedAnswer): Promise<void> {
  setHeaders(response, headers);
  response.writeHead(status);
  if (headers['transfer-encoding']) response.flushHeaders(); // a watch has nothing to tell yet
  await pipeline(body, response);
}

function setHeaders(response: ServerResponse, headers: ForwardedAnswer['headers']): void {
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !own.has(name)) response.setHeader(name, value);
  }
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
