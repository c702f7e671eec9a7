// Git over SSH: one connection for an operation, `git-upload-pack` run in it, and nothing else ever asked for.
import { type Duplex, PassThrough } from 'node:stream';
import ssh2, { type Client, type ClientChannel } from 'ssh2';
import { failure, messageOf } from '../../../errors.ts';
import type { GitCredentials } from '../credentials.ts';
import { flushPacket, type Packet, readPackets } from '../pkt-line.ts';
import { displayUrl } from '../remote-error.ts';
import type { GitTransport } from '../transport.ts';
import {
  fingerprint,
  judgeHostKey,
  keyTypeOf,
  type KnownHost,
  knownHostName,
  preferredHostKeys,
} from './known-hosts.ts';
import { openConnection } from './tunnel.ts';

/** One running `git-upload-pack`. */
interface Session {
  channel: ClientChannel;
  packets: AsyncGenerator<Packet>;
  /** True between two requests: what follows is the server's answer to the next one. */
  isReady: boolean;
  version: 1 | 2;
  /** What the server wrote beside the protocol, its exit code first. */
  lastWords(): string;
}

const keepaliveIntervalMs = 15_000;
const farewellMs = 2_000;
const maxLastWords = 2_000;
const defaultUser = 'git';

/** `ssh://user@host:port/path`; the credentials must have been read for SSH. */
export function createSshTransport(repositoryUrl: string, credentials: GitCredentials): GitTransport {
  const place = placeOf(repositoryUrl);
  let client: Client | undefined;
  let socket: Duplex | undefined;
  let session: Session | undefined;
  let whyRefused: string | undefined;
  let lastError: Error | undefined;

  async function connection(signal: AbortSignal): Promise<Client> {
    if (client) return client;
    const { ssh } = credentials;
    if (!ssh) throw failure('AuthenticationFailed', 'a repository over SSH needs a Secret in spec.secretRef');
    const sock = await openConnection(place.host, place.port, credentials.proxy, signal);
    socket = sock;
    const name = knownHostName(place.host, place.port);
    const username = ssh.username ?? (place.user || defaultUser);
    const opened: Client = new ssh2.Client();
    client = opened;
    signal.addEventListener('abort', () => sock.destroy(), { once: true });
    await new Promise<void>((resolve, reject) => {
      opened.once('ready', resolve);
      opened.on('error', (error: Error) => {
        lastError ??= error;
        reject(error);
      });
      opened.once('close', () => reject(new Error('the server closed the connection before the login was done')));
      opened.connect({
        sock,
        username,
        authHandler: [{ type: 'publickey', username, key: ssh.identity }],
        hostVerifier(key) {
          whyRefused = refusalOf(ssh.knownHosts, name, key, credentials.origin);
          return whyRefused === undefined;
        },
        algorithms: {
          serverHostKey: preferredHostKeys(ssh.knownHosts, name, ssh.algorithms?.hostKey),
          ...(ssh.algorithms?.kex && { kex: [...ssh.algorithms.kex] }),
        },
        readyTimeout: 0, // the caller's signal carries spec.timeout
        keepaliveInterval: keepaliveIntervalMs,
        keepaliveCountMax: 3,
      });
    }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw loginFailure(error, whyRefused, repositoryUrl, credentials.origin);
    });
    return opened;
  }

  async function open(signal: AbortSignal): Promise<Session> {
    const opened = await connection(signal);
    const channel = await new Promise<ClientChannel>((resolve, reject) => {
      const onClose = (): void => reject(lastError ?? new Error('the server closed the connection'));
      opened.once('close', onClose);
      opened.exec(place.command, { env: { GIT_PROTOCOL: 'version=2' } }, (error, made) => {
        opened.removeListener('close', onClose);
        if (error) reject(new Error('the server does not run git-upload-pack', { cause: error }));
        else resolve(made);
      });
    });
    // ssh2's channels do not end with an error, so what is read comes through a stream that does.
    const body = new PassThrough({ highWaterMark: 256 * 1024 });
    body.on('error', () => undefined); // whoever reads gets it; after the last read nobody is there to
    channel.pipe(body);
    opened.once('error', (error: Error) => body.destroy(error));
    opened.once('close', () => body.end());
    channel.on('error', (error: Error) => body.destroy(error));
    signal.addEventListener('abort', () => body.destroy(signal.reason as Error), { once: true });
    let words = '';
    let exit = '';
    channel.stderr.on('data', (chunk: Buffer) => (words = (words + chunk.toString('utf8')).slice(-maxLastWords)));
    channel.on(
      'exit',
      (code: number | null) => (exit = code === null ? 'it was ended by a signal' : `exit code ${code}`),
    );
    const lastWords = (): string => [exit, clean(words)].filter(Boolean).join(': ');
    return { channel, packets: readPackets(body), isReady: true, version: 1, lastWords };
  }

  /** The packets of one answer: up to the first flush, or as far as the reader wants. */
  async function* answer(from: Session, endsWithFlush: boolean): AsyncGenerator<Packet> {
    for (;;) {
      const { value: packet, done } = await from.packets.next();
      if (done) throw new EndedError(from.lastWords());
      if (packet.type === 'flush' && endsWithFlush) from.isReady = true;
      yield packet;
      if (packet.type === 'flush' && endsWithFlush) return;
    }
  }

  async function* advertisement(from: Session): AsyncGenerator<Packet> {
    let isFirst = true;
    try {
      for await (const packet of answer(from, true)) {
        if (isFirst && packet.type === 'data') from.version = packet.data.toString().startsWith('version 2') ? 2 : 1;
        isFirst = false;
        yield packet;
      }
    } catch (error) {
      if (!(error instanceof EndedError) || !isFirst) throw error;
      // What servers say of a repository that is not there, or not for this key.
      throw failure(
        'GitOperationFailed',
        `the server gave no repository ${displayUrl(repositoryUrl)} (${error.lastWords || 'it said nothing'}): ` +
          `check the path in spec.url, and that the key in ${credentials.origin} may read it`,
      );
    }
  }

  return {
    isStateless: false,

    async advertise(signal) {
      session?.channel.close();
      session = await open(signal);
      return { url: repositoryUrl, packets: advertisement(session) };
    },

    async exchange({ version, body }, signal) {
      if (!session?.isReady) {
        session?.channel.close();
        session = await open(signal);
        for await (const _ of advertisement(session));
      }
      const current = session;
      if (current.version !== version) throw new Error('the server changed its protocol between two requests');
      current.isReady = false;
      current.channel.write(body);
      return answer(current, version === 2);
    },

    close() {
      if (session?.isReady) session.channel.end(flushPacket); // no more requests
      client?.end();
      // A server that does not answer the farewell is not waited for.
      setTimeout(() => socket?.destroy(), farewellMs).unref();
    },
  };
}

/** The server ended `git-upload-pack` before its answer was complete. */
class EndedError extends Error {
  override readonly name = 'EndedError';
  readonly lastWords: string;
  constructor(lastWords: string) {
    super(`the server ended git-upload-pack in the middle${lastWords ? ` (${lastWords})` : ''}`);
    this.lastWords = lastWords;
  }
}

interface Place {
  host: string;
  port: number;
  user: string;
  command: string;
}

/** Fails with URLInvalid for a URL without host or path, or with characters that no path needs. */
export function placeOf(url: string): Place {
  const parsed = new URL(url);
  const path = decode(parsed.pathname).replace(/^\/(?=~)/, '');
  if (!parsed.hostname || path.length < 2 || /\p{Cc}/u.test(path)) {
    throw failure(
      'URLInvalid',
      'spec.url is not a valid address: expected "ssh://<user>@<host>[:<port>]/<repository>"',
    );
  }
  return {
    host: parsed.hostname.toLowerCase().replace(/^\[(.*)\]$/, '$1'),
    port: Number(parsed.port || 22),
    user: decode(parsed.username),
    // git-shell takes exactly this form, and a shell takes what is quoted as it stands.
    command: `git-upload-pack '${path.replaceAll(/['!]/g, "'\\$&'")}'`,
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Why the key of a host is not accepted, or undefined when it is. */
function refusalOf(known: KnownHost[], name: string, key: Buffer, origin: string): string | undefined {
  const verdict = judgeHostKey(known, name, key);
  const shown = `${keyTypeOf(key)} ${fingerprint(key)}`;
  const where = `"known_hosts" of ${origin}`;
  switch (verdict.kind) {
    case 'trusted':
      return undefined;
    case 'revoked':
      return `the host "${name}" showed the key ${shown}, which ${where} has revoked`;
    case 'authority':
      return (
        `${where} names only a certificate authority for the host "${name}", and host certificates are not supported: ` +
        `add the host's own key (it showed ${shown}; compare it with what its operator publishes)`
      );
    case 'unknown':
      return (
        `${where} has no key for the host "${name}", which showed ${shown}: ` +
        'compare that with what its operator publishes, then add its line'
      );
    case 'mismatch': {
      const expected = verdict.expected.map((line) => `${line.keyType} ${fingerprint(line.key)}`);
      return (
        `the host "${name}" showed another key than ${where} has: expected ${expected.join(' or ')}, got ${shown}; ` +
        'it is another machine, or its key was changed: ask its operator before you change known_hosts'
      );
    }
  }
}

function loginFailure(error: unknown, whyRefused: string | undefined, repositoryUrl: string, origin: string): unknown {
  const url = displayUrl(repositoryUrl);
  if (whyRefused !== undefined) return failure('GitOperationFailed', `connecting to ${url} failed: ${whyRefused}`);
  const level = error instanceof Error && 'level' in error ? error.level : undefined;
  if (level === 'client-authentication') {
    return failure('AuthenticationFailed', `access to ${url} was refused (public key): check "identity" of ${origin}`);
  }
  if (level === 'protocol' || level === 'handshake') {
    const words = messageOf(error);
    const next = /no matching (key exchange|host key)/.test(words) ? whereAlgorithmsAre : '';
    return failure('GitOperationFailed', `connecting to ${url} failed (SSH): ${clean(words)}${next}`);
  }
  return error;
}

const whereAlgorithmsAre =
  '; the server has none of CONTINUO_SSH_KEX_ALGOS, or of CONTINUO_SSH_HOSTKEY_ALGOS, the options of the worker';

/** A server's words, short and on one line. */
function clean(text: string): string {
  const line = text.replaceAll(/[^\x20-\x7e]+/g, ' ').trim();
  return line === '' ? '' : `"${line.slice(0, 300)}"`;
}
