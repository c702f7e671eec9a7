// One object of a set on its way through an apply: what is wanted, what is known, and what is to be done.
import type { KubeClient, ResourceInfo } from '../../k8s/client.ts';
import {
  type ChangeAction,
  inventoryEntryOf,
  joinApiVersion,
  type KubeObject,
  type ObjectRef,
  refOf,
  subjectOf,
} from '../../k8s/object.ts';
import type { WatchCache } from '../../k8s/watch-cache.ts';
import type { ApplyOptions } from './apply-types.ts';
import { digestOf } from './digest.ts';
import type { AppliedEntry } from './fingerprint.ts';
import type { IgnoreRules } from './ignore-rules.ts';
import { normaliseObject } from './normalise.ts';
import type { ApplyOwner } from './owner.ts';

/** What a look at the live object says has to be done. */
export type Check =
  | { action: 'created' }
  | { action: 'unchanged'; live: KubeObject }
  | { action: 'configured'; live: KubeObject; paths: string[]; isCleanup: boolean }
  | { action: 'skipped'; skip: Exclude<AppliedEntry['skip'], 'taken' | undefined>; live?: KubeObject }
  | { action: 'skipped'; skip: 'taken'; live: KubeObject; by: ApplyOwner }
  | { action: 'recreate'; live: KubeObject };

/** One object of the set. */
export interface ApplyItem {
  desired: KubeObject;
  ref: ObjectRef;
  id: string;
  subject: string;
  desiredDigest: string;
  ignored: string[][];
  /** Unknown until discovery knows the kind, which may be once its CRD is applied. */
  resource?: ResourceInfo;
  cache?: WatchCache;
  check?: Check;
  /** Set once the object is through. */
  outcome?: ChangeAction;
}

/** The items of a set. Throws an `Error` that names an object which is there twice. */
export function itemsOf(
  objects: readonly KubeObject[],
  owner: ApplyOwner,
  options: ApplyOptions,
  rules: IgnoreRules,
): ApplyItem[] {
  const ids = new Set<string>();
  return objects.map((object) => {
    const desired = normaliseObject(object, owner, options.commonMetadata);
    const item = itemOf(desired, rules(desired));
    if (ids.has(item.id)) throw new Error(`${item.subject} is more than once in the manifests: keep one of them`);
    ids.add(item.id);
    return item;
  });
}

function itemOf(desired: KubeObject, ignored: string[][]): ApplyItem {
  const ref = refOf(desired);
  const desiredDigest = digestOf([desired, ignored]);
  return { desired, ref, id: inventoryEntryOf(ref).id, subject: subjectOf(ref), desiredDigest, ignored };
}

/**
 * Finds an item's resource, and drops the namespace of a cluster-scoped object, which some sources carry. False when the
 * server does not know the kind (yet).
 */
export async function resolveResource(item: ApplyItem, client: KubeClient): Promise<boolean> {
  item.resource ??= await client.resourceFor(item.ref.group, item.ref.version, item.ref.kind);
  if (!item.resource) return false;
  if (!item.resource.namespaced && item.ref.namespace) {
    const { namespace: _, ...metadata } = item.desired.metadata;
    Object.assign(item, itemOf({ ...item.desired, metadata }, item.ignored));
  }
  return true;
}

/** The name of a type in memories: `apps/v1/Deployment`. */
export function typeOf(ref: ObjectRef): string {
  return `${joinApiVersion(ref)}/${ref.kind}`;
}
