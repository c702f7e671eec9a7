// The reconciles of one object out of Temporal, newest first.
import type { Client } from '@temporalio/client';
import { type ReconciledRef, workflowIdOf } from '../workflows/messages.ts';
import { type TemporalAccess, uiLink } from './connect.ts';
import { type Execution, type HistoryRow, historyRows } from './history-rows.ts';
import { isWorkflowNotFound, queryStatus } from './workflow-view.ts';

/** A reconcile with the page of its run. */
export interface LinkedRow extends HistoryRow {
  link: string;
}

/** Runs that are asked for at a time. */
const pageSize = 100;

/** At most `limit` reconciles, and whether there are more. Pages are read only as far as they are needed. */
export async function readHistory(
  temporal: TemporalAccess,
  ref: ReconciledRef,
  limit: number,
): Promise<{ rows: LinkedRow[]; hasMore: boolean }> {
  const client = await temporal.client();
  const workflowId = workflowIdOf(ref);
  const rows: LinkedRow[] = [];
  const add = (execution: Execution, found: HistoryRow[]): void => {
    const link = uiLink(temporal, workflowId, execution.runId);
    for (const row of found) rows.push({ ...row, link });
  };
  // Asked in this order: an answer waits for the workflow task under way, which is what brings the memo.
  const status = await queryStatus(temporal, ref);
  const newest = await describeNewest(client, workflowId);
  if (newest) add(newest, historyRows(newest, status));
  const query = `WorkflowId = "${workflowId}"`;
  for await (const execution of client.workflow.list({ query, pageSize })) {
    if (rows.length > limit) break;
    if (execution.runId !== newest?.runId) add(execution, historyRows(execution));
  }
  return { rows: rows.slice(0, limit), hasMore: rows.length > limit };
}

/** The newest run as the server knows it this moment; lists may lag behind. */
async function describeNewest(client: Client, workflowId: string): Promise<Execution | undefined> {
  try {
    return await client.workflow.getHandle(workflowId).describe();
  } catch (error) {
    if (isWorkflowNotFound(error)) return undefined;
    throw error;
  }
}
