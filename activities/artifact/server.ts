// Serves artifacts over plain HTTP, as consumers of every Flux installation expect it: GET / is the readiness probe,
// everything else is a file of the store. Lists nothing, leaves the root never, serves no name that begins with a dot.
import { Readable } from 'node:stream';
import { type Context, Hono } from 'hono';
import { type ByteRange, servedDirectory, type ServedFile, type ServedFiles, servedPath } from './served-files.ts';

/**
 * The artifact server's routes over a store's directory or another driver's files, without a socket: hand `fetch` to any
 * HTTP server. HEAD, one range and `If-None-Match` are understood; 503 says that the store does not answer. `isIntact`
 * looks at a path that is asked for: what it says is damaged is not found. @default nothing is looked at
 */
export function createArtifactApp(
  files: string | ServedFiles,
  isIntact: (path: string) => Promise<boolean> = async () => true,
): Hono {
  const open = typeof files === 'string' ? servedDirectory(files) : files;
  const app = new Hono();
  app.get('/', (context) => context.text('ok\n'));
  app.get('/*', async (context) => {
    const path = servedPath(new URL(context.req.url).pathname);
    if (path === undefined) return context.text('not found\n', 404);
    let file: ServedFile | undefined;
    try {
      if (!(await isIntact(path))) return context.text('not found\n', 404);
      file = await open(path);
      if (!file) return context.text('not found\n', 404);
      return await answer(context, path, file);
    } catch {
      await file?.close();
      return context.text('the artifact store does not answer\n', 503);
    }
  });
  app.all('*', (context) => context.text('method not allowed\n', 405, { allow: 'GET, HEAD' }));
  return app;
}

async function answer(context: Context, path: string, file: ServedFile): Promise<Response> {
  const etag = `"${file.etag}"`;
  const headers: Record<string, string> = {
    etag,
    'accept-ranges': 'bytes',
    'last-modified': new Date(file.modifiedMs).toUTCString(),
    'x-content-type-options': 'nosniff',
  };
  const close = async (response: Response): Promise<Response> => {
    await file.close();
    return response;
  };
  if (context.req.header('if-none-match') === etag) return await close(context.body(null, 304, headers));
  const ifRange = context.req.header('if-range');
  const asked = ifRange === undefined || ifRange === etag ? context.req.header('range') : undefined;
  const range = rangeOf(asked, file.sizeBytes);
  if (range === 'unsatisfiable') {
    return await close(context.body(null, 416, { ...headers, 'content-range': `bytes */${file.sizeBytes}` }));
  }
  headers['content-type'] = contentTypeOf(path);
  headers['content-length'] = String(range ? range.last - range.first + 1 : file.sizeBytes);
  if (range) headers['content-range'] = `bytes ${range.first}-${range.last}/${file.sizeBytes}`;
  const status = range ? 206 : 200;
  if (context.req.method === 'HEAD') return await close(context.body(null, status, headers));
  const content = Readable.from(await file.content(range), { objectMode: false });
  return context.body(Readable.toWeb(content) as ReadableStream, status, headers);
}

/** The one range that a header asks for; undefined for the whole file, which also answers what we do not understand. */
export function rangeOf(header: string | undefined, sizeBytes: number): ByteRange | 'unsatisfiable' | undefined {
  const [, from = '', to = ''] = /^bytes=([0-9]{0,15})-([0-9]{0,15})$/.exec(header?.trim() ?? '') ?? [];
  if (from === '' && to === '') return undefined;
  if (from === '') {
    const count = Math.min(Number(to), sizeBytes);
    return count === 0 ? 'unsatisfiable' : { first: sizeBytes - count, last: sizeBytes - 1 };
  }
  const first = Number(from);
  const last = Math.min(to === '' ? sizeBytes - 1 : Number(to), sizeBytes - 1);
  if (to !== '' && Number(to) < first) return undefined;
  return first > last ? 'unsatisfiable' : { first, last };
}

function contentTypeOf(path: string): string {
  if (path.endsWith('.tar.gz') || path.endsWith('.tgz')) return 'application/gzip';
  if (path.endsWith('.yaml')) return 'application/yaml';
  return 'application/octet-stream';
}
