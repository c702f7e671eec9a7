// The objects of a release: what its manifest, and the CRDs of its chart, hold.
import { parseAllDocuments } from 'yaml';
import type { KubeClient } from '../../k8s/client.ts';
import { type InventoryEntry, inventoryEntryOf, type KubeObject, refOf, subjectOf } from '../../k8s/object.ts';

/** The objects in a stream of YAML. Throws an `Error` for what is no object. */
export function objectsOf(manifest: string): KubeObject[] {
  const objects: KubeObject[] = [];
  for (const document of parseAllDocuments(manifest, { maxAliasCount: 1_000, version: '1.1' } as object)) {
    if (!('toJS' in document)) continue;
    if (document.errors.length > 0) throw new Error(`a manifest is no YAML: ${document.errors[0]?.message}`);
    const value: unknown = document.toJS();
    if (value === null || value === undefined) continue;
    objects.push(...flatten(value));
  }
  return objects;
}

function flatten(value: unknown): KubeObject[] {
  const object = value as Partial<KubeObject> & { items?: unknown[] };
  if (typeof object.kind !== 'string' || typeof object.apiVersion !== 'string') {
    throw new Error('a manifest has no kind or no apiVersion');
  }
  if (object.kind.endsWith('List') && Array.isArray(object.items)) return object.items.flatMap(flatten);
  if (!object.metadata?.name) throw new Error(`a ${object.kind} has no name`);
  return [object as KubeObject];
}

/**
 * The objects with the namespace that they get: their own, or that of the release; none for a cluster-scoped kind. Of a
 * kind that is not served it is not known; it gets a namespace, and is told.
 */
export async function placeObjects(
  objects: readonly KubeObject[],
  namespace: string,
  client: Pick<KubeClient, 'resourceFor'>,
  onUnknown: (subject: string) => void = () => {},
): Promise<KubeObject[]> {
  return await Promise.all(
    objects.map(async (object) => {
      const ref = refOf(object);
      const resource = await client.resourceFor(ref.group, ref.version, ref.kind);
      if (!resource) onUnknown(subjectOf(ref));
      const { namespace: own, ...metadata } = object.metadata;
      if (resource && !resource.namespaced) return { ...object, metadata };
      return { ...object, metadata: { ...metadata, namespace: own ?? namespace } };
    }),
  );
}

/** An object of a release, with the version that it had after Helm's write, when that is known. */
export interface ReleaseInventoryEntry extends InventoryEntry {
  resourceVersion?: string;
  /** Its readiness is not waited for. */
  isSkipped?: boolean;
  /** It was not there before the action. */
  isCreated?: boolean;
}

export interface InventoryOptions {
  /** Versions by inventory id. */
  written?: ReadonlyMap<string, string>;
  /** Inventory ids of those that were not there before. */
  created?: ReadonlySet<string>;
  /** `disableWaitForJobs` */
  areJobsAwaited?: boolean;
}

/** The inventory of objects that were placed. */
export function inventoryOf(
  objects: readonly KubeObject[],
  { written = new Map(), created = new Set(), areJobsAwaited = true }: InventoryOptions = {},
): ReleaseInventoryEntry[] {
  const entries = objects.map((object) => {
    const ref = refOf(object);
    const entry = inventoryEntryOf(ref);
    const resourceVersion = written.get(entry.id);
    const isSkipped = ref.kind === 'Job' && ref.group === 'batch' && !areJobsAwaited;
    return {
      ...entry,
      ...(resourceVersion ? { resourceVersion } : {}),
      ...(isSkipped ? { isSkipped } : {}),
      ...(created.has(entry.id) ? { isCreated: true } : {}),
    };
  });
  return [...new Map(entries.map((entry) => [entry.id, entry])).values()];
}
