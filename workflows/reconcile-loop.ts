// The one loop that every kind shares: wake, observe, decide, act, wait, roll over. A kind brings its observation and
// its stages; everything about signals, timers, superseding, retries and continue-as-new is here, once.
import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  patched,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { SignalDefinition } from '@temporalio/common';
import {
  type Cursor,
  decide,
  isRevisionOutOfSight,
  isSupersededBy,
  type Observation,
  type Trigger,
} from './decisions/decide.ts';
import { addDependants } from './decisions/dependants.ts';
import { countDrift, type DriftRound, lostFights, withoutLostFights } from './decisions/drift-fight.ts';
import { backoffMs, standsForMs, withJitter } from './decisions/timing.ts';
import { mergeWakes } from './decisions/wakes.ts';
import {
  dependencyReadySignal,
  dependOnSignal,
  type ReconciledRef,
  type ReconcileResult,
  reconcileUpdate,
  resumeSignal,
  type RollbackRequest,
  rollbackUpdate,
  type RunRecord,
  statusQuery,
  suspendSignal,
  type WakeReason,
  wakeSignal,
  workflowIdOf,
} from './messages.ts';
import type { Awaiting, ObjectInput, Pass, ReconciledKind, ReconcileOutcome } from './reconciled-kind.ts';
import { searchAttributes } from './search-attributes.ts';
import { isTimeout, stageFailureOf } from './stage-failure.ts';
import { quick } from './stages.ts';

/**
 * A closed run is one reconcile: so long after it, when nothing else came, the workflow continues as new. Spread, so that
 * a commit which changed hundreds of objects does not make all of their workflows roll over together.
 */
const rollOverAfterMs = { minimum: 5_000, spread: 5_000 };
/** Lines of a change set that the run's memo keeps. */
const recordedLines = 20;
const finalizeAgainAfterMs = 10_000;
const outOfSightPatch = 'a-revision-out-of-sight-supersedes-nothing';

export async function reconcileLoop<O extends Observation>(kind: ReconciledKind<O>, input: ObjectInput): Promise<void> {
  const { ref } = input;
  let wakes: WakeReason[] = input.wakes ?? (input.carried ? [] : [{ type: 'created' }]);
  let cursor: Cursor = input.carried?.cursor ?? { failures: 0 };
  let drift: DriftRound[] = input.carried?.drift ?? [];
  let intents: boolean[] = [];
  let dependants: ReconciledRef[] = input.carried?.dependants ?? [];
  /** Somebody waits, and it was not looked yet whether it still has to. */
  let areDependantsUntold = false;
  let phase = 'waiting';
  let isSuspended = false;
  let isEnding = false;
  /** A request waits for its turn, or for what was asked for on its behalf. */
  let isHeldBack = false;
  let passesStarted = 0;
  let passesEnded = 0;
  let lastRun: RunRecord | undefined;
  /** This run holds a reconcile that the history tells of; it is closed before the next one begins. */
  let hasRun = false;
  let rollOverAtMs = Infinity;

  setHandler(wakeSignal, (reasons) => {
    wakes = mergeWakes(wakes, reasons);
  });
  setHandler(suspendSignal, () => {
    intents.push(true);
  });
  setHandler(resumeSignal, () => {
    intents.push(false);
  });
  setHandler(dependOnSignal, (waiter) => {
    dependants = addDependants(dependants, [waiter]);
    areDependantsUntold = true;
  });
  setHandler(dependencyReadySignal, ({ ref: { kind: k, namespace, name }, resourceVersion }) => {
    wakes = mergeWakes(wakes, [{ type: 'dependency', subject: `${k}/${namespace}/${name}`, resourceVersion }]);
  });
  setHandler(statusQuery, () => ({
    phase,
    trigger: lastRun?.trigger,
    dueAt: cursor.dueAtMs === undefined ? undefined : new Date(cursor.dueAtMs).toISOString(),
    lastRun,
    suspended: isSuspended,
  }));
  /** Wakes for a reason, and gives the result of the reconcile that this brings. */
  const reconciledFor = async (reason: WakeReason): Promise<ReconcileResult> => {
    wakes = mergeWakes(wakes, [reason]);
    // Any pass that starts from now on sees this reason, or a newer one that stands for it.
    const passesBefore = passesStarted;
    const isOver = () => passesEnded > passesBefore && !isHeldBack && lastRun?.outcome !== 'Superseded';
    await condition(() => isEnding || isOver());
    if (isEnding) throw ApplicationFailure.nonRetryable(`${ref.kind} "${ref.namespace}/${ref.name}" was deleted`);
    const { outcome = 'Unchanged', reason: told = '', message = '', revision } = lastRun ?? {};
    return { outcome, reason: told, message, revision };
  };
  const refuseSuspended = (): void => {
    if (!isSuspended) return;
    throw ApplicationFailure.nonRetryable(`${ref.kind} "${ref.namespace}/${ref.name}" is suspended: resume it first`);
  };
  setHandler(
    reconcileUpdate,
    async () => {
      await quick.requestReconcile({ ref, request: new Date(Date.now()).toISOString() });
      return await reconciledFor({ type: 'request' });
    },
    { validator: refuseSuspended },
  );
  if (kind.checkRollback) {
    const { checkRollback } = kind;
    setHandler(
      rollbackUpdate,
      async (request: RollbackRequest) => {
        const { revision } = (request as RollbackRequest | undefined) ?? {}; // from the UI it may come without input
        await checkRollback(ref, revision);
        return await reconciledFor({ type: 'rollback', subject: revision ?? '' });
      },
      { validator: (_request: RollbackRequest) => refuseSuspended() },
    );
  }

  /** Closes this run: a reconcile's history ends with its result, the next one starts in a run of its own. */
  const rollOver = async (): Promise<never> => {
    await condition(allHandlersFinished);
    const carried = { cursor, drift, ...(dependants.length > 0 ? { dependants } : {}) };
    return await continueAsNew<(input: ObjectInput) => Promise<void>>({ ref, wakes, carried });
  };

  /** Tells those whose way is free; the others stay in the list until the next reconcile has ended. */
  const tellDependants = async (): Promise<void> => {
    areDependantsUntold = false;
    const asked = dependants;
    const found = await quick.findReadyDependants({ ref, waiting: asked });
    dependants = addDependants(found.waiting, dependants.slice(asked.length));
    const answer = { ref, resourceVersion: found.resourceVersion };
    await Promise.all(found.ready.map((waiter) => tell(waiter, dependencyReadySignal, answer)));
  };

  const say = (text: string): void => {
    phase = text;
  };

  /** Runs the stages, while wakes that arrive are looked at: a newer spec or revision cancels the rest. */
  const superseding = async (pass: Pass<O>): Promise<ReconcileOutcome | Awaiting | 'superseded'> => {
    const scope = new CancellationScope();
    let isOver = false;
    const running = scope
      .run(() => kind.reconcile(pass))
      .finally(() => {
        isOver = true;
      });
    running.catch(() => undefined); // awaited below; until then a failure must not count as unhandled
    let seen: readonly WakeReason[] = wakes;
    for (;;) {
      await condition(() => isOver || wakes !== seen || intents.length > 0);
      if (isOver) return await running;
      await applyIntents();
      seen = wakes;
      const now = await kind.observe(ref, [...wakes]);
      if (isOver) return await running;
      if (isSupersededBy(pass.observation, now)) break;
      // In histories of before 2026-12 it superseded.
      if (isRevisionOutOfSight(pass.observation, now) && !patched(outOfSightPatch)) break;
    }
    scope.cancel();
    try {
      return await running; // it may just have finished
    } catch (error) {
      if (isCancellation(error) || isTimeout(error)) return 'superseded';
      throw error;
    }
  };

  const applyIntents = async (): Promise<void> => {
    const wanted = intents.at(-1);
    intents = [];
    if (wanted !== undefined) await quick.setSuspended({ ref, isSuspended: wanted });
  };

  /** Makes the run findable: search attributes for lists, the memo for `continuo history`. */
  const record = (run: RunRecord): void => {
    lastRun = run;
    hasRun = true;
    rollOverAtMs = Date.now() + rollOverAfterMs.minimum + Math.random() * rollOverAfterMs.spread;
    upsertMemo({ run });
    upsertSearchAttributes([
      { key: searchAttributes.trigger, value: run.trigger },
      { key: searchAttributes.outcome, value: run.outcome },
      { key: searchAttributes.revision, value: run.revision ?? '' },
    ]);
    setCurrentDetails(`**${run.outcome}** (${run.trigger}) ${run.message}`);
  };

  /** Gives what is awaited, if it came to nothing else. */
  const attempt = async (pass: Pass<O>, isAcknowledgement: boolean): Promise<string | undefined> => {
    const { observation: o } = pass;
    const attempted = {
      generation: o.generation,
      revision: o.revision,
      request: o.requestedAt,
      attemptedAtMs: pass.startedAtMs,
    };
    const told = (outcome: RunRecord['outcome'], reason: string, message: string): RunRecord => ({
      trigger: pass.trigger,
      startedAt: new Date(pass.startedAtMs).toISOString(),
      durationMs: Date.now() - pass.startedAtMs,
      outcome,
      reason,
      message: message.slice(0, 1000),
      revision: o.revision,
    });
    try {
      const result = isAcknowledgement ? await kind.acknowledge(pass) : await superseding(pass);
      if (result === 'superseded') {
        await kind.settleSuperseded(pass);
        wakes = mergeWakes(wakes, [{ type: 'resync' }]);
        cursor = { ...cursor, generation: o.generation, request: cursor.request, dueAtMs: Date.now() };
        record(told('Superseded', 'HealthCheckCanceled', 'a newer spec or revision took over'));
        return undefined;
      }
      if ('awaitMs' in result) {
        cursor = { ...cursor, dueAtMs: Date.now() + result.awaitMs };
        return result.awaiting;
      }
      cursor = {
        ...attempted,
        outcome: 'succeeded',
        failures: 0,
        dueAtMs: Date.now() + withJitter(standsForMs(o), Math.random()),
      };
      const run = {
        ...told(outcomeOf(result), result.reason, result.message),
        revision: result.revision ?? o.revision,
        changes: result.changes,
        changed: result.changed?.slice(0, recordedLines),
      };
      if (result.isUnchanged) lastRun = run;
      else record(run);
    } catch (error) {
      if (isCancellation(error)) throw error;
      const failed = stageFailureOf(error);
      log.info('reconcile failed', { reason: failed.reason, message: failed.message });
      const verdict = await kind.reportFailure({ ...pass, failures: cursor.failures + 1 }, failed);
      cursor = {
        ...attempted,
        outcome: verdict.isStalled ? 'stalled' : 'failed',
        failures: cursor.failures + 1,
        dueAtMs: verdict.isStalled ? undefined : Date.now() + verdict.retryInMs,
      };
      record(told(verdict.isStalled ? 'Stalled' : 'Failed', failed.reason, failed.message));
    }
    return undefined;
  };

  /** The object goes once its finalizers are gone, and the watch says so; the timer is for a lost event or a failure. */
  const finalizing = async (observation: O): Promise<Cursor> => {
    try {
      await kind.finalize(ref, observation);
      return { ...cursor, dueAtMs: Date.now() + finalizeAgainAfterMs };
    } catch (error) {
      if (isCancellation(error)) throw error;
      const failed = stageFailureOf(error);
      setCurrentDetails(`deletion is held up: ${failed.message}`);
      log.warn('finalizing failed', { reason: failed.reason, message: failed.message });
      return { ...cursor, failures: cursor.failures + 1, dueAtMs: Date.now() + backoffMs(cursor.failures + 1) };
    }
  };

  for (;;) {
    const untilDueMs = cursor.dueAtMs === undefined ? Infinity : Math.max(cursor.dueAtMs - Date.now(), 0);
    const pauseMs = Math.min(untilDueMs, Math.max(rollOverAtMs - Date.now(), 0));
    if (areDependantsUntold) await tellDependants();
    const isAwake = () => wakes.length > 0 || intents.length > 0 || areDependantsUntold;
    if (!isAwake() && pauseMs > 0) {
      if (pauseMs === Infinity) await condition(isAwake);
      else await condition(isAwake, pauseMs);
    }
    const isDue = cursor.dueAtMs !== undefined && Date.now() >= cursor.dueAtMs;
    if (!isAwake() && !isDue && (hasRun || workflowInfo().continueAsNewSuggested)) {
      if (allHandlersFinished()) await rollOver();
      await condition(() => isAwake() || allHandlersFinished()); // an update is about to wake this workflow
    }
    if ((!isAwake() && !isDue) || areDependantsUntold) continue;

    passesStarted += 1;
    await applyIntents();
    const taken = wakes;
    wakes = [];
    const nowMs = Date.now();
    const driftBefore = drift;
    drift = countDrift(drift, taken, nowMs);
    const observation = await kind.observe(ref, taken);
    isSuspended = observation.isSuspended;
    const waitsFor = kind.waitsFor?.(observation) ?? [];
    await Promise.all(waitsFor.map((other) => tell(other, dependOnSignal, ref)));
    const decision = decide(observation, cursor, withoutLostFights(taken, drift, nowMs), nowMs);
    const passOf = (trigger: Trigger): Pass<O> => ({
      ref,
      observation,
      trigger,
      wakes: taken,
      failures: cursor.failures,
      startedAtMs: nowMs,
      lostFights: lostFights(drift, nowMs),
      phase: say,
    });

    let waitingFor: string | undefined;
    switch (decision.do) {
      case 'finish':
        isEnding = true;
        await Promise.all((kind.released?.() ?? []).map((other) => tell(other, wakeSignal, [{ type: 'dependency' }])));
        await condition(allHandlersFinished);
        return;
      case 'finalize':
        say('finalizing');
        cursor = await finalizing(observation);
        break;
      case 'echo':
        await quick.echoRequest({ ref, request: observation.requestedAt ?? '' });
        cursor = { ...cursor, dueAtMs: undefined };
        break;
      case 'await':
        cursor = { ...cursor, dueAtMs: Date.now() + decision.ms };
        waitingFor = observation.awaiting;
        break;
      case 'wait':
        if (isDue) cursor = { ...cursor, dueAtMs: Date.now() + withJitter(standsForMs(observation), Math.random()) };
        if (observation.isSuspended) cursor = { ...cursor, dueAtMs: undefined };
        else if (cursor.outcome === undefined) {
          cursor = {
            ...cursor,
            generation: observation.generation,
            revision: observation.appliedRevision,
            outcome: observation.isStalled ? 'stalled' : 'succeeded',
            dueAtMs: observation.isStalled
              ? undefined
              : Date.now() + withJitter(standsForMs(observation), Math.random()),
          };
        }
        break;
      case 'acknowledge':
        waitingFor = await attempt(passOf(decision.trigger), true);
        break;
      case 'reconcile':
        // A run holds one reconcile: when this one has had its, the next gets a run of its own. An update that waits
        // for a reconcile keeps the run open, so that it gets its answer from this one.
        if (hasRun && allHandlersFinished()) {
          wakes = mergeWakes(taken, wakes);
          drift = driftBefore; // the next run counts these wakes
          await rollOver();
        }
        waitingFor = await attempt(passOf(decision.trigger), false);
        break;
    }
    say(waitingFor ?? 'waiting');
    isHeldBack = decision.do === 'await' ? observation.awaitMs === undefined : waitingFor !== undefined;
    passesEnded = passesStarted;
    areDependantsUntold ||= dependants.length > 0 && decision.do !== 'wait';
  }
}

/** Signals another object's workflow; one that does not run will look for itself when it starts. */
async function tell<Args extends unknown[]>(
  other: ReconciledRef,
  signal: SignalDefinition<Args>,
  ...args: Args
): Promise<void> {
  try {
    await getExternalWorkflowHandle(workflowIdOf(other)).signal(signal, ...args);
  } catch (error) {
    if (isCancellation(error)) throw error;
    log.debug('not told: its workflow does not run', { workflowId: workflowIdOf(other) });
  }
}

function outcomeOf({ isRolledBack, isUnchanged }: ReconcileOutcome): RunRecord['outcome'] {
  if (isRolledBack) return 'RolledBack';
  return isUnchanged ? 'Unchanged' : 'Succeeded';
}
