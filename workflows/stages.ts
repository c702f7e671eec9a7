// How workflows call activities: one proxy per way of running them, so that every policy stands in one place.
import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  proxyActivities,
  proxyLocalActivities,
  TimeoutFailure,
} from '@temporalio/workflow';
import type { ApplyActivities } from '../activities/apply/apply-activities.ts';
import type { ArtifactActivities } from '../activities/artifact/artifact-activities.ts';
import type { BuildActivities } from '../activities/build/build-activities.ts';
import type { ReleaseActivities } from '../activities/helm/release-activities.ts';
import type { HealthActivities } from '../activities/health/health-activities.ts';
import type { ObserveActivities } from '../activities/observe/observe-activities.ts';
import type { ObserveGeneratorActivities } from '../activities/observe/observe-generator.ts';
import type { GeneratorActivities } from '../activities/source/generator/generator-activities.ts';
import type { SourceActivities } from '../activities/source/source-activities.ts';
import type { ObserveReleaseActivities } from '../activities/observe/observe-release.ts';
import type { GeneratorReportActivities } from '../activities/status/report-generator.ts';
import type { HelmReleaseReportActivities } from '../activities/status/report-helm-release.ts';
import type { KustomizationReportActivities } from '../activities/status/report-kustomization.ts';
import type { SourceReportActivities } from '../activities/status/report-source.ts';
import type { ObjectActivities } from '../activities/status/status-activities.ts';
import { helmTaskQueue, watchTaskQueue } from './task-queues.ts';

type QuickActivities = ObserveActivities &
  ObserveReleaseActivities &
  ObserveGeneratorActivities &
  GeneratorReportActivities &
  HelmReleaseReportActivities &
  Pick<ReleaseActivities, 'reconcileChart' | 'findReleaseRollback' | 'failRelease' | 'settleRelease'> &
  ObjectActivities &
  KustomizationReportActivities &
  SourceReportActivities &
  Pick<ApplyActivities, 'findRollbackTarget'>;

/**
 * Steps of milliseconds that only read memory or patch one status: local activities. They are tried until they succeed,
 * so that an API server that is away for a minute delays a pass and fails none.
 */
export const quick = proxyLocalActivities<QuickActivities>({
  startToCloseTimeout: '20 s',
  retry: { initialInterval: '200 ms', backoffCoefficient: 2, maximumInterval: '10 s' },
  localRetryThreshold: '5 s',
});

interface HealthAfterApply {
  isHealthy: boolean;
  /** The wait for health says in the status that it waits; in histories of before the workflow did. */
  isWaitTold?: boolean;
}

/** Apply, as the worker composes it: with what the caches say of health at its end. */
type Apply = (
  input: Parameters<ApplyActivities['applyManifests']>[0],
) => Promise<Awaited<ReturnType<ApplyActivities['applyManifests']>> & HealthAfterApply>;
type AppliedActivities = Omit<ApplyActivities, 'applyManifests'> & {
  applyManifests: Apply;
  /** The same under its own name, so that a rollback can be seen for what it is. */
  rollbackManifests: Apply;
};

type Stages = SourceActivities &
  GeneratorActivities &
  ArtifactActivities &
  BuildActivities &
  AppliedActivities &
  Omit<ReleaseActivities, 'reconcileChart' | 'findReleaseRollback' | 'failRelease' | 'settleRelease'>;

const transient = {
  initialInterval: '1 s',
  backoffCoefficient: 2,
  maximumInterval: '30 s',
  maximumAttempts: 8,
} as const;

/** A stage that is expected to take milliseconds because its inputs are at hand; a long one falls back to {@link stages}. */
const shortStages = proxyLocalActivities<Stages>({
  startToCloseTimeout: '4 s',
  retry: { maximumAttempts: 1 },
});

/** A look at health that may take a moment: most rollouts need some tens of milliseconds. */
const shortWatching = proxyLocalActivities<HealthActivities>({
  startToCloseTimeout: '300 ms',
  retry: { maximumAttempts: 1 },
});

const seen = {
  startToCloseTimeout: '1 h',
  heartbeatTimeout: '10 s',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: transient,
} as const;

/** Stages that a person wants to see or that may fail for long. Cancelling waits until the stage has really stopped. */
const stages = proxyActivities<Stages>(seen);

/**
 * Those that run helm. A worker that dies is no failure of a release, and a new attempt at the same activity knows what the
 * one before has left: it is made so often that only a release which kills its workers ends by that.
 */
const helmStages = proxyActivities<Stages>({
  ...seen,
  taskQueue: helmTaskQueue,
  retry: { ...transient, maximumAttempts: 60 },
});
const runsHelm: readonly StageName[] = [
  'installRelease',
  'upgradeRelease',
  'testRelease',
  'rollbackRelease',
  'runReleaseHooks',
  'uninstallRelease',
  'finalizeRelease',
];

/** Waiting for health: nothing is left behind when it is abandoned, so a superseding run need not wait for its end. */
const watching = proxyActivities<HealthActivities>({
  taskQueue: watchTaskQueue,
  startToCloseTimeout: '25 h',
  heartbeatTimeout: '30 s',
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  retry: { initialInterval: '1 s', backoffCoefficient: 2, maximumInterval: '10 s' },
});

type StageName = keyof Stages;
type StageInput<N extends StageName> = Parameters<Stages[N]>[0];
type StageResult<N extends StageName> = Awaited<ReturnType<Stages[N]>>;
type StageFunction<N extends StageName> = (input: StageInput<N>) => Promise<StageResult<N>>;

/** Runs a stage as an activity that the UI shows with a readable summary. */
export async function runStage<N extends StageName>(
  name: N,
  summary: string,
  input: StageInput<N>,
): Promise<StageResult<N>> {
  const stage = (runsHelm.includes(name) ? helmStages : stages)[name] as unknown as {
    executeWithOptions(options: { summary: string }, args: [StageInput<N>]): Promise<StageResult<N>>;
  };
  return await stage.executeWithOptions({ summary: summary.slice(0, 180) }, [input]);
}

/** Runs a stage as an activity after `onLong` has said that it takes long. */
export async function longStage<N extends StageName>(
  name: N,
  input: StageInput<N>,
  onLong: () => Promise<void>,
): Promise<StageResult<N>> {
  await onLong();
  return await runStage(name, 'takes longer than a moment', input);
}

/** Runs a stage in place when it takes milliseconds, which it mostly does; one that does not is a {@link longStage}. */
export async function shortStage<N extends StageName>(
  name: N,
  input: StageInput<N>,
  onLong: () => Promise<void>,
): Promise<StageResult<N>> {
  try {
    return await (shortStages[name] as unknown as StageFunction<N>)(input);
  } catch (error) {
    if (isWorthRunningLonger(error)) return await longStage(name, input, onLong);
    throw error;
  }
}

/** Waits for health: for a moment in place, then, once `onLong` has said so, for as long as it takes. */
export async function waitForHealth(
  input: Parameters<HealthActivities['waitForHealth']>[0],
  onLong: () => Promise<void>,
): Promise<Awaited<ReturnType<HealthActivities['waitForHealth']>>> {
  try {
    return await shortWatching.waitForHealth(input);
  } catch (error) {
    if (!isWorthRunningLonger(error)) throw error;
    await onLong();
    return await watching.waitForHealth.executeWithOptions({ summary: input.revision }, [input]);
  }
}

/** What ran out of its short time, or failed in a way that may pass: the ordinary activity has time and a retry policy. */
function isWorthRunningLonger(error: unknown): boolean {
  // A local activity's time-out arrives wrapped when it happens and bare when it is replayed: both must go one way.
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof TimeoutFailure || (cause instanceof ApplicationFailure && !cause.nonRetryable);
}

/** The bridge between the cluster's watches and the workflows' signals; it runs in whichever worker took it. */
export interface BridgeActivities {
  /** Never returns by itself. */
  watchCluster(input: { cluster: string }): Promise<void>;
}

/** If the bridge's worker dies, Temporal starts it on another after the heartbeat time-out: no lease, no election. */
export const bridge = proxyActivities<BridgeActivities>({
  taskQueue: watchTaskQueue,
  startToCloseTimeout: '30 d',
  heartbeatTimeout: '10 s',
  cancellationType: ActivityCancellationType.ABANDON,
  retry: { initialInterval: '500 ms', backoffCoefficient: 2, maximumInterval: '5 s' },
});
