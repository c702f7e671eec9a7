// The bridge: Kubernetes watches on one side, Temporal signals on the other. One heartbeating activity of the cluster
// workflow, so exactly one worker runs it, and Temporal starts it elsewhere when that worker dies.
import { Context, CancelledFailure } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import type { HelmRelease } from '../k8s/api/helm-release.ts';
import type { ExternalArtifact } from '../k8s/api/external-artifact.ts';
import type { Kustomization } from '../k8s/api/kustomization.ts';
import { fluxFinalizer } from '../k8s/api/definition.ts';
import { isStatic } from '../k8s/static-objects.ts';
import {
  contentEventOf,
  dependantKinds,
  type FluxObjects,
  type WatchedKind,
  watchedKinds,
} from '../k8s/flux-objects.ts';
import { type KubeObject, type NamespacedName, refOf as objectRefOf, subjectOf } from '../k8s/object.ts';
import type { WatchedReferences } from '../k8s/referenced-objects.ts';
import type { CacheEvent } from '../k8s/watch-cache.ts';
import type { ForeignChange } from '../activities/apply/applied-events.ts';
import type { UnpackedArtifacts } from '../activities/artifact/artifact.ts';
import {
  type ReconciledKindName,
  type ReconciledRef,
  refOfWorkflowId,
  type WakeReason,
  workflowIdOf,
  workflowTypes,
} from '../workflows/messages.ts';
import type { BridgeActivities } from '../workflows/stages.ts';
import type { ReleaseDriftWatch } from './release-drift-watch.ts';
import { createConsumerWakes } from './consumer-wakes.ts';
import type { DependencyWatch } from './dependency-watch.ts';
import type { DriftWatch } from './drift-watch.ts';
import {
  generatorOf,
  hasNewArtifact,
  hasCaughtUp,
  hasNewFailure,
  hasReadyExpr,
  isArtifactKind,
  isConsumerOf,
  isDependantOf,
  isRelabelled,
  wakeOf,
} from './events-to-wakes.ts';
import { type Applier, watchIntervals } from './interval-watch.ts';
import type { Log } from './log.ts';
import { type ReferenceProgress, type ReferenceWatch, watchReferences } from './reference-watch.ts';
import type { Signaller } from './signaller.ts';

export interface BridgeDependencies {
  client: Client;
  objects: FluxObjects;
  /** ConfigMaps and Secrets that objects refer to. */
  references: WatchedReferences;
  unpacked: UnpackedArtifacts;
  signaller: Signaller;
  drift: DriftWatch;
  releaseDrift: ReleaseDriftWatch;
  dependencies: DependencyWatch;
  isBuilt(object: Kustomization, digest: string): Promise<boolean>;
  /** True when memory proves that a reconcile would do nothing. */
  isSettled(object: Applier): Promise<boolean>;
  /** False when what an object made is not (or not provably) there as it was left. */
  isAsLeft(object: KubeObject): Promise<boolean>;
  log: Log;
}

const heartbeatMs = 3_000;
/** What a heartbeat keeps: how far the bridge has told changes, per kind. */
type Progress = Partial<Record<WatchedKind, string>> & ReferenceProgress;

export function createBridge(deps: BridgeDependencies): BridgeActivities {
  const { objects, signaller, log } = deps;
  const kinds = Object.keys(watchedKinds) as WatchedKind[];
  const consumers = createConsumerWakes(deps);

  const refOf = (object: KubeObject): ReconciledRef => ({
    kind: object.kind as ReconciledKindName,
    namespace: object.metadata.namespace ?? '',
    name: object.metadata.name,
  });

  const hasWorkflow = (object: KubeObject): boolean => isReconciled(object) && objects.isServed(object);

  /**
   * A dependency that came, went or has other labels: no workflow tells those who wait for it, nor itself if it waits. One
   * without a workflow of ours tells nothing by itself.
   */
  const wakeDependants = (event: CacheEvent): void => {
    const { object } = event;
    const isModified = event.type === 'MODIFIED';
    if (isModified && hasWorkflow(object) && !isRelabelled(event)) return;
    const wake: WakeReason = {
      type: 'dependency',
      subject: subjectOf(objectRefOf(object)),
      resourceVersion: object.metadata.resourceVersion,
    };
    for (const one of dependantKinds.flatMap((kind) => objects.list(kind))) {
      if (isDependantOf(one, object)) signaller.wake(refOf(one), wake);
    }
    if (isModified && hasReadyExpr(object)) signaller.wake(refOf(object), wake);
  };

  /** A chart is made for its release, whose status says at once why there is none. */
  const wakeReleases = (chart: KubeObject): void => {
    const { resourceVersion } = chart.metadata;
    const wake: WakeReason = { type: 'dependency', subject: subjectOf(objectRefOf(chart)), resourceVersion };
    for (const one of objects.list('HelmRelease')) if (isConsumerOf(one, chart)) signaller.wake(refOf(one), wake);
  };

  /** What its generator has made and somebody has deleted is made again. */
  const wakeGenerator = (gone: KubeObject): void => {
    const ref = generatorOf(gone as ExternalArtifact);
    const generator = ref && objects.peek('ArtifactGenerator', ref);
    if (!generator || generator.metadata.deletionTimestamp) return;
    const { resourceVersion } = gone.metadata;
    signaller.wake(ref, { type: 'dependency', subject: subjectOf(objectRefOf(gone)), resourceVersion });
  };

  const onEvent = (event: CacheEvent): void => {
    // Labels that choose what is served may come and go.
    const served = contentEventOf(event, objects.isServed);
    const wake = served && hasWorkflow(served.object) ? wakeOf(served) : undefined;
    const { resourceVersion } = event.object.metadata;
    if (wake?.type === 'created') signaller.ensure(refOf(event.object));
    else if (wake) signaller.wake(refOf(event.object), { ...wake, resourceVersion });
    wakeDependants(event);
    if (hasNewArtifact(event)) void consumers.wake(event.object);
    const isNews = hasNewFailure(event) || (hasCaughtUp(event) && !hasNewArtifact(event));
    if (event.object.kind === 'HelmChart' && isNews) wakeReleases(event.object);
    if (event.object.kind === 'Kustomization') consumers.onReport(event.object);
    if (event.type === 'DELETED' && event.object.kind === 'ExternalArtifact') wakeGenerator(event.object);
    if (event.type === 'DELETED' || !objects.isServed(event.object)) forget(event.object);
    else void follow(event.object);
  };

  /** Watches what an object waits for and what it has applied, where it applies now. */
  const follow = async (object: KubeObject): Promise<void> => {
    if (!isDependant(object) || !objects.isServed(object)) return;
    void deps.dependencies.follow(object);
    if (object.kind === 'Kustomization') await deps.drift.follow(object as Kustomization);
    else await deps.releaseDrift.follow(object as HelmRelease);
  };

  const forget = (object: KubeObject): void => {
    if (!isDependant(object)) return;
    void deps.dependencies.follow(object, true);
    (object.kind === 'Kustomization' ? deps.drift : deps.releaseDrift).forget(refOf(object));
  };

  const onForeignChange = ({ owner, subject, manager }: ForeignChange): void => {
    if (owner.kind !== 'Kustomization') return;
    const { namespace, name } = owner;
    signaller.wake({ kind: 'Kustomization', namespace, name }, { type: 'drift', subject, manager });
  };

  const referenceOptions = {
    references: deps.references,
    users: () => kinds.flatMap((kind) => objects.list(kind)),
    log,
  };
  const onReferenceChange = (user: KubeObject, wake: WakeReason): void => {
    signaller.wake(refOf(user), wake);
    if (isRemote(user)) void follow(user); // it may apply to another cluster now
  };

  const onClusterBack = (server: string, owners: NamespacedName[]): void => {
    for (const owner of owners) {
      const object = objects.peek('Kustomization', owner);
      if (!object) continue;
      signaller.wake(refOf(object), { type: 'dependency', subject: `cluster ${server}` });
      void follow(object);
    }
  };

  /**
   * What may have been missed while no bridge ran: objects without workflow, changes since the last heartbeat, drift and
   * lost artifacts.
   */
  const catchUp = async (progress: Progress | undefined): Promise<void> => {
    const running = new Set<string>();
    const types = Object.values(workflowTypes).map((type) => `'${type}'`);
    const query = `ExecutionStatus = 'Running' AND WorkflowType IN (${types.join(', ')})`;
    for await (const execution of deps.client.workflow.list({ query })) running.add(execution.workflowId);
    for (const kind of kinds) {
      const since = progress?.[kind];
      for (const object of objects.list(kind)) {
        const isNewer = !since || BigInt(object.metadata.resourceVersion ?? 0) > BigInt(since);
        if (since && isNewer && isArtifactKind(kind)) void consumers.wake(object);
        if (!hasWorkflow(object)) continue;
        const ref = refOf(object);
        const isKnown = running.delete(workflowIdOf(ref));
        if (!isKnown) signaller.ensure(ref);
        else if (isNewer) signaller.wake(ref, { type: 'resync' });
      }
    }
    // What is left belongs to objects that are gone.
    for (const id of running) {
      const ref = refOfWorkflowId(id);
      if (ref) signaller.wake(ref, { type: 'deleted' });
    }
    await Promise.all(dependantKinds.flatMap((kind) => objects.list(kind)).map(follow));
    const check = async (object: KubeObject): Promise<void> => {
      if (!(await deps.isAsLeft(object).catch(() => false))) signaller.wake(refOf(object), { type: 'resync' });
    };
    const all = kinds.flatMap((kind) => objects.list(kind)).filter(hasWorkflow);
    for (const object of all) if (!isRemote(object)) await check(object);
    // Clusters that are away keep nobody waiting but those who apply to them.
    await Promise.all(all.filter(isRemote).map(check));
  };

  return {
    async watchCluster({ cluster }) {
      const context = Context.current();
      const progress = context.info.heartbeatDetails as Progress | undefined;
      let told = progress;
      let isCaughtUp = false;
      /** Only what has reached Temporal counts as told: what is on its way is lost with this process. */
      const beat = (): void => {
        if (isCaughtUp && consumers.isIdle() && signaller.isIdle()) {
          told = Object.fromEntries(kinds.map((kind) => [kind, objects.versionOf(kind)]));
          Object.assign(told, references?.progress());
        }
        context.heartbeat(told);
      };
      const beating = setInterval(beat, heartbeatMs);
      const subscriptions: (() => void)[] = [];
      let references: ReferenceWatch | undefined;
      try {
        await objects.sync();
        // A listener of its own: an earlier bridge of this process may end after this one has started.
        const listener = (event: CacheEvent): void => onEvent(event);
        for (const kind of kinds) subscriptions.push(objects.subscribe(kind, listener));
        subscriptions.push(deps.drift.start({ onForeignChange, onClusterBack }));
        const onReleaseDrift = (ref: NamespacedName, wake: WakeReason): void =>
          signaller.wake({ kind: 'HelmRelease', namespace: ref.namespace, name: ref.name }, wake);
        subscriptions.push(deps.releaseDrift.start(onReleaseDrift));
        subscriptions.push(deps.dependencies.start((waiter, wake) => signaller.wake(refOf(waiter), wake)));
        references = watchReferences(referenceOptions, onReferenceChange);
        subscriptions.push(references.stop);
        await catchUp(progress);
        await references.catchUp(progress ?? {});
        isCaughtUp = true;
        subscriptions.push(
          watchIntervals({
            appliers: () => dependantKinds.flatMap((kind) => objects.list(kind)).filter(objects.isServed) as Applier[],
            isSettled: (object) => deps.isSettled(object),
            wake: (object) => signaller.wake(refOf(object), { type: 'resync' }),
          }),
        );
        log.info({ cluster }, 'watching');
        await context.cancelled;
      } catch (error) {
        if (!(error instanceof CancelledFailure)) throw error;
        log.info({ cluster }, 'the watch was handed over');
        throw error;
      } finally {
        clearInterval(beating);
        for (const unsubscribe of subscriptions) unsubscribe();
      }
    },
  };
}

/**
 * False for what is only watched: an ExternalArtifact is written by who makes it, a static object has nothing to be
 * reconciled. One that has just become static still has our finalizer: its workflow takes that away, and ends.
 */
function isReconciled(object: KubeObject): boolean {
  return Object.hasOwn(workflowTypes, object.kind) && (!isStatic(object) || isFinalizedByUs(object));
}

function isDependant(object: KubeObject): boolean {
  return dependantKinds.some((kind) => kind === object.kind);
}

function isFinalizedByUs({ metadata }: KubeObject): boolean {
  return metadata.finalizers?.includes(fluxFinalizer) ?? false;
}

/** True for an object that is reconciled in another cluster. */
function isRemote(object: KubeObject): boolean {
  return (object as Kustomization).spec.kubeConfig !== undefined;
}
