// An HTTP server of a test, on a free port of loopback.
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface LoopbackServer {
  server: Server;
  port: number;
  /** `127.0.0.1:<port>`. */
  host: string;
  /** `http://127.0.0.1:<port>`, or `https` with TLS. */
  url: string;
  /** Cuts the connections that are open. */
  close(): Promise<void>;
}

/** Starts it; `tls` has the certificate, and without one there is no TLS. */
export async function listenOnLoopback(listener: RequestListener, tls?: ServerOptions): Promise<LoopbackServer> {
  const server = tls ? createTlsServer(tls, listener) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  return {
    server,
    port,
    host,
    url: `${tls ? 'https' : 'http'}://${host}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
