import { describe, expect, it } from 'vitest';
import type { RunRecord } from '../workflows/messages.ts';
import { type Execution, historyRows } from './history-rows.ts';
import { changeLines, formatCounts } from './run-record.ts';

const startedAt = '2026-11-22T12:00:00.250Z';
const record: RunRecord = {
  trigger: 'revision',
  startedAt,
  durationMs: 85,
  outcome: 'Succeeded',
  reason: 'ReconciliationSucceeded',
  message: 'Applied revision: r1',
  revision: 'r1',
  changes: { unchanged: 3, created: 1 },
  changed: ['Service/apps/web created'],
};

function execution(over: Partial<Execution>): Execution {
  const startTime = new Date('2026-11-22T12:00:00.250Z');
  return { runId: 'run-1', status: { name: 'CONTINUED_AS_NEW' }, startTime, memo: { run: record }, ...over };
}

const waiting = { phase: 'waiting', suspended: false };

describe('rows of the history', () => {
  it('shows a closed run as its record', () => {
    expect(historyRows(execution({}))).toEqual([{ runId: 'run-1', ...record }]);
  });

  it('does not take the memo that a run inherited for its own', () => {
    const startTime = new Date('2026-11-22T12:00:05Z');
    expect(historyRows(execution({ startTime }))).toEqual([]);
    expect(historyRows(execution({ startTime, status: { name: 'RUNNING' } }), waiting)).toEqual([]);
  });

  it('shows a run in progress as Running, with its phase', () => {
    const startTime = new Date('2026-11-22T12:00:05Z');
    const open = execution({ startTime, status: { name: 'RUNNING' } });
    expect(historyRows(open, { ...waiting, phase: 'Building manifests' })).toEqual([
      { runId: 'run-1', startedAt: startTime.toISOString(), outcome: 'Running', message: 'Building manifests' },
    ]);
  });

  it('shows the last pass of an open run that changed nothing, above its record', () => {
    const lastRun: RunRecord = { ...record, startedAt: '2026-11-22T12:00:03Z', outcome: 'Unchanged' };
    const rows = historyRows(execution({ status: { name: 'RUNNING' } }), { ...waiting, lastRun });
    expect(rows.map((row) => row.outcome)).toEqual(['Unchanged', 'Succeeded']);
  });

  it('counts the record of an open run once', () => {
    expect(historyRows(execution({ status: { name: 'RUNNING' } }), { ...waiting, lastRun: record })).toHaveLength(1);
  });

  it('shows a run that somebody has ended', () => {
    const rows = historyRows(execution({ memo: {}, status: { name: 'TERMINATED' } }));
    expect(rows).toMatchObject([{ outcome: 'Terminated', message: 'the workflow was ended from outside' }]);
  });

  it.each([[undefined], [{}], [{ run: 'text' }], [{ run: { startedAt: 5 } }]])('passes over the memo %j', (memo) => {
    expect(historyRows(execution({ memo }))).toEqual([]);
  });
});

describe('a change set', () => {
  it('counts in the order of weight and leaves out zeros', () => {
    expect(formatCounts({ unchanged: 10, configured: 3, created: 1, deleted: 0 })).toBe(
      '1 created, 3 configured, 10 unchanged',
    );
    expect(formatCounts(undefined)).toBe('');
  });

  it('is told line by line, with how many more there are', () => {
    expect(changeLines(record)).toEqual(['Service/apps/web created', '1 created, 3 unchanged']);
    expect(changeLines({ changed: ['A/a created'], changes: { created: 3 } })).toEqual([
      'A/a created',
      '… and 2 more',
      '3 created',
    ]);
    expect(changeLines({ changes: { unchanged: 4 } })).toEqual([]);
    expect(changeLines({ changes: { unlock: 1, correct: 1 } })).toEqual(['1 unlock, 1 corrected']);
  });
});
