// Which objects a Kustomization waits for (contract 2.1): all that it applied with `wait: true`, else its healthChecks.
import { type KubeObject, type NamespacedName, type ObjectRef, splitApiVersion } from '../../k8s/object.ts';
import type { HealthExpression } from './health-expressions.ts';
import type { HealthTarget } from './wait-for-health.ts';

/** What apply tells of one object that it applied. */
export interface AppliedObject {
  ref: ObjectRef;
  /** The version after our last write or look; undefined when it is not known. */
  resourceVersion?: string;
  /** Skipped objects stay in the inventory but are not waited for. */
  isSkipped?: boolean;
  /** A Job with ttlSecondsAfterFinished. */
  mayVanish?: boolean;
}

/** One entry of `spec.healthChecks`. */
export interface HealthCheck {
  kind: string;
  name: string;
  apiVersion?: string;
  namespace?: string;
}

/** A health target, and whether it is among the objects that this Kustomization applied. */
export interface PlannedTarget extends HealthTarget {
  isApplied: boolean;
}

interface HealthSpec {
  wait?: boolean;
  healthChecks?: HealthCheck[];
  healthCheckExprs?: HealthExpression[];
}

/** The health part of a spec; a HelmRelease waits for all that it has applied. */
export function healthSpecOf(object: KubeObject): HealthSpec {
  const spec = (object.spec ?? {}) as HealthSpec;
  return object.kind === 'HelmRelease' ? { wait: true, healthCheckExprs: spec.healthCheckExprs } : spec;
}

/** True when a Kustomization asks for health at all, so that a caller can leave out the reading of its inventory. */
export function hasHealthChecks(kustomization: KubeObject): boolean {
  const { wait, healthChecks } = healthSpecOf(kustomization);
  return wait === true || (healthChecks?.length ?? 0) > 0;
}

/** The objects to wait for; none when the spec asks for nothing. */
export function healthTargets(kustomization: KubeObject, applied: readonly AppliedObject[]): PlannedTarget[] {
  const { wait, healthChecks = [] } = healthSpecOf(kustomization);
  const { namespace = '', name } = kustomization.metadata;
  if (wait) {
    const waited = applied.filter(
      ({ ref, isSkipped }) => !isSkipped && !isItself(ref, kustomization.kind, { namespace, name }),
    );
    return waited.map((object) => planned(object.ref, object));
  }
  const targets = new Map<string, PlannedTarget>();
  for (const check of healthChecks) {
    const target = targetOfCheck(check, namespace, applied);
    targets.set(Object.values(target.ref).join('|'), target);
  }
  return [...targets.values()];
}

/** A check without apiVersion takes it from the applied object of that name; without namespace it may be cluster-scoped. */
function targetOfCheck(check: HealthCheck, ownNamespace: string, applied: readonly AppliedObject[]): PlannedTarget {
  const matches = applied.filter(
    ({ ref }) =>
      ref.kind === check.kind &&
      ref.name === check.name &&
      (!check.apiVersion || ref.group === splitApiVersion(check.apiVersion).group) &&
      (check.namespace === undefined || ref.namespace === check.namespace),
  );
  const match = matches.find(({ ref }) => ref.namespace === ownNamespace) ?? matches[0];
  if (match) return planned(match.ref, match);
  const { group, version } = splitApiVersion(check.apiVersion ?? defaultApiVersions[check.kind] ?? 'v1');
  const ref = { group, version, kind: check.kind, namespace: check.namespace ?? '', name: check.name };
  return { ref, isApplied: false };
}

function planned(ref: ObjectRef, { resourceVersion, mayVanish, isSkipped }: AppliedObject): PlannedTarget {
  // What is only listed was never applied, so nothing says that the account may so much as read it.
  return { ref, minResourceVersion: resourceVersion, mayVanish, isApplied: !isSkipped };
}

/** A Kustomization may be part of its own source; it would wait for itself for ever. */
function isItself(ref: ObjectRef, kind: string, { namespace, name }: NamespacedName): boolean {
  const isOurKind = ref.group.endsWith('.toolkit.fluxcd.io') && ref.kind === kind;
  return isOurKind && ref.namespace === namespace && ref.name === name;
}

/** The API version of the kinds that people check without naming one. */
const defaultApiVersions: Readonly<Record<string, string>> = {
  Deployment: 'apps/v1',
  StatefulSet: 'apps/v1',
  DaemonSet: 'apps/v1',
  ReplicaSet: 'apps/v1',
  Job: 'batch/v1',
  CronJob: 'batch/v1',
  Ingress: 'networking.k8s.io/v1',
  PodDisruptionBudget: 'policy/v1',
  HorizontalPodAutoscaler: 'autoscaling/v2',
  CustomResourceDefinition: 'apiextensions.k8s.io/v1',
  HelmRelease: 'helm.toolkit.fluxcd.io/v2',
  Kustomization: 'kustomize.toolkit.fluxcd.io/v1',
  GitRepository: 'source.toolkit.fluxcd.io/v1',
  OCIRepository: 'source.toolkit.fluxcd.io/v1',
  HelmRepository: 'source.toolkit.fluxcd.io/v1',
  Bucket: 'source.toolkit.fluxcd.io/v1',
};
