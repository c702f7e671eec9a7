// The activities of a HelmRelease: its chart object, what is known of its release, the actions, and what a reconcile that
// was ended leaves behind. They take and give names and digests; values and manifests never leave the worker.
import { isDeepStrictEqual } from 'node:util';
import { ApplicationFailure, Context } from '@temporalio/activity';
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import type { KubeObject, NamespacedName } from '../../k8s/object.ts';
import { ClusterError } from '../../k8s/remote-clusters.ts';
import type { ReleaseFacts } from '../../workflows/decisions/release-state.ts';
import { stateOf } from '../../workflows/decisions/release-state.ts';
import { failure, messageOf } from '../errors.ts';
import { attemptAnnotation } from './api-gateway.ts';
import { timeoutOf } from './command.ts';
import { configDigestOf } from './config-digest.ts';
import { deleteChart, reconcileHelmChart, type ReconciledChart } from './reconcile-chart.ts';
import {
  activityFailure,
  mustFind,
  namedReleaseOf,
  type ReleaseDependencies,
  type ReleaseTarget,
  signalOf,
  storageOf,
  withTarget,
} from './release-context.ts';
import { areTestsIgnored, attemptOf, factsOf, movedFrom } from './release-facts.ts';
import { objectsOf, placeObjects } from './release-objects.ts';
import { cleanUp, recordFailure } from './record-failure.ts';
import type { ReadRelease, ReleaseStorage } from './release-storage.ts';
import type {
  AskedRollback,
  NamedRelease,
  PreparedRelease,
  PrepareReleaseInput,
  ReleaseActionInput,
  ReleaseActionResult,
  RunPostHooksInput,
  SettleReleaseInput,
} from './release-types.ts';
import { heldAttemptOf, rollbackVersionAsked } from './rollback-by-hand.ts';
import { runAction } from './run-action.ts';
import { runPostHooks } from './run-post-hooks.ts';
import { hiddenTextsOf } from './hidden-texts.ts';
import { matchesSnapshot, previousSnapshot, snapshotOf, withSnapshot } from './snapshot.ts';
import { uninstallDeleted } from './uninstall-deleted.ts';
import { composeValues } from './values.ts';

export type ReleaseActivities = ReturnType<typeof createReleaseActivities>;

/** Cancellation comes with a heartbeat, and what supersedes an action waits for it. */
const heartbeatMs = 1_000;

export function createReleaseActivities(deps: ReleaseDependencies) {
  /** At most one helm process for a release in this worker. */
  const locks = createLocks();

  async function prepare(input: PrepareReleaseInput): Promise<PreparedRelease> {
    const object = await mustFind(deps, input.helmRelease, input.resourceVersion);
    const values = await composeValues(object, deps.references);
    const { cancellationSignal } = Context.current();
    const loaded = await deps.charts.load({ kind: chartKindOf(object), artifact: input.artifact }, cancellationSignal);
    const { name, version, appVersion, ociDigest } = loaded;
    const attempt = attemptOf(object, { name, version, appVersion, ociDigest }, configDigestOf(values));
    const release = namedReleaseOf(object);
    const { driftDetection, test } = object.spec;
    const mode = driftDetection?.mode;
    const isDriftDetected = mode === 'enabled' || mode === 'warn';
    const isLastToRelease = !test?.enable && !isDriftDetected;
    const common = { release, attempt, timeouts: timeoutsOf(object), isProgressTold: true, isLastToRelease };
    return await withTarget(deps, object, async (target) => {
      const signal = signalOf(target);
      const storage = storageOf(target, release);
      const stored = await storage.last(release.name, signal);
      const known: ReleaseFacts = { ...factsOf(object, attempt, stored), rollbackTarget: 'missing' };
      const state = stateOf(known);
      if (state === 'Failed') {
        const facts = { ...known, rollbackTarget: await rollbackTargetOf(object, storage, signal) };
        return { ...common, facts };
      }
      if (state !== 'InSync' || !stored || !isDriftDetected) return { ...common, facts: known };
      const desired = await desiredObjects(stored, target);
      const drifted = await deps.drift.detect({ object, target, release, desired, signal });
      const facts = drifted.length > 0 ? { ...known, drift: { count: drifted.length, mode } } : known;
      return { ...common, facts, isDriftDetected: true, drifted: drifted.slice(0, maxLines) };
    });
  }

  /** Runs helm for a release, alone in this worker. */
  async function alone<T>({ storageNamespace, name }: NamedRelease, work: () => Promise<T>): Promise<T> {
    const unlock = await locks.acquire(`${storageNamespace}/${name}`, Context.current().cancellationSignal);
    const timer = setInterval(() => Context.current().heartbeat(), heartbeatMs);
    try {
      return await work();
    } catch (error) {
      throw activityFailure(error, 'ReconcileError');
    } finally {
      clearInterval(timer);
      unlock();
    }
  }

  /**
   * Many attempts are for workers that die. What the server has against an action is told after as many as elsewhere, or the
   * status would say nothing of it for half an hour.
   */
  async function untilTold<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const isLast = Context.current().info.attempt >= attemptsUntilTold;
      if (!isLast || !(error instanceof ApplicationFailure) || error.nonRetryable) throw error;
      throw ApplicationFailure.nonRetryable(error.message, error.type, ...(error.details ?? []));
    }
  }

  async function act(input: ReleaseActionInput): Promise<ReleaseActionResult> {
    const object = await mustFind(deps, input.helmRelease);
    const { action } = input;
    const old = action === 'uninstall' && !input.isRemediation ? movedFrom(object) : undefined;
    const release = old ?? namedReleaseOf(object);
    const run = async (): Promise<ReleaseActionResult> => {
      const { cancellationSignal } = Context.current();
      const isRendering = action === 'install' || action === 'upgrade';
      const values = isRendering ? await composeValues(object, deps.references) : undefined;
      const { artifact } = input;
      const chart =
        isRendering && artifact
          ? await deps.charts.load({ kind: chartKindOf(object), artifact }, cancellationSignal)
          : undefined;
      if (chart && chart.version !== input.attempt.chart.version) {
        throw failure('ReconcileError', `the chart is version "${chart.version}" by now: it is prepared again`);
      }
      return await withTarget(deps, object, async (target) => {
        const toVersion = action === 'rollback' ? (input.toVersion ?? rollbackVersionOf(object)) : undefined;
        const hidden = isRendering ? await hiddenTextsOf(object, deps.references) : undefined;
        return await runAction({ deps, object, target, release, input, chart, values, hidden, toVersion });
      });
    };
    return await untilTold(() => alone(release, run));
  }

  async function runHooks({ helmRelease, result }: RunPostHooksInput): Promise<ReleaseActionResult> {
    const object = await mustFind(deps, helmRelease);
    return await alone(result.release, async () => {
      const hidden = await hiddenTextsOf(object, deps.references);
      try {
        return await withTarget(
          deps,
          object,
          async (target) => await runPostHooks({ deps, object, target, result, hidden }),
        );
      } catch (error) {
        // The rollout is over and told nowhere yet: a cluster that is away is waited for.
        const { cause, message } = error as Error;
        if (!(cause instanceof ClusterError) || !cause.isAway) throw error;
        throw failure('RESTClientError', message, { cause, isTransient: true });
      }
    });
  }

  const telling =
    <I extends { helmRelease: NamespacedName; progress?: string }, R>(work: (input: I) => Promise<R>) =>
    async (input: I): Promise<R> => {
      const { helmRelease, progress } = input;
      return progress === undefined ? await work(input) : await deps.telling(helmRelease, progress, () => work(input));
    };

  return {
    /** Applies the HelmChart of `spec.chart`, and deletes one that is wanted no more (contract 2.2, step 3). Fails with ReconcileError. */
    async reconcileChart({ helmRelease }: { helmRelease: NamespacedName }): Promise<ReconciledChart> {
      return await reconcileHelmChart(deps, await mustFind(deps, helmRelease));
    },

    /** Finds out what is to be done. Fails with ValuesError, ArtifactFailed, ChartMutateError, RESTClientError, StateError. */
    async prepareRelease(input: PrepareReleaseInput): Promise<PreparedRelease> {
      try {
        return await prepare(input);
      } catch (error) {
        throw activityFailure(error, 'StateError');
      }
    },

    /** What a rollback by hand goes back to, and what it holds. Fails with RollbackFailed, RESTClientError. */
    async findReleaseRollback(input: { helmRelease: NamespacedName; revision?: string }): Promise<AskedRollback> {
      const object = await mustFind(deps, input.helmRelease);
      const release = namedReleaseOf(object);
      return await withTarget(deps, object, async (target) => {
        const records = await storageOf(target, release).list(release.name, signalOf(target));
        const toVersion = rollbackVersionAsked(object, records, input.revision);
        return { release, toVersion, attempt: heldAttemptOf(object) };
      });
    },

    installRelease: telling(act),
    upgradeRelease: telling(act),
    testRelease: telling(act),
    rollbackRelease: telling(act),
    uninstallRelease: telling(act),

    /** Runs the hooks that follow an action, after its rollout; gives the result of the action as it is then. */
    runReleaseHooks: telling(runHooks),

    /** A release that was left pending becomes a failed one (contract 2.2, "Locked"). */
    async unlockRelease(input: ReleaseActionInput): Promise<ReleaseActionResult> {
      const startedMs = performance.now();
      try {
        const object = await mustFind(deps, input.helmRelease);
        const release = namedReleaseOf(object);
        return await withTarget(deps, object, async (target) => {
          const storage = storageOf(target, release);
          const read = await storage.last(release.name, signalOf(target));
          const snapshot = read && (await unlock(object, storage, read));
          const durationMs = Math.round(performance.now() - startedMs);
          return { action: 'unlock', release, snapshot, timeoutMs: 0, durationMs };
        });
      } catch (error) {
        throw activityFailure(error, 'ReconcileError');
      }
    },

    /** Puts right what was changed in the cluster; no revision is made. */
    correctReleaseDrift: telling(async (input: ReleaseActionInput): Promise<ReleaseActionResult> => {
      const startedMs = performance.now();
      const object = await mustFind(deps, input.helmRelease);
      const release = namedReleaseOf(object);
      const timer = setInterval(() => Context.current().heartbeat(), heartbeatMs);
      const common = { action: 'correct' as const, release, timeoutMs: 0 };
      try {
        const changed = await withTarget(deps, object, async (target) => {
          const signal = signalOf(target);
          const stored = await storageOf(target, release).last(release.name, signal);
          if (!stored) return [];
          const desired = await desiredObjects(stored, target);
          return await deps.drift.correct({ object, target, release, desired, signal });
        });
        return {
          ...common,
          changed: changed.slice(0, maxLines),
          durationMs: Math.round(performance.now() - startedMs),
        };
      } catch (error) {
        if (Context.current().cancellationSignal.aborted) throw activityFailure(error, 'ReconcileError');
        const durationMs = Math.round(performance.now() - startedMs);
        return { ...common, failure: { message: messageOf(error) }, durationMs };
      } finally {
        clearInterval(timer);
      }
    }),

    /** The rollout of a revision, or a hook after it, failed: it is recorded as Helm itself would have done. */
    async failRelease({ helmRelease, message, result }: SettleReleaseInput): Promise<ReleaseActionResult> {
      if (!result?.snapshot) throw new Error('a rollout that failed has a revision');
      const object = await mustFind(deps, helmRelease);
      return await withTarget(deps, object, async (target) => {
        const recorded = await recordFailure(target, result, message);
        return await cleanUp(deps, { object, target, result: recorded });
      });
    },

    /** A reconcile was ended by a newer one: what it has left is made a failed release, which the next goes over. */
    async settleRelease({ helmRelease, message, result }: SettleReleaseInput): Promise<void> {
      const object = await deps.helmRelease(helmRelease);
      if (!object) return;
      const release = result?.release ?? namedReleaseOf(object);
      await withTarget(deps, object, async (target) => {
        const isRollout = result?.snapshot !== undefined && result.mustWait === true && !result.failure;
        const settled = isRollout ? await recordFailure(target, result, message) : undefined;
        const storage = storageOf(target, release);
        const read = settled ? undefined : await storage.last(release.name);
        const isOurs = read?.annotations[attemptAnnotation] !== undefined;
        const snapshot = settled?.snapshot ?? (read && isOurs ? await unlock(object, storage, read) : undefined);
        if (!snapshot) return;
        const others = settled?.others ?? [];
        const history = [...others, snapshot].reduce(withSnapshot, object.status?.history ?? []);
        if (!isDeepStrictEqual(history, object.status?.history)) await deps.patchStatus(object, { history });
      });
    },

    /** Uninstalls the release of a deleted object, and deletes its HelmChart (contract 2.2, step 1, "uninstall on delete"). */
    async finalizeRelease({ helmRelease }: { helmRelease: NamespacedName }): Promise<{ message: string }> {
      const object = await deps.helmRelease(helmRelease);
      if (!object || object.spec.suspend) return { message: 'nothing was uninstalled: the object is suspended' };
      const { helmChart, storageNamespace } = object.status ?? {};
      const message = storageNamespace ? await uninstallDeleted(deps, object) : 'nothing was installed';
      if (helmChart) await deleteChart(deps, object, helmChart);
      return { message };
    },
  };
}

const maxLines = 20;
const attemptsUntilTold = 8;

function timeoutsOf({ spec }: HelmRelease): PreparedRelease['timeouts'] {
  const actions = ['install', 'upgrade', 'test', 'rollback', 'uninstall'] as const;
  return Object.fromEntries(actions.map((action) => [action, timeoutOf(spec[action], spec)]));
}

function chartKindOf({ spec }: HelmRelease): string {
  return spec.chartRef?.kind ?? 'HelmChart';
}

/** The last revision that was good before the one that failed. */
function rollbackVersionOf(object: HelmRelease): number | undefined {
  return previousSnapshot(object.status?.history ?? [], areTestsIgnored(object))?.version;
}

async function rollbackTargetOf(
  object: HelmRelease,
  storage: ReleaseStorage,
  signal: AbortSignal,
): Promise<ReleaseFacts['rollbackTarget']> {
  const previous = previousSnapshot(object.status?.history ?? [], areTestsIgnored(object));
  if (!previous) return 'missing';
  const read = await storage.read(previous.name, previous.version, signal);
  return read && matchesSnapshot(previous, read.release) ? 'intact' : 'corrupt';
}

async function desiredObjects({ release }: ReadRelease, target: ReleaseTarget): Promise<KubeObject[]> {
  return await placeObjects(objectsOf(release.manifest ?? ''), release.namespace, target.client);
}

/** Unlocks a release; a snapshot when it was made for this object, so that it counts as its own. */
async function unlock(object: HelmRelease, storage: ReleaseStorage, read: ReadRelease) {
  const { status } = read.release.info;
  const action = /^pending-(.+)$/.exec(status)?.[1];
  const unlocked =
    status === 'uninstalling'
      ? await storage.setStatus(read, 'failed', `Release unlocked from stale '${status}' state`)
      : await storage.unlock(read);
  const known = object.status?.history?.find(({ version }) => version === read.version);
  const isOurs = known !== undefined || read.annotations[attemptAnnotation] !== undefined;
  if (!isOurs || unlocked.release.info.status !== 'failed') return undefined;
  return snapshotOf(unlocked.release, { action: known?.action ?? action, ociDigest: known?.ociDigest });
}

function createLocks() {
  const held = new Map<string, Promise<void>>();
  return {
    async acquire(key: string, signal: AbortSignal): Promise<() => void> {
      for (;;) {
        const other = held.get(key);
        if (!other) break;
        await other;
        signal.throwIfAborted();
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      held.set(key, promise);
      return () => {
        held.delete(key);
        resolve();
      };
    },
  };
}
