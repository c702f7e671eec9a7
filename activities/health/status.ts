// What an object says of itself, in six words. Pure: an object in, a status out, no cluster asked.
//
// | word | meaning |
// |---|---|
// | InProgress | the cluster is still working towards the spec, or has not looked at the newest spec yet |
// | Current | the cluster has done what the spec asks for |
// | Failed | the object says that it will not get there without a change |
// | Terminating | the object is being deleted |
// | NotFound | there is no such object |
// | Unknown | what the object says cannot be understood |
//
// The rules are those of kstatus, which Flux uses: first what holds for every kind (deletion, observedGeneration,
// Reconciling and Stalled), then the rule of the kind if the table has one, then the Ready condition, and in the end
// the assumption that an object which says nothing is Current. That assumption is wrong for a custom resource whose
// controller has not written a status yet and uses neither observedGeneration nor an initial Ready condition; a
// healthCheckExprs entry is the remedy.
import { type KubeObject, splitApiVersion } from '../../k8s/object.ts';

export type HealthStatus = 'InProgress' | 'Current' | 'Failed' | 'Terminating' | 'NotFound' | 'Unknown';

export interface Health {
  status: HealthStatus;
  /** One short clause: `1 of 3 replicas are ready`. */
  message: string;
  /** Set when the status changes by time alone: look again after so long. */
  reconsiderAfterMs?: number;
}

type Rule = (object: KubeObject, nowMs: number) => Health;

/** `group/Kind` (the core group's kinds without group) → rule. Every other kind is judged by its conditions. */
export const healthRules: Readonly<Record<string, Rule>> = {
  'apps/Deployment': deployment,
  'apps/StatefulSet': statefulSet,
  'apps/DaemonSet': daemonSet,
  'apps/ReplicaSet': replicaSet,
  ReplicationController: replicaSet,
  Pod: pod,
  PersistentVolumeClaim: persistentVolumeClaim,
  Service: service,
  'batch/Job': job,
  'apiextensions.k8s.io/CustomResourceDefinition': customResourceDefinition,
  'batch/CronJob': () => current('a schedule is in place as soon as it is stored'),
  'policy/PodDisruptionBudget': () => current('a budget is in place as soon as it is observed'),
  ConfigMap: () => current('a ConfigMap has no status'),
  Secret: () => current('a Secret has no status'),
};

/** The health of an object; undefined stands for one that does not exist. `nowMs` is needed for pods that wait for a node. */
export function healthOf(object: KubeObject | undefined, nowMs: number = Date.now()): Health {
  if (!object) return { status: 'NotFound', message: 'does not exist' };
  const common = generic(object);
  if (common) return common;
  const { group } = splitApiVersion(object.apiVersion);
  const rule = healthRules[group ? `${group}/${object.kind}` : object.kind];
  return rule ? rule(object, nowMs) : byReadyCondition(object);
}

/** How long a pod may wait for a node before that counts as failed. */
export const schedulingGraceMs = 15_000;

/** What holds for every kind; undefined when it decides nothing. */
function generic(object: KubeObject): Health | undefined {
  if (object.metadata.deletionTimestamp) return { status: 'Terminating', message: 'is being deleted' };
  const behind = observedGenerationBehind(object);
  if (behind) return behind;
  const reconciling = condition(object, 'Reconciling');
  if (reconciling?.status === 'True') return inProgress(reconciling.message || 'is being reconciled');
  const stalled = condition(object, 'Stalled');
  if (stalled?.status === 'True') return failed(stalled.message || 'is stalled');
  return undefined;
}

/** InProgress when the controller has not seen the newest spec. */
export function observedGenerationBehind(object: KubeObject): Health | undefined {
  const observed = at(object, 'status', 'observedGeneration');
  const { generation } = object.metadata;
  if (typeof observed !== 'number' || generation === undefined || observed === generation) return undefined;
  return inProgress(`generation ${generation} is not observed yet, the latest observed one is ${observed}`);
}

function byReadyCondition(object: KubeObject): Health {
  const ready = condition(object, 'Ready');
  if (!ready) return current('has no condition that says otherwise');
  return ready.status === 'True' ? current(ready.message || 'is ready') : inProgress(ready.message || 'is not ready');
}

/** The progress deadline of a Deployment that has none. */
const noDeadline = 2 ** 31 - 1;

/** A Deployment counts replicas by stage and says itself when its rollout has run into the progress deadline. */
function deployment(object: KubeObject): Health {
  const hasDeadline = number(object, noDeadline, 'spec', 'progressDeadlineSeconds') !== noDeadline;
  const progressing = condition(object, 'Progressing');
  if (progressing?.reason === 'ProgressDeadlineExceeded')
    return failed(progressing.message || 'progress deadline exceeded');
  const wanted = number(object, 1, 'spec', 'replicas');
  const replicas = number(object, 0, 'status', 'replicas');
  const updated = number(object, 0, 'status', 'updatedReplicas');
  const ready = number(object, 0, 'status', 'readyReplicas');
  const available = number(object, 0, 'status', 'availableReplicas');
  if (replicas < wanted) return inProgress(`${replicas} of ${wanted} replicas are created`);
  if (updated < wanted) return inProgress(`${updated} of ${wanted} replicas are updated`);
  if (replicas > wanted) return inProgress(`${replicas - wanted} old replicas have yet to go`);
  if (available < updated) return inProgress(`${available} of ${updated} replicas are available`);
  if (ready < wanted) return inProgress(`${ready} of ${wanted} replicas are ready`);
  if (
    hasDeadline &&
    progressing &&
    !(progressing.status === 'True' && progressing.reason === 'NewReplicaSetAvailable')
  ) {
    return inProgress('the new ReplicaSet is not available');
  }
  if (condition(object, 'Available')?.status !== 'True') return inProgress('the Deployment is not available');
  return current(`${replicas} replicas are available`);
}

/** A StatefulSet rolls by revision; with OnDelete only a person moves it, with a partition only a part of it moves. */
function statefulSet(object: KubeObject): Health {
  if (at(object, 'spec', 'updateStrategy', 'type') === 'OnDelete') return current('is updated by deleting its pods');
  const wanted = number(object, 1, 'spec', 'replicas');
  const replicas = number(object, 0, 'status', 'replicas');
  const ready = number(object, 0, 'status', 'readyReplicas');
  const updated = number(object, 0, 'status', 'updatedReplicas');
  if (replicas < wanted) return inProgress(`${replicas} of ${wanted} replicas are created`);
  if (ready < wanted) return inProgress(`${ready} of ${wanted} replicas are ready`);
  if (replicas > wanted) return inProgress(`${replicas - wanted} old replicas have yet to go`);
  const partition = number(object, 0, 'spec', 'updateStrategy', 'rollingUpdate', 'partition');
  if (partition > 0) {
    const toUpdate = Math.max(wanted - partition, 0);
    if (updated < toUpdate) return inProgress(`${updated} of ${toUpdate} replicas of the partition are updated`);
    return current(`${toUpdate} replicas of the partition are updated`);
  }
  const currentReplicas = number(object, 0, 'status', 'currentReplicas');
  if (currentReplicas < wanted)
    return inProgress(`${currentReplicas} of ${wanted} replicas are of the current revision`);
  const revision = at(object, 'status', 'currentRevision');
  if (revision !== at(object, 'status', 'updateRevision'))
    return inProgress('the update has not reached every replica');
  return current(`${replicas} replicas are ready`);
}

/** A DaemonSet knows only after its first look at the nodes how many pods it wants. */
function daemonSet(object: KubeObject): Health {
  const wanted = number(object, -1, 'status', 'desiredNumberScheduled');
  if (wanted < 0 || at(object, 'status', 'observedGeneration') === undefined) {
    return inProgress('the number of wanted pods is not known yet');
  }
  for (const [field, word] of [
    ['currentNumberScheduled', 'scheduled'],
    ['updatedNumberScheduled', 'updated'],
    ['numberAvailable', 'available'],
    ['numberReady', 'ready'],
  ] as const) {
    const count = number(object, 0, 'status', field);
    if (count < wanted) return inProgress(`${count} of ${wanted} pods are ${word}`);
  }
  return current(`${wanted} pods are ready`);
}

/** Also for ReplicationController, which reports the same counters. */
function replicaSet(object: KubeObject): Health {
  const failure = condition(object, 'ReplicaFailure');
  if (failure?.status === 'True') return inProgress(failure.message || 'pods cannot be created');
  const wanted = number(object, 1, 'spec', 'replicas');
  const replicas = number(object, 0, 'status', 'replicas');
  for (const [field, word] of [
    ['fullyLabeledReplicas', 'labelled'],
    ['availableReplicas', 'available'],
    ['readyReplicas', 'ready'],
  ] as const) {
    const count = number(object, 0, 'status', field);
    if (count < wanted) return inProgress(`${count} of ${wanted} replicas are ${word}`);
  }
  if (replicas > wanted) return inProgress(`${replicas - wanted} old replicas have yet to go`);
  return current(`${replicas} replicas are ready`);
}

/** A pod that runs but is not ready fails only when a container of it crashes again and again. */
function pod(object: KubeObject, nowMs: number): Health {
  const phase = at(object, 'status', 'phase');
  if (phase === 'Succeeded') return current('has completed');
  if (phase === 'Failed') return failed('has failed');
  const ready = condition(object, 'Ready');
  if (phase === 'Running') {
    if (ready?.status === 'True') return current('is ready');
    const crashing = crashingContainers(object);
    if (crashing.length > 0) return failed(`containers crash again and again: ${crashing.join(', ')}`);
    return inProgress('is running and not ready');
  }
  if (phase !== undefined && phase !== 'Pending')
    return { status: 'Unknown', message: `has the phase "${String(phase)}"` };
  const scheduled = condition(object, 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') {
    const created = Date.parse(object.metadata.creationTimestamp ?? '');
    const waitMs = created + schedulingGraceMs - nowMs;
    if (!(waitMs > 0)) return failed(`cannot be scheduled: ${scheduled.message ?? ''}`);
    return { ...inProgress('is not scheduled yet'), reconsiderAfterMs: waitMs };
  }
  return inProgress('is pending');
}

function crashingContainers(object: KubeObject): string[] {
  const status = (object.status ?? {}) as Record<string, unknown>;
  const all = [status.initContainerStatuses, status.containerStatuses].flatMap((list) =>
    Array.isArray(list) ? list : [],
  );
  const crashing = all.filter((container) => container?.state?.waiting?.reason === 'CrashLoopBackOff');
  return crashing.map((container) => String(container.name));
}

function persistentVolumeClaim(object: KubeObject): Health {
  const phase = at(object, 'status', 'phase');
  return phase === 'Bound' ? current('is bound') : inProgress(`is not bound, phase "${String(phase ?? '')}"`);
}

function service(object: KubeObject): Health {
  const isLoadBalancer = at(object, 'spec', 'type') === 'LoadBalancer';
  if (isLoadBalancer && !at(object, 'spec', 'clusterIP')) return inProgress('has no cluster IP yet');
  return current('is in place');
}

/** Not only started, as kstatus has it: a Job that is waited for has to complete (contract 2.1). */
function job(object: KubeObject): Health {
  const done = condition(object, 'Complete');
  if (done?.status === 'True') return current('has completed');
  const failure = condition(object, 'Failed');
  if (failure?.status === 'True') return failed(failure.message || 'has failed');
  const succeeded = number(object, 0, 'status', 'succeeded');
  return inProgress(`${succeeded} of ${number(object, 1, 'spec', 'completions')} pods have completed`);
}

function customResourceDefinition(object: KubeObject): Health {
  const accepted = condition(object, 'NamesAccepted');
  if (accepted?.status === 'False') return failed(accepted.message || 'its names are not accepted');
  const established = condition(object, 'Established');
  if (established?.status === 'True') return current('is established');
  if (established?.status === 'False' && established.reason !== 'Installing') {
    return failed(established.message || 'is not established');
  }
  return inProgress('is being installed');
}

interface Condition {
  type: string;
  status?: string;
  reason?: string;
  message?: string;
}

function condition(object: KubeObject, type: string): Condition | undefined {
  const conditions = at(object, 'status', 'conditions');
  return Array.isArray(conditions) ? conditions.find((entry: Condition | null) => entry?.type === type) : undefined;
}

function at(object: KubeObject, ...path: string[]): unknown {
  let value: unknown = object;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value ?? undefined;
}

function number(object: KubeObject, fallback: number, ...path: string[]): number {
  const value = at(object, ...path);
  return typeof value === 'number' ? value : fallback;
}

function inProgress(message: string): Health {
  return { status: 'InProgress', message };
}

function current(message: string): Health {
  return { status: 'Current', message };
}

function failed(message: string): Health {
  return { status: 'Failed', message };
}
