// Objects that two Kustomizations have in their sources. Without a rule they would take it from each other with every
// interval. Whoever claims it last gets it (so that an object can move from one source to another), and the other one
// leaves it alone and says so. When the one that has it lets go, it is handed to the other instead of being deleted.
import { isDeepStrictEqual } from 'node:util';
import type { InventoryEntry, KubeObject, NamespacedName } from '../../k8s/object.ts';
import type { ApplyJournals } from './journal.ts';
import { type ApplyOwner, ownerOf } from './owner.ts';

/** Gives the other owner to which a live object is to be left; undefined: it may be applied. */
export type RivalOf = (id: string, live: KubeObject) => Promise<ApplyOwner | undefined>;

/** Gives the other owner that has an object in its inventory as well; undefined: nobody else wants it. */
export type HeirOf = (id: string) => ApplyOwner | undefined;

export interface ClaimsDeps {
  kustomization(ref: NamespacedName): Promise<KubeObject | undefined> | KubeObject | undefined;
  /** All of them, as memory has them. Without it nothing is handed over. */
  kustomizations?(): readonly KubeObject[];
  /** Without them only what a status lists is known. */
  journals?: ApplyJournals;
}

/**
 * The rule for one Kustomization. `known` are the inventory ids of what it had applied before: only there it gives way,
 * and only to one that exists and lists the object (or has just applied it), in the same cluster.
 */
export function rivalRule(self: KubeObject, known: ReadonlySet<string>, deps: ClaimsDeps): RivalOf {
  return async (id, live) => {
    const other = ownerOf(live);
    if (!other || !known.has(id) || isSame(other, self.metadata)) return undefined;
    const found = await deps.kustomization(other);
    if (!found || !mayClaim(found, self)) return undefined;
    const listed = inventoryEntriesOf(found);
    if (listed.some((entry) => entry.id === id)) return other;
    // What it has not reported yet, because it still waits for health.
    const journal = await deps.journals?.open(other, listed);
    return journal?.entries().some((entry) => entry.id === id) ? other : undefined;
  };
}

/** Who inherits what a Kustomization lets go. The inventories are read once, at the first question. */
export function heirRule(self: KubeObject, { kustomizations }: ClaimsDeps): HeirOf {
  let heirs: Map<string, ApplyOwner> | undefined;
  return (id) => {
    heirs ??= new Map(
      (kustomizations?.() ?? [])
        .filter((one) => !isSame(ownerOfObject(one), self.metadata) && mayClaim(one, self))
        .flatMap((one) => inventoryEntriesOf(one).map((entry) => [entry.id, ownerOfObject(one)])),
    );
    return heirs.get(id);
  };
}

/** What a Kustomization's status lists. */
export function inventoryEntriesOf({ status }: KubeObject): InventoryEntry[] {
  return (status as { inventory?: { entries?: InventoryEntry[] } } | undefined)?.inventory?.entries ?? [];
}

/** One that is being deleted claims nothing more, and one of another cluster has other objects of the same names. */
function mayClaim(other: KubeObject, self: KubeObject): boolean {
  if (other.metadata.deletionTimestamp) return false;
  const [theirs, ours] = [kubeConfigOf(other), kubeConfigOf(self)];
  if (theirs === undefined && ours === undefined) return true;
  return other.metadata.namespace === self.metadata.namespace && isDeepStrictEqual(theirs, ours);
}

function kubeConfigOf({ spec }: KubeObject): unknown {
  return (spec as { kubeConfig?: unknown } | undefined)?.kubeConfig;
}

function ownerOfObject({ metadata: { namespace = '', name } }: KubeObject): ApplyOwner {
  return { kind: 'Kustomization', namespace, name };
}

function isSame(a: NamespacedName, b: { namespace?: string; name: string }): boolean {
  return a.namespace === b.namespace && a.name === b.name;
}
