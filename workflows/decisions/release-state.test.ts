import { describe, expect, test } from 'vitest';
import {
  type ActionType,
  afterRemediation,
  type AttemptPolicy,
  decideRelease,
  type ReleaseFacts,
  stateOf,
} from './release-state.ts';

const policy: AttemptPolicy = { failures: 0, retries: 0, remediateLastFailure: false, remedy: 'rollback' };

function facts(changes: Partial<ReleaseFacts> = {}): ReleaseFacts {
  return {
    stored: { version: 2, status: 'deployed' },
    isManaged: true,
    tests: 'off',
    isForced: false,
    lastAction: 'upgrade',
    install: { ...policy, remedy: 'uninstall' },
    upgrade: policy,
    rollbackTarget: 'intact',
    ...changes,
  };
}

const failed = { stored: { version: 2, status: 'failed' } };
const upgrade = (changes: Partial<AttemptPolicy>) => ({ upgrade: { ...policy, ...changes } });

const states: [string, Partial<ReleaseFacts>, string][] = [
  ['nothing in the storage', { stored: undefined }, 'Absent'],
  ['uninstalled with its history kept', { stored: { version: 2, status: 'uninstalled' } }, 'Absent'],
  ['under another name before', { isMoved: true, stored: undefined }, 'Moved'],
  ['made by somebody else', { isManaged: false }, 'Unmanaged'],
  ['pending, whoever made it', { isManaged: false, stored: { version: 2, status: 'pending-upgrade' } }, 'Locked'],
  ['an uninstall that was cut off', { stored: { version: 2, status: 'uninstalling' } }, 'Locked'],
  ['failed, also with another chart', { ...failed, difference: 'chart' }, 'Failed'],
  ['another chart or other values', { difference: 'chart' }, 'OutOfSync'],
  ['not tested yet', { tests: 'due' }, 'Untested'],
  ['a failed test', { tests: 'failed' }, 'Failed'],
  ['changed in the cluster', { drift: { count: 1, mode: 'enabled' } }, 'Drifted'],
  ['changed and not tested', { tests: 'due', drift: { count: 1, mode: 'warn' } }, 'Untested'],
  ['rolled back by hand', { isHeld: true, difference: 'chart', tests: 'due' }, 'InSync'],
  ['rolled back by hand, and changed since', { isHeld: true, drift: { count: 1, mode: 'enabled' } }, 'Drifted'],
  ['rolled back by hand, and made anew by somebody else', { isHeld: true, isManaged: false }, 'Unmanaged'],
  ['as wanted', {}, 'InSync'],
];

test.each(states)('a release %s is %s', (_, changes, expected) => {
  expect(stateOf(facts(changes))).toBe(expected);
});

const exhausted = { retries: 1, failures: 2 };
const actions: [string, Partial<ReleaseFacts>, string][] = [
  ['absent: install', { stored: undefined }, 'run install release'],
  [
    'absent, installs used up: stall',
    { stored: undefined, install: { ...policy, ...exhausted } },
    'stall RetriesExceeded: Failed to install after 2 attempt(s)',
  ],
  [
    'absent, installs used up, forced: install',
    { stored: undefined, install: { ...policy, ...exhausted }, isForced: true },
    'run install release',
  ],
  [
    'absent, endless retries: install',
    { stored: undefined, install: { ...policy, retries: -1, failures: 99 } },
    'run install release',
  ],
  ['moved: uninstall', { isMoved: true }, 'run uninstall release'],
  ['unmanaged: upgrade', { isManaged: false }, 'run upgrade release'],
  ['locked: unlock', { stored: { version: 2, status: 'pending-install' } }, 'run unlock unlock'],
  ['out of sync: upgrade', { difference: 'x' }, 'run upgrade release'],
  ['out of sync with another chart: uninstall', { difference: 'x', mustReinstall: true }, 'run uninstall release'],
  [
    'out of sync, upgrades used up: stall',
    { difference: 'x', ...upgrade(exhausted) },
    'stall RetriesExceeded: Failed to upgrade after 2 attempt(s)',
  ],
  [
    'out of sync, used up, forced: upgrade',
    { difference: 'x', ...upgrade(exhausted), isForced: true },
    'run upgrade release',
  ],
  ['untested: test', { tests: 'due' }, 'run test test'],
  ['failed, nothing was tried by this object: upgrade', { ...failed, lastAction: undefined }, 'run upgrade release'],
  ['failed, what failed has changed: upgrade', failed, 'run upgrade release'],
  ['failed, forced: upgrade', { ...failed, ...upgrade(exhausted), isForced: true }, 'run upgrade release'],
  [
    'failed, retry strategy: upgrade',
    { ...failed, ...upgrade({ failures: 9, retryIntervalMs: 1 }) },
    'run upgrade release',
  ],
  ['failed once of two: rollback', { ...failed, ...upgrade({ failures: 1, retries: 1 }) }, 'run rollback remediate'],
  [
    'failed once of two, strategy uninstall: uninstall',
    { ...failed, ...upgrade({ failures: 1, retries: 1, remedy: 'uninstall' }) },
    'run uninstall remediate',
  ],
  [
    'failed, used up, last failure stays: stall',
    { ...failed, ...upgrade(exhausted) },
    'stall RetriesExceeded: Failed to upgrade after 2 attempt(s)',
  ],
  [
    'failed, used up, last failure is remediated: rollback',
    { ...failed, ...upgrade({ ...exhausted, remediateLastFailure: true }) },
    'run rollback remediate',
  ],
  [
    'failed, the target was changed: upgrade',
    { ...failed, ...upgrade({ failures: 1, retries: 1 }), rollbackTarget: 'corrupt' },
    'run upgrade release',
  ],
  [
    'failed, there is no target: stall',
    { ...failed, ...upgrade({ failures: 1, retries: 1 }), rollbackTarget: 'missing' },
    'stall MissingRollbackTarget: Failed to perform remediation: missing target release to rollback to',
  ],
  [
    'failed test of an install: uninstall',
    { tests: 'failed', lastAction: 'install', install: { ...policy, failures: 1, retries: 2, remedy: 'uninstall' } },
    'run uninstall remediate',
  ],
  ['drifted: correct', { drift: { count: 1, mode: 'enabled' } }, 'run correct drift'],
  ['drifted, to be told only: finish', { drift: { count: 1, mode: 'warn' } }, 'finish'],
  ['drifted, forced: upgrade', { drift: { count: 1, mode: 'warn' }, isForced: true }, 'run upgrade release'],
  ['in sync: finish', {}, 'finish'],
  ['in sync, forced: upgrade', { isForced: true }, 'run upgrade release'],
];

describe('the next action', () => {
  test.each(actions)('%s', (_, changes, expected) => {
    expect(told(facts(changes), [])).toBe(expected);
  });

  const again: [string, Partial<ReleaseFacts>, ActionType, string][] = [
    ['a second upgrade', { difference: 'x' }, 'release', 'again after 0'],
    [
      'a second upgrade by the retry strategy comes after its interval',
      { ...failed, ...upgrade({ failures: 1, retryIntervalMs: 300_000 }) },
      'release',
      'again after 300000',
    ],
    ['a second unlock', { stored: { version: 2, status: 'pending-upgrade' } }, 'unlock', 'again after 0'],
    ['drift that is back at once', { drift: { count: 1, mode: 'enabled' } }, 'drift', 'finish'],
  ];
  test.each(again)('each type runs once in a reconcile: %s', (_, changes, done, expected) => {
    expect(told(facts(changes), [done])).toBe(expected);
  });

  test('another type goes on', () => {
    expect(told(facts({ tests: 'due' }), ['release', 'unlock'])).toBe('run test test');
  });
});

test('after a remediation it is tried again while there are retries, and stalls after them', () => {
  expect(afterRemediation(facts(upgrade({ failures: 1, retries: 1 })))).toMatchObject({ do: 'again', afterMs: 0 });
  expect(afterRemediation(facts(upgrade(exhausted)))).toMatchObject({ do: 'stall', reason: 'RetriesExceeded' });
});

function told(given: ReleaseFacts, done: ActionType[]): string {
  const decision = decideRelease(given, done);
  switch (decision.do) {
    case 'run':
      return `run ${decision.action} ${decision.type}`;
    case 'stall':
      return `stall ${decision.reason}: ${decision.message}`;
    case 'again':
      return `again after ${decision.afterMs}`;
    case 'finish':
      return 'finish';
  }
}
