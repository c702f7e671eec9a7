// What an object's workflow says of itself.
import {
  type ReconciledKindName,
  type ReconciledRef,
  statusQuery,
  workflowIdOf,
  workflowTypes,
  type WorkflowStatus,
} from '../workflows/messages.ts';
import type { TemporalAccess } from './connect.ts';

const queryTimeoutMs = 2_000;

/** True for a kind that this version reconciles, and so has workflows for. */
export function isReconciledKind(kind: string): kind is ReconciledKindName {
  return Object.hasOwn(workflowTypes, kind);
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

/** True for the client's error of that name; its class is not imported, as loading the client takes half a second. */
export function isWorkflowNotFound(error: unknown): boolean {
  return error instanceof Error && error.name === 'WorkflowNotFoundError';
}
