// What carries the talk of upload-pack.ts to a server: HTTP or SSH, chosen by the scheme of the URL.
import type { GitCredentials } from './credentials.ts';
import { createHttpTransport } from './http-transport.ts';
import type { Packet } from './pkt-line.ts';
import { createSshTransport } from './ssh/ssh-transport.ts';

/** One operation's way to a server; to be closed when the operation ends. */
export interface GitTransport {
  /** True when what the server says of itself need not be asked again for the next operation. */
  isStateless: boolean;
  /** Asks for the advertisement, in protocol 2 where the server speaks it. `url` is the repository's after redirects. */
  advertise(signal: AbortSignal): Promise<{ url: string; packets: AsyncIterable<Packet> }>;
  /**
   * Sends one request and gives the packets of its answer. In protocol 1 `url` and the refs are those of the last
   * advertisement, and an answer is read to the end of its pack.
   */
  exchange(request: ExchangeRequest, signal: AbortSignal): Promise<AsyncIterable<Packet>>;
  close(): void;
}

export interface ExchangeRequest {
  url: string;
  version: 1 | 2;
  body: Buffer;
}

/** The transport for `http://`, `https://` or `ssh://`. */
export function openTransport(url: string, credentials: GitCredentials): GitTransport {
  return url.startsWith('ssh:') ? createSshTransport(url, credentials) : createHttpTransport(url, credentials);
}
