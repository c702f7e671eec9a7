// A rollout, or a hook after it, that fails when helm has ended long since: the release is left as helm would have left it.
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import { KubeApiError } from '../../k8s/client.ts';
import { refOfInventoryEntry } from '../../k8s/object.ts';
import { messageOf } from '../errors.ts';
import { actionSpecOf } from './action-spec.ts';
import { deleteObjects } from './delete-objects.ts';
import { type ReleaseDependencies, type ReleaseTarget, storageOf } from './release-context.ts';
import type { ReleaseStatus } from './release-storage.ts';
import type { ReleaseActionResult } from './release-types.ts';
import { snapshotOf } from './snapshot.ts';

const maxDescription = 4_000;

/** Makes the newest revision a failed one, and gives back to the one before what the action took from it. */
export async function recordFailure(
  target: ReleaseTarget,
  result: ReleaseActionResult,
  message: string,
): Promise<ReleaseActionResult> {
  const { action, release, snapshot, deployedBefore, statusBefore = 'deployed', others = [] } = result;
  const storage = storageOf(target, release);
  const failed = { ...result, failure: result.failure ?? { message }, mustWait: false };
  const read = snapshot && (await storage.read(release.name, snapshot.version));
  // Somebody has made another revision since: this one is over.
  if (!snapshot || !read || read.release.info.status === 'superseded') return failed;
  const description = `${action === 'upgrade' ? 'Upgrade' : 'Release'} "${release.name}" failed: ${message}`;
  const written =
    read.release.info.status === 'failed'
      ? read
      : await storage.setStatus(read, 'failed', description.slice(0, maxDescription));
  const before = deployedBefore === undefined ? undefined : await storage.read(release.name, deployedBefore);
  const isTaken = before?.release.info.status === 'superseded' && statusBefore !== 'superseded' && action === 'upgrade';
  const restored = isTaken
    ? await storage.setStatus(before, statusBefore as ReleaseStatus, before.release.info.description ?? '')
    : before;
  const known = restored && others.find(({ version }) => version === restored.version);
  const { action: told, ociDigest } = snapshot;
  const snapshots = { ...failed, snapshot: snapshotOf(written.release, { action: told, ociDigest }) };
  if (!known) return snapshots;
  return { ...snapshots, others: others.map((one) => (one === known ? snapshotOf(restored.release, known) : one)) };
}

/** Deletes what an action that failed had created, where its spec wants that. What was left is told in the failure. */
export async function cleanUp(
  { readInventory }: Pick<ReleaseDependencies, 'readInventory'>,
  { object, target, result }: { object: HelmRelease; target: ReleaseTarget; result: ReleaseActionResult },
): Promise<ReleaseActionResult> {
  const { action, failure, inventoryKey } = result;
  if (!failure || !inventoryKey || !actionSpecOf(object, action)?.cleanupOnFail) return result;
  try {
    const entries = await readInventory(inventoryKey);
    const created = entries.filter(({ isCreated }) => isCreated).map(refOfInventoryEntry);
    await deleteObjects(target.client, created);
    return result;
  } catch (error) {
    if (error instanceof KubeApiError) throw error;
    const original = `an error occurred while cleaning up resources. original ${action} error: ${failure.message}`;
    const message = `${original}: unable to cleanup resources: ${messageOf(error)}`;
    return { ...result, failure: { ...failure, message } };
  }
}
