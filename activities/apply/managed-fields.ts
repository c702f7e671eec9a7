// Reading `metadata.managedFields`: who owns a field, and who wrote last.
import type { KubeObject, ManagedFieldsEntry } from '../../k8s/object.ts';

/** The manager under which we apply (contract 2.1, "managers"). */
export const applyManager = 'kustomize-controller';

/** True for entries of our own applies. */
export function isOurs(entry: ManagedFieldsEntry): boolean {
  return entry.manager === applyManager && entry.operation === 'Apply' && !entry.subresource;
}

/**
 * The manager that wrote last, outside of subresources and not counting us; undefined when nobody else did. Times have a
 * resolution of a second, so an entry that `previous` did not have yet goes before all others.
 */
export function lastForeignManager(object: KubeObject, previous?: KubeObject): string | undefined {
  const entries = (object.metadata.managedFields ?? []).filter((entry) => !entry.subresource && !isOurs(entry));
  const known = new Set((previous?.metadata.managedFields ?? []).map(entryKey));
  const added = previous ? entries.filter((entry) => !known.has(entryKey(entry))) : [];
  return newest(added.length > 0 ? added : entries)?.manager;
}

function entryKey(entry: ManagedFieldsEntry): string {
  return [entry.manager, entry.operation, entry.subresource, entry.time].join('|');
}

/** True when our own apply is newer than every other write: then the last change of the object was ours. */
export function isLastWriteOurs(object: KubeObject): boolean {
  const entries = (object.metadata.managedFields ?? []).filter((entry) => !entry.subresource);
  const ours = newest(entries.filter(isOurs))?.time ?? '';
  return entries.every((entry) => isOurs(entry) || (entry.time ?? '') < ours);
}

function newest(entries: ManagedFieldsEntry[]): ManagedFieldsEntry | undefined {
  return entries.reduce<ManagedFieldsEntry | undefined>(
    (last, entry) => (last && (last.time ?? '') >= (entry.time ?? '') ? last : entry),
    undefined,
  );
}

/** True when another manager owns a field (or something below it) by server-side apply. */
export function isAppliedByOther(object: KubeObject, steps: readonly string[]): boolean {
  return (object.metadata.managedFields ?? []).some(
    (entry) => entry.operation === 'Apply' && !isOurs(entry) && ownsPath(entry.fieldsV1, object, steps),
  );
}

/** Walks `fieldsV1` beside the object: `f:name` for fields, `k:{…}`, `v:…` or `i:n` for items of lists. */
function ownsPath(fields: unknown, value: unknown, steps: readonly string[]): boolean {
  if (typeof fields !== 'object' || fields === null) return false;
  const [step, ...rest] = steps;
  if (step === undefined) return true;
  const owned = fields as Record<string, unknown>;
  if (!Array.isArray(value)) {
    const child = owned[`f:${step}`];
    return child !== undefined && ownsPath(child, (value as Record<string, unknown> | undefined)?.[step], rest);
  }
  const item = value[Number(step)];
  return Object.entries(owned).some(([key, child]) => isKeyOf(key, item, step) && ownsPath(child, item, rest));
}

/** True when a key of `fieldsV1` (`k:{…}`, `v:…`, `i:n`) stands for this item of a list; `index` is its place there. */
export function isKeyOf(key: string, item: unknown, index: string): boolean {
  const text = key.slice(2);
  if (key.startsWith('i:')) return text === index;
  if (!key.startsWith('k:') && !key.startsWith('v:')) return false;
  const parsed: unknown = JSON.parse(text);
  if (key.startsWith('v:')) return JSON.stringify(parsed) === JSON.stringify(item);
  return Object.entries(parsed as object).every(([name, value]) => (item as Record<string, unknown>)?.[name] === value);
}
