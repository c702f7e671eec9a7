// Garbage collection: deletes what an earlier inventory has and the new one has not (contract 2.1, "inventory").
import type { KubeClient, ResourceInfo } from '../../k8s/client.ts';
import {
  type Change,
  type InventoryEntry,
  type KubeObject,
  type ObjectRef,
  refOfInventoryEntry,
  subjectOf,
} from '../../k8s/object.ts';
import type { WatchCaches } from '../../k8s/watch-cache.ts';
import { awaitObjects } from './await-objects.ts';
import { appliedScope } from './cache-scope.ts';
import type { HeirOf } from './claims.ts';
import { runConcurrently } from './concurrently.ts';
import { applyManager } from './managed-fields.ts';
import { deletionGroups } from './order.ts';
import { type ApplyOwner, isOwnedBy, ownerLabels, ownerNameLabel, ownerNamespaceLabel } from './owner.ts';
import { objectError } from './refusals.ts';
import { isPruneDisabled } from './selectors.ts';

export interface PruneRequest {
  client: KubeClient;
  caches?: WatchCaches;
  owner: ApplyOwner;
  /** What is to go; see {@link staleEntries}. */
  stale: readonly InventoryEntry[];
  concurrency?: number;
  customStageKinds?: readonly string[];
  /** Who gets what is let go, if anybody wants it. Default: nobody does. */
  heirOf?: HeirOf;
  signal?: AbortSignal;
  onProgress?(done: number, total: number): void;
}

export interface PruneResult {
  changes: Change[];
  /** Entries whose deletion is not confirmed: they stay in the inventory. */
  survivors: InventoryEntry[];
  /** Why they survived. */
  errors: unknown[];
  /** What was deleted by this call, with the uid that it had. */
  deleted: Array<{ ref: ObjectRef; resource: ResourceInfo; uid?: string }>;
}

/** The entries of an old inventory that a new one does not have; the version does not matter. */
export function staleEntries(old: readonly InventoryEntry[], current: readonly InventoryEntry[]): InventoryEntry[] {
  const kept = new Set(current.map((entry) => entry.id));
  return old.filter((entry) => !kept.has(entry.id));
}

/**
 * Deletes stale objects in the reverse order of application, each only when it still carries the owner's labels and no
 * switch keeps it; what another owner wants as well is handed to it with its labels. A failure keeps nothing from being tried; kinds that no longer exist count as gone.
 */
export async function pruneInventory(request: PruneRequest): Promise<PruneResult> {
  const { client, owner, stale, signal } = request;
  const entries = new Map<ObjectRef, InventoryEntry>(stale.map((entry) => [refOfInventoryEntry(entry), entry]));
  const result: PruneResult = { changes: [], survivors: [], errors: [], deleted: [] };
  let through = 0;

  async function prune(ref: ObjectRef): Promise<void> {
    try {
      const resource = await resourceOf(client, ref);
      if (!resource) return;
      const served = { ...ref, version: resource.version };
      const live = await findLive(served, resource, request);
      if (!live || !isOwnedBy(live, owner)) return;
      if (isPruneDisabled(live)) {
        result.changes.push({ subject: subjectOf(ref), action: 'skipped' });
        return;
      }
      const { uid } = live.metadata;
      const heir = request.heirOf?.((entries.get(ref) as InventoryEntry).id);
      if (heir) {
        const metadata = { uid, labels: ownerLabels(heir) };
        await client.patch(served, { metadata }, { type: 'merge', fieldManager: applyManager, signal });
        result.changes.push({ subject: subjectOf(ref), action: 'skipped' });
        return;
      }
      const isThere = await client.delete(served, { propagationPolicy: 'Background', uid, signal });
      if (!isThere) return;
      result.deleted.push({ ref: served, resource, uid });
      result.changes.push({ subject: subjectOf(ref), action: 'deleted' });
    } finally {
      request.onProgress?.(++through, stale.length);
    }
  }

  for (const group of deletionGroups([...entries.keys()], request.customStageKinds)) {
    const outcomes = await runConcurrently(group, request.concurrency ?? 8, prune, { signal });
    for (const [index, outcome] of outcomes.entries()) {
      const ref = group[index] as ObjectRef;
      if (outcome?.status !== 'rejected') continue;
      const object: KubeObject = { apiVersion: ref.version, kind: ref.kind, metadata: { name: ref.name } };
      result.survivors.push(entries.get(ref) as InventoryEntry);
      result.errors.push(objectError(object, subjectOf(ref), 'deletion', outcome.reason));
    }
  }
  return result;
}

/** Waits until deleted objects are gone; gives the subjects of those that are not. */
export async function awaitGone(
  request: Pick<PruneRequest, 'client' | 'owner' | 'signal'>,
  deleted: PruneResult['deleted'],
  timeoutMs: number,
): Promise<string[]> {
  const { client, owner, signal } = request;
  const labelSelector = `${ownerNameLabel}=${owner.name},${ownerNamespaceLabel}=${owner.namespace}`;
  const uids = new Map(deleted.map(({ ref, uid }) => [subjectOf(ref), uid]));
  const byResource = Map.groupBy(deleted, ({ resource }) => `${resource.group}/${resource.resource}`);
  const left = await Promise.all(
    [...byResource.values()].map((group) =>
      awaitObjects({
        client,
        resource: (group[0] as PruneResult['deleted'][number]).resource,
        refs: group.map(({ ref }) => ref),
        labelSelector,
        metadataOnly: true,
        isDone: (object, ref) => !object || object.metadata.uid !== uids.get(subjectOf(ref)),
        timeoutMs,
        signal,
      }),
    ),
  );
  return left.flat().map(subjectOf);
}

/** The resource in the inventory's version, or in any that is still served. */
async function resourceOf(client: KubeClient, ref: ObjectRef): Promise<ResourceInfo | undefined> {
  const same = await client.resourceFor(ref.group, ref.version, ref.kind);
  return same ?? client.resourceFor(ref.group, '', ref.kind);
}

/** The live metadata: from the cache when it has the object (the uid guards the delete), else from the server. */
async function findLive(
  ref: ObjectRef,
  resource: ResourceInfo,
  request: PruneRequest,
): Promise<KubeObject | undefined> {
  const cache = request.caches?.open(appliedScope(resource));
  const cached = cache?.isSynced ? cache.get(ref.namespace, ref.name) : undefined;
  return cached ?? request.client.get(ref, { metadataOnly: true, signal: request.signal });
}
