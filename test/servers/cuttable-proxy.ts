// A TCP proxy whose connections can be cut and refused: what a network does to clients.
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';

export interface CuttableProxy {
  port: number;
  /** Breaks all connections there are. */
  cut(): void;
  /** Breaks a connection that has brought so many bytes from the target; undefined ends that. */
  cutAfter(bytes: number | undefined): void;
  /** Refuses (resets) new connections until it is called with false. */
  refuse(isRefusing: boolean): void;
  close(): void;
}

/** Starts a proxy to a port of this machine. */
export async function startCuttableProxy(targetPort: number): Promise<CuttableProxy> {
  const sockets = new Set<Socket>();
  let isRefusing = false;
  let cutAfterBytes: number | undefined;
  const server = createServer((client) => {
    if (isRefusing) {
      client.resetAndDestroy();
      return;
    }
    const target = connect(targetPort, '127.0.0.1');
    let fromTargetBytes = 0;
    target.on('data', (chunk: Buffer) => {
      fromTargetBytes += chunk.length;
      if (cutAfterBytes !== undefined && fromTargetBytes > cutAfterBytes) client.resetAndDestroy();
    });
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    cutAfter: (bytes) => {
      cutAfterBytes = bytes;
    },
    refuse: (value) => {
      isRefusing = value;
    },
    close: () => {
      cut();
      server.close();
    },
  };
}
