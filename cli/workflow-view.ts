// What Temporal says of an object's workflow: what it is doing now, and what its last reconcile was.
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
import { recordOf } from './run-record.ts';

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
  } catch {
    return undefined;
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
    if (isWorkflowNotFound(error)) return undefined;
    throw error;
  }
}

/** True for the client's error of that name; its class is not imported, as loading the client takes half a second. */
export function isWorkflowNotFound(error: unknown): boolean {
  return error instanceof Error && error.name === 'WorkflowNotFoundError';
}
