// `continuo history`: the reconciles of one object, newest first, as Temporal keeps them: a closed run is one reconcile.
import type { Command } from 'commander';
import type { ReconciledRef } from '../workflows/messages.ts';
import { openTemporal } from './connect.ts';
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
import { parseObjectTarget, wordOf } from './kinds.ts';
import { formatValue, paint, shortDuration, shortHashes } from './output.ts';
import { type LinkedRow, readHistory } from './read-history.ts';
import { formatCounts } from './run-record.ts';
import { type Column, oneLine, tableLines } from './table.ts';
import { isReconciledKind } from './workflow-view.ts';

interface HistoryFlags extends ClusterFlags, TemporalFlags {
  limit: number;
  output?: OutputFormat;
}

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
