// A list and the changes that follow it, without end: the watch is opened again where it broke off.
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeApiError, type KubeClient, type ListOptions, type ResourceInfo } from '../k8s/client.ts';
import type { KubeObject } from '../k8s/object.ts';

/** First, and again when the server has forgotten where we were: all objects. Then every change. */
export type ObjectChange =
  | { type: 'LISTED'; objects: KubeObject[] }
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: KubeObject };

const retryAfterMs = 1_000;

/**
 * Yields until `signal` aborts, then ends. A server that is away for a while is waited for; what it refuses is thrown,
 * and so is a first list that fails.
 */
export async function* watchObjects(
  kube: KubeClient,
  resource: ResourceInfo,
  options: ListOptions & { signal: AbortSignal },
): AsyncGenerator<ObjectChange> {
  const { signal } = options;
  let resourceVersion: string | undefined;
  let hasListed = false;
  while (!signal.aborted) {
    try {
      if (resourceVersion === undefined) {
        const list = await kube.list(resource, options);
        resourceVersion = list.resourceVersion;
        hasListed = true;
        yield { type: 'LISTED', objects: list.items };
      }
      for await (const { type, object } of kube.watch(resource, { ...options, resourceVersion })) {
        resourceVersion = object.metadata.resourceVersion ?? resourceVersion;
        if (type !== 'BOOKMARK') yield { type, object };
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!hasListed || !(error instanceof KubeApiError)) throw error;
      if (error.status === 410) resourceVersion = undefined;
      else if (error.isTransient) await sleep(retryAfterMs, undefined, { signal }).catch(() => undefined);
      else throw error;
    }
  }
}

/** Aborted by Ctrl-C; whoever waits for it ends in an orderly way. A second Ctrl-C ends the process at once. */
export function onInterrupt(): AbortController {
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort());
  return controller;
}
