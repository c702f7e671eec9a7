// The status of a source after a reconcile, as pure functions (contract 1.0).
import type { Condition } from '../../k8s/api/shared/status.ts';
import { isReason, reasons, type SourceFailureCondition } from '../errors.ts';
import type { ArchivedRevision, SourceObject, VerifiedRevision } from '../source/source-driver.ts';
import { type ConditionWish, failureWishes, withConditions } from './conditions.ts';

/** Conditions of things that went wrong; none of them is left after a success. */
const failureConditions = ['FetchFailed', 'BuildFailed', 'StorageOperationFailed', 'IncludeUnavailable'] as const;

export interface SourceContext {
  generation: number;
  request?: string;
  now: string;
}

/** What the archive stage made, as far as the status tells it. */
export type ArchivedSource = Pick<ArchivedRevision, 'artifact'> &
  Partial<Pick<ArchivedRevision, 'conditionMessage' | 'conditionReason' | 'observed'>>;

type SourceStatus = NonNullable<SourceObject['status']>;

export function sourceStatusAfterSuccess(
  object: SourceObject,
  context: SourceContext,
  archived: ArchivedSource | undefined,
  checked?: VerifiedRevision,
): SourceStatus {
  const verified = checked?.isIgnored ? undefined : checked;
  const status = object.status ?? {};
  const artifact = archived?.artifact ?? status.artifact;
  const { reason, message } = storedAs(status, archived);
  const wishes: ConditionWish[] = [
    { type: 'Ready', status: 'True', reason, message },
    { type: 'ArtifactInStorage', status: 'True', reason, message },
  ];
  if (verified) {
    wishes.push({ type: 'SourceVerified', status: 'True', reason: 'Succeeded', message: verified.message });
  }
  const removed = ['Reconciling', 'Stalled', 'ArtifactOutdated', ...failureConditions];
  // What was verified once stays so as long as nothing else is fetched.
  const isStillVerified =
    object.spec.verify !== undefined && !archived && conditionOf(status, 'SourceVerified') === 'True';
  if (!verified && !isStillVerified) removed.push('SourceVerified');
  return {
    ...(archived ? withoutObserved(status) : status),
    ...archived?.observed,
    ...(verified?.mode ? { sourceVerificationMode: verified.mode } : {}),
    artifact,
    conditions: withConditions(status.conditions, wishes, removed, context.generation, context.now),
    observedGeneration: context.generation,
    ...(context.request ? { lastHandledReconcileAt: context.request } : {}),
  };
}

export function sourceStatusAfterFailure(
  object: SourceObject,
  context: SourceContext,
  failed: { reason: string; message: string; isStalled: boolean },
): SourceStatus {
  const status = object.status ?? {};
  const told = conditionsOf(failed.reason).map((type): ConditionWish => {
    const { message } = failed;
    if (type !== 'SourceVerified') return { type, status: 'True', reason: failed.reason, message };
    // A chart's own reason is for Ready and BuildFailed (contract 1.0, source reason catalogue).
    const reason = failed.reason === 'ChartVerificationError' ? 'VerificationError' : failed.reason;
    return { type, status: 'False', reason, message };
  });
  return {
    ...status,
    conditions: withConditions(
      status.conditions,
      [...failureWishes(failed.reason, failed.message, failed.isStalled), ...told],
      [failed.isStalled ? 'Reconciling' : 'Stalled', ...failureConditions, 'SourceVerified'],
      context.generation,
      context.now,
    ),
    // Contract 1.0: a source has observed a generation when it finished without error, or stalled.
    ...(failed.isStalled ? { observedGeneration: context.generation } : {}),
    ...(context.request ? { lastHandledReconcileAt: context.request } : {}),
  };
}

/** Reason and message of Ready: those of the archive stage, or what they were when nothing was archived. */
export function storedAs(
  status: SourceStatus,
  archived: ArchivedSource | undefined,
): { reason: string; message: string } {
  const was = archived ? undefined : status.conditions?.find(({ type }) => type === 'ArtifactInStorage');
  const revision = (archived?.artifact ?? status.artifact)?.revision ?? '';
  return {
    reason: archived?.conditionReason ?? was?.reason ?? 'Succeeded',
    message: archived?.conditionMessage ?? was?.message ?? `stored artifact for revision '${revision}'`,
  };
}

function conditionOf({ conditions }: SourceStatus, wanted: string): Condition['status'] | undefined {
  return conditions?.find(({ type }) => type === wanted)?.status;
}

function conditionsOf(reason: string): readonly SourceFailureCondition[] {
  if (!isReason(reason)) return ['FetchFailed'];
  const { conditions } = reasons[reason] as { conditions?: readonly SourceFailureCondition[] };
  return conditions ?? ['FetchFailed'];
}

/** Fields that a new artifact describes anew. */
const shapeFields = new Set(['includedArtifacts', 'sourceVerificationMode', 'url']);

function withoutObserved(status: SourceStatus): SourceStatus {
  const isShape = (name: string): boolean =>
    shapeFields.has(name) || (name.startsWith('observed') && name !== 'observedGeneration');
  const kept = Object.entries(status).map(([name, value]) => [name, isShape(name) ? undefined : value]);
  return Object.fromEntries(kept) as SourceStatus;
}

/**
 * True when the artifact in the status was made again, with nothing about it changed: its file was lost or damaged
 * (contract 1.0, the storage step).
 */
export function isRemade(
  { status = {}, metadata }: SourceObject,
  { artifact }: Pick<ArchivedSource, 'artifact'>,
): boolean {
  const before = status.artifact;
  if (!before || status.observedGeneration !== metadata.generation) return false;
  const isSame = (['digest', 'revision', 'url'] as const).every((field) => before[field] === artifact[field]);
  return isSame && before.lastUpdateTime !== artifact.lastUpdateTime;
}
