// What the store keeps of built manifests: those that a history names, as a rollback may go back to them, and what is
// young. All else goes; whatever is missed is built again.
import type { KubeObject } from '../../k8s/object.ts';
import type { ArtifactStore } from './artifact.ts';
import { keyBlob, type ManifestStore } from './manifests.ts';

export interface RetentionOptions {
  store: Pick<ArtifactStore, 'readBlob' | 'sweepBlobs'>;
  manifests: Pick<ManifestStore, 'forget'>;
  /** All objects with a `status.history` that names manifests. */
  objects: readonly KubeObject[];
  /** Nothing younger is removed. */
  retentionMs: number;
}

/** How many blobs of each sort were removed. */
export interface RetentionResult {
  manifests: number;
  builds: number;
  inventories: number;
}

/** A reconcile reads its inventory at the end of its wait for health, which takes 25 hours at most. */
const longestWaitMs = 26 * 3_600_000;

/** Removes what nobody needs. Fails with StorageOperationFailed; what was removed by then was not needed either. */
export async function sweepStore({
  store,
  manifests,
  objects,
  retentionMs,
}: RetentionOptions): Promise<RetentionResult> {
  const named = new Set(objects.flatMap(digestsOf));
  const swept = await store.sweepBlobs('manifests', { olderThanMs: retentionMs, isKept: (name) => named.has(name) });
  const isThere = (digest: string): boolean => swept.kept.has(hexOf(digest));
  manifests.forget((digest) => !isThere(digest));
  const builds = await store.sweepBlobs('builds', {
    olderThanMs: retentionMs,
    isKept: async (name) => {
      const blob = await store.readBlob(keyBlob(name));
      return blob !== undefined && isThere(Buffer.from(blob).toString('utf8'));
    },
  });
  const inventories = await store.sweepBlobs('inventory', { olderThanMs: retentionMs + longestWaitMs });
  return { manifests: swept.removedCount, builds: builds.removedCount, inventories: inventories.removedCount };
}

function digestsOf({ status }: KubeObject): string[] {
  const { history = [] } = (status ?? {}) as { history?: Array<{ digest?: string }> };
  return history.map(({ digest = '' }) => hexOf(digest));
}

function hexOf(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1);
}
