// Observe: what is there now of an object, its source and what it applied. Reads memory only; no request is sent.
import type { ReconciledKindName, WakeReason } from '../../workflows/messages.ts';
import { forceAtAnnotation, requestedAtAnnotation, rollbackAnnotation } from '../../k8s/api/annotations.ts';
import { definitions } from '../../k8s/api/index.ts';
import type { Condition } from '../../k8s/api/shared/status.ts';
import type { Kustomization } from '../../k8s/api/kustomization.ts';
import { parseDuration } from '../../k8s/duration.ts';
import { type FluxObjects, isWatchedKind, type WatchedKind } from '../../k8s/flux-objects.ts';
import type { KubeObject, NamespacedName } from '../../k8s/object.ts';
import { referencedKinds, type WatchedReferences } from '../../k8s/referenced-objects.ts';
import { isStatic } from '../../k8s/static-objects.ts';
import type { Observation } from '../../workflows/decisions/decide.ts';
import type { UnpackedArtifact, UnpackedArtifacts } from '../artifact/artifact.ts';
import type { SourceObject } from '../source/source-driver.ts';
import type { BuiltRef, KustomizationObservation, SourceObservation } from './observation.ts';
import { heldManifests } from './held-manifests.ts';
import { awaitFresh, sourceOf } from './source-of.ts';
import {
  type FindReadyInput,
  type ReadyDependants,
  readyDependants,
  teardownOf,
  type WaitingDependencies,
  waitingOf,
} from './waiting.ts';

export interface ObserveInput {
  ref: NamespacedName & { kind?: ReconciledKindName };
  wakes: WakeReason[];
}

export interface ObserveDependencies extends WaitingDependencies {
  objects: FluxObjects;
  references: Pick<WatchedReferences, 'catchUp'>;
  unpacked: Pick<UnpackedArtifacts, 'peek'>;
  /** The manifests that this artifact would build, when that is known without building. */
  findBuilt(kustomization: Kustomization, unpacked: UnpackedArtifact): Promise<BuiltRef | undefined>;
  /** True when memory proves that the cluster holds exactly these manifests. */
  isInSync(kustomization: Kustomization, manifestsDigest: string): Promise<boolean>;
  /** True when everything that the spec wants healthy is so now. */
  isHealthy(kustomization: Kustomization): Promise<boolean>;
  /** Why `spec.healthCheckExprs` do not compile, '' when they do. */
  expressionError(kustomization: Kustomization): string;
}

const finalizers = new Set(definitions.map(({ finalizer }) => finalizer));

export type ObserveActivities = ReturnType<typeof createObserveActivities>;

export function createObserveActivities(deps: ObserveDependencies) {
  const look = createLook(deps);

  /** A chart that was made together with its source waits for that without a word. */
  const awaitSource = async ({ metadata, spec }: SourceObject): Promise<Pick<Observation, 'awaitMs'>> => {
    const { kind, name = '' } = (spec as { sourceRef?: { kind: string; name: string } }).sourceRef ?? {};
    const ref = { namespace: metadata.namespace ?? '', name };
    const source = isWatchedKind(kind) ? ((await deps.objects.get(kind, ref)) as SourceObject | undefined) : undefined;
    const isAwaited = source && !isStatic(source) && !source.status?.artifact && !metadata.deletionTimestamp;
    return (isAwaited ? awaitFresh(source) : undefined) ?? {};
  };

  return {
    /** Which of those that wait for an object may go on now. Asked by the object's own workflow after a reconcile. */
    async findReadyDependants(input: FindReadyInput): Promise<ReadyDependants> {
      return await readyDependants(input, deps);
    },

    async observeSource(input: ObserveInput): Promise<SourceObservation> {
      const object = (await look(input.ref.kind ?? 'GitRepository', input)) as SourceObject | undefined;
      if (!object) return { ...absent, url: '' };
      const common = observationOf(object, object.spec.interval ?? defaultIntervalOfHelmRepository);
      // A HelmRepository that has become static leaves nothing behind, as if it was deleted.
      if (isStatic(object))
        return { ...(common.hasFinalizer ? common : absent), isDeleting: true, url: originOf(object) };
      const { sourceRef } = object.spec as { sourceRef?: { kind: string } };
      await catchUpWithSource(deps.objects, sourceRef?.kind, input.wakes);
      return {
        ...common,
        appliedRevision: object.status?.artifact?.revision,
        url: originOf(object),
        isSettled: false,
        requestSpacingMs,
        ...(await awaitSource(object)),
        ...(sourceRef && sourceRef.kind !== 'HelmRepository' ? { isNear: true } : {}),
      };
    },

    async observeKustomization(input: ObserveInput): Promise<KustomizationObservation> {
      const object = (await look('Kustomization', input)) as Kustomization | undefined;
      if (!object) return { ...absent, isUnpacked: false, isForced: false, timeoutMs: 0 };
      const { spec, status } = object;
      const common: KustomizationObservation = {
        ...observationOf(object, spec.interval),
        appliedRevision: status?.lastAppliedRevision,
        isUnpacked: false,
        isForced: isForceRequested(object),
        ...(object.metadata.annotations?.[rollbackAnnotation] === 'enabled' ? { isRollbackEnabled: true } : {}),
        timeoutMs: kustomizationTimeoutMs(object),
        isIntervalWatched: true,
      };
      if (common.isDeleting) return { ...common, ...teardownOf(object, deps.objects) };
      if (common.isSuspended) return common;
      await catchUpWithSource(deps.objects, spec.sourceRef.kind, input.wakes);
      const expressionError = deps.expressionError(object);
      if (expressionError) {
        const message = `Reconciliation failed terminally due to configuration error: ${expressionError}`;
        return { ...common, obstacle: { reason: 'InvalidCELExpression', message } };
      }
      const source = await sourceOf(object, deps);
      if ('reason' in source) return { ...common, obstacle: source };
      if ('awaitMs' in source) return { ...common, ...source };
      const held = heldManifests(object, source.revision);
      if (held) {
        return {
          ...common,
          artifact: source,
          revision: source.revision,
          appliedRevision: source.revision,
          isStalled: false, // what is held is kept in sync all the same
          held,
          isSettled: (await deps.isInSync(object, held.manifestsDigest)) && (await deps.isHealthy(object)),
        };
      }
      const waiting = await waitingOf(object, source, deps);
      if (waiting) return { ...common, artifact: source, revision: source.revision, ...waiting };

      const unpacked = deps.unpacked.peek(source.digest);
      const built = unpacked && (await deps.findBuilt(object, unpacked));
      const seen = {
        ...common,
        artifact: source,
        revision: source.revision,
        isUnpacked: unpacked !== undefined,
        built,
      };
      if (!built || common.isForced) return seen;
      return {
        ...seen,
        isSettled: (await deps.isInSync(object, built.manifestsDigest)) && (await deps.isHealthy(object)),
      };
    },
  };
}

/**
 * Looks an object up once this worker's memory has seen what the wakers saw on another one. One that is not served (any
 * more) is as good as gone: its workflow ends, and leaves everything as it is to whoever serves it.
 */
export function createLook(deps: Pick<ObserveDependencies, 'objects' | 'references'>) {
  const catchUpWith = async (kind: WatchedKind, { type, subject = '', resourceVersion }: WakeReason): Promise<void> => {
    if (!resourceVersion || type === 'artifact' || type === 'drift') return;
    if (type !== 'dependency') return await deps.objects.catchUp(kind, resourceVersion);
    const word = subject.split('/', 1)[0];
    const referenced = referencedKinds.find((one) => one === word);
    if (referenced) await deps.references.catchUp(referenced, resourceVersion);
    if (isWatchedKind(word)) await deps.objects.catchUp(word, resourceVersion);
  };

  return async (kind: WatchedKind, { ref, wakes }: ObserveInput): Promise<KubeObject | undefined> => {
    for (const wake of wakes) await catchUpWith(kind, wake);
    const object = await deps.objects.get(kind, ref);
    return object && deps.objects.isServed(object) ? object : undefined;
  };
}

/** An object was woken by its source: that must be here as the waker saw it. */
export async function catchUpWithSource(
  objects: FluxObjects,
  kind: string | undefined,
  wakes: readonly WakeReason[],
): Promise<void> {
  if (!isWatchedKind(kind)) return;
  for (const { type, resourceVersion } of wakes) {
    if (type === 'artifact' && resourceVersion) await objects.catchUp(kind, resourceVersion);
  }
}

/** What all reconciled kinds have in common. */
type ObservedObject = KubeObject & { spec: { suspend?: boolean }; status?: ObservedStatus };
interface ObservedStatus {
  conditions?: Condition[];
  observedGeneration?: number;
  lastHandledReconcileAt?: string;
}

/** However often a source is asked for, by a webhook for each push say, its origin is asked so often. */
const requestSpacingMs = 1_000;

/** Contract 1.3. */
const defaultIntervalOfHelmRepository = '1m';

/** The observation of an object that is gone. */
export const absent: Observation = {
  exists: false,
  isDeleting: false,
  isSuspended: false,
  hasFinalizer: false,
  generation: 0,
  observedGeneration: -1,
  isStalled: false,
  isSettled: false,
  intervalMs: 0,
};

/** What every kind's observation starts with. `interval` as the spec has it, e.g. `10m`. */
export function observationOf(object: ObservedObject, interval: string): Observation {
  const { metadata, spec, status } = object;
  const condition = (type: string) => status?.conditions?.find((c) => c.type === type);
  return {
    exists: true,
    isDeleting: metadata.deletionTimestamp !== undefined,
    isSuspended: spec.suspend === true,
    hasFinalizer: metadata.finalizers?.some((name) => finalizers.has(name)) ?? false,
    generation: metadata.generation ?? 1,
    observedGeneration: status?.observedGeneration ?? -1,
    requestedAt: metadata.annotations?.[requestedAtAnnotation],
    handledRequest: status?.lastHandledReconcileAt,
    readyStatus: condition('Ready')?.status,
    isStalled: condition('Stalled')?.status === 'True',
    isSettled: false,
    intervalMs: parseDuration(interval),
  };
}

/** `forceAt` counts when it goes with the request that is not handled yet (contract 1.0, as for HelmRelease). */
function isForceRequested(object: KubeObject & { status?: { lastHandledReconcileAt?: string } }): boolean {
  const forced = object.metadata.annotations?.[forceAtAnnotation];
  return (
    forced !== undefined &&
    forced === object.metadata.annotations?.[requestedAtAnnotation] &&
    forced !== object.status?.lastHandledReconcileAt
  );
}

/** `spec.timeout`, by default the interval less 30 s and never under 30 s (contract 1.8). */
export function kustomizationTimeoutMs(object: Kustomization): number {
  if (object.spec.timeout) return parseDuration(object.spec.timeout);
  return Math.max(parseDuration(object.spec.interval) - 30_000, 30_000);
}

/** Where a source fetches from, for people: a user and password in a URL stay out of histories. */
function originOf({ spec }: SourceObject): string {
  const { url, endpoint, bucketName, chart, sourceRef } = spec as Partial<Record<string, string>> & {
    sourceRef?: { kind: string; name: string };
  };
  if (sourceRef) return `${chart} of ${sourceRef.kind}/${sourceRef.name}`;
  return (url ?? `${endpoint}/${bucketName}`).replace(/\/\/[^/@]*@/, '//');
}
