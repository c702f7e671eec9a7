// A port on loopback that nothing listens on.
import { type AddressInfo, createServer } from 'node:net';

/** It is free when this returns; whoever is told to listen on it has to do so soon. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
