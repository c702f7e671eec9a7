// The worker's one HTTP server: probes, metrics, artifacts.
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import type { Registry } from 'prom-client';

export interface HttpOptions {
  address: string;
  artifacts: Hono;
  metrics: Registry;
  isReady(): boolean;
}

/** Listens; resolves once it does, with a function that closes. Rejects when the address is taken. */
export async function startHttp(options: HttpOptions): Promise<() => Promise<void>> {
  const app = new Hono();
  app.get('/healthz', (c) => c.text('ok'));
  app.get('/readyz', (c) => (options.isReady() ? c.text('ok') : c.text('starting', 503)));
  app.get('/metrics', async (c) => {
    c.header('content-type', options.metrics.contentType);
    return c.body(await options.metrics.metrics());
  });
  app.route('/', options.artifacts);

  const colon = options.address.lastIndexOf(':');
  const hostname = options.address.slice(0, colon) || '0.0.0.0';
  const port = Number(options.address.slice(colon + 1));
  return await new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname, port }, () => {
      resolve(() => new Promise<void>((closed) => server.close(() => closed())));
    });
    server.once('error', (error: Error) => {
      reject(new Error(`cannot listen on ${options.address}: ${error.message}; choose another CONTINUO_HTTP_ADDRESS`));
    });
  });
}
