// What an apply and its prune would change, told and not done: `continuo diff`. Every object is dry-run exactly as the
// engine does it; nothing is written, and no cache or memory is asked.
import type { KubeClient } from '../../k8s/client.ts';
import {
  type InventoryEntry,
  inventoryEntryOf,
  type KubeObject,
  type ObjectRef,
  refOfInventoryEntry,
  subjectOf,
} from '../../k8s/object.ts';
import { type ApplyItem, itemsOf, resolveResource } from './apply-item.ts';
import { type ApplyOptions, defaultApplyOptions } from './apply-types.ts';
import { checkObject } from './check-object.ts';
import { errorsOf, runConcurrently } from './concurrently.ts';
import { comparable, differingPaths } from './diff.ts';
import { escapeStep } from './json-pointer.ts';
import { compileIgnoreRules } from './ignore-rules.ts';
import { applyManager } from './managed-fields.ts';
import { compareForApply, deletionGroups } from './order.ts';
import { type ApplyOwner, isOwnedBy } from './owner.ts';
import { isCustomKindOf } from './prerequisites.ts';
import { staleEntries } from './prune.ts';
import { objectError } from './refusals.ts';
import { isPruneDisabled } from './selectors.ts';
import { withoutStrayFields } from './stray-fields.ts';

export interface CompareRequest {
  /** Acts as the account of the owner. */
  client: KubeClient;
  owner: ApplyOwner;
  /** The built manifests. */
  objects: readonly KubeObject[];
  /** What was applied before. */
  inventory: readonly InventoryEntry[];
  /** `spec.prune`: whether what left the manifests would be deleted. */
  isPruned: boolean;
  options?: Partial<ApplyOptions>;
  signal?: AbortSignal;
}

/**
 * One object that is not as the manifests want it. `recreated` is deleted and created again, as a field cannot be changed;
 * `unknown` is refused by its definition as it is now, which the same manifests change.
 */
export interface Difference {
  subject: string;
  ref: ObjectRef;
  action: 'created' | 'drifted' | 'recreated' | 'deleted' | 'unknown';
  /** Labels, annotations and all fields outside of metadata and status; for `drifted` only. */
  before?: Record<string, unknown>;
  /** The same after the apply. */
  after?: Record<string, unknown>;
}

export interface Comparison {
  /** In the order of application, deletions last in theirs. */
  differences: Difference[];
  /** `ObjectError`s: what the server refuses, each with its subject and reason. */
  errors: unknown[];
  /** How many objects are, or may stay, as they are. */
  unchangedCount: number;
}

/** Compares; throws an `Error` when the manifests are no valid set, or the signal's reason. */
export async function compareManifests(request: CompareRequest): Promise<Comparison> {
  const { client, owner, signal } = request;
  const options: ApplyOptions = { ...defaultApplyOptions, ...request.options };
  const items = itemsOf(request.objects, owner, options, compileIgnoreRules(options.ignore));
  const found = new Map<ApplyItem, Difference>();
  const errors: unknown[] = [];

  const isPending = (item: ApplyItem): boolean => found.has(item);
  const newNamespaceOf = (item: ApplyItem): boolean =>
    [...found].some(
      ([{ ref }, { action }]) => ref.kind === 'Namespace' && action === 'created' && ref.name === item.ref.namespace,
    );
  const definitionOf = (item: ApplyItem): ApplyItem | undefined =>
    items.find((one) => isPending(one) && isCustomKindOf(one.desired, item.ref));

  async function compareItem(item: ApplyItem): Promise<void> {
    const definition = definitionOf(item);
    const isKnown = await resolveResource(item, client);
    const { subject, ref } = item;
    if ((!isKnown && definition) || newNamespaceOf(item)) {
      found.set(item, { subject, ref, action: 'created' });
      return;
    }
    try {
      // A kind that is not served is refused by the server in its own words.
      const difference = await differenceOf(item, client, options, signal);
      if (difference) found.set(item, difference);
    } catch (error) {
      signal?.throwIfAborted();
      if (!definition) throw objectError(item.desired, subject, 'dry-run', error);
      found.set(item, { subject, ref, action: 'unknown' });
    }
  }

  // Definitions and namespaces first: what they bring cannot be asked for while they are not there.
  const isFirst = ({ ref }: ApplyItem): boolean => ['CustomResourceDefinition', 'Namespace'].includes(ref.kind);
  for (const stage of [items.filter(isFirst), items.filter((item) => !isFirst(item))]) {
    errors.push(...errorsOf(await runConcurrently(stage, options.concurrency, compareItem, { signal })));
  }
  const unchangedCount = items.length - found.size - errors.length;
  const differences = [...found.values()].sort((a, b) => compareForApply(a.ref, b.ref));
  const current = items.map((item) => inventoryEntryOf(item.ref));
  const stale = request.isPruned ? staleEntries(request.inventory, current) : [];
  const groups = deletionGroups(stale.map(refOfInventoryEntry), options.customStageKinds);
  const prune = async (ref: ObjectRef): Promise<Difference | undefined> => pruned(ref, client, owner, signal);
  for (const outcome of await runConcurrently(groups.flat(), options.concurrency, prune, { signal })) {
    if (outcome?.status === 'rejected') errors.push(outcome.reason);
    else if (outcome?.value) differences.push(outcome.value);
  }
  return { differences, errors, unchangedCount };
}

async function differenceOf(
  item: ApplyItem,
  client: KubeClient,
  options: ApplyOptions,
  signal: AbortSignal | undefined,
): Promise<Difference | undefined> {
  const check = await checkObject(item, client, options, signal);
  const { subject, ref, ignored, desired } = item;
  if (check.action === 'created') return { subject, ref, action: 'created' };
  if (check.action === 'recreate') return { subject, ref, action: 'recreated' };
  if (check.action !== 'configured') return undefined;
  const { live } = check;
  const dryRun = await client.apply(desired, { fieldManager: applyManager, force: true, dryRun: true, signal });
  let after = dryRun;
  if (check.isCleanup) {
    after = withoutStrayFields(dryRun, desired, options.overrideManagers);
    if (differingPaths(dryRun, after).length > 0) after = await withDefaults(ref, live, after, client, signal);
  }
  // Field managers alone may change hands: nobody sees that in the object.
  if (differingPaths(live, after, ignored).length === 0) return undefined;
  return { subject, ref, action: 'drifted', before: comparable(live, ignored), after: comparable(after, ignored) };
}

/** What the server makes of an object as it is asked for: a field that was taken away may come back with its default. */
async function withDefaults(
  ref: ObjectRef,
  live: KubeObject,
  wanted: KubeObject,
  client: KubeClient,
  signal: AbortSignal | undefined,
): Promise<KubeObject> {
  const { metadata, ...fields } = comparable(wanted);
  const { labels = {}, annotations = {} } = metadata as KubeObject['metadata'];
  const gone = Object.keys(comparable(live)).filter((key) => key !== 'metadata' && !(key in fields));
  const patch = [
    { op: 'add', path: '/metadata/labels', value: labels },
    { op: 'add', path: '/metadata/annotations', value: annotations },
    ...Object.entries(fields).map(([key, value]) => ({ op: 'add', path: `/${escapeStep(key)}`, value })),
    ...gone.map((key) => ({ op: 'remove', path: `/${escapeStep(key)}` })),
  ];
  return await client.patch(ref, patch, { type: 'json', fieldManager: applyManager, dryRun: true, signal });
}

/** A stale object that a prune would delete; undefined for one that is gone, another's, or kept by a switch. */
async function pruned(
  ref: ObjectRef,
  client: KubeClient,
  owner: ApplyOwner,
  signal: AbortSignal | undefined,
): Promise<Difference | undefined> {
  try {
    const resource =
      (await client.resourceFor(ref.group, ref.version, ref.kind)) ??
      (await client.resourceFor(ref.group, '', ref.kind));
    if (!resource) return undefined;
    const live = await client.get({ ...ref, version: resource.version }, { metadataOnly: true, signal });
    if (!live || !isOwnedBy(live, owner) || isPruneDisabled(live)) return undefined;
    return { subject: subjectOf(ref), ref, action: 'deleted' };
  } catch (error) {
    signal?.throwIfAborted();
    const object: KubeObject = { apiVersion: ref.version, kind: ref.kind, metadata: { name: ref.name } };
    throw objectError(object, subjectOf(ref), 'deletion', error);
  }
}
