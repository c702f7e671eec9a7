import { describe, expect, test } from 'vitest';
import type { WakeReason } from '../messages.ts';
import { type Cursor, decide, isSupersededBy, type Observation } from './decide.ts';

const now = 1_000_000;

/** A Kustomization that is in place: observed, Ready, settled, nothing asked for. */
const inPlace: Observation = {
  exists: true,
  isDeleting: false,
  isSuspended: false,
  hasFinalizer: true,
  generation: 2,
  observedGeneration: 2,
  revision: 'main@sha1:a',
  appliedRevision: 'main@sha1:a',
  readyStatus: 'True',
  isStalled: false,
  isSettled: true,
  intervalMs: 60_000,
};

const succeeded: Cursor = {
  generation: 2,
  revision: 'main@sha1:a',
  outcome: 'succeeded',
  failures: 0,
  dueAtMs: now + 30_000,
};
const failed: Cursor = { ...succeeded, outcome: 'failed', failures: 1 };
const due = { dueAtMs: now - 1 };
const drift: WakeReason = { type: 'drift', subject: 'Service/a/b', manager: 'kubectl' };

const dependency: WakeReason = { type: 'dependency', subject: 'Kustomization/a/b' };

const cases: [string, Partial<Observation>, Cursor, WakeReason[], object][] = [
  ['an object that is gone ends the workflow', { exists: false }, succeeded, [], { do: 'finish' }],
  ['a deleted object is finalized', { isDeleting: true }, succeeded, [], { do: 'finalize' }],
  ['deletion goes before suspension', { isDeleting: true, isSuspended: true }, succeeded, [], { do: 'finalize' }],
  [
    'a suspended object waits',
    { isSuspended: true, isSettled: false },
    { ...succeeded, ...due },
    [drift],
    { do: 'wait' },
  ],
  ['a suspended object echoes a request', { isSuspended: true, requestedAt: 't1' }, succeeded, [], { do: 'echo' }],
  ['nothing due is a wait', {}, succeeded, [{ type: 'resync' }], { do: 'wait' }],
  [
    'after a time without watch what is not in place is reconciled',
    { isSettled: false },
    succeeded,
    [{ type: 'resync' }],
    { do: 'reconcile', trigger: 'interval' },
  ],
  [
    'after a time without watch a failed attempt waits for its retry',
    { isSettled: false },
    failed,
    [{ type: 'resync' }],
    { do: 'wait' },
  ],
  [
    'what is on its way is awaited',
    { hasFinalizer: false, awaitMs: 1000 },
    { failures: 0 },
    [],
    { do: 'await', ms: 1000 },
  ],
  [
    'a new object is reconciled',
    { hasFinalizer: false, observedGeneration: -1 },
    { failures: 0 },
    [],
    { do: 'reconcile', trigger: 'created' },
  ],
  [
    'a never observed object is reconciled',
    { observedGeneration: -1, isSettled: false },
    { failures: 0 },
    [],
    { do: 'reconcile', trigger: 'created' },
  ],
  [
    'a new generation is reconciled even when all is in place',
    { generation: 3 },
    succeeded,
    [],
    { do: 'reconcile', trigger: 'spec' },
  ],
  [
    'a request for what is in place is acknowledged',
    { requestedAt: 't1' },
    succeeded,
    [],
    { do: 'acknowledge', trigger: 'request' },
  ],
  [
    'a request for what is not in place is a reconcile',
    { requestedAt: 't1', isSettled: false },
    succeeded,
    [],
    { do: 'reconcile', trigger: 'request' },
  ],
  [
    'a request soon after the last attempt waits, where they are spaced',
    { requestedAt: 't2', isSettled: false, requestSpacingMs: 1_000 },
    { ...succeeded, request: 't1', attemptedAtMs: now - 300 },
    [],
    { do: 'await', ms: 700 },
  ],
  [
    'a request is answered at once when the last attempt was long ago',
    { requestedAt: 't2', isSettled: false, requestSpacingMs: 1_000 },
    { ...succeeded, request: 't1', attemptedAtMs: now - 1_000 },
    [],
    { do: 'reconcile', trigger: 'request' },
  ],
  [
    'a new generation waits for no turn',
    { requestedAt: 't2', generation: 3, isSettled: false, requestSpacingMs: 1_000 },
    { ...succeeded, request: 't1', attemptedAtMs: now - 300 },
    [],
    { do: 'reconcile', trigger: 'spec' },
  ],
  ['a request that was handled is over', { requestedAt: 't1', handledRequest: 't1' }, succeeded, [], { do: 'wait' }],
  [
    'a request that was attempted is not tried again before its retry',
    { requestedAt: 't1', isSettled: false },
    { ...failed, request: 't1' },
    [],
    { do: 'wait' },
  ],
  [
    'a new revision with the same manifests is acknowledged',
    { revision: 'main@sha1:b' },
    succeeded,
    [],
    { do: 'acknowledge', trigger: 'revision' },
  ],
  [
    'a new revision with other manifests is reconciled',
    { revision: 'main@sha1:b', isSettled: false },
    succeeded,
    [],
    { do: 'reconcile', trigger: 'revision' },
  ],
  [
    'a revision that failed is not tried again before its retry',
    { revision: 'main@sha1:b', isSettled: false },
    { ...failed, revision: 'main@sha1:b' },
    [],
    { do: 'wait' },
  ],
  [
    'a deleted object waits for those that depend on it and go as well',
    { isDeleting: true, awaitMs: 1000 },
    succeeded,
    [],
    { do: 'await', ms: 1000 },
  ],
  [
    'a change of what it refers to is reconciled',
    { isSettled: false },
    succeeded,
    [dependency],
    { do: 'reconcile', trigger: 'dependency' },
  ],
  ['a change of what it refers to that changes nothing is a wait', {}, succeeded, [dependency], { do: 'wait' }],
  [
    'a change of what it refers to ends a failure',
    { isSettled: false },
    failed,
    [dependency],
    { do: 'reconcile', trigger: 'dependency' },
  ],
  [
    'a change of what it refers to ends a stall',
    { isSettled: false, isStalled: true },
    { ...failed, outcome: 'stalled', dueAtMs: undefined },
    [dependency],
    { do: 'reconcile', trigger: 'dependency' },
  ],
  [
    'a failure that is mended with nothing left to do is acknowledged',
    {},
    failed,
    [dependency],
    { do: 'acknowledge', trigger: 'dependency' },
  ],
  [
    'to wait for a dependency still is no news',
    { isSettled: false, obstacle: { reason: 'DependencyNotReady', message: 'm' } },
    failed,
    [dependency],
    { do: 'wait' },
  ],
  [
    'to wait for a dependency again is news',
    { isSettled: false, obstacle: { reason: 'DependencyNotReady', message: 'm' } },
    succeeded,
    [dependency],
    { do: 'reconcile', trigger: 'dependency' },
  ],
  [
    'a rollback waits for nothing',
    { awaitMs: 1000, isSettled: false },
    failed,
    [{ type: 'rollback', subject: '' }],
    { do: 'reconcile', trigger: 'rollback' },
  ],
  ['a suspended object is not rolled back', { isSuspended: true }, succeeded, [{ type: 'rollback' }], { do: 'wait' }],
  [
    'a failed attempt is retried when it is due',
    { isSettled: false },
    { ...failed, ...due },
    [],
    { do: 'reconcile', trigger: 'retry' },
  ],
  [
    'a newer revision does not wait for the retry',
    { revision: 'main@sha1:c', isSettled: false },
    failed,
    [],
    { do: 'reconcile', trigger: 'revision' },
  ],
  [
    'the same revision in another artifact is reconciled',
    { isSettled: false },
    succeeded,
    [{ type: 'artifact' }],
    { do: 'reconcile', trigger: 'revision' },
  ],
  ['drift is corrected at once', { isSettled: false }, succeeded, [drift], { do: 'reconcile', trigger: 'drift' }],
  ['a drift wake that finds all in place is over', {}, succeeded, [drift], { do: 'wait' }],
  ['drift does not hurry a failed attempt', { isSettled: false }, failed, [drift], { do: 'wait' }],
  ['the interval finds all in place', {}, { ...succeeded, ...due }, [], { do: 'wait' }],
  [
    'the interval finds drift',
    { isSettled: false },
    { ...succeeded, ...due },
    [],
    { do: 'reconcile', trigger: 'interval' },
  ],
  [
    'a stalled object waits for a person',
    { isSettled: false },
    { ...succeeded, outcome: 'stalled', dueAtMs: undefined },
    [drift],
    { do: 'wait' },
  ],
  [
    'a stalled object is tried with a new generation',
    { generation: 3 },
    { ...succeeded, outcome: 'stalled' },
    [],
    { do: 'reconcile', trigger: 'spec' },
  ],
  [
    'after a lost cursor a Ready object is compared',
    { isSettled: false },
    { failures: 0 },
    [],
    { do: 'reconcile', trigger: 'interval' },
  ],
  ['after a lost cursor what is in place stays', {}, { failures: 0 }, [], { do: 'wait' }],
  [
    'after a lost cursor a failing object is retried',
    { readyStatus: 'False', isSettled: false },
    { failures: 0 },
    [],
    { do: 'reconcile', trigger: 'retry' },
  ],
  [
    'after a lost cursor a stalled object stays so',
    { readyStatus: 'False', isStalled: true, isSettled: false },
    { failures: 0 },
    [],
    { do: 'wait' },
  ],
];

describe('decide', () => {
  test.each(cases)('%s', (_title, seen, cursor, wakes, decision) => {
    expect(decide({ ...inPlace, ...seen }, cursor, wakes, now)).toEqual(decision);
  });
});

describe('isSupersededBy', () => {
  test.each([
    ['the same again does not supersede', {}, false],
    ['a new request does not supersede', { requestedAt: 't9' }, false],
    ['a newer revision supersedes', { revision: 'main@sha1:b' }, true],
    ['a revision that is out of sight does not supersede', { revision: undefined, inputs: 'b' }, false],
    ['a newer spec supersedes, also when no revision is seen', { generation: 3, revision: undefined }, true],
    ['a newer spec supersedes', { generation: 3 }, true],
    ['suspension supersedes', { isSuspended: true }, true],
    ['deletion supersedes', { isDeleting: true }, true],
    ['disappearance supersedes', { exists: false }, true],
  ])('%s', (_title, seen, expected) => {
    expect(isSupersededBy(inPlace, { ...inPlace, ...seen })).toBe(expected);
  });
});
