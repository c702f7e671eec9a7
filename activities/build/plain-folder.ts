// The fast path: a folder of plain manifests, built without a process. It is taken only where a golden test proves
// that kustomize gives the same objects; everything else goes to the binary.
import { type KubeObject, refOf, subjectOf } from '../../k8s/object.ts';
import type { BuildSpec } from './build-spec.ts';
import { isRecord, type Manifests } from './read-manifests.ts';

const namespaced = (kinds: string): [string, boolean][] => kinds.split(' ').map((kind) => [kind, true]);
const clusterScoped = (kinds: string): [string, boolean][] => kinds.split(' ').map((kind) => [kind, false]);

/**
 * apiVersion/Kind → namespaced? Only kinds where kustomize's namespace change touches `metadata.namespace` and nothing
 * else: no bindings (subjects), no webhooks, API services and CRDs (service references), no Namespace (its name).
 */
export const plainKinds: ReadonlyMap<string, boolean> = new Map([
  ...namespaced('apps/v1/Deployment apps/v1/StatefulSet apps/v1/DaemonSet apps/v1/ReplicaSet'),
  ...namespaced('v1/ConfigMap v1/Secret v1/Service v1/ServiceAccount v1/Pod v1/PersistentVolumeClaim'),
  ...namespaced('v1/ReplicationController v1/LimitRange v1/ResourceQuota batch/v1/Job batch/v1/CronJob'),
  ...namespaced('networking.k8s.io/v1/Ingress networking.k8s.io/v1/NetworkPolicy'),
  ...namespaced(
    'policy/v1/PodDisruptionBudget autoscaling/v2/HorizontalPodAutoscaler autoscaling/v1/HorizontalPodAutoscaler',
  ),
  ...namespaced('rbac.authorization.k8s.io/v1/Role coordination.k8s.io/v1/Lease'),
  ...clusterScoped('rbac.authorization.k8s.io/v1/ClusterRole scheduling.k8s.io/v1/PriorityClass'),
  ...clusterScoped('storage.k8s.io/v1/StorageClass networking.k8s.io/v1/IngressClass node.k8s.io/v1/RuntimeClass'),
]);

const kustomizeAnnotation = /^(?:[\w.-]*\.)?(?:config\.kubernetes\.io|config\.k8s\.io|kustomize\.config\.k8s\.io)\//;

/** True when the overrides leave nothing for kustomize to do but to set the namespace. */
export function isPlainSpec(spec: BuildSpec): boolean {
  const { path: _, targetNamespace: __, ignoreMissingComponents: ___, ...others } = spec;
  return Object.keys(others).length === 0;
}

/** The objects as kustomize would give them, or undefined when only the binary can say. The objects are changed in place. */
export function buildPlainFolder(read: Manifests[], targetNamespace: string | undefined): KubeObject[] | undefined {
  const objects: KubeObject[] = [];
  const seen = new Set<string>();
  for (const manifests of read) {
    if (manifests.isDelicate) return undefined;
    for (const object of manifests.objects) {
      const isNamespaced = plainKinds.get(`${object.apiVersion}/${object.kind}`);
      if (isNamespaced === undefined || !isPlainObject(object)) return undefined;
      if (targetNamespace && isNamespaced) object.metadata.namespace = targetNamespace;
      const { group, ...id } = refOf(object);
      // kustomize tells objects apart by group, kind, namespace (none is default) and name.
      const key = `${group} ${subjectOf({ ...id, namespace: id.namespace || 'default' })}`;
      if (seen.has(key)) return undefined;
      seen.add(key);
      objects.push(object);
    }
  }
  return objects;
}

function isPlainObject(object: KubeObject): boolean {
  const metadata: Record<string, unknown> = { ...object.metadata };
  if (typeof metadata.name !== 'string' || metadata.name === '') return false;
  if (metadata.namespace !== undefined && (typeof metadata.namespace !== 'string' || !metadata.namespace)) return false;
  // kustomize drops annotations that are empty
  if (isRecord(metadata.annotations) && Object.keys(metadata.annotations).length === 0) return false;
  return isTextMap(metadata.labels) && isTextMap(metadata.annotations);
}

function isTextMap(value: unknown): boolean {
  if (value === undefined) return true;
  if (!isRecord(value)) return false;
  return Object.entries(value).every(([key, text]) => typeof text === 'string' && !kustomizeAnnotation.test(key));
}
