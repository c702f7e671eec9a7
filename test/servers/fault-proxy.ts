// A reverse proxy in front of a registry: notes requests, and does to answers what networks and rate limits do.
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { listenOnLoopback } from './loopback.ts';

/** What goes wrong; may be changed between requests. */
export interface RegistryFaults {
  /** Wait before each answer. */
  delayMs?: number;
  /** Answer with this status, so often (without end: always). */
  status?: number;
  times?: number;
  /** Beside `status`. */
  headers?: Record<string, string>;
  /** Cut the connection after so many bytes of a blob. */
  cutAfterBytes?: number;
  /** Send so many bytes of a blob and then no more. */
  stallAfterBytes?: number;
  /** Redirect reads of blobs to the same path below this URL. */
  redirectBlobsTo?: string;
  /** Leave the digest out of answers to HEAD. */
  isDigestHidden?: boolean;
  /** Refuse HEAD. */
  isHeadRefused?: boolean;
  /** Called for every request before it goes on; true when it has answered. */
  answer?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export interface SeenRequest {
  method: string;
  /** Path and query. */
  path: string;
  authorization: string | undefined;
}

export interface FaultProxy {
  port: number;
  faults: RegistryFaults;
  requests: SeenRequest[];
  close(): Promise<void>;
}

/** Starts a proxy to a port of this machine. */
export async function startFaultProxy(targetPort: number): Promise<FaultProxy> {
  const faults: RegistryFaults = {};
  const requests: SeenRequest[] = [];

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/', headers } = incoming;
    requests.push({ method, path, authorization: headers.authorization });
    const isBlobRead = method === 'GET' && path.includes('/blobs/');
    if (faults.delayMs) await new Promise((resolve) => setTimeout(resolve, faults.delayMs));
    if (faults.answer?.(incoming, response)) return;
    if (faults.status && (faults.times ?? 1) > 0) {
      if (faults.times !== undefined) faults.times -= 1;
      response.writeHead(faults.status, faults.headers).end('{"errors":[{"code":"BROKEN","message":"on purpose"}]}');
      return;
    }
    if (faults.isHeadRefused && method === 'HEAD') {
      response.writeHead(405).end();
      return;
    }
    if (faults.redirectBlobsTo && isBlobRead) {
      response.writeHead(307, { location: faults.redirectBlobsTo + path }).end();
      return;
    }
    forward(incoming, response, isBlobRead);
  }

  function forward(incoming: IncomingMessage, response: ServerResponse, isBlobRead: boolean): void {
    const { method, url: path, headers } = incoming;
    const onward = request({ host: '127.0.0.1', port: targetPort, method, path, headers }, (answer) => {
      const answered = { ...answer.headers };
      if (faults.isDigestHidden && method === 'HEAD') delete answered['docker-content-digest'];
      response.writeHead(answer.statusCode ?? 502, answered);
      let sent = 0;
      let isCut = false;
      answer.on('data', (chunk: Buffer) => {
        const { cutAfterBytes, stallAfterBytes } = faults;
        const limit = isBlobRead ? (cutAfterBytes ?? stallAfterBytes) : undefined;
        const part = limit === undefined ? chunk : chunk.subarray(0, Math.max(0, limit - sent));
        sent += chunk.length;
        response.write(part);
        if (limit === undefined || sent < limit) return;
        isCut = true;
        answer.destroy();
        if (cutAfterBytes !== undefined) setTimeout(() => response.destroy(), 20);
      });
      answer.on('end', () => isCut || response.end());
      answer.on('error', () => isCut || response.destroy());
    });
    onward.on('error', () => response.destroy());
    incoming.pipe(onward);
  }

  const server = await listenOnLoopback((incoming, response) => {
    void serve(incoming, response).catch(() => response.destroy());
  });
  return {
    port: server.port,
    faults,
    requests,
    close: server.close,
  };
}
