// The message set of every workflow, and the workflow ids. Anything that a person can do with the CLI can be done with
// these from the Temporal UI. One Temporal namespace serves one cluster, so an id needs no cluster in it.
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';

/** The kinds that have a workflow, with the word that starts their workflow ids; {@link workflowTypes} has their types. */
export const workflowKinds = {
  GitRepository: 'gitrepository',
  OCIRepository: 'ocirepository',
  HelmRepository: 'helmrepository',
  HelmChart: 'helmchart',
  Bucket: 'bucket',
  ArtifactGenerator: 'artifactgenerator',
  Kustomization: 'kustomization',
  HelmRelease: 'helmrelease',
} as const;
export type ReconciledKindName = keyof typeof workflowKinds;

/** The workflow type of each kind: the name of its function in workflows/index.ts. */
export const workflowTypes: Readonly<Record<ReconciledKindName, string>> = {
  GitRepository: 'gitRepository',
  OCIRepository: 'ociRepository',
  HelmRepository: 'helmRepository',
  HelmChart: 'helmChart',
  Bucket: 'bucket',
  ArtifactGenerator: 'artifactGenerator',
  Kustomization: 'kustomization',
  HelmRelease: 'helmRelease',
};

/** One reconciled object: what its workflow is about. */
export interface ReconciledRef {
  kind: ReconciledKindName;
  namespace: string;
  name: string;
}

/** `<kind>/<namespace>/<name>`; Kubernetes' name limits keep it far below Temporal's 1,000 bytes. */
export function workflowIdOf(ref: ReconciledRef): string {
  return `${workflowKinds[ref.kind]}/${ref.namespace}/${ref.name}`;
}

/** The inverse of {@link workflowIdOf}; undefined for the id of any other workflow. */
export function refOfWorkflowId(workflowId: string): ReconciledRef | undefined {
  const [word, namespace, name, ...rest] = workflowId.split('/');
  const kind = (Object.keys(workflowKinds) as ReconciledKindName[]).find((k) => workflowKinds[k] === word);
  return kind && namespace && name && rest.length === 0 ? { kind, namespace, name } : undefined;
}

/** `cluster/<name>`: the parent of all objects' workflows of a cluster. */
export function clusterWorkflowId(cluster: string): string {
  return `cluster/${cluster}`;
}

/** Why a workflow is woken. Reasons carry no state: a pass observes everything again (level-triggered). */
export type WakeType =
  | 'created'
  | 'spec'
  | 'request'
  | 'artifact'
  | 'drift'
  | 'dependency'
  | 'deleted'
  | 'resync'
  | 'rollback';

export interface WakeReason {
  type: WakeType;
  /** The object concerned, e.g. `Service/apps/web` for drift; the revision to go back to for rollback. */
  subject?: string;
  /** Drift only: the field manager that wrote. */
  manager?: string;
  /** What the observation must have caught up with, when the waker saw it on another worker. */
  resourceVersion?: string;
}

/** Wakes the workflow; any number of wakes before the next pass is one pass. */
export const wakeSignal = defineSignal<[WakeReason[]]>('wake');

/** Sets `spec.suspend`; the object stays the truth. */
export const suspendSignal = defineSignal('suspend');
export const resumeSignal = defineSignal('resume');

/** Sent to the workflow of what one waits for: it answers with `dependencyReady` as soon as it holds the waiter up no more. */
export const dependOnSignal = defineSignal<[ReconciledRef]>('dependOn');

/** The answer: the dependency, and the version of it that was found ready. */
export interface DependencyReady {
  ref: ReconciledRef;
  resourceVersion?: string;
}
export const dependencyReadySignal = defineSignal<[DependencyReady]>('dependencyReady');

/** What the `reconcile` update returns once the reconcile that it asked for is over. */
export interface ReconcileResult {
  outcome: RunOutcome;
  reason: string;
  message: string;
  revision?: string;
}

/** Asks for a reconcile, as `flux reconcile` does, and returns its result. Refused while the object is suspended. */
export const reconcileUpdate = defineUpdate<ReconcileResult>('reconcile');

/**
 * Goes back to a healthy revision, by default to the last one that was healthy before what is in place, and holds the
 * source's revision until a newer one appears or a reconcile is requested. Refused while the object is suspended, for a
 * kind that cannot, and for a revision that is not kept.
 */
export const rollbackUpdate = defineUpdate<ReconcileResult, [RollbackRequest]>('rollback');
export interface RollbackRequest {
  /** As the status names it, or a unique part of it. */
  revision?: string;
}

/** What the workflow is doing now. */
export interface WorkflowStatus {
  phase: string;
  trigger?: string;
  dueAt?: string;
  lastRun?: RunRecord;
  suspended: boolean;
}
export const statusQuery = defineQuery<WorkflowStatus>('status');

/** How a reconcile ended. */
export type RunOutcome = 'Succeeded' | 'Failed' | 'Stalled' | 'Superseded' | 'Unchanged' | 'RolledBack';

/** One reconcile as the history tells it: the workflow's memo `run`. Small by design; lines are cut. */
export interface RunRecord {
  trigger: string;
  startedAt: string;
  durationMs: number;
  outcome: RunOutcome;
  reason: string;
  message: string;
  revision?: string;
  /** Counts an action, e.g. `{created: 4}`. */
  changes?: Record<string, number>;
  /** `Kind/ns/name action`, at most 20. */
  changed?: string[];
}

/** Asks the cluster workflow to start the workflows of objects that have none. */
export const ensureSignal = defineSignal<[ReconciledRef[]]>('ensure');
