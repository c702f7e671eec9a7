// The status of a HelmRelease after an action and at the end of a reconcile, as pure functions of what it was and what came
// of it (contract 1.9 and 2.2, "conditions", "counting", "history snapshot").
import type { HelmRelease, HelmReleaseStatus, HelmSnapshot } from '../../k8s/api/helm-release.ts';
import type { Condition } from '../../k8s/api/shared/status.ts';
import { formatDuration } from '../../k8s/duration.ts';
import type { InventoryEntry } from '../../k8s/object.ts';
import type { DriftRound } from '../../workflows/decisions/drift-fight.ts';
import { heldReason, type ReleaseAction } from '../../workflows/decisions/release-state.ts';
import type { Attempt, ChartSummary, NamedRelease, ReleaseActionResult } from '../helm/release-types.ts';
import { type ConditionWish, failureWishes, withConditions } from './conditions.ts';
import { driftConflictCondition, driftConflictWishes } from './drift-conflict.ts';

const historyLimit = 5;

export interface HelmReportContext {
  generation: number;
  /** Value of `requestedAt` that the run answers. */
  request?: string;
  now: string;
}

/** How an action is told: the type and reason of its condition, and its message. */
export interface ActionVerdict {
  condition: 'Released' | 'TestSuccess' | 'Remediated';
  reason: string;
  message: string;
  isSuccess: boolean;
}

const conditionTypes: Readonly<
  Partial<Record<ReleaseAction, { condition: ActionVerdict['condition']; word: string }>>
> = {
  install: { condition: 'Released', word: 'Install' },
  upgrade: { condition: 'Released', word: 'Upgrade' },
  test: { condition: 'TestSuccess', word: 'Test' },
  rollback: { condition: 'Remediated', word: 'Rollback' },
  uninstall: { condition: 'Released', word: 'Uninstall' },
};

/** The contract's words for an action; undefined for one that has no condition of its own. */
export function verdictOf(result: ReleaseActionResult, chart: ChartSummary): ActionVerdict | undefined {
  const { action, failure, snapshot, release, isRemediation } = result;
  const type = conditionTypes[action];
  if (!type) return undefined;
  const isSuccess = failure === undefined;
  const outcome = isSuccess ? 'succeeded' : 'failed';
  const isRelease = action === 'install' || action === 'upgrade';
  const isVersioned = snapshot && (isSuccess || !isRelease);
  const version = action === 'rollback' ? result.toVersion : snapshot?.version;
  const place =
    isVersioned && version !== undefined ? placeOf(release, version) : `${release.namespace}/${release.name}`;
  const named = `${place} with chart ${snapshot && !isRelease ? chartOf(snapshot) : nameOf(chart)}`;
  const message = messageOf(action, outcome, named, isRemediation === true);
  // A rollback that remediates nothing is a person's word, which holds.
  const isHeld = action === 'rollback' && isSuccess && !isRemediation;
  const held = isHeld ? `chart ${nameOf(chart)} with its values ${heldUntil}` : undefined;
  const detail = failure?.message ?? held ?? (action === 'test' ? testsMessage(snapshot) : undefined);
  return {
    condition: isRemediation ? 'Remediated' : type.condition,
    reason: isHeld ? heldReason : `${type.word}${isSuccess ? 'Succeeded' : 'Failed'}`,
    message: detail ? `${message}: ${detail}` : message,
    isSuccess,
  };
}

const heldUntil = 'is held until chart, values or spec change, or a reconcile is requested';

/** The exact shapes that clients look for (contract 2.2, "messages"). */
function messageOf(action: ReleaseAction, outcome: string, named: string, isRemediation: boolean): string {
  if (action === 'rollback') return `Helm rollback to previous release ${named} ${outcome}`;
  if (isRemediation) return `Helm uninstall remediation for release ${named} ${outcome}`;
  return `Helm ${action} ${outcome} for release ${named}`;
}

function testsMessage(snapshot: HelmSnapshot | undefined): string {
  const count = Object.keys(snapshot?.testHooks ?? {}).length;
  if (count === 0) return 'no test hooks';
  return count === 1 ? '1 test hook completed successfully' : `${count} test hooks completed successfully`;
}

/** After one action: counters, history and its condition are in the object before the next step is decided. */
export function statusAfterAction(
  object: HelmRelease,
  context: HelmReportContext,
  attempt: Attempt,
  result: ReleaseActionResult,
  inventory?: InventoryEntry[],
): HelmReleaseStatus {
  const status = object.status ?? {};
  const verdict = verdictOf(result, attempt.chart);
  const history = historyAfter(status.history ?? [], result);
  const wishes: ConditionWish[] = verdict
    ? [
        {
          type: verdict.condition,
          status: verdict.isSuccess ? 'True' : 'False',
          reason: verdict.reason,
          message: verdict.message,
        },
      ]
    : [];
  const removed: string[] = ['Stalled'];
  const isRelease = result.action === 'install' || result.action === 'upgrade';
  const isUninstall = result.action === 'uninstall';
  if (isRelease && verdict?.isSuccess) removed.push('Remediated');
  if (isRelease) {
    if (object.spec.test?.enable && verdict?.isSuccess) wishes.push(awaitingTests(result));
    else removed.push('TestSuccess');
  }
  if (isUninstall) removed.push('TestSuccess');
  const released = { install: 'install', upgrade: 'upgrade' } as const;
  const next: HelmReleaseStatus = {
    ...status,
    ...countersAfter(object, attempt, result),
    ...attemptedOf(attempt),
    ...(isRelease
      ? {
          lastAttemptedReleaseAction: released[result.action as 'install' | 'upgrade'],
          lastAttemptedReleaseActionDuration: formatDuration(result.durationMs),
          observedPostRenderersDigest: attempt.postRenderersDigest,
          observedCommonMetadataDigest: attempt.commonMetadataDigest,
        }
      : {}),
    storageNamespace: result.release.storageNamespace,
    history,
    ...(inventory ? { inventory: { entries: inventory } } : {}),
    ...(isUninstall && verdict?.isSuccess ? { inventory: undefined } : {}),
  };
  const conditions = withConditions(status.conditions, wishes, removed, context.generation, context.now);
  const ready = readyOf(object, conditions);
  return { ...next, conditions: withConditions(conditions, ready ? [ready] : [], [], context.generation, context.now) };
}

/** At the end of a reconcile that found, or left, all in sync. */
export function statusAfterRelease(
  object: HelmRelease,
  context: HelmReportContext,
  attempt: Attempt,
  found: {
    drift?: { isDetected: boolean; message: string };
    lostFights?: readonly DriftRound[];
    /** What is in place is what a person went back to, and is kept (decision 0010). */
    isHeld?: boolean;
  },
): HelmReleaseStatus {
  const { drift, lostFights = [], isHeld = false } = found;
  const status = object.status ?? {};
  const [newest] = status.history ?? [];
  const recovered = isHeld ? undefined : recoveredWish(status.conditions ?? [], newest);
  const conditions = withConditions(
    status.conditions,
    [
      ...(drift ? [driftWish(drift)] : []),
      ...driftConflictWishes('HelmRelease', lostFights),
      ...(recovered ? [recovered] : []),
    ],
    [
      ...['Reconciling', 'Stalled', driftConflictCondition],
      ...(recovered ? ['Remediated'] : []),
      ...(object.spec.test?.enable ? [] : ['TestSuccess']),
      ...(drift ? [] : ['Drifted']),
    ],
    context.generation,
    context.now,
  );
  // What is still so was seen to be so for the generation of now.
  const current = conditions.map((one) =>
    one.type === 'Released' || one.type === 'TestSuccess' ? { ...one, observedGeneration: context.generation } : one,
  );
  const ready = readyOf(object, current) ?? deployedWish('Ready', newest);
  return {
    ...status,
    ...attemptedOf(attempt),
    conditions: withConditions(current, ready ? [ready] : [], [], context.generation, context.now),
    observedGeneration: context.generation,
    ...handled(context),
    failures: undefined,
    installFailures: undefined,
    upgradeFailures: undefined,
    history: truncated(status.history ?? []),
    observedPostRenderersDigest: attempt.postRenderersDigest,
    observedCommonMetadataDigest: attempt.commonMetadataDigest,
  };
}

/** After a reconcile that did not get to its end. */
export function statusAfterReleaseFailure(
  object: HelmRelease,
  context: HelmReportContext,
  failed: {
    reason: string;
    message: string;
    isStalled: boolean;
    /** An action has told it already: Ready is a copy of its condition. */
    isTold: boolean;
    attempt?: Attempt;
  },
): HelmReleaseStatus {
  const status = object.status ?? {};
  const all = failureWishes(failed.reason, failed.message, failed.isStalled);
  const ready = failed.isTold ? readyOf(object, status.conditions ?? []) : undefined;
  const wishes = ready ? [...all.filter(({ type }) => type !== 'Ready'), ready] : all;
  const removed = [failed.isStalled ? 'Reconciling' : 'Stalled'];
  return {
    ...status,
    ...(failed.attempt ? attemptedWithCounters(status, failed.attempt) : {}),
    // With kept values this digest is all that tells what is deployed: an attempt that made nothing leaves it.
    ...(object.spec.upgrade?.preserveValues ? { lastAttemptedConfigDigest: status.lastAttemptedConfigDigest } : {}),
    conditions: withConditions(status.conditions, wishes, removed, context.generation, context.now),
    // Contract 1.0: not while it is to be tried again.
    ...(failed.isStalled ? { observedGeneration: context.generation } : {}),
    ...handled(context),
  };
}

/** Ready: the most relevant of Remediated, TestSuccess and Released, of the newest generation (contract 2.2). */
export function readyOf(object: HelmRelease, conditions: readonly Condition[]): ConditionWish | undefined {
  const areTestsDecisive = object.spec.test?.enable === true && object.spec.test.ignoreFailures !== true;
  const types = ['Remediated', ...(areTestsDecisive ? ['TestSuccess'] : []), 'Released'];
  const [first] = types
    .flatMap((type) => conditions.find((condition) => condition.type === type) ?? [])
    .sort((a, b) => (b.observedGeneration ?? 0) - (a.observedGeneration ?? 0));
  if (!first) return undefined;
  const { type, status, reason, message } = first;
  const isRemediated = type === 'Remediated' && reason !== heldReason;
  return { type: 'Ready', status: isRemediated ? 'False' : status, reason, message };
}

/** Newest first; an install begins a new history. */
export function historyAfter(history: readonly HelmSnapshot[], result: ReleaseActionResult): HelmSnapshot[] {
  const { snapshot, action } = result;
  if (action === 'uninstall' && !result.failure) {
    const [newest, ...rest] = history;
    if (!newest || !result.isRemediation) return [];
    return [{ ...newest, ...snapshot, status: 'uninstalled' }, ...rest];
  }
  if (!snapshot) return [...history];
  if (action === 'install') return [snapshot];
  const known = history.map((one) => result.others?.find(({ version }) => version === one.version) ?? one);
  return [snapshot, ...known.filter((one) => one.version !== snapshot.version)].slice(0, historyLimit);
}

/** The newest snapshot, and what is below it down to the last one that was in place before it. */
function truncated(history: readonly HelmSnapshot[]): HelmSnapshot[] {
  const previous = history.findIndex(
    ({ status }, index) => index > 0 && (status === 'superseded' || status === 'deployed'),
  );
  return history.slice(0, previous < 0 ? 1 : previous + 1);
}

function countersAfter(
  object: HelmRelease,
  attempt: Attempt,
  { action, failure, snapshot }: ReleaseActionResult,
): Partial<Counters> {
  let { failures, installFailures, upgradeFailures } = attempt;
  if (failure) {
    failures += 1;
    const isIgnored = action === 'test' && object.spec.test?.ignoreFailures === true;
    const counted = action === 'test' ? object.status?.lastAttemptedReleaseAction : action;
    // Only an attempt that left a release behind is remediated, and counts.
    if (snapshot && !isIgnored && counted === 'install') installFailures += 1;
    if (snapshot && !isIgnored && counted === 'upgrade') upgradeFailures += 1;
  }
  return counters({ failures, installFailures, upgradeFailures });
}

function attemptedOf(attempt: Attempt): Partial<HelmReleaseStatus> {
  return {
    lastAttemptedGeneration: attempt.generation,
    lastAttemptedRevision: attempt.chart.version,
    lastAttemptedRevisionDigest: attempt.chart.ociDigest,
    lastAttemptedConfigDigest: attempt.configDigest,
    ...(attempt.forceAt ? { lastHandledForceAt: attempt.forceAt } : {}),
    ...(attempt.resetAt ? { lastHandledResetAt: attempt.resetAt } : {}),
  };
}

/**
 * An attempt that came to nothing, not even to an action. Where it is the first one at another chart, values or spec, or
 * after a reset, the failures of before count no longer; else an action may have counted meanwhile.
 */
function attemptedWithCounters(status: HelmReleaseStatus, attempt: Attempt): Partial<HelmReleaseStatus> {
  const attempted = attemptedOf(attempt);
  const identity = [
    'lastAttemptedGeneration',
    'lastAttemptedRevision',
    'lastAttemptedConfigDigest',
    'lastHandledResetAt',
  ] as const;
  const isKnown = identity.every((field) => !(field in attempted) || attempted[field] === status[field]);
  if (isKnown) return attempted;
  const { failures, installFailures, upgradeFailures } = attempt;
  return { ...attempted, ...counters({ failures, installFailures, upgradeFailures }) };
}

interface Counters {
  failures: number;
  installFailures: number;
  upgradeFailures: number;
}

/** Zeros are not written. */
function counters({ failures, installFailures, upgradeFailures }: Counters): Partial<Counters> {
  return {
    failures: failures || undefined,
    installFailures: installFailures || undefined,
    upgradeFailures: upgradeFailures || undefined,
  };
}

function awaitingTests({ release, snapshot }: ReleaseActionResult): ConditionWish {
  const place = snapshot ? `${release.namespace}/${release.name}.v${snapshot.version}` : release.name;
  return {
    type: 'TestSuccess',
    status: 'Unknown',
    reason: 'AwaitingTests',
    message: `Release ${place} with chart ${snapshot ? chartOf(snapshot) : ''} is awaiting tests`,
  };
}

function driftWish({ isDetected, message }: { isDetected: boolean; message: string }): ConditionWish {
  return {
    type: 'Drifted',
    status: isDetected ? 'True' : 'False',
    reason: isDetected ? 'DriftDetected' : 'NoDriftDetected',
    message,
  };
}

/** What was rolled back to, or came about some other way after a failure, is what is wanted by now. */
function recoveredWish(conditions: readonly Condition[], newest: HelmSnapshot | undefined): ConditionWish | undefined {
  const isRecovered = conditions.some(
    ({ type, status }) => type === 'Remediated' || (type === 'Released' && status !== 'True'),
  );
  return isRecovered ? deployedWish('Released', newest) : undefined;
}

/** For an object whose conditions do not say that its release is in place. */
function deployedWish(type: 'Ready' | 'Released', snapshot: HelmSnapshot | undefined): ConditionWish | undefined {
  if (!snapshot) return undefined;
  const place = placeOf({ ...snapshot, storageNamespace: '' }, snapshot.version);
  const word = snapshot.version === 1 ? 'Install' : 'Upgrade';
  return {
    type,
    status: 'True',
    reason: `${word}Succeeded`,
    message: `Helm ${word.toLowerCase()} succeeded for release ${place} with chart ${chartOf(snapshot)}`,
  };
}

/** `namespace/name.vN` */
export function placeOf({ namespace, name }: NamedRelease, version: number): string {
  return `${namespace}/${name}.v${version}`;
}

function nameOf({ name, version }: ChartSummary): string {
  return `${name}@${version}`;
}

function chartOf({ chartName, chartVersion }: HelmSnapshot): string {
  return `${chartName}@${chartVersion}`;
}

function handled({ request }: HelmReportContext): { lastHandledReconcileAt?: string } {
  return request ? { lastHandledReconcileAt: request } : {};
}
