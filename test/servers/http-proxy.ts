// A forward proxy: plain requests by their whole URL, and tunnels by CONNECT. Records what it was asked for.
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { listenOnLoopback } from './loopback.ts';

export interface TestProxy {
  /** `http://127.0.0.1:<port>`. */
  url: string;
  /** `CONNECT host:port` and `GET http://…`, in order. */
  requests: string[];
  /** Faults; may be changed between requests. */
  faults: { status?: number };
  close(): Promise<void>;
}

/**
 * With `login` (`user:password`) all others are refused with 407. `hosts` says where tunnels to a host lead instead:
 * `example.org:443` → `127.0.0.1:8443`.
 */
export async function startHttpProxy(login?: string, hosts: Record<string, string> = {}): Promise<TestProxy> {
  const requests: string[] = [];
  const faults: TestProxy['faults'] = {};
  const sockets = new Set<Duplex>();
  const wanted = login === undefined ? undefined : `Basic ${Buffer.from(login).toString('base64')}`;

  function refusal(incoming: IncomingMessage): number | undefined {
    requests.push(`${incoming.method} ${incoming.url}`);
    if (faults.status !== undefined) return faults.status;
    return wanted !== undefined && incoming.headers['proxy-authorization'] !== wanted ? 407 : undefined;
  }

  const { server, url, close } = await listenOnLoopback((incoming, response) => {
    const status = refusal(incoming);
    if (status !== undefined) {
      response.writeHead(status).end('no\n');
      return;
    }
    const { 'proxy-authorization': _, 'proxy-connection': __, ...headers } = incoming.headers;
    const onward = httpRequest(incoming.url ?? '', { method: incoming.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    incoming.pipe(onward);
  });
  server.on('connect', (incoming: IncomingMessage, client: Duplex, head: Buffer) => {
    const status = refusal(incoming);
    if (status !== undefined) {
      client.end(`HTTP/1.1 ${status} No\r\n\r\n`);
      return;
    }
    const { hostname, port } = new URL(`http://${hosts[incoming.url ?? ''] ?? incoming.url}`);
    const target: Socket = connect(Number(port || 80), hostname.replace(/^\[(.*)\]$/, '$1'), () => {
      client.write('HTTP/1.1 200 Connected\r\n\r\n');
      target.write(head);
      target.pipe(client);
      client.pipe(target);
    });
    for (const socket of [client, target]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        target.destroy();
      });
    }
  });
  return {
    url,
    requests,
    faults,
    async close() {
      for (const socket of sockets) socket.destroy();
      await close();
    },
  };
}
