// A reconcile as `continuo history` shows it, made from what Temporal keeps of one workflow run. Pure.
import type { RunRecord, WorkflowStatus } from '../workflows/messages.ts';
import { recordOf } from './run-record.ts';

/** What is read of a workflow execution; the client's own type has these fields. */
export interface Execution {
  runId: string;
  status: { name: string };
  startTime: Date;
  closeTime?: Date;
  memo?: Record<string, unknown>;
}

/** One line of the history. */
export interface HistoryRow {
  runId: string;
  /** ISO time. */
  startedAt: string;
  /** That of the record, `Running`, or how Temporal says that the workflow ended when it left no record. */
  outcome: RunRecord['outcome'] | 'Running' | 'Terminated' | 'Canceled' | 'Failed' | 'TimedOut' | 'Completed';
  trigger?: string;
  revision?: string;
  reason?: string;
  message?: string;
  durationMs?: number;
  changes?: Record<string, number>;
  changed?: string[];
}

/** How a run may end without a reconcile of its own, and still be worth a line. */
const endings: Record<string, HistoryRow['outcome']> = {
  TERMINATED: 'Terminated',
  CANCELLED: 'Canceled',
  FAILED: 'Failed',
  TIMED_OUT: 'TimedOut',
  COMPLETED: 'Completed',
};

/** The record that a run wrote itself: a run starts with the memo of the one before it. */
export function ownRecord(execution: Execution): RunRecord | undefined {
  const record = recordOf(execution.memo);
  return record && Date.parse(record.startedAt) >= execution.startTime.getTime() ? record : undefined;
}

/**
 * The lines of one run, newest first: none for a run that only waits. `status` is what a run that is still open says of
 * itself; undefined when it could not be asked.
 */
export function historyRows(execution: Execution, status?: WorkflowStatus): HistoryRow[] {
  const { runId } = execution;
  const record = ownRecord(execution);
  const rows: HistoryRow[] = record ? [rowOf(runId, record)] : [];
  if (execution.status.name !== 'RUNNING') {
    const outcome = endings[execution.status.name];
    if (record || !outcome) return rows;
    const durationMs = execution.closeTime && execution.closeTime.getTime() - execution.startTime.getTime();
    const message = outcome === 'Completed' ? 'the object was deleted' : 'the workflow was ended from outside';
    return [{ runId, startedAt: execution.startTime.toISOString(), outcome, durationMs, message }];
  }
  const last = status?.lastRun;
  if (last && last.startedAt !== record?.startedAt) rows.unshift(rowOf(runId, last));
  if (status && status.phase !== 'waiting') {
    rows.unshift({ runId, startedAt: execution.startTime.toISOString(), outcome: 'Running', message: status.phase });
  }
  return rows;
}

function rowOf(runId: string, record: RunRecord): HistoryRow {
  const { startedAt, outcome, trigger, revision, reason, message, durationMs, changes, changed } = record;
  return {
    runId,
    startedAt,
    outcome,
    trigger,
    revision: revision || undefined,
    reason,
    message,
    durationMs,
    changes,
    changed,
  };
}
