// What an apply may have put into the cluster that no status lists yet. It is written before the first such write, so
// that a worker that dies half way, or a set that is refused half way, leaves nothing behind that is never pruned.
import type { InventoryEntry } from '../../k8s/object.ts';
import type { ArtifactStore } from '../artifact/artifact.ts';
import { type ApplyOwner, ownerKey } from './owner.ts';
import { staleEntries } from './prune.ts';

/** The journals that a store keeps under `journal/<kind>/<namespace>/<name>.json`; most owners have none. */
export interface ApplyJournals {
  /** Opens an owner's journal without what its status lists by now. */
  open(owner: ApplyOwner, listed: readonly InventoryEntry[]): Promise<ApplyJournal>;
}

/** The journal of one owner, for the time of one activity. */
export interface ApplyJournal {
  /** What may be there although the status does not list it. */
  entries(): InventoryEntry[];
  /** Takes note of objects that are about to be written; those that the status lists need no note. True for a new one. */
  add(entries: readonly InventoryEntry[]): Promise<boolean>;
  /** Forgets all but these. */
  keep(entries: readonly InventoryEntry[]): Promise<void>;
}

type Blobs = Pick<ArtifactStore, 'readBlob' | 'writeBlob' | 'removeBlob'>;

export function createApplyJournals(store: Blobs): ApplyJournals {
  return {
    async open(owner, listed) {
      const key = `journal/${ownerKey(owner)}.json`;
      const stored = parseEntries(await store.readBlob(key));
      let entries = staleEntries(stored, listed);
      let isStored = entries.length === stored.length;

      async function write(next: InventoryEntry[]): Promise<void> {
        if (isStored && next.length === entries.length) return;
        if (next.length > 0) await store.writeBlob(key, Buffer.from(JSON.stringify(next), 'utf8'));
        else await store.removeBlob(key);
        entries = next;
        isStored = true;
      }

      return {
        entries: () => entries,
        add: async (written) => {
          const added = staleEntries(written, [...listed, ...entries]);
          if (added.length > 0) await write([...entries, ...added]);
          return added.length > 0;
        },
        keep: async (kept) => {
          const ids = new Set(kept.map((entry) => entry.id));
          await write(entries.filter((entry) => ids.has(entry.id)));
        },
      };
    },
  };
}

/** A journal that cannot be read names nothing: what it would have named stays in the cluster, nothing else is lost. */
function parseEntries(blob: Uint8Array | undefined): InventoryEntry[] {
  if (!blob) return [];
  try {
    const entries: unknown = JSON.parse(Buffer.from(blob).toString('utf8'));
    return Array.isArray(entries) ? (entries as InventoryEntry[]).filter((entry) => typeof entry?.id === 'string') : [];
  } catch {
    return [];
  }
}
