// Drift as it happens: the caches of applied objects tell of foreign writes and deletions, and the owner is woken.
import type { Kustomization } from '../k8s/api/kustomization.ts';
import type { KubeClient } from '../k8s/client.ts';
import { refOfInventoryEntry } from '../k8s/object.ts';
import type { WatchCaches } from '../k8s/watch-cache.ts';
import { type ForeignChange, watchAppliedObjects } from '../activities/apply/applied-events.ts';
import { appliedScope } from '../activities/apply/cache-scope.ts';
import type { ApplyMemory } from '../activities/apply/memory.ts';
import type { Log } from './log.ts';

export interface DriftWatch {
  /** Starts telling foreign changes; returns the function that stops it. */
  start(onForeignChange: (change: ForeignChange) => void): () => void;
  /** Opens the caches of the kinds that a Kustomization has applied, and watches them. */
  follow(kustomization: Kustomization): Promise<void>;
}

export interface DriftWatchDependencies {
  client: KubeClient;
  caches: WatchCaches;
  memory: ApplyMemory;
  log: Log;
}

export function createDriftWatch({ client, caches, memory, log }: DriftWatchDependencies): DriftWatch {
  const followed = new Set<string>();
  let watch: ReturnType<typeof watchAppliedObjects> | undefined;

  const openKind = async (type: string, ref: { group: string; version: string; kind: string }): Promise<void> => {
    const resource = await client.resourceFor(ref.group, ref.version, ref.kind);
    if (!resource) {
      followed.delete(type); // its CRD may come back
      return;
    }
    await caches.open(appliedScope(resource)).sync();
  };

  return {
    start(onForeignChange) {
      const started = watchAppliedObjects({ memory, caches }, onForeignChange);
      watch = started;
      return () => {
        started.stop();
        if (watch !== started) return; // the next bridge of this process has started already
        watch = undefined;
        followed.clear();
      };
    },
    async follow(kustomization) {
      const opening: Promise<void>[] = [];
      for (const entry of kustomization.status?.inventory?.entries ?? []) {
        const ref = refOfInventoryEntry(entry);
        const type = `${ref.group}/${ref.version}/${ref.kind}`;
        if (followed.has(type)) continue;
        followed.add(type);
        opening.push(
          openKind(type, ref).catch((error: unknown) => {
            followed.delete(type);
            log.warn({ kind: ref.kind, error: String(error) }, 'applied objects cannot be watched');
          }),
        );
      }
      await Promise.all(opening);
      watch?.refresh();
    },
  };
}
