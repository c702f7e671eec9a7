// Deletes objects as helm does: in the background, without waiting, and all of them even when one cannot be deleted.
import { KubeApiError, type KubeClient } from '../../k8s/client.ts';
import { type ObjectRef, subjectOf } from '../../k8s/object.ts';
import { messageOf } from '../errors.ts';

/**
 * Rejects with an `Error` that names what was left, or with a `KubeApiError` that may pass. What is gone already is a success.
 */
export async function deleteObjects(client: Pick<KubeClient, 'delete'>, refs: readonly ObjectRef[]): Promise<void> {
  const left: string[] = [];
  for (const ref of refs) {
    try {
      await client.delete(ref, { propagationPolicy: 'Background' });
    } catch (error) {
      if (error instanceof KubeApiError && error.isTransient) throw error;
      left.push(`${subjectOf(ref)}: ${messageOf(error)}`);
    }
  }
  if (left.length > 0) throw new Error(left.join(', '));
}
