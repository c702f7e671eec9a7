// Which watch cache holds the objects that we apply of a kind. Health and drift detection open the same scopes, so that
// there is one watch a kind, and only objects with an owner label are held.
import type { ResourceInfo } from '../../k8s/client.ts';
import type { CacheScope } from '../../k8s/watch-cache.ts';
import { ownerNameLabel } from './owner.ts';

/**
 * Kinds that have no health rule and no status that changes by itself: their metadata says all that drift detection
 * needs. It also keeps the data of Secrets out of memory.
 */
const metadataOnlyKinds = new Set([
  '/ConfigMap',
  '/LimitRange',
  '/Secret',
  '/ServiceAccount',
  'admissionregistration.k8s.io/MutatingWebhookConfiguration',
  'admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding',
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration',
  'networking.k8s.io/IngressClass',
  'networking.k8s.io/NetworkPolicy',
  'node.k8s.io/RuntimeClass',
  'rbac.authorization.k8s.io/ClusterRole',
  'rbac.authorization.k8s.io/ClusterRoleBinding',
  'rbac.authorization.k8s.io/Role',
  'rbac.authorization.k8s.io/RoleBinding',
  'scheduling.k8s.io/PriorityClass',
  'storage.k8s.io/StorageClass',
]);

/** On every object of a release (contract 2.2, "apply behaviour"). */
const releaseNameLabel = 'helm.toolkit.fluxcd.io/name';

/** The scope of the cache for objects of a resource that a Kustomization, or another kind of ours, has applied. */
export function appliedScope(resource: ResourceInfo, appliedBy = 'Kustomization'): CacheScope {
  return {
    resource,
    labelSelector: appliedBy === 'HelmRelease' ? releaseNameLabel : ownerNameLabel,
    metadataOnly: metadataOnlyKinds.has(`${resource.group}/${resource.kind}`),
  };
}
