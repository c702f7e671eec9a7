// What was applied for each owner and how it looked afterwards. It is a cache: it lives in the process, a copy lies in
// the artifact store, and losing it (or reading an old copy) costs one full pass, as every use compares with the cluster.
import type { ResourceInfo } from '../../k8s/client.ts';
import type { ArtifactStore } from '../artifact/artifact.ts';
import type { AppliedEntry } from './fingerprint.ts';
import { type ApplyOwner, ownerKey } from './owner.ts';

/** The memory of one owner. */
export interface OwnerMemory {
  /** Digest of everything that the last complete pass depended on; '' after a partial one. */
  applyKey: string;
  /** Digest of the inventory that the last complete pass gave. */
  inventoryDigest: string;
  /** By inventory id. */
  entries: Map<string, AppliedEntry>;
  /** Resources by `group/version/Kind`, so that a check needs no discovery. */
  resources: Map<string, ResourceInfo>;
}

/** The memories of all owners. */
export interface ApplyMemory {
  /** The memory of an owner, read from the store at the first call; empty when there is none. */
  load(owner: ApplyOwner): Promise<OwnerMemory>;
  /** The memory if it is in this process already. */
  peek(owner: ApplyOwner): OwnerMemory | undefined;
  /** Writes an owner's memory to the store. */
  save(owner: ApplyOwner): Promise<void>;
  /** Drops it from the process only: another worker has written since. */
  drop(owner: ApplyOwner): void;
  /** Drops it everywhere: the owner is deleted. */
  remove(owner: ApplyOwner): Promise<void>;
  /** Says that objects of an owner are being written; the returned function says that it ended. */
  begin(owner: ApplyOwner): () => void;
  isBusy(owner: ApplyOwner): boolean;
  /** Calls the listener each time the last work on an owner ends; returns the unsubscriber. */
  onIdle(listener: (owner: ApplyOwner) => void): () => void;
}

const formatVersion = 1;

/** Opens the memories that a store keeps under `apply/<kind>/<namespace>/<name>.json`. */
export function createApplyMemory(store: Pick<ArtifactStore, 'readBlob' | 'writeBlob' | 'removeBlob'>): ApplyMemory {
  const memories = new Map<string, OwnerMemory>();
  const loading = new Map<string, Promise<OwnerMemory>>();
  const busy = new Map<string, number>();
  const listeners = new Set<(owner: ApplyOwner) => void>();

  async function read(owner: ApplyOwner): Promise<OwnerMemory> {
    const blob = await store.readBlob(blobKey(owner)).catch(() => undefined);
    const memory = (blob && parseMemory(blob)) ?? emptyMemory();
    memories.set(ownerKey(owner), memory);
    return memory;
  }

  return {
    async load(owner) {
      const key = ownerKey(owner);
      const known = memories.get(key);
      if (known) return known;
      const pending = loading.get(key) ?? read(owner).finally(() => loading.delete(key));
      loading.set(key, pending);
      return pending;
    },
    peek: (owner) => memories.get(ownerKey(owner)),
    async save(owner) {
      const memory = memories.get(ownerKey(owner));
      if (memory) await store.writeBlob(blobKey(owner), formatMemory(memory));
    },
    drop(owner) {
      memories.delete(ownerKey(owner));
    },
    async remove(owner) {
      memories.delete(ownerKey(owner));
      await store.removeBlob(blobKey(owner));
    },
    begin(owner) {
      const key = ownerKey(owner);
      busy.set(key, (busy.get(key) ?? 0) + 1);
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        const left = (busy.get(key) ?? 1) - 1;
        if (left > 0) busy.set(key, left);
        else {
          busy.delete(key);
          for (const listener of listeners) listener(owner);
        }
      };
    },
    isBusy: (owner) => busy.has(ownerKey(owner)),
    onIdle(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** A memory that knows nothing. */
export function emptyMemory(): OwnerMemory {
  return { applyKey: '', inventoryDigest: '', entries: new Map(), resources: new Map() };
}

function blobKey(owner: ApplyOwner): string {
  return `apply/${ownerKey(owner)}.json`;
}

function formatMemory(memory: OwnerMemory): Uint8Array {
  const { applyKey, inventoryDigest, entries, resources } = memory;
  const body = { formatVersion, applyKey, inventoryDigest, entries: [...entries], resources: [...resources] };
  return Buffer.from(JSON.stringify(body), 'utf8');
}

/** A memory of another format, or a damaged one, is no memory. */
function parseMemory(blob: Uint8Array): OwnerMemory | undefined {
  try {
    const body = JSON.parse(Buffer.from(blob).toString('utf8'));
    if (body.formatVersion !== formatVersion) return undefined;
    const { applyKey, inventoryDigest } = body;
    return { applyKey, inventoryDigest, entries: new Map(body.entries), resources: new Map(body.resources) };
  } catch {
    return undefined;
  }
}
