// Removes from the artifact store what nobody needs, soon after the start and every hour. Each worker does it: they may
// share a store or not, and what is gone already is no error.
import type { KubeObject } from '../k8s/object.ts';
import { type RetentionOptions, sweepStore } from '../activities/artifact/retention.ts';
import type { Log } from './log.ts';

export interface RetentionDependencies extends Omit<RetentionOptions, 'objects'> {
  /** All objects whose histories name manifests; undefined while they are not known. */
  objects(): readonly KubeObject[] | undefined;
  log: Log;
}

const firstAfterMs = 60_000;
const everyMs = 3_600_000;

/** Starts sweeping; returns the function that stops it. */
export function startRetention({ objects, log, ...options }: RetentionDependencies): () => void {
  async function sweep(): Promise<void> {
    const known = objects();
    if (!known) return;
    try {
      const removed = await sweepStore({ ...options, objects: known });
      if (Object.values(removed).some((count) => count > 0)) log.info({ ...removed }, 'removed old blobs');
    } catch (error) {
      log.warn({ error: String(error) }, 'old blobs cannot be removed');
    }
  }

  let timer = setTimeout(function next() {
    timer = setTimeout(next, everyMs).unref();
    void sweep();
  }, firstAfterMs).unref();
  return () => clearTimeout(timer);
}
