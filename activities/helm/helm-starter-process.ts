// The small process that starts helm for a worker, see helm-starter.ts. It has nothing to lose and nobody to ask: it ends
// with its worker, however that ends, and what it has started ends with it.
import { createHelm, type Helm } from './run-helm.ts';
import type { SentRun, StarterAnswer, StarterRequest } from './helm-starter.ts';

interface RunUnderWay {
  aborting: AbortController;
  /** Takes what was made of the manifests that are rendered, or the reason why nothing was. */
  onRendered?: { resolve(manifests: string): void; reject(error: Error): void };
}

const runs = new Map<number, RunUnderWay>();
let helm: Helm | undefined;

function tell(answer: StarterAnswer): void {
  if (process.connected) process.send?.(answer, () => {}); // a worker that is gone needs no answer
}

async function run(id: number, sent: SentRun): Promise<void> {
  const { isPostRendered, ...rest } = sent;
  const underWay: RunUnderWay = { aborting: new AbortController() };
  runs.set(id, underWay);
  const postRender = (manifests: string): Promise<string> => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    underWay.onRendered = { resolve, reject };
    tell({ type: 'render', id, manifests });
    return promise;
  };
  try {
    if (!helm) throw new Error('a run came before the options');
    const result = await helm.run({
      ...rest,
      ...(isPostRendered ? { postRender } : {}),
      signal: underWay.aborting.signal,
      heartbeat: () => tell({ type: 'beat', id }),
    });
    tell({ type: 'done', id, result });
  } catch (error) {
    const { name, message } = error as Error;
    tell({ type: 'failed', id, name, message });
  } finally {
    runs.delete(id);
  }
}

process.on('message', (request: StarterRequest) => {
  if (request.type === 'open') {
    helm = createHelm(request.options);
    return;
  }
  if (request.type === 'run') {
    void run(request.id, request.run);
    return;
  }
  const underWay = runs.get(request.id);
  if (request.type === 'abort') underWay?.aborting.abort(new Error('helm was cancelled'));
  else if (request.type === 'rendered') underWay?.onRendered?.resolve(request.manifests);
  else underWay?.onRendered?.reject(new Error(request.message));
});

// Its end closes the control pipes of all that it has started, which kills them.
process.on('disconnect', () => process.exit());
// A terminal, or a service manager, tells every process: the worker decides what ends when.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
