// The check that costs no request: is everything of an owner still as its last complete apply left it?
import type { InventoryEntry, KubeObject } from '../../k8s/object.ts';
import { compareResourceVersions } from '../../k8s/resource-version.ts';
import type { WatchCache, WatchCaches } from '../../k8s/watch-cache.ts';
import { appliedScope } from './cache-scope.ts';
import { digestOf } from './digest.ts';
import { isEntryInSync } from './fingerprint.ts';
import type { ApplyMemory } from './memory.ts';
import type { ApplyOwner } from './owner.ts';

const cacheSyncMs = 10_000;
const catchUpMs = 1_000;

/** The digest of everything that an apply of a Kustomization depends on, apart from the cluster. */
export function applyKeyOf(kustomization: KubeObject, manifestsDigest: string): string {
  const spec = (kustomization.spec ?? {}) as Record<string, unknown>;
  const { commonMetadata, ignore, force, serviceAccountName, kubeConfig, prune } = spec;
  return digestOf([manifestsDigest, commonMetadata, ignore, force, serviceAccountName, kubeConfig, prune]);
}

/** The digest of an inventory, whatever the order of its entries. */
export function inventoryDigest(entries: readonly InventoryEntry[]): string {
  return digestOf(entries.map(({ id, v }) => `${id} ${v}`).sort());
}

/** The owner that a Kustomization is for its objects. */
export function ownerOfKustomization(kustomization: Pick<KubeObject, 'metadata'>): ApplyOwner {
  const { namespace = '', name } = kustomization.metadata;
  return { kind: 'Kustomization', namespace, name };
}

/**
 * True when the manifests, the spec and every live object are as the last complete apply left them, so that an apply
 * would do nothing. False says only that a look is needed. Makes no request but the first list and watch of a kind.
 */
export async function isInSync(
  kustomization: KubeObject,
  manifestsDigest: string,
  deps: { memory: ApplyMemory; caches: WatchCaches; overrideManagers?: readonly string[] },
): Promise<boolean> {
  const owner = ownerOfKustomization(kustomization);
  if (deps.memory.isBusy(owner)) return false;
  const { applyKey } = await deps.memory.load(owner);
  if (applyKey !== applyKeyOf(kustomization, manifestsDigest)) return false;
  return await isAsApplied(kustomization, deps);
}

/** True when every live object is as the last complete apply left it, whatever is wanted by now; see {@link isInSync}. */
export async function isAsApplied(
  kustomization: KubeObject,
  deps: { memory: ApplyMemory; caches: WatchCaches; overrideManagers?: readonly string[] },
): Promise<boolean> {
  const memory = await deps.memory.load(ownerOfKustomization(kustomization));
  if (!memory.applyKey) return false;
  const status = kustomization.status as { inventory?: { entries?: InventoryEntry[] } } | undefined;
  if (memory.inventoryDigest !== inventoryDigest(status?.inventory?.entries ?? [])) return false;

  const caches = new Map<string, WatchCache>();
  for (const [type, resource] of memory.resources) caches.set(type, deps.caches.open(appliedScope(resource)));
  if (!(await areSynced([...caches.values()]))) return false;
  const newest = new Map<WatchCache, string>();
  for (const entry of memory.entries.values()) {
    const cache = caches.get(entry.type);
    if (cache && compareResourceVersions(entry.resourceVersion, newest.get(cache) ?? '') > 0) {
      newest.set(cache, entry.resourceVersion);
    }
  }
  await Promise.all([...newest].map(([cache, version]) => cache.waitForVersion(version, catchUpMs)));
  for (const entry of memory.entries.values()) {
    const cache = caches.get(entry.type);
    const cached = cache?.get(entry.namespace, entry.name);
    if (!isEntryInSync(entry, cached, cache?.scope.metadataOnly === true, deps.overrideManagers)) return false;
  }
  return true;
}

async function areSynced(caches: WatchCache[]): Promise<boolean> {
  if (caches.every((cache) => cache.isSynced)) return true;
  const patience = AbortSignal.timeout(cacheSyncMs);
  await Promise.all(caches.map((cache) => cache.sync(patience).catch(() => {})));
  return caches.every((cache) => cache.isSynced);
}
