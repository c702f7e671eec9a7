// What a change of one of our own objects, or of one that they refer to, means: pure rules. Our own status writes wake
// nobody.
import { isDeepStrictEqual } from 'node:util';
import { generatorReconcileAnnotation, requestedAtAnnotation } from '../k8s/api/annotations.ts';
import type { ArtifactGenerator } from '../k8s/api/artifact-generator.ts';
import type { ExternalArtifact } from '../k8s/api/external-artifact.ts';
import type { GitRepository } from '../k8s/api/git-repository.ts';
import type { HelmChart } from '../k8s/api/helm-chart.ts';
import type { HelmRelease } from '../k8s/api/helm-release.ts';
import type { HelmRepository } from '../k8s/api/helm-repository.ts';
import type { Kustomization } from '../k8s/api/kustomization.ts';
import type { OCIRepository } from '../k8s/api/oci-repository.ts';
import type { Condition } from '../k8s/api/shared/status.ts';
import { artifactKinds } from '../k8s/flux-objects.ts';
import { type KubeObject, refOf, subjectOf } from '../k8s/object.ts';
import { isStatic } from '../k8s/static-objects.ts';
import type { ReferencedKind } from '../k8s/referenced-objects.ts';
import type { CacheEvent } from '../k8s/watch-cache.ts';
import type { ReconciledRef, WakeReason } from '../workflows/messages.ts';

/** Why the object's own workflow is to be woken; undefined: not at all. */
export function wakeOf(event: CacheEvent): WakeReason | undefined {
  const { object, previous } = event;
  const { resourceVersion } = object.metadata;
  if (event.type === 'DELETED') return { type: 'deleted' };
  if (!previous) return { type: 'created', resourceVersion };
  const is = object.metadata;
  const was = previous.metadata;
  if (is.uid !== was.uid) return { type: 'created', resourceVersion };
  if (is.deletionTimestamp && !was.deletionTimestamp) return { type: 'deleted', resourceVersion };
  if (is.generation !== was.generation) return { type: 'spec', resourceVersion };
  const request = is.annotations?.[requestedAtAnnotation];
  if (request !== undefined && request !== was.annotations?.[requestedAtAnnotation]) {
    return { type: 'request', resourceVersion };
  }
  // Its form of spec.suspend, which changes no generation.
  if (is.annotations?.[generatorReconcileAnnotation] !== was.annotations?.[generatorReconcileAnnotation]) {
    return { type: 'dependency', subject: subjectOf(refOf(object)), resourceVersion };
  }
  return undefined;
}

/** True for the kinds whose artifact others are made from. */
export function isArtifactKind(kind: string): boolean {
  return artifactKinds.some((one) => one === kind);
}

/** True when consumers of a source have something new to look at. */
export function hasNewArtifact(event: CacheEvent): boolean {
  if (!isArtifactKind(event.object.kind)) return false;
  const is = (event.object as GitRepository).status?.artifact;
  const was = (event.previous as GitRepository | undefined)?.status?.artifact;
  if (event.type === 'DELETED') return true;
  if (isStatic(event.object)) return event.previous?.metadata.generation !== event.object.metadata.generation;
  // One that was lost and is made again has another time and nothing else: who could not have it may try again.
  const fields = ['revision', 'digest', 'url', 'lastUpdateTime'] as const;
  return is !== undefined && fields.some((field) => is[field] !== was?.[field]);
}

/** The ArtifactGenerator that makes an ExternalArtifact; undefined for one that a stranger makes. */
export function generatorOf({ metadata, spec }: ExternalArtifact): ReconciledRef | undefined {
  const { kind, name } = spec?.sourceRef ?? {};
  if (kind !== 'ArtifactGenerator' || name === undefined) return undefined;
  return { kind, namespace: metadata.namespace ?? '', name };
}

/** True when a source says something new of why it is not ready: who waits for its artifact passes that on. */
export function hasNewFailure({ object, previous }: CacheEvent): boolean {
  const is = readyOf(object);
  const was = readyOf(previous);
  return is?.status === 'False' && (was?.status !== 'False' || was.message !== is.message);
}

/** True when a source has just observed its present spec: who waits for that goes on, also with the artifact of before. */
export function hasCaughtUp({ object, previous }: CacheEvent): boolean {
  const observed = (one: KubeObject | undefined) => (one as GitRepository | undefined)?.status?.observedGeneration;
  return observed(object) === object.metadata.generation && observed(previous) !== object.metadata.generation;
}

function readyOf(object: KubeObject | undefined): Condition | undefined {
  return (object as GitRepository | undefined)?.status?.conditions?.find(({ type }) => type === 'Ready');
}

/** A source that an object is made from; without a namespace it is in the object's own. */
interface SourceReference {
  kind: string;
  name: string;
  namespace?: string;
}

/** What the objects of a kind are made from; a kind without an entry is made from nothing in the cluster. */
const sourceRules: Readonly<Record<string, (object: KubeObject) => SourceReference[]>> = {
  Kustomization: (object) => [(object as Kustomization).spec.sourceRef],
  HelmChart: (object) => [(object as HelmChart).spec.sourceRef],
  HelmRelease(object) {
    const { spec, status } = object as HelmRelease;
    if (spec.chartRef) return [spec.chartRef];
    const [namespace, name] = (status?.helmChart ?? '').split('/');
    return name ? [{ kind: 'HelmChart', namespace, name }] : [];
  },
  ArtifactGenerator: (object) => (object as ArtifactGenerator).spec.sources,
  GitRepository(object) {
    const included = (object as GitRepository).spec.include ?? [];
    return included.map(({ repository }) => ({ kind: 'GitRepository', name: repository.name }));
  },
};

/** The kinds whose objects are made from artifacts, those first that only are the source of others. */
export const consumerKinds = [
  'GitRepository',
  'HelmChart',
  'ArtifactGenerator',
  'HelmRelease',
  'Kustomization',
] as const;

/** True when an object is made from a source. */
export function isConsumerOf(object: KubeObject, source: KubeObject): boolean {
  return (sourceRules[object.kind]?.(object) ?? []).some(
    ({ kind, name, namespace = object.metadata.namespace }) =>
      kind === source.kind && name === source.metadata.name && namespace === source.metadata.namespace,
  );
}

/** True when an object names another one in `dependsOn`. */
export function isDependantOf(object: KubeObject, dependency: KubeObject): boolean {
  return ((object as Kustomization).spec.dependsOn ?? []).some(
    ({ kind = object.kind, namespace = object.metadata.namespace, name }) =>
      kind === dependency.kind && name === dependency.metadata.name && namespace === dependency.metadata.namespace,
  );
}

/**
 * True when labels or annotations changed, which the readyExpr of a dependency may ask for. Everything else of an object
 * changes with its reconcile, which is told by its own workflow.
 */
export function isRelabelled({ type, object, previous }: CacheEvent): boolean {
  return type === 'MODIFIED' && previous !== undefined && !isDeepStrictEqual(marksOf(object), marksOf(previous));
}

function marksOf({ metadata: { labels = {}, annotations = {} } }: KubeObject): unknown {
  const told = Object.entries(annotations).filter(([key]) => !key.startsWith('reconcile.fluxcd.io/'));
  return [labels, Object.fromEntries(told)];
}

/** True when an object waits for others by an expression of its own, in which its own labels may be as well. */
export function hasReadyExpr(object: KubeObject): boolean {
  return ((object as Kustomization).spec.dependsOn ?? []).some(({ readyExpr }) => readyExpr);
}

/** A ConfigMap or Secret that an object refers to; it is always in the object's own namespace. */
export interface Reference {
  kind: ReferencedKind;
  name: string;
}

/** What the objects of a kind refer to, besides their source; a kind without an entry refers to nothing. */
const referenceRules: Readonly<Record<string, (object: KubeObject) => Reference[]>> = {
  Kustomization(object) {
    const { postBuild, decryption, kubeConfig } = (object as Kustomization).spec;
    return [
      ...(postBuild?.substituteFrom ?? []).map(({ kind, name }): Reference => ({ kind, name })),
      ...secretNamed(decryption?.secretRef?.name),
      ...clusterReferences(kubeConfig),
    ];
  },
  GitRepository(object) {
    const { secretRef, proxySecretRef, verify } = (object as GitRepository).spec;
    return [secretRef, proxySecretRef, verify?.secretRef].flatMap((ref) => secretNamed(ref?.name));
  },
  HelmRelease(object) {
    const { valuesFrom = [], kubeConfig } = (object as HelmRelease).spec;
    return [...valuesFrom.map(({ kind, name }): Reference => ({ kind, name })), ...clusterReferences(kubeConfig)];
  },
  HelmRepository(object) {
    const { secretRef, certSecretRef } = (object as HelmRepository).spec;
    return [secretRef, certSecretRef].flatMap((ref) => secretNamed(ref?.name));
  },
  HelmChart: (object) => secretNamed((object as HelmChart).spec.verify?.secretRef?.name),
  OCIRepository(object) {
    const { secretRef, certSecretRef, proxySecretRef, verify } = (object as OCIRepository).spec;
    const named = [secretRef, certSecretRef, proxySecretRef, verify?.secretRef, verify?.trustedRootSecretRef];
    return named.flatMap((ref) => secretNamed(ref?.name));
  },
};

function secretNamed(name: string | undefined): Reference[] {
  return name ? [{ kind: 'Secret', name }] : [];
}

/** The references of a `kubeConfig` field, which several kinds have. */
function clusterReferences(kubeConfig: Kustomization['spec']['kubeConfig']): Reference[] {
  const { secretRef, configMapRef } = kubeConfig ?? {};
  return [
    ...secretNamed(secretRef?.name),
    ...(configMapRef ? [{ kind: 'ConfigMap' as const, name: configMapRef.name }] : []),
  ];
}

/** True when an object of ours uses a ConfigMap or Secret (contract 1.0, `reconcile.fluxcd.io/watch`). */
export function refersTo(object: KubeObject, used: KubeObject): boolean {
  if (object.metadata.namespace !== used.metadata.namespace) return false;
  const references = referenceRules[object.kind]?.(object) ?? [];
  return references.some(({ kind, name }) => kind === used.kind && name === used.metadata.name);
}

/** Why those who refer to a ConfigMap or Secret are to be woken; undefined when what they read is the same. */
export function wakeOfReference(event: CacheEvent): WakeReason | undefined {
  const { object, previous } = event;
  if (event.type === 'MODIFIED' && previous && isDeepStrictEqual(contentOf(object), contentOf(previous)))
    return undefined;
  return { type: 'dependency', subject: subjectOf(refOf(object)), resourceVersion: object.metadata.resourceVersion };
}

function contentOf({ data, binaryData }: KubeObject): unknown {
  return [data, binaryData];
}
