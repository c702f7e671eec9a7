// Field-manager cleanup (contract 2.1): what kubectl and older appliers own passes to us, so that a field which they
// set and the source does not have is removed by the next apply, and their bookkeeping annotations go.
import type { KubeObject, ManagedFieldsEntry } from '../../k8s/object.ts';
import { escapeStep } from './json-pointer.ts';
import { applyManager, isOurs } from './managed-fields.ts';

/** One operation of a JSON patch. */
export interface PatchOperation {
  op: 'add' | 'remove' | 'replace' | 'test';
  path: string;
  value?: unknown;
}

/** Bookkeeping of other appliers, on live objects and in manifests that were exported from a cluster. */
export const staleAnnotations = [
  'kubectl.kubernetes.io/last-applied-configuration',
  'kustomize.toolkit.fluxcd.io/checksum',
  'fluxcd.io/sync-checksum',
];
export const staleLabels = ['fluxcd.io/sync-gc-mark'];

/** True for an entry of a manager that must not own fields of our objects. `overrides` is `--override-manager`. */
export function isStaleManager(entry: ManagedFieldsEntry, overrides: readonly string[] = []): boolean {
  const { manager = '', operation, subresource } = entry;
  if (subresource) return false;
  if (manager.startsWith('kubectl') || overrides.includes(manager)) return true;
  return operation === 'Update' && (manager === 'before-first-apply' || manager === applyManager);
}

/** True when a live object needs a cleanup; entries without `fieldsV1` (of a watch cache) are enough. */
export function needsCleanup(live: Pick<KubeObject, 'metadata'>, overrides: readonly string[] = []): boolean {
  const { managedFields = [], annotations, labels } = live.metadata;
  return (
    managedFields.some((entry) => isStaleManager(entry, overrides)) ||
    staleAnnotations.some((key) => annotations?.[key] !== undefined) ||
    staleLabels.some((key) => labels?.[key] !== undefined)
  );
}

/**
 * The JSON patch that cleans a live object up, with its resourceVersion as precondition; empty when there is nothing to
 * do. Fields of stale managers join our own entry; an entry of another API version is dropped, as sets of fields of
 * different versions cannot be joined.
 */
export function cleanupPatch(live: KubeObject, overrides: readonly string[] = []): PatchOperation[] {
  if (!needsCleanup(live, overrides)) return [];
  const { managedFields = [], annotations, labels, resourceVersion } = live.metadata;
  const patch: PatchOperation[] = [{ op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion }];
  for (const key of staleAnnotations) {
    if (annotations?.[key] !== undefined)
      patch.push({ op: 'remove', path: `/metadata/annotations/${escapeStep(key)}` });
  }
  for (const key of staleLabels) {
    if (labels?.[key] !== undefined) patch.push({ op: 'remove', path: `/metadata/labels/${escapeStep(key)}` });
  }
  const stale = managedFields.filter((entry) => isStaleManager(entry, overrides));
  if (stale.length > 0) {
    patch.push({ op: 'replace', path: '/metadata/managedFields', value: takeOver(managedFields, stale) });
  }
  return patch;
}

function takeOver(entries: ManagedFieldsEntry[], stale: ManagedFieldsEntry[]): ManagedFieldsEntry[] {
  const base = entries.find(isOurs) ?? { ...stale[0], manager: applyManager, operation: 'Apply' as const };
  let fieldsV1 = base.fieldsV1 ?? {};
  for (const entry of stale) {
    if (entry.apiVersion === base.apiVersion) fieldsV1 = unionOf(fieldsV1, entry.fieldsV1 ?? {});
  }
  const ours = { ...base, fieldsV1 };
  return [ours, ...entries.filter((entry) => !isOurs(entry) && !stale.includes(entry))];
}

/** The union of two `fieldsV1` sets, which are trees of keys. */
function unionOf(a: Record<string, unknown>, b: Record<string, unknown>): Record<string, unknown> {
  const union = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const own = union[key];
    union[key] = isTree(own) && isTree(value) ? unionOf(own, value) : (own ?? value);
  }
  return union;
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
