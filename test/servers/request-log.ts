// Records the HTTP requests that this process sends with undici, below everything that could be wrapped.
import { channel } from 'node:diagnostics_channel';

export interface RequestLog {
  /** `PATCH /api/v1/namespaces/a/configmaps/b?dryRun=All`, in the order of sending. */
  requests: string[];
  stop(): void;
}

/** Starts to record; `isCounted` chooses by path. */
export function startRequestLog(isCounted: (path: string) => boolean = () => true): RequestLog {
  const requests: string[] = [];
  const onRequest = (message: unknown): void => {
    const { method, path } = (message as { request: { method: string; path: string } }).request;
    if (isCounted(path)) requests.push(`${method} ${path}`);
  };
  channel('undici:request:create').subscribe(onRequest);
  return { requests, stop: () => channel('undici:request:create').unsubscribe(onRequest) };
}
