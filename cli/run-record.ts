// The record of a reconcile in a workflow's memo, and how its change set is told. Pure.
import type { RunRecord } from '../workflows/messages.ts';
import { oneLine } from './table.ts';

/** The record in a memo, if it is one. */
export function recordOf(memo: Readonly<Record<string, unknown>> | undefined): RunRecord | undefined {
  const run = memo?.['run'] as RunRecord | undefined;
  return typeof run?.startedAt === 'string' && typeof run.outcome === 'string' ? run : undefined;
}

const actionOrder = ['created', 'configured', 'deleted', 'skipped', 'unchanged'];

/** `1 created, 3 configured, 10 unchanged`; empty when a record counts nothing. */
export function formatCounts(changes: Readonly<Record<string, number>> = {}): string {
  const rank = (action: string): number => actionOrder.indexOf(action);
  return Object.entries(changes)
    .filter(([, count]) => count > 0)
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([action, count]) => `${count} ${action === 'correct' ? 'corrected' : action}`)
    .join(', ');
}

/** What a reconcile changed: a line for each object, then the counts. */
export function changeLines({ changed = [], changes = {} }: Pick<RunRecord, 'changed' | 'changes'>): string[] {
  const { unchanged: _, skipped: __, ...counted } = changes;
  const total = Object.values(counted).reduce((sum, count) => sum + count, 0);
  const counts = formatCounts(changes);
  // The actions of a release have no objects to list; what has changed nothing is told by its result alone.
  if (changed.length === 0) return total > 0 && counts ? [counts] : [];
  const more = total > changed.length ? [`… and ${total - changed.length} more`] : [];
  return [...changed.map(oneLine), ...more, ...(counts ? [counts] : [])];
}
