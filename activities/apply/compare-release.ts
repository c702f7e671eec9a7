// What an upgrade of a Helm release would change in the cluster, told and not done: `continuo diff helmrelease`. Each
// object is dry-run as Helm would apply it on the server; what the new manifest has no more is deleted.
import { KubeApiError, type KubeClient } from '../../k8s/client.ts';
import { inventoryEntryOf, type KubeObject, refOf, subjectOf } from '../../k8s/object.ts';
import type { Comparison, Difference } from './compare-manifests.ts';
import { errorsOf, runConcurrently } from './concurrently.ts';
import { comparable, differingPaths } from './diff.ts';
import { compareForApply } from './order.ts';
import { isCustomKindOf } from './prerequisites.ts';
import { objectError } from './refusals.ts';

export interface CompareReleaseRequest {
  /** Acts as the account of the release. */
  client: KubeClient;
  /** The objects as Helm would apply them: rendered, with their namespaces and Helm's marks; CRDs of the chart too. */
  desired: readonly KubeObject[];
  /** The objects of the manifest that is released now; none for an install. */
  deployed: readonly KubeObject[];
  fieldManager: string;
  concurrency: number;
  signal?: AbortSignal;
}

const policyAnnotation = 'helm.sh/resource-policy';

/** Compares; rejects with the signal's reason only. */
export async function compareRelease(request: CompareReleaseRequest): Promise<Comparison> {
  const { client, desired, deployed, fieldManager, concurrency, signal } = request;
  const keyOf = (object: KubeObject): string => inventoryEntryOf(refOf(object)).id;

  const compare = async (object: KubeObject): Promise<Difference | undefined> => {
    const ref = refOf(object);
    const subject = subjectOf(ref);
    try {
      const isNew = !(await client.resourceFor(ref.group, ref.version, ref.kind));
      // Its definition comes with the chart.
      if (isNew && desired.some((one) => isCustomKindOf(one, ref))) return { subject, ref, action: 'created' };
      const live = await client.get(ref, { signal });
      const after = await dryRun(object, live === undefined);
      if (!live || !after) return { subject, ref, action: 'created' };
      if (differingPaths(live, after).length === 0) return undefined;
      return { subject, ref, action: 'drifted', before: comparable(live), after: comparable(after) };
    } catch (error) {
      signal?.throwIfAborted();
      throw objectError(object, subject, 'dry-run', error);
    }
  };

  /** Undefined in a namespace that the install creates. */
  const dryRun = async (object: KubeObject, isNew: boolean): Promise<KubeObject | undefined> => {
    try {
      return await client.apply(object, { fieldManager, force: true, dryRun: true, signal });
    } catch (error) {
      const isMissing = error instanceof KubeApiError && error.status === 404 && error.reason !== 'NoKindMatch';
      if (isNew && isMissing) return undefined;
      throw error;
    }
  };

  const gone = async (object: KubeObject): Promise<Difference | undefined> => {
    const ref = refOf(object);
    const subject = subjectOf(ref);
    if (object.metadata.annotations?.[policyAnnotation] === 'keep') return undefined;
    try {
      const live = await client.get(ref, { metadataOnly: true, signal });
      return live && { subject, ref, action: 'deleted' };
    } catch (error) {
      signal?.throwIfAborted();
      throw objectError(object, subject, 'deletion', error);
    }
  };

  const kept = new Set(desired.map(keyOf));
  const compared = await runConcurrently(desired, concurrency, compare, { signal });
  const stale = deployed.filter((object) => !kept.has(keyOf(object)));
  const deleted = await runConcurrently(stale, concurrency, gone, { signal });
  const found = (outcomes: typeof compared): Difference[] =>
    outcomes.flatMap((outcome) => (outcome?.status === 'fulfilled' && outcome.value ? [outcome.value] : []));
  const changed = found(compared).sort((a, b) => compareForApply(a.ref, b.ref));
  return {
    differences: [...changed, ...found(deleted)],
    errors: [...errorsOf(compared), ...errorsOf(deleted)],
    unchangedCount: desired.length - changed.length - errorsOf(compared).length,
  };
}
