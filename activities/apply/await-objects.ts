// Waiting for objects by list and watch: established, active, gone. Where watching is forbidden it asks once a second.
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeApiError, type KubeClient, type ListOptions, type ResourceInfo } from '../../k8s/client.ts';
import { type KubeObject, type ObjectRef } from '../../k8s/object.ts';

export interface AwaitOptions {
  client: KubeClient;
  /** All of one kind. */
  resource: ResourceInfo;
  refs: readonly ObjectRef[];
  /** Narrows the watch when there are several objects; a single one is watched by its name. */
  labelSelector?: string;
  metadataOnly?: boolean;
  /** Called with undefined for an object that does not exist. */
  isDone(object: KubeObject | undefined, ref: ObjectRef): boolean;
  timeoutMs: number;
  signal?: AbortSignal;
}

/** Waits until all objects are done; gives those that are not after the time-out. */
export async function awaitObjects(options: AwaitOptions): Promise<ObjectRef[]> {
  const { client, resource, refs, metadataOnly, signal } = options;
  const pending = new Map(refs.map((ref) => [keyOf(ref.namespace, ref.name), ref]));
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const both = signal ? AbortSignal.any([signal, timeout]) : timeout;
  const selection: ListOptions = { ...selectionOf(options), metadataOnly };

  function see(key: string, object: KubeObject | undefined): void {
    const ref = pending.get(key);
    if (ref && options.isDone(object, ref)) pending.delete(key);
  }

  async function listAndWatch(): Promise<void> {
    const list = await client.list(resource, { ...selection, signal: both });
    const found = new Map(list.items.map((item) => [keyOf(item.metadata.namespace, item.metadata.name), item]));
    for (const key of [...pending.keys()]) see(key, found.get(key));
    if (pending.size === 0) return;
    const events = client.watch(resource, { ...selection, resourceVersion: list.resourceVersion, signal: both });
    for await (const { type, object } of events) {
      if (type === 'BOOKMARK') continue;
      see(keyOf(object.metadata.namespace, object.metadata.name), type === 'DELETED' ? undefined : object);
      if (pending.size === 0) return;
    }
  }

  async function ask(): Promise<void> {
    for (const [key, ref] of [...pending]) see(key, await client.get(ref, { metadataOnly, signal: both }));
  }

  let mayWatch = true;
  while (pending.size > 0 && !both.aborted) {
    try {
      if (mayWatch) await listAndWatch();
      else await ask();
    } catch (error) {
      if (both.aborted) break;
      if (!(error instanceof KubeApiError)) throw error;
      if (error.status === 403 && mayWatch) {
        mayWatch = false;
        continue;
      }
      if (!error.isTransient && error.status !== 410) throw error;
    }
    if (pending.size > 0) await sleep(mayWatch ? 100 : 1000, undefined, { signal: both }).catch(() => {});
  }
  signal?.throwIfAborted();
  return [...pending.values()];
}

function selectionOf(options: AwaitOptions): ListOptions {
  const [first, ...others] = options.refs;
  if (first && others.length === 0) {
    return { namespace: first.namespace || undefined, fieldSelector: `metadata.name=${first.name}` };
  }
  const isOneNamespace = options.refs.every((ref) => ref.namespace === first?.namespace);
  return { namespace: (isOneNamespace && first?.namespace) || undefined, labelSelector: options.labelSelector };
}

function keyOf(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`;
}
