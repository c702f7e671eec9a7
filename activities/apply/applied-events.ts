// Which changes of applied objects are somebody else's: these, and only these, wake the owner.
import { compareResourceVersions } from '../../k8s/resource-version.ts';
import { inventoryEntryOf, type KubeObject, refOf, subjectOf } from '../../k8s/object.ts';
import type { CacheEvent, WatchCache, WatchCaches } from '../../k8s/watch-cache.ts';
import { type AppliedEntry, fingerprintOf, isEntryInSync } from './fingerprint.ts';
import { isLastWriteOurs, lastForeignManager } from './managed-fields.ts';
import type { ApplyMemory } from './memory.ts';
import { type ApplyOwner, ownerKey, ownerNameLabel, ownerOf } from './owner.ts';

/** A change that we did not make. */
export interface ForeignChange {
  owner: ApplyOwner;
  kind: 'foreign-write' | 'foreign-delete' | 'taken' | 'handed-over';
  subject: string;
  /** The field manager that wrote last, or the owner that took the object, if it can be told. */
  manager?: string;
}

/**
 * Says what a cache event means. undefined: our own write, a change of status or of foreign metadata, an object that is
 * not remembered, or one whose owner is busy (see {@link watchAppliedObjects}, which looks again when it is not). When
 * an object changes hands, `owner` says whose view is asked for; default: that of the one that had it before.
 */
export function classifyAppliedEvent(
  event: CacheEvent,
  memory: ApplyMemory,
  isMetadataOnly = false,
  owner = ownersOf(event)[0],
): ForeignChange | undefined {
  const { object, type, previous } = event;
  if (!owner || memory.isBusy(owner)) return undefined;
  const ref = refOf(object);
  const known = memory.peek(owner);
  const entry = known?.entries.get(inventoryEntryOf(ref).id);
  if (!entry || entry.skip === 'desired') return undefined;
  const { uid = '', resourceVersion = '', deletionTimestamp } = object.metadata;
  const subject = subjectOf(ref);
  const holder = ownerOf(object) ?? owner;
  const isHeld = ownerKey(holder) === ownerKey(owner);
  if (entry.skip === 'taken') return isHeld && type !== 'DELETED' ? { owner, kind: 'handed-over', subject } : undefined;
  if (type === 'DELETED') {
    if ((entry.uid && uid !== entry.uid) || hasSweptItself(object)) return undefined;
    return { owner, kind: 'foreign-delete', subject };
  }
  // The end of a deletion is an event of its own.
  if (deletionTimestamp || compareResourceVersions(resourceVersion, entry.resourceVersion) <= 0) return undefined;
  if (isEntryInSync(entry, object, isMetadataOnly)) return undefined;
  if (!isHeld) return { owner, kind: 'taken', subject, manager: subjectOf(holder) };
  // It differed before this event already: that was told then, and this one is about its status.
  if (previous && isSameContent(entry, previous, object, isMetadataOnly)) return undefined;
  if (isLastWriteOurs(object)) {
    // Another worker applied it: what this process remembers is old.
    memory.drop(owner);
    return undefined;
  }
  return { owner, kind: 'foreign-write', subject, manager: lastForeignManager(object, previous) };
}

/** A finished Job with a TTL goes by itself: to make it again at once would run it for ever. The interval does (as in Flux). */
function hasSweptItself({ kind, spec, status }: KubeObject): boolean {
  if (kind !== 'Job' || (spec as { ttlSecondsAfterFinished?: number })?.ttlSecondsAfterFinished === undefined)
    return false;
  const { conditions = [] } = (status ?? {}) as { conditions?: Array<{ type: string; status: string }> };
  return conditions.some(({ type, status: value }) => ['Complete', 'Failed'].includes(type) && value === 'True');
}

/** The owner before the event, and the one after it when that is another. */
function ownersOf({ object, previous }: CacheEvent): ApplyOwner[] {
  const found = [previous && ownerOf(previous), ownerOf(object)].filter((owner) => owner !== undefined);
  return [...new Map(found.map((owner) => [ownerKey(owner), owner])).values()];
}

function isSameContent(entry: AppliedEntry, a: KubeObject, b: KubeObject, isMetadataOnly: boolean): boolean {
  // Against an older version than our last write nothing can be said: that one was not told.
  if (compareResourceVersions(a.metadata.resourceVersion ?? '', entry.resourceVersion) <= 0) return false;
  return fingerprintOf(a, entry, isMetadataOnly) === fingerprintOf(b, entry, isMetadataOnly);
}

/**
 * Watches all caches of applied objects and tells foreign changes. Events of an owner that is being applied are put
 * aside and judged when its apply has ended. Caches that are opened later are taken in by `refresh`, which is called
 * whenever an apply of this process ends; what a cache already holds then is judged as well.
 */
export function watchAppliedObjects(
  deps: {
    memory: ApplyMemory;
    caches: WatchCaches;
    /**
     * False for an owner that applies to another cluster: labels alone do not tell, as two clusters may hold objects of
     * owners of the same name. Default: all are told.
     */
    isTarget?(owner: ApplyOwner): boolean;
  },
  onForeignChange: (change: ForeignChange) => void,
): { refresh(): void; stop(): void } {
  const { memory, caches, isTarget = () => true } = deps;
  const subscriptions = new Map<WatchCache, () => void>();
  const deferred = new Map<string, Map<string, { cache: WatchCache; event: CacheEvent }>>();

  function judge(owner: ApplyOwner, cache: WatchCache, event: CacheEvent): void {
    const change = classifyAppliedEvent(event, memory, cache.scope.metadataOnly, owner);
    if (change) onForeignChange(change);
  }

  function handle(owner: ApplyOwner, cache: WatchCache, event: CacheEvent): void {
    if (!isTarget(owner)) return;
    if (memory.isBusy(owner)) {
      const events = deferred.get(ownerKey(owner)) ?? new Map();
      // The last event of an object says all, but not relative to the one before it, which nobody has judged.
      const judged = event.type === 'DELETED' ? event : { type: event.type, object: event.object };
      const { resource } = cache.scope;
      events.set(`${resource.group}/${subjectOf(refOf(event.object))}`, { cache, event: judged });
      deferred.set(ownerKey(owner), events);
      return;
    }
    if (memory.peek(owner)) judge(owner, cache, event);
    else void memory.load(owner).then(() => judge(owner, cache, event));
  }

  function handleAll(cache: WatchCache, event: CacheEvent): void {
    for (const owner of ownersOf(event)) handle(owner, cache, event);
  }

  const stopListening = memory.onIdle((owner) => {
    const events = deferred.get(ownerKey(owner));
    deferred.delete(ownerKey(owner));
    for (const { cache, event } of events?.values() ?? []) handle(owner, cache, event);
    refresh();
  });

  function refresh(): void {
    for (const cache of caches.opened()) {
      if (cache.scope.labelSelector !== ownerNameLabel || subscriptions.has(cache)) continue;
      subscriptions.set(
        cache,
        cache.subscribe((event) => handleAll(cache, event)),
      );
      for (const object of cache.list()) handleAll(cache, { type: 'MODIFIED', object });
    }
  }

  refresh();
  return {
    refresh,
    stop() {
      stopListening();
      for (const unsubscribe of subscriptions.values()) unsubscribe();
      subscriptions.clear();
      deferred.clear();
    },
  };
}
