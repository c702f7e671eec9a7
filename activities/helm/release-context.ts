// What the activities of a release share: their dependencies, how the object, its target and its storage are come by, and
// what they throw.
import { CancelledFailure, Context } from '@temporalio/activity';
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import { type KubeClient, KubeApiError } from '../../k8s/client.ts';
import type { KubeObject, NamespacedName } from '../../k8s/object.ts';
import { ClusterError } from '../../k8s/remote-clusters.ts';
import type { ReferencedObjects } from '../../k8s/referenced-objects.ts';
import { failure, messageOf, type Reason } from '../errors.ts';
import type { ApiGateway } from './api-gateway.ts';
import type { ChartFiles } from './chart-file.ts';
import { releaseNamesOf } from './names.ts';
import type { ReleaseMemory } from './release-memory.ts';
import type { ReleaseInventoryEntry } from './release-objects.ts';
import { createReleaseStorage, type ReleaseStorage } from './release-storage.ts';
import type { NamedRelease } from './release-types.ts';
import type { Helm } from './run-helm.ts';

/** The cluster that a release goes to, as the account that its spec names. */
export interface ReleaseTarget {
  client: KubeClient;
  /** Revisions of releases that are known already. */
  releases: ReleaseMemory;
  /** Aborted as soon as the cluster is away. */
  lost?: AbortSignal;
  /** What is wrong with the account; undefined when it exists, or when that cannot be told. */
  accountError(): Promise<string | undefined>;
  release(): void;
}

export interface ReleaseDependencies {
  /** The object as memory has it, after a version that a report has written. */
  helmRelease(ref: NamespacedName, resourceVersion?: string): Promise<HelmRelease | undefined>;
  /** The client for our own objects. */
  home: Pick<KubeClient, 'apply' | 'delete' | 'get'>;
  /** Rejects with `ClusterError`. */
  targetOf(object: KubeObject): Promise<ReleaseTarget>;
  references: Pick<ReferencedObjects, 'get'>;
  charts: ChartFiles;
  helm: Helm;
  gateway: ApiGateway;
  /** Templates may resolve names with DNS. */
  isDnsAllowed?: boolean;
  /** Runs kustomize for the post-renderers. */
  kustomize(directory: string, signal: AbortSignal): Promise<string>;
  temporaryDirectory: string;
  /** Where the lists of applied objects are kept. */
  writeInventory(release: NamespacedName, entries: readonly ReleaseInventoryEntry[]): Promise<string>;
  /** One of these lists by its key. Fails with StorageOperationFailed. */
  readInventory(key: string): Promise<readonly ReleaseInventoryEntry[]>;
  /** Compares what is deployed with the cluster, and puts it right. */
  drift: ReleaseDrift;
  /** Merges into the status of the object. */
  patchStatus(object: HelmRelease, change: object): Promise<void>;
  /** Takes note of what a write returned. */
  learn(object: KubeObject): void;
  /** Runs something; where it takes long, the status says meanwhile what. */
  telling<T>(release: NamespacedName, message: string, work: () => Promise<T>): Promise<T>;
  /** Tells people what was done, as an event of the object. */
  tell(object: HelmRelease, reason: string, message: string, type?: 'Normal' | 'Warning'): void;
}

export interface DriftRequest {
  object: HelmRelease;
  target: ReleaseTarget;
  release: NamedRelease;
  /** The stored manifest. */
  desired: readonly KubeObject[];
  signal: AbortSignal;
}

/** Drift of the objects of a release (contract 2.2, "drift detection"). */
export interface ReleaseDrift {
  /** A line for each object that is not as the release wants it. */
  detect(request: DriftRequest): Promise<string[]>;
  /** Puts them right; gives a line for each that was changed. */
  correct(request: DriftRequest): Promise<string[]>;
}

export async function mustFind(
  deps: ReleaseDependencies,
  ref: NamespacedName,
  resourceVersion?: string,
): Promise<HelmRelease> {
  const object = await deps.helmRelease(ref, resourceVersion);
  if (object) return object;
  throw failure('StateError', `HelmRelease/${ref.namespace}/${ref.name} does not exist any more`);
}

/** Opens the target and runs something with it. */
export async function withTarget<T>(
  deps: ReleaseDependencies,
  object: HelmRelease,
  use: (target: ReleaseTarget) => Promise<T>,
): Promise<T> {
  let target: ReleaseTarget;
  try {
    target = await deps.targetOf(object);
  } catch (error) {
    throw activityFailure(error, 'RESTClientError');
  }
  try {
    return await use(target);
  } catch (error) {
    if (!(error instanceof KubeApiError) || error.status !== 403) throw error;
    const wrong = await target.accountError().catch(() => undefined);
    if (wrong) throw failure('RESTClientError', wrong, { cause: error });
    throw error;
  } finally {
    target.release();
  }
}

export function namedReleaseOf(object: HelmRelease): NamedRelease {
  const { releaseName, namespace, storageNamespace } = releaseNamesOf(object);
  return { name: releaseName, namespace, storageNamespace };
}

export function storageOf(target: ReleaseTarget, release: NamedRelease): ReleaseStorage {
  const { client, releases } = target;
  return createReleaseStorage({ client, namespace: release.storageNamespace, memory: releases });
}

/** The name of this attempt; a retry after the death of a worker has the same. */
export function attemptName(): string {
  const { workflowExecution, activityId } = Context.current().info;
  return `${workflowExecution?.workflowId ?? ''}/${workflowExecution?.runId ?? ''}/${activityId}`;
}

/** Ends with the activity's cancellation, and when the cluster goes away. */
export function signalOf(target: ReleaseTarget): AbortSignal {
  const { cancellationSignal } = Context.current();
  return target.lost ? AbortSignal.any([cancellationSignal, target.lost]) : cancellationSignal;
}

/** What an activity throws: cancelled when it was, else a failure with a reason; what may pass is tried again. */
export function activityFailure(error: unknown, reason: Reason): Error {
  const { cancellationSignal } = Context.current();
  if (cancellationSignal.aborted) {
    const { reason: cause } = cancellationSignal;
    return cause instanceof CancelledFailure ? cause : new CancelledFailure('cancelled');
  }
  if (error instanceof Error && error.name === 'ApplicationFailure') return error;
  if (error instanceof ClusterError) return failure(reason, error.message, { cause: error });
  const isTransient = error instanceof KubeApiError && error.isTransient;
  return failure(reason, messageOf(error), { cause: error, isTransient });
}
