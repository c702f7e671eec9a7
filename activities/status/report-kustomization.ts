// Report of a Kustomization's reconcile: status patch, events, and the outcome that the run's record keeps.
import type { Kustomization } from '../../k8s/api/kustomization.ts';
import { formatDuration, parseDuration } from '../../k8s/duration.ts';
import type { InventoryEntry } from '../../k8s/object.ts';
import type { DriftRound } from '../../workflows/decisions/drift-fight.ts';
import type { ReconciledRef } from '../../workflows/messages.ts';
import type { FailureVerdict, ReconcileOutcome, StageFailure } from '../../workflows/reconciled-kind.ts';
import { isReason, reasons } from '../errors.ts';
import type { EventRecorder } from '../event/recorder.ts';
import { driftConflictNote, driftConflictReason } from './drift-conflict.ts';
import {
  originRevisionOf,
  ownerConflictCondition,
  rollbackMessage,
  statusAfterFailure,
  statusAfterRollback,
  statusAfterSuccess,
  type YieldedObject,
} from './kustomization-status.ts';
import { isoSeconds, type ObjectWriter } from './status-activities.ts';

/** What the changing stages say of what they did. */
export interface ChangeSummary {
  counts: Record<string, number>;
  /** `Kind/ns/name action`, without the unchanged ones, cut at some length. */
  lines: string[];
}

interface ReportInput {
  ref: ReconciledRef;
  generation: number;
  request?: string;
  revision?: string;
  originRevision?: string;
  trigger: string;
  startedAtMs: number;
  lostFights: DriftRound[];
  manifestsDigest?: string;
  /** The source's revision is held; what was rolled back to is kept in place. */
  isHeld?: boolean;
}

export interface KustomizationReport extends ReportInput {
  applied?: {
    changes: ChangeSummary;
    inventoryKey: string;
    /** Objects that another Kustomization had applied before. */
    takenOver?: { subject: string; from: string }[];
    /** Objects that were left to another Kustomization. */
    yielded?: YieldedObject[];
  };
  pruned?: { changes: ChangeSummary; inventoryKey?: string };
  health?: { checkedCount: number; durationMs: number };
}

export interface ReportDependencies {
  writer: ObjectWriter;
  events: EventRecorder;
  readInventory(key: string): Promise<InventoryEntry[]>;
}

const group = 'kustomize.toolkit.fluxcd.io';
const component = 'kustomize-controller';
/** What the artifact store has lost is made anew by the next pass, so that one comes soon. */
const lostRetryMs = 5_000;

export type KustomizationReportActivities = ReturnType<typeof createKustomizationReport>;

export function createKustomizationReport({ writer, events, readInventory }: ReportDependencies) {
  const find = async (ref: ReconciledRef): Promise<Kustomization | undefined> =>
    (await writer.find('Kustomization', ref)) as Kustomization | undefined;

  const tell = (object: Kustomization, type: 'Normal' | 'Warning', reason: string, message: string, extra = {}) => {
    const revision = object.status?.lastAttemptedRevision;
    const originRevision = revision && originRevisionOf(object.status, revision);
    const annotations = {
      ...(revision ? { [`${group}/revision`]: revision } : {}),
      ...(originRevision ? { [`${group}/originRevision`]: originRevision } : {}),
      ...extra,
    };
    events.record({ object, type, reason, message, annotations, component });
  };

  /** Undefined when the store has lost it: the status then keeps the one it has, and the next pass sets it right. */
  const inventoryIfKept = async (key: string | undefined): Promise<InventoryEntry[] | undefined> =>
    key === undefined ? undefined : await readInventory(key).catch(() => undefined);

  return {
    async reportKustomization(input: KustomizationReport): Promise<ReconcileOutcome> {
      const object = await find(input.ref);
      const reason = 'ReconciliationSucceeded';
      const revision = input.isHeld ? object?.status?.lastAppliedRevision : input.revision;
      const message = `Applied revision: ${revision ?? ''}`;
      const changes = joinChanges(input.applied?.changes, input.pruned?.changes);
      const isUnchanged = changes.lines.length === 0;
      const outcome = { isUnchanged, reason, message, revision };
      if (!object) return outcome;

      const now = Date.now();
      const durationMs = now - input.startedAtMs;
      const inventoryKey = input.pruned?.inventoryKey ?? input.applied?.inventoryKey;
      const inventory = inventoryKey ? await readInventory(inventoryKey) : undefined;
      const context = { ...input, durationMs, now: isoSeconds(now) };
      const next = input.isHeld
        ? { ...object.status, ...(inventory ? { inventory: { entries: inventory } } : {}) }
        : statusAfterSuccess(object, context, {
            inventory,
            health: input.health,
            yielded: input.applied && (input.applied.yielded ?? []),
          });
      const conflict = messageOf(next, ownerConflictCondition);
      const isNewConflict = conflict !== undefined && conflict !== messageOf(object.status, ownerConflictCondition);
      // A look that nobody asked for and that found all in place leaves no trace.
      const isQuiet = isUnchanged && !input.health && isUnasked(input) && isReadyWith(object, input) && !isNewConflict;
      await writer.writeStatus(object, isQuiet ? { ...next, history: object.status?.history } : next);
      if (isQuiet) return outcome;

      const told = { ...object, status: next };
      if (!isUnchanged) tell(told, 'Normal', 'Progressing', changes.lines.join('\n'));
      if (input.health) {
        tell(told, 'Normal', 'Progressing', `Health check passed in ${formatDuration(input.health.durationMs)}`);
      }
      const takenOver = input.applied?.takenOver ?? [];
      if (takenOver.length > 0) {
        const lines = takenOver.slice(0, 10).map(({ subject, from }) => `${subject} (Kustomization/${from})`);
        const message = `applied by another Kustomization before: ${lines.join(', ')}${takenOver.length > 10 ? ' …' : ''}; keep each object in the source of one of them`;
        tell(told, 'Warning', 'OwnerConflict', message);
      }
      if (isNewConflict) tell(told, 'Warning', 'OwnerConflict', conflict);
      for (const fight of input.lostFights) {
        tell(told, 'Warning', driftConflictReason, driftConflictNote(fight));
      }
      const next_ = formatDuration(parseDuration(object.spec.interval));
      tell(told, 'Normal', reason, `Reconciliation finished in ${formatDuration(durationMs)}, next run in ${next_}`, {
        [`${group}/commit_status`]: 'update',
      });
      return { ...outcome, changes: changes.counts, changed: changes.lines.slice(0, 20) };
    },

    async reportKustomizationFailure(
      input: ReportInput & {
        failed: StageFailure;
        /** The source or its artifact is not there yet: a condition tells it, no event (contract 2.1, steps 3 and 4). */
        isSourceMissing?: boolean;
        inventoryKey?: string;
      },
    ): Promise<FailureVerdict> {
      const { failed } = input;
      const object = await find(input.ref);
      const isStalled = isReason(failed.reason) && reasons[failed.reason].retry === 'stall';
      if (!object) return { isStalled, retryInMs: 0 };
      const isLost = failed.reason === 'StorageOperationFailed';
      const retryInMs =
        failed.retryInMs ?? (isLost ? lostRetryMs : parseDuration(object.spec.retryInterval ?? object.spec.interval));
      const now = Date.now();
      const next = statusAfterFailure(
        object,
        { ...input, durationMs: now - input.startedAtMs, now: isoSeconds(now) },
        {
          reason: failed.reason,
          message: failed.message,
          isStalled,
          isHeld: input.isHeld,
          inventory: await inventoryIfKept(input.inventoryKey),
        },
      );
      await writer.writeStatus(object, next);
      const isWaiting = isReason(failed.reason) && reasons[failed.reason].retry === 'wait';
      const type = isWaiting ? 'Normal' : 'Warning';
      if (!input.isSourceMissing) tell({ ...object, status: next }, type, failed.reason, failed.message);
      return { isStalled, retryInMs };
    },

    async reportRollback(
      input: KustomizationReport & {
        target: { revision: string; manifestsDigest: string };
        /** What it was that failed; absent for a rollback by hand. */
        failed?: StageFailure;
        failedDigest?: string;
      },
    ): Promise<ReconcileOutcome> {
      const { target, failed } = input;
      const message = rollbackMessage(target.revision, input.revision ?? '');
      const changes = joinChanges(input.applied?.changes, input.pruned?.changes);
      const outcome: ReconcileOutcome = {
        isUnchanged: false,
        isRolledBack: true,
        reason: failed?.reason ?? 'RollbackSucceeded',
        message: failed ? `${message}. What failed: ${failed.message}` : message,
        revision: target.revision,
        changes: changes.counts,
        changed: changes.lines.slice(0, 20),
      };
      const object = await find(input.ref);
      if (!object) return outcome;
      const now = Date.now();
      const next = statusAfterRollback(
        object,
        { ...input, durationMs: now - input.startedAtMs, now: isoSeconds(now) },
        { ...input, inventory: await inventoryIfKept(input.pruned?.inventoryKey ?? input.applied?.inventoryKey) },
      );
      await writer.writeStatus(object, next);
      const told = { ...object, status: next };
      if (failed) tell(told, 'Warning', failed.reason, failed.message);
      if (changes.lines.length > 0) tell(told, 'Normal', 'Progressing', changes.lines.join('\n'));
      tell(told, failed ? 'Warning' : 'Normal', 'RollbackSucceeded', message);
      return outcome;
    },

    /** What a superseded reconcile had applied belongs to the object all the same. */
    async recordInventory({ ref, inventoryKey }: { ref: ReconciledRef; inventoryKey: string }): Promise<void> {
      const object = await find(ref);
      const entries = await inventoryIfKept(inventoryKey);
      if (object && entries) await writer.writeStatus(object, { ...object.status, inventory: { entries } });
    },
  };
}

function messageOf(status: Kustomization['status'], type: string): string | undefined {
  return status?.conditions?.find((condition) => condition.type === type)?.message;
}

function isUnasked({ trigger }: ReportInput): boolean {
  return trigger === 'interval' || trigger === 'drift';
}

function isReadyWith({ status }: Kustomization, { generation, revision, lostFights }: ReportInput): boolean {
  const isReady = status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;
  const isCurrent = status?.observedGeneration === generation && status.lastAppliedRevision === revision;
  return isReady && isCurrent && lostFights.length === 0;
}

function joinChanges(...summaries: (ChangeSummary | undefined)[]): ChangeSummary {
  const counts: Record<string, number> = {};
  const lines: string[] = [];
  for (const summary of summaries) {
    if (!summary) continue;
    for (const [action, count] of Object.entries(summary.counts)) counts[action] = (counts[action] ?? 0) + count;
    lines.push(...summary.lines);
  }
  return { counts, lines };
}
