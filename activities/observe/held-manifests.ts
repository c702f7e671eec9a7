// A revision that was rolled back is held: not tried again before a newer one, another spec, or a person's request. The
// status says so, so that nothing else has to remember it.
import { requestedAtAnnotation } from '../../k8s/api/annotations.ts';
import type { Kustomization } from '../../k8s/api/kustomization.ts';
import type { HealthyManifests } from './observation.ts';

/** What is kept in place instead of the source's revision; undefined when that is to be reconciled as ever. */
export function heldManifests(object: Kustomization, sourceRevision: string): HealthyManifests | undefined {
  const { metadata, status } = object;
  const remediated = status?.conditions?.find(({ type }) => type === 'Remediated');
  const isHeld =
    remediated?.status === 'True' &&
    remediated.observedGeneration === metadata.generation &&
    status?.lastAttemptedRevision === sourceRevision;
  const request = metadata.annotations?.[requestedAtAnnotation];
  if (!isHeld || (request !== undefined && request !== status?.lastHandledReconcileAt)) return undefined;
  const healthy = status?.history?.find(
    ({ lastReconciledStatus }) => lastReconciledStatus === 'ReconciliationSucceeded',
  );
  if (!healthy) return undefined;
  return {
    manifestsDigest: healthy.digest,
    count: status?.inventory?.entries.length ?? 0,
    revision: healthy.metadata?.revision ?? status?.lastAppliedRevision ?? '',
  };
}
