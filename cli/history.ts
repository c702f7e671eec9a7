// `continuo history`: the reconciles of one object, newest first, as Temporal keeps them: a closed run is one reconcile.
import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import { type ReconciledRef, workflowIdOf } from '../workflows/messages.ts';
import { openTemporal, type TemporalAccess, uiLink } from './connect.ts';
import { CommandError } from './exit.ts';
import {
  addClusterFlags,
  addOutputFlag,
  addTemporalFlags,
  type ClusterFlags,
  type OutputFormat,
  parseCount,
  type TemporalFlags,
} from './flags.ts';
import { type Execution, type HistoryRow, historyRows } from './history-rows.ts';
import { parseObjectTarget, wordOf } from './kinds.ts';
import { formatValue, paint, shortDuration, shortHashes } from './output.ts';
import { formatCounts } from './run-record.ts';
import { type Column, oneLine, tableLines } from './table.ts';
import { isReconciledKind, isWorkflowNotFound, queryStatus } from './workflow-view.ts';

interface HistoryFlags extends ClusterFlags, TemporalFlags {
  limit: number;
  output?: OutputFormat;
}

/** A line with the page of its run. */
interface LinkedRow extends HistoryRow {
  link: string;
}

/** Runs that are asked for at a time. */
const pageSize = 100;
const messageWidth = 60;

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('history')
    .description('the reconciles of an object: when, what, why, how it ended, what changed')
    .usage('<kind> <name> [flags]')
    .argument('<kind-and-name...>', 'such as "ks demo", "ks/demo", "source git demo"')
    .option('--limit <count>', 'how many reconciles', parseCount, 20)
    .action(runHistory);
  addOutputFlag(addTemporalFlags(addClusterFlags(command)), ['wide', 'json', 'yaml']);
}

async function runHistory(words: string[], flags: HistoryFlags): Promise<void> {
  const { definition, name } = parseObjectTarget(words);
  const { kind } = definition;
  if (!isReconciledKind(kind)) {
    throw new CommandError(`a ${kind} has no history: this version of Continuo does not reconcile this kind yet`);
  }
  const ref: ReconciledRef = { kind, namespace: flags.namespace, name };
  const temporal = openTemporal(flags);
  try {
    const { rows, hasMore } = await readHistory(temporal, ref, flags.limit);
    if (flags.output === 'json' || flags.output === 'yaml') {
      console.log(formatValue(rows, flags.output));
      return;
    }
    if (rows.length === 0) {
      throw new CommandError(
        `${kind}/${flags.namespace}/${name} has no history in Temporal at ${temporal.address}: ` +
          `see "continuo get ${wordOf(definition)} -A"`,
      );
    }
    console.log(tableLines(historyColumns(flags.output === 'wide'), rows).join('\n'));
    if (hasMore) console.error(`… there are older ones: --limit ${flags.limit * 5}`);
  } finally {
    await temporal.close();
  }
}

/** At most `limit` lines, newest first, and whether there are more. Pages are read only as far as they are needed. */
async function readHistory(
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
  const newest = await describeNewest(client, workflowId);
  if (newest) {
    const isOpen = newest.status.name === 'RUNNING';
    add(newest, historyRows(newest, isOpen ? await queryStatus(temporal, ref) : undefined));
  }
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

function historyColumns(isWide: boolean): Column<LinkedRow>[] {
  return [
    { title: 'STARTED', value: (row) => localTime(row.startedAt) },
    { title: 'REVISION', value: (row) => shortHashes(row.revision ?? '-') },
    { title: 'TRIGGER', value: (row) => row.trigger ?? '-' },
    { title: 'OUTCOME', value: (row) => row.outcome, paint: paintOutcome },
    { title: 'DURATION', value: (row) => (row.durationMs === undefined ? '-' : shortDuration(row.durationMs)) },
    { title: 'CHANGES', value: changesCell },
    ...(isWide
      ? [
          { title: 'MESSAGE', value: (row: LinkedRow) => shortHashes(row.message ?? '-') },
          { title: 'TEMPORAL UI', value: (row: LinkedRow) => row.link },
        ]
      : []),
  ];
}

/** What changed, or why nothing did. */
function changesCell(row: LinkedRow): string {
  const counts = formatCounts(row.changes);
  if (counts) return counts;
  if (row.outcome === 'Succeeded' || row.outcome === 'Unchanged') return '-';
  const message = shortHashes(oneLine(row.message ?? row.reason ?? '-'));
  return message.length > messageWidth ? `${message.slice(0, messageWidth - 1)}…` : message;
}

function paintOutcome(outcome: string): string {
  if (outcome === 'Succeeded' || outcome === 'Unchanged') return paint('green', outcome);
  if (outcome === 'Running' || outcome === 'Superseded') return paint('yellow', outcome);
  return paint('red', outcome);
}

/** `2026-11-22 16:05:09` where the person is. */
function localTime(timestamp: string): string {
  return new Date(timestamp).toLocaleString('sv-SE');
}
