// A HelmRelease: have its chart made, find out the state of the release, do one action after the other until it is in
// sync, and report after each, so that what was counted outlives every crash (contract 2.2). Helm applies and runs hooks;
// readiness is awaited outside of it, where it holds no process; the hooks that follow a rollout are run by another one.
import { ApplicationFailure, CancellationScope, isCancellation } from '@temporalio/workflow';
import type { HelmReleaseObservation } from '../activities/observe/observation.ts';
import type {
  Attempt,
  PreparedRelease,
  ReleaseActionInput,
  ReleaseActionResult,
} from '../activities/helm/release-types.ts';
import { obstacleFailure } from './decisions/obstacle.ts';
import {
  type ActionType,
  afterRemediation,
  decideRelease,
  type ReleaseAction,
  type ReleaseDecision,
} from './decisions/release-state.ts';
import { backoffMs } from './decisions/timing.ts';
import type { ReconciledRef } from './messages.ts';
import { reconcileLoop } from './reconcile-loop.ts';
import type { ObjectInput, Pass, ReconciledKind, ReconcileOutcome } from './reconciled-kind.ts';
import { stageFailureOf } from './stage-failure.ts';
import { quick, runStage, shortStage, waitForHealth } from './stages.ts';

type ReleasePass = Pass<HelmReleaseObservation>;

/** The stage of each action, so that the history shows it by its name. */
const stageOf = {
  install: 'installRelease',
  upgrade: 'upgradeRelease',
  test: 'testRelease',
  rollback: 'rollbackRelease',
  uninstall: 'uninstallRelease',
  unlock: 'unlockRelease',
  correct: 'correctReleaseDrift',
} as const satisfies Record<ReleaseAction, string>;

export async function helmRelease(input: ObjectInput): Promise<void> {
  let dependencies: ReconciledRef[] = [];
  /** What the reconcile under way tries to put in place. */
  let attempt: Attempt | undefined;
  /** The last action was told in the status. */
  let isTold = false;
  /** An action is under way, or its rollout is: what a superseded reconcile leaves. */
  let underWay: { result?: ReleaseActionResult } | undefined;

  const enter = (pass: ReleasePass, message: string): (() => Promise<void>) => {
    pass.phase(message);
    return () => quick.reportProgress({ ref: pass.ref, message });
  };

  /** Runs an action and awaits what it has rolled out. */
  const act = async (
    pass: ReleasePass,
    prepared: Pick<PreparedRelease, 'release' | 'attempt' | 'timeouts' | 'isProgressTold'>,
    { action, type }: Pick<Extract<ReleaseDecision, { do: 'run' }>, 'action' | 'type'>,
    toVersion?: number,
  ): Promise<ReleaseActionResult> => {
    const { ref, observation: o } = pass;
    const { release, attempt: wanted, timeouts, isProgressTold } = prepared;
    const isRemediation = type === 'remediate';
    const limit = timeouts?.[action] ? ` with timeout of ${timeouts[action]}` : '';
    const progress = `Running '${action}' action${limit}`;
    const toDo: ReleaseActionInput = {
      helmRelease: ref,
      generation: o.generation,
      action,
      artifact: o.artifact,
      attempt: wanted,
      ...(isRemediation ? { isRemediation } : {}),
      ...(toVersion === undefined ? {} : { toVersion }),
      ...(isProgressTold ? { progress } : {}),
      areHooksRunApart: true,
    };
    underWay = {};
    isTold = false;
    const tell = enter(pass, progress);
    if (!isProgressTold) await tell();
    const { chart, configDigest } = wanted;
    const values = configDigest.replace(/^sha256:/, '').slice(0, 12);
    const summary = `${release.namespace}/${release.name} ${chart.name}@${chart.version} values ${values}`;
    const ran = await runStage(stageOf[action], summary, toDo);
    underWay = { result: ran };
    const rolledOut = ran.mustWait && !ran.failure ? await awaitReadiness(pass, ran) : ran;
    const result = rolledOut.postHooks && !rolledOut.failure ? await runPostHooks(pass, rolledOut) : rolledOut;
    underWay = undefined;
    return result;
  };

  /** Counters and history are to outlive every crash: an action is reported before anything else is done. */
  const report = async (pass: ReleasePass, wanted: Attempt, result: ReleaseActionResult) => {
    const told = await CancellationScope.nonCancellable(() =>
      quick.reportReleaseAction({ ...reportOf(pass), attempt: wanted, result }),
    );
    isTold = true;
    return told;
  };

  /** A rollout that fails makes the revision a failed one, as Helm would have recorded it. */
  const awaitReadiness = async (pass: ReleasePass, ran: ReleaseActionResult): Promise<ReleaseActionResult> => {
    const { ref, observation: o } = pass;
    const { inventoryKey, timeoutMs } = ran;
    if (!inventoryKey) return ran;
    const onLong = enter(pass, `Waiting for the objects of release ${ran.release.namespace}/${ran.release.name}`);
    try {
      const kustomization = { namespace: ref.namespace, name: ref.name };
      const subject = { kustomization, kind: 'HelmRelease', generation: o.generation, revision: o.revision ?? '' };
      await waitForHealth({ ...subject, inventoryKey, timeoutMs }, onLong);
      return ran;
    } catch (error) {
      if (isCancellation(error)) throw error;
      const { message } = stageFailureOf(error);
      return await quick.failRelease({ helmRelease: ref, message, result: ran });
    }
  };

  /** The hooks after a rollout; one that fails makes the revision a failed one. */
  const runPostHooks = async (pass: ReleasePass, rolledOut: ReleaseActionResult): Promise<ReleaseActionResult> => {
    const { postHooks, release } = rolledOut;
    const progress = `Running ${postHooks} hooks of release ${release.namespace}/${release.name}`;
    pass.phase(progress);
    const toRun = { helmRelease: pass.ref, result: rolledOut, progress };
    let result: ReleaseActionResult;
    try {
      result = await runStage('runReleaseHooks', `${release.namespace}/${release.name} ${postHooks}`, toRun);
      if (!result.failure) return result;
    } catch (error) {
      if (isCancellation(error)) throw error;
      // Hooks that could not be run have failed: a revision without them must not pass for a good one.
      result = { ...rolledOut, failure: { message: stageFailureOf(error).message } };
    }
    return await quick.failRelease({ helmRelease: pass.ref, message: result.failure?.message ?? '', result });
  };

  /** A person's word: back to an earlier revision, and what was attempted last is held (decision 0010). */
  const rollBack = async (pass: ReleasePass): Promise<ReconcileOutcome> => {
    const asked = pass.wakes.findLast(({ type }) => type === 'rollback')?.subject || undefined;
    const found = await quick.findReleaseRollback({ helmRelease: pass.ref, revision: asked });
    const { release, toVersion } = found;
    attempt = found.attempt;
    const result = await act(pass, found, { action: 'rollback', type: 'release' }, toVersion);
    await report(pass, attempt, result);
    if (result.failure) throw failureOf(result);
    const told = { ...reportOf(pass), attempt, release, actions: ['rollback'], isHeld: true };
    return { ...(await quick.reportRelease(told)), isRolledBack: true };
  };

  const kind: ReconciledKind<HelmReleaseObservation> = {
    async observe(ref, wakes) {
      const observation = await quick.observeHelmRelease({ ref, wakes });
      dependencies = observation.dependencies ?? dependencies;
      return observation;
    },

    waitsFor: (observation) => observation.waitingFor ?? [],
    released: () => dependencies,

    async checkRollback(ref, revision) {
      await quick.findReleaseRollback({ helmRelease: ref, revision });
    },

    async reconcile(pass) {
      const { ref, observation: o } = pass;
      attempt = undefined;
      isTold = false;
      underWay = undefined;
      if (!o.hasFinalizer) await quick.addFinalizer({ ref });
      if (pass.trigger === 'rollback') return await rollBack(pass);
      if (o.mustChangeChart && o.obstacle?.reason !== 'AccessDenied') {
        pass.phase('Applying the HelmChart');
        const { message, awaitMs } = await quick.reconcileChart({ helmRelease: ref });
        if (awaitMs && (!o.obstacle || o.obstacle.reason === 'SourceNotReady')) {
          await quick.reportProgress({ ref, message });
          return { awaitMs, awaiting: message };
        }
        if (awaitMs === undefined && !o.obstacle) throw awaitedChart(message);
      }
      if (o.obstacle) throw obstacleFailure(o.obstacle);
      if (!o.artifact) throw new Error('observation without obstacle has an artifact');

      const done: ActionType[] = [];
      const actions: string[] = [];
      let resourceVersion: string | undefined;
      let drifted: string[] | undefined;
      let failed: string | undefined;
      for (;;) {
        const onLong = enter(pass, `Preparing chart ${o.revision ?? ''}`);
        const toPrepare = { helmRelease: ref, generation: o.generation, artifact: o.artifact, resourceVersion };
        const prepared = await shortStage('prepareRelease', toPrepare, onLong);
        attempt = prepared.attempt;
        drifted = prepared.drifted;
        const decision = decideRelease(prepared.facts, done);
        if (decision.do === 'finish') {
          const isWarned = prepared.facts.drift?.mode === 'warn';
          const isWatched = prepared.isDriftDetected;
          const drift = isWatched ? { isDetected: isWarned, lines: drifted ?? [] } : undefined;
          return await quick.reportRelease({
            ...reportOf(pass),
            attempt: prepared.attempt,
            release: prepared.release,
            actions,
            drift,
            ...(prepared.facts.isHeld ? { isHeld: true } : {}),
            ...(pass.lostFights.length > 0 ? { lostFights: pass.lostFights } : {}),
          });
        }
        if (decision.do !== 'run') {
          // Ready stays the copy of what the last action has told.
          isTold = true;
          throw ended(decision, prepared);
        }
        const result = await act(pass, prepared, decision);
        done.push(decision.type);
        actions.push(decision.action);
        const isRelease = decision.action === 'install' || decision.action === 'upgrade';
        if (prepared.isLastToRelease && isRelease && result.snapshot && !result.failure) {
          const { attempt: wanted, release } = prepared;
          const { lostFights } = pass;
          return await CancellationScope.nonCancellable(() =>
            quick.reportRelease({ ...reportOf(pass), attempt: wanted, release, actions, result, lostFights }),
          );
        }
        ({ resourceVersion } = await report(pass, prepared.attempt, result));
        failed = result.failure?.message ?? failed;
        if (decision.type === 'remediate') throw ended(afterRemediation(prepared.facts), prepared, failed);
        // Nothing that could be remediated was left behind: it is tried again from the start.
        if (result.failure && !result.snapshot) throw failureOf(result);
        if (result.failure && decision.type !== 'test' && decision.type !== 'release') throw failureOf(result);
      }
    },

    // Nothing is to be done: the report alone answers the request.
    async acknowledge(pass) {
      return await kind.reconcile(pass);
    },

    async reportFailure(pass, failed) {
      const { isStalled } = await CancellationScope.nonCancellable(() =>
        quick.reportReleaseFailure({
          ...reportOf(pass),
          failed,
          attempt,
          isTold,
          isQuiet: failed.reason === 'SourceNotReady' && pass.observation.mustChangeChart === true,
        }),
      );
      return { isStalled, retryInMs: failed.retryInMs ?? backoffMs(pass.failures) };
    },

    async settleSuperseded(pass) {
      if (!underWay) return;
      const { result } = underWay;
      underWay = undefined;
      const message = 'superseded by a newer chart, values or spec';
      await quick.settleRelease({ helmRelease: pass.ref, message, result });
    },

    finalize: async (ref, { generation }) => {
      try {
        await runStage('finalizeRelease', ref.name, { helmRelease: ref });
      } catch (error) {
        if (!isCancellation(error)) {
          const failed = stageFailureOf(error);
          await quick.reportReleaseFailure({ ref, generation, startedAtMs: Date.now(), failed });
        }
        throw error;
      }
      await quick.removeFinalizer({ ref });
    },
  };
  await reconcileLoop(kind, input);
}

/** The failure that ends a reconcile which is not in sync and may do no more now. */
function ended(decision: ReleaseDecision, prepared: PreparedRelease, failed?: string): ApplicationFailure {
  if (decision.do === 'stall') return ApplicationFailure.nonRetryable(decision.message, decision.reason);
  const afterMs = decision.do === 'again' ? decision.afterMs : 0;
  const why = decision.do === 'again' ? decision.why : '';
  const { name, namespace } = prepared.release;
  const message = failed ? `${failed} (${why})` : `release ${namespace}/${name} is not in sync yet: ${why}`;
  return retryable('ReconcileError', message, Math.max(afterMs, 100));
}

function failureOf({ action, failure }: ReleaseActionResult): ApplicationFailure {
  const reasons: Partial<Record<ReleaseAction, string>> = {
    install: 'InstallFailed',
    upgrade: 'UpgradeFailed',
    uninstall: 'UninstallFailed',
  };
  return retryable(reasons[action] ?? 'ReconcileError', failure?.message ?? '', undefined);
}

function awaitedChart(message: string): ApplicationFailure {
  return retryable('SourceNotReady', message, 30_000);
}

function retryable(type: string, message: string, retryInMs: number | undefined): ApplicationFailure {
  return ApplicationFailure.create({ type, message, details: [{ retryInMs }], nonRetryable: true });
}

/** What every report says of the pass it ends. */
function reportOf(pass: ReleasePass) {
  const { ref, observation: o, startedAtMs } = pass;
  return { ref, generation: o.generation, request: o.requestedAt, revision: o.revision, startedAtMs };
}
