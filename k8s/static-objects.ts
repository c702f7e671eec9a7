// Objects that only describe something for others and are not reconciled themselves.
import type { HelmRepository } from './api/helm-repository.ts';
import type { KubeObject } from './object.ts';

/**
 * True for a HelmRepository of type `oci` (contract 1.3): a registry has no index, so that there is nothing to fetch. It
 * has no workflow, status and finalizer; HelmCharts read its spec.
 */
export function isStatic(object: KubeObject): boolean {
  return object.kind === 'HelmRepository' && (object as HelmRepository).spec.type === 'oci';
}
