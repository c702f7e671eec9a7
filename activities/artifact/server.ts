// Serves artifacts over plain HTTP, as consumers of every Flux installation expect it: GET / is the readiness probe,
// everything else is a file of the store. Lists nothing, leaves the root never, serves no name that begins with a dot.
import { open, realpath, type FileHandle } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { Readable } from 'node:stream';
import { Hono } from 'hono';
import { pathProblem } from './tar-path.ts';

/** The artifact server's routes over a store's directory, without a socket: hand `fetch` to any HTTP server. */
export function createArtifactApp(directory: string): Hono {
  const app = new Hono();
  app.get('/', (context) => context.text('ok\n'));
  app.get('/*', async (context) => {
    const file = await openArtifact(directory, new URL(context.req.url).pathname);
    if (!file) return context.text('not found\n', 404);
    const etag = `"${file.sizeBytes.toString(16)}-${Math.round(file.modifiedMs).toString(16)}"`;
    const headers: Record<string, string> = {
      etag,
      'last-modified': new Date(file.modifiedMs).toUTCString(),
      'x-content-type-options': 'nosniff',
    };
    if (context.req.header('if-none-match') === etag) {
      await file.handle.close();
      return context.body(null, 304, headers);
    }
    headers['content-type'] = contentTypeOf(file.path);
    headers['content-length'] = String(file.sizeBytes);
    if (context.req.method === 'HEAD') {
      await file.handle.close();
      return context.body(null, 200, headers);
    }
    const stream = file.handle.createReadStream({ highWaterMark: 256 * 1024 });
    return context.body(Readable.toWeb(stream) as ReadableStream, 200, headers);
  });
  app.all('*', (context) => context.text('method not allowed\n', 405, { allow: 'GET, HEAD' }));
  return app;
}

interface OpenArtifact {
  handle: FileHandle;
  path: string;
  sizeBytes: number;
  modifiedMs: number;
}

async function openArtifact(directory: string, urlPath: string): Promise<OpenArtifact | undefined> {
  const path = decodePath(urlPath);
  if (path === undefined) return undefined;
  let handle: FileHandle | undefined;
  try {
    // A symbolic link may name another file of the store (`latest.tar.gz`), never anything outside or hidden.
    const root = await realpath(directory);
    const target = await realpath(join(root, path));
    if (!target.startsWith(root + sep) || isHidden(target.slice(root.length + 1).split(sep))) return undefined;
    handle = await open(target, 'r');
    const info = await handle.stat();
    if (info.isFile()) return { handle, path, sizeBytes: info.size, modifiedMs: info.mtimeMs };
  } catch {
    // missing or unreadable: the same answer as for a name that may not be served
  }
  await handle?.close();
  return undefined;
}

function decodePath(urlPath: string): string | undefined {
  let path: string;
  try {
    path = decodeURIComponent(urlPath.replace(/^\//, ''));
  } catch {
    return undefined;
  }
  if (pathProblem(path) || path.includes('\\') || isHidden(path.split('/'))) return undefined;
  return path;
}

function isHidden(segments: string[]): boolean {
  return segments.some((segment) => segment.startsWith('.') || segment.endsWith('.lock'));
}

function contentTypeOf(path: string): string {
  if (path.endsWith('.tar.gz') || path.endsWith('.tgz')) return 'application/gzip';
  if (path.endsWith('.yaml')) return 'application/yaml';
  return 'application/octet-stream';
}
