// What the activities of a release take and give. All of it enters histories: names, digests, numbers, never a value.
import type { HelmSnapshot } from '../../k8s/api/helm-release.ts';
import type { NamespacedName } from '../../k8s/object.ts';
import type { ReleaseAction, ReleaseFacts } from '../../workflows/decisions/release-state.ts';
import type { ArtifactRef } from '../observe/observation.ts';
import type { PostEvent } from './hook-view.ts';

/** The chart as the release records it. */
export interface ChartSummary {
  name: string;
  /** With the digest of its artifact as build metadata where the contract wants it. */
  version: string;
  appVersion?: string;
  /** Digest of the OCI artifact that it came in, for `lastAttemptedRevisionDigest`. */
  ociDigest?: string;
}

/** What a reconcile tries to put in place. */
export interface Attempt {
  generation: number;
  chart: ChartSummary;
  configDigest: string;
  /** Failures that count; 0 after a change of chart, values or spec, and after a reset. */
  failures: number;
  installFailures: number;
  upgradeFailures: number;
  /** Values of `forceAt` and `resetAt` that this attempt answers. */
  forceAt?: string;
  resetAt?: string;
  postRenderersDigest?: string;
  commonMetadataDigest?: string;
}

export interface PrepareReleaseInput {
  helmRelease: NamespacedName;
  generation: number;
  artifact: ArtifactRef;
  /** The version of the object that the last report wrote, for a worker whose memory is behind. */
  resourceVersion?: string;
}

export interface PreparedRelease {
  release: NamedRelease;
  attempt: Attempt;
  facts: ReleaseFacts;
  /** Actions say themselves in the status that they are under way; in histories of before the workflow did. */
  isProgressTold?: boolean;
  /** After an install or upgrade that succeeds nothing is left to find out: no tests, no drift. */
  isLastToRelease?: boolean;
  /** Time-outs of the actions, as people write them. */
  timeouts?: Partial<Record<ReleaseAction, string>>;
  /** Drift was looked for. */
  isDriftDetected?: boolean;
  /** `Kind/ns/name: path, …` of what was changed in the cluster. */
  drifted?: string[];
}

/** A release by its name, and where it is. */
export interface NamedRelease {
  name: string;
  namespace: string;
  storageNamespace: string;
}

export interface ReleaseActionInput {
  helmRelease: NamespacedName;
  generation: number;
  action: ReleaseAction;
  /** An uninstall that undoes a failed attempt. */
  isRemediation?: boolean;
  artifact?: ArtifactRef;
  attempt: Attempt;
  /** Of a rollback that a person asked for. */
  toVersion?: number;
  /** What the status says of it where it takes long; absent where the workflow has said it. */
  progress?: string;
  /** The workflow runs the hooks that follow the rollout; absent where it is older than that, and helm has to wait for it. */
  areHooksRunApart?: boolean;
}

/** A rollback that a person asked for. */
export interface AskedRollback {
  release: NamedRelease;
  toVersion: number;
  /** What is held by it. */
  attempt: Attempt;
}

/** How an action ended. A failure of Helm is a result: it is counted, told and acted upon. */
export interface ReleaseActionResult {
  action: ReleaseAction;
  release: NamedRelease;
  isRemediation?: boolean;
  failure?: { message: string; logTail?: string[] };
  /** The revision that the action made or changed; unset when it left none. */
  snapshot?: HelmSnapshot;
  /** Older revisions that the status tells of, as they are now: an action supersedes them. */
  others?: HelmSnapshot[];
  /** The revision that was deployed before, which an action that fails leaves deployed. */
  deployedBefore?: number;
  /** What that revision was called; absent in histories of before, where it was deployed. */
  statusBefore?: string;
  /** Where the list of the release's objects is; unset when it could not be made. */
  inventoryKey?: string;
  /** What is not as it should be with that list (contract 2.2, "extra events"). */
  warning?: { reason: 'InventoryBuildFailed' | 'NamespaceCheckSkipped'; message: string };
  /** True when readiness has still to be waited for. */
  mustWait?: boolean;
  /** The event of hooks that have still to run, once it is ready; absent where there are none, and in histories of before. */
  postHooks?: PostEvent;
  timeoutMs: number;
  durationMs: number;
  /** The revision that a rollback went back to. */
  toVersion?: number;
  /** What a correction of drift has changed. */
  changed?: string[];
}

/** Hooks that are run after the rollout of an action. */
export interface RunPostHooksInput {
  helmRelease: NamespacedName;
  /** Of the action. */
  result: ReleaseActionResult;
  /** What the status says of it where it takes long. */
  progress?: string;
}

export interface SettleReleaseInput {
  helmRelease: NamespacedName;
  /** Why the newest revision is not to count as deployed. */
  message: string;
  /** The revision concerned; unset: whatever was left pending. */
  result?: ReleaseActionResult;
}
