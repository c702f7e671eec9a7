// A TCP connection to the server of a repository, straight or through a forward proxy by CONNECT.
import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ProxySettings } from '../../http/tls-secret.ts';

/** The proxy refused to make the connection. */
export class ProxyRefusedError extends Error {
  override readonly name = 'ProxyRefusedError';
}

/** Opens a connection. Throws Node's network errors, ProxyRefusedError, or the signal's reason. */
export async function openConnection(
  host: string,
  port: number,
  proxy: ProxySettings | undefined,
  signal: AbortSignal,
): Promise<Duplex> {
  return proxy ? await throughProxy(host, port, proxy, signal) : await straight(host, port, signal);
}

async function straight(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const socket = connect({ host, port, noDelay: true });
  return await new Promise((resolve, reject) => {
    const onAbort = (): void => void socket.destroy(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    const settle = (): void => signal.removeEventListener('abort', onAbort);
    socket.once('error', (error) => {
      settle();
      reject(error);
    });
    socket.once('connect', () => {
      settle();
      resolve(socket);
    });
  });
}

async function throughProxy(host: string, port: number, proxy: ProxySettings, signal: AbortSignal): Promise<Duplex> {
  const { address, username, password = '' } = proxy;
  const url = new URL(address);
  const target = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const options: RequestOptions = {
    method: 'CONNECT',
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port || (url.protocol === 'https:' ? 443 : 80),
    path: target,
    agent: false,
    headers: {
      host: target,
      ...(username === undefined
        ? {}
        : { 'proxy-authorization': `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` }),
    },
    signal,
  };
  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(options);
  return await new Promise((resolve, reject) => {
    request.once('error', reject);
    request.once('response', () => reject(new Error('the proxy answered a CONNECT as if it were no proxy')));
    request.once('connect', ({ statusCode = 0 }, socket, head) => {
      if (statusCode === 200) {
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
        return;
      }
      socket.destroy();
      const next = statusCode === 407 ? 'check "username" and "password" of its Secret' : 'ask who runs it';
      reject(
        new ProxyRefusedError(
          `the proxy "${url.host}" refused to connect to "${target}" (HTTP ${statusCode}): ${next}`,
        ),
      );
    });
    request.end();
  });
}
