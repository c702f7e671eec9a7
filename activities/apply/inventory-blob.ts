// Inventories as blobs of the artifact store: they do not fit into an activity's result.
import { createHash } from 'node:crypto';
import type { InventoryEntry } from '../../k8s/object.ts';
import type { ArtifactStore } from '../artifact/artifact.ts';
import { failure } from '../errors.ts';
import { type ApplyOwner, ownerKey } from './owner.ts';

type Blobs = Pick<ArtifactStore, 'readBlob' | 'writeBlob' | 'removeBlob'>;

/** Writes an owner's inventory and gives its key, which changes with its content. */
export async function writeInventory(
  store: Blobs,
  owner: ApplyOwner,
  entries: readonly InventoryEntry[],
): Promise<string> {
  const text = JSON.stringify(entries);
  const digest = createHash('sha256').update(text).digest('hex');
  const key = `inventory/${ownerKey(owner)}/${digest}.json`;
  await store.writeBlob(key, Buffer.from(text, 'utf8'));
  return key;
}

/** Reads an inventory by its key. Fails with StorageOperationFailed when it is not there, or damaged. */
export async function readInventory(store: Blobs, key: string): Promise<InventoryEntry[]> {
  const blob = await store.readBlob(key);
  if (!blob) {
    throw failure(
      'StorageOperationFailed',
      `inventory "${key}" is not in the artifact store: apply again to have it written`,
    );
  }
  try {
    return JSON.parse(Buffer.from(blob).toString('utf8')) as InventoryEntry[];
  } catch (cause) {
    throw failure('StorageOperationFailed', `inventory "${key}" is damaged: apply again to have it written`, { cause });
  }
}
