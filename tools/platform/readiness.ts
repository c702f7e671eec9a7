// Asks a process once whether it serves: over HTTP, HTTPS or the gRPC health protocol. Never throws.
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import type { Readiness } from './components.ts';

const timeoutMs = 2_000;

/** True when the process answers that it is ready; false for anything else, a refused connection included. */
export async function isReady(readiness: Readiness): Promise<boolean> {
  return readiness.kind === 'http' ? isHttpReady(readiness) : isGrpcServing(readiness);
}

function isHttpReady(readiness: Extract<Readiness, { kind: 'http' }>): Promise<boolean> {
  return new Promise((resolve) => {
    const send = readiness.url.startsWith('https:') ? httpsRequest : httpRequest;
    try {
      const tls = readiness.caFile ? { ca: readFileSync(readiness.caFile) } : { rejectUnauthorized: false };
      const request = send(readiness.url, { agent: false, timeout: timeoutMs, ...tls }, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      });
      request.once('timeout', () => request.destroy());
      request.once('error', () => resolve(false));
      request.once('close', () => resolve(false));
      request.end();
    } catch {
      resolve(false); // the certificate is not written yet
    }
  });
}

/** grpc.health.v1.Health/Check by hand: one message with the service's name, answered by one with `status = SERVING`. */
function isGrpcServing(readiness: Extract<Readiness, { kind: 'grpc' }>): Promise<boolean> {
  return new Promise((resolve) => {
    const session = connect(`http://${readiness.address}`);
    const settle = (serving: boolean): void => {
      session.destroy();
      resolve(serving);
    };
    session.once('error', () => settle(false));
    session.setTimeout(timeoutMs, () => settle(false));
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('error', () => settle(false));
    // Five bytes of frame head, then field 1 (tag 08) with the value 1.
    stream.once('end', () =>
      settle(
        Buffer.concat(chunks)
          .subarray(5)
          .equals(Buffer.from([0x08, 0x01])),
      ),
    );
    const name = Buffer.from(readiness.service);
    const message = Buffer.concat([Buffer.from([0x0a, name.length]), name]);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([head, message]));
  });
}
