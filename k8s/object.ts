// Kubernetes objects as raw JSON: identity, the inventory's id format, and the words used for them in messages.
// Objects are never mapped onto typed classes, so a field that we do not know passes through unharmed.

/** Object metadata as the API server sends it; only fields that the engine reads are named. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  generateName?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  managedFields?: ManagedFieldsEntry[];
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
}

/** One owner of fields, as server-side apply records it. */
export interface ManagedFieldsEntry {
  manager?: string;
  operation?: 'Apply' | 'Update';
  apiVersion?: string;
  time?: string;
  fieldsType?: string;
  fieldsV1?: Record<string, unknown>;
  subresource?: string;
}

/** Any Kubernetes object as parsed JSON. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

/** What identifies an object in a cluster; `namespace` is empty for cluster-scoped ones, `group` for the core group. */
export interface ObjectRef {
  group: string;
  version: string;
  kind: string;
  namespace: string;
  name: string;
}

/** A namespaced name of one of our own kinds, e.g. a Kustomization. */
export interface NamespacedName {
  namespace: string;
  name: string;
}

/** Splits `apps/v1` into group and version; the core group's `v1` has an empty group. */
export function splitApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf('/');
  return slash < 0
    ? { group: '', version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/** Joins group and version back into an `apiVersion`. */
export function joinApiVersion(ref: Pick<ObjectRef, 'group' | 'version'>): string {
  return ref.group ? `${ref.group}/${ref.version}` : ref.version;
}

/** The reference of an object. */
export function refOf(object: KubeObject): ObjectRef {
  return {
    ...splitApiVersion(object.apiVersion),
    kind: object.kind,
    namespace: object.metadata.namespace ?? '',
    name: object.metadata.name,
  };
}

/** `Kind/namespace/name`, or `Kind/name` for a cluster-scoped object: the subject of every message and change set. */
export function subjectOf(ref: Pick<ObjectRef, 'kind' | 'namespace' | 'name'>): string {
  return ref.namespace ? `${ref.kind}/${ref.namespace}/${ref.name}` : `${ref.kind}/${ref.name}`;
}

/** One entry of `status.inventory.entries`: `id` is `<ns>_<name>_<group>_<Kind>`, `v` the API version (contract 2.1). */
export interface InventoryEntry {
  id: string;
  v: string;
}

/** The inventory entry of an object; `:` in a name (RBAC) becomes `__`, as ids may not hold it (contract 2.1). */
export function inventoryEntryOf(ref: ObjectRef): InventoryEntry {
  return { id: `${ref.namespace}_${ref.name.replaceAll(':', '__')}_${ref.group}_${ref.kind}`, v: ref.version };
}

/** The inverse of {@link inventoryEntryOf}. Throws an `Error` that quotes an id which is not of the inventory's form. */
export function refOfInventoryEntry(entry: InventoryEntry): ObjectRef {
  const first = entry.id.indexOf('_');
  const last = entry.id.lastIndexOf('_');
  const middle = entry.id.lastIndexOf('_', last - 1);
  if (first < 0 || middle <= first) {
    throw new Error(`inventory id "${entry.id}" is not of the form "<namespace>_<name>_<group>_<Kind>"`);
  }
  return {
    namespace: entry.id.slice(0, first),
    name: entry.id.slice(first + 1, middle).replaceAll('__', ':'),
    group: entry.id.slice(middle + 1, last),
    kind: entry.id.slice(last + 1),
    version: entry.v,
  };
}

/** What a mutating stage did to one object; the one vocabulary of CLI, events, status and tests. */
export const changeActions = ['created', 'configured', 'unchanged', 'skipped', 'deleted'] as const;
export type ChangeAction = (typeof changeActions)[number];

/** One line of a change set: `Deployment/apps/web configured`. */
export interface Change {
  subject: string;
  action: ChangeAction;
}
