// What Temporal says of an object's workflow: what it is doing now, and what its last reconcile was.
import { isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';
import {
  type ReconciledKindName,
  type ReconciledRef,
  type RunRecord,
  statusQuery,
  workflowIdOf,
  workflowKinds,
  type WorkflowStatus,
} from '../workflows/messages.ts';
import type { TemporalAccess } from './connect.ts';

const queryTimeoutMs = 2_000;

/** True for a kind that this version reconciles, and so has workflows for. */
export function isReconciledKind(kind: string): kind is ReconciledKindName {
  return Object.hasOwn(workflowKinds, kind);
}

/**
 * The workflow's status; undefined when there is no such workflow, or no worker that could answer.
 * Throws a `CommandError` when Temporal cannot be reached at all.
 */
export async function queryStatus(
  temporal: TemporalAccess,
  ref: ReconciledRef,
  signal?: AbortSignal,
): Promise<WorkflowStatus | undefined> {
  const client = await temporal.client();
  const { connection } = client;
  const query = (): Promise<WorkflowStatus> =>
    connection.withDeadline(Date.now() + queryTimeoutMs, () =>
      client.workflow.getHandle(workflowIdOf(ref)).query(statusQuery),
    );
  try {
    return signal ? await connection.withAbortSignal(signal, query) : await query();
  } catch (error) {
    if (isNoAnswer(error)) return undefined;
    throw error;
  }
}

/** The record of the newest run that has one. */
export async function lastRecord(temporal: TemporalAccess, ref: ReconciledRef): Promise<RunRecord | undefined> {
  const status = await queryStatus(temporal, ref);
  return status?.lastRun ?? (await recordInMemo(temporal, ref));
}

/** The memo that the newest run carries: its own record, or still that of the run before. */
async function recordInMemo(temporal: TemporalAccess, ref: ReconciledRef): Promise<RunRecord | undefined> {
  const client = await temporal.client();
  try {
    const { memo } = await client.workflow.getHandle(workflowIdOf(ref)).describe();
    return recordOf(memo);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/** The record in a memo, if it is one. */
export function recordOf(memo: Record<string, unknown> | undefined): RunRecord | undefined {
  const run = memo?.['run'] as RunRecord | undefined;
  return typeof run?.startedAt === 'string' && typeof run.outcome === 'string' ? run : undefined;
}

/** `3 configured, 1 created, 10 unchanged`; empty when a record counts nothing. */
export function formatCounts(changes: Readonly<Record<string, number>> = {}): string {
  const order = ['created', 'configured', 'deleted', 'skipped', 'unchanged'];
  const rank = (action: string): number => (order.includes(action) ? order.indexOf(action) : order.length);
  return Object.entries(changes)
    .filter(([, count]) => count > 0)
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([action, count]) => `${count} ${action}`)
    .join(', ');
}

/** No such workflow (yet), no worker that answers, or a query that came too early: all of it may pass. */
function isNoAnswer(error: unknown): boolean {
  if (error instanceof WorkflowNotFoundError) return true;
  if (error instanceof Error && /Query/.test(error.name)) return true;
  return isGrpcServiceError(error) || (error instanceof Error && error.name.includes('Abort'));
}
