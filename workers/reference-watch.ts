// Changes of labelled ConfigMaps and Secrets: whoever refers to one is told at once (contract 1.0,
// `reconcile.fluxcd.io/watch`).
import type { KubeObject } from '../k8s/object.ts';
import { type ReferencedKind, referencedKinds, type WatchedReferences } from '../k8s/referenced-objects.ts';
import type { CacheEvent } from '../k8s/watch-cache.ts';
import type { WakeReason } from '../workflows/messages.ts';
import { refersTo, wakeOfReference } from './events-to-wakes.ts';
import type { Log } from './log.ts';

/** How far changes were told: a resourceVersion for each kind. */
export type ReferenceProgress = Partial<Record<ReferencedKind, string>>;

export interface ReferenceWatch {
  /** Ends the watch. */
  stop(): void;
  /** Tells what has changed since then, of what is still there. */
  catchUp(since: ReferenceProgress): Promise<void>;
  progress(): ReferenceProgress;
}

export interface ReferenceWatchOptions {
  references: WatchedReferences;
  /** The objects of ours that may refer to something. */
  users(): KubeObject[];
  log: Pick<Log, 'warn'>;
}

/** Starts telling each object of ours that refers to a changed one. */
export function watchReferences(
  { references, users, log }: ReferenceWatchOptions,
  onChange: (user: KubeObject, wake: WakeReason) => void,
): ReferenceWatch {
  const subscriptions: (() => void)[] = [];
  let isStopped = false;

  const tell = (event: CacheEvent): void => {
    const wake = wakeOfReference(event);
    if (!wake) return;
    for (const user of users()) if (refersTo(user, event.object)) onChange(user, wake);
  };

  /** What the first list holds is no change; a listing that is forbidden is tried on, and all of it is news then. */
  const listen = async (kind: ReferencedKind): Promise<void> => {
    const cache = references.cacheOf(kind);
    await cache.sync().catch((error: unknown) => {
      if (!isStopped) log.warn({ kind, error: String(error) }, 'labelled objects cannot be watched');
    });
    if (!isStopped) subscriptions.push(cache.subscribe((event) => tell(event)));
  };
  const listening = Promise.all(referencedKinds.map(listen));

  return {
    stop() {
      isStopped = true;
      for (const unsubscribe of subscriptions) unsubscribe();
    },
    async catchUp(since) {
      await listening;
      for (const kind of referencedKinds) {
        const told = since[kind];
        if (!told) continue;
        for (const object of references.cacheOf(kind).list()) {
          if (BigInt(object.metadata.resourceVersion ?? 0) > BigInt(told)) tell({ type: 'ADDED', object });
        }
      }
    },
    progress: () => Object.fromEntries(referencedKinds.map((kind) => [kind, references.cacheOf(kind).resourceVersion])),
  };
}
