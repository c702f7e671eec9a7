// What to do with a Helm release next (contract 2.2, "state → action"): pure rules over what is known of it. They are
// asked again after every action.

/** What an activity has found out of a release. Enters the workflow's history: names, numbers and words, no content. */
export interface ReleaseFacts {
  /** The newest revision in the storage. */
  stored?: { version: number; status: string };
  /** The newest snapshot of `status.history` is of that revision, and it was not changed since. */
  isManaged: boolean;
  /** An earlier name or namespace under which the release is still in place. */
  isMoved?: boolean;
  /** In which way what is deployed is not what is wanted; unset: in none. */
  difference?: string;
  /** The chart has another name, and `upgrade.chartNameChangeStrategy` is Reinstall. */
  mustReinstall?: boolean;
  tests: 'off' | 'due' | 'passed' | 'failed';
  /** Objects that were changed in the cluster, and what is to be done about it. */
  drift?: { count: number; mode: 'enabled' | 'warn' };
  /** A person went back to what is deployed, and neither what was held then nor the spec has changed (decision 0010). */
  isHeld?: boolean;
  /** `reconcile.fluxcd.io/forceAt` asks for an action. */
  isForced: boolean;
  lastAction?: 'install' | 'upgrade';
  install: AttemptPolicy;
  upgrade: AttemptPolicy;
  /** The release that a rollback would go back to. */
  rollbackTarget: 'intact' | 'corrupt' | 'missing';
}

/** The reason of the condition Remediated while a person's rollback holds. */
export const heldReason = 'RollbackHeld';

/** What follows a failed install or upgrade. */
export interface AttemptPolicy {
  failures: number;
  /** Below 0: without end. */
  retries: number;
  remediateLastFailure: boolean;
  remedy: 'rollback' | 'uninstall';
  /** Strategy RetryOnFailure: nothing is undone, and after so long it is tried again, without end. */
  retryIntervalMs?: number;
}

export type ReleaseState =
  | 'Absent'
  | 'Moved'
  | 'Unmanaged'
  | 'Locked'
  | 'OutOfSync'
  | 'Untested'
  | 'Failed'
  | 'Drifted'
  | 'InSync';

export type ReleaseAction = 'install' | 'upgrade' | 'test' | 'rollback' | 'uninstall' | 'unlock' | 'correct';

/** Each type of action runs at most once in a reconcile. */
export type ActionType = 'release' | 'test' | 'remediate' | 'unlock' | 'drift';

export type ReleaseDecision =
  | { do: 'run'; action: ReleaseAction; type: ActionType; why: string }
  | { do: 'finish' }
  | { do: 'stall'; reason: 'RetriesExceeded' | 'MissingRollbackTarget'; message: string }
  /** In another reconcile, after so long. */
  | { do: 'again'; afterMs: number; why: string };

export function stateOf(facts: ReleaseFacts): ReleaseState {
  if (facts.isMoved) return 'Moved';
  const { stored } = facts;
  if (!stored || stored.status === 'uninstalled') return 'Absent';
  if (stored.status.startsWith('pending-') || stored.status === 'uninstalling') return 'Locked';
  if (!facts.isManaged) return 'Unmanaged';
  if (stored.status === 'failed') return 'Failed';
  if (facts.isHeld) return facts.drift ? 'Drifted' : 'InSync';
  if (facts.difference !== undefined) return 'OutOfSync';
  if (facts.tests === 'due') return 'Untested';
  if (facts.tests === 'failed') return 'Failed';
  return facts.drift ? 'Drifted' : 'InSync';
}

/** The next step; `done` are the types of action that this reconcile has had. */
export function decideRelease(facts: ReleaseFacts, done: readonly ActionType[]): ReleaseDecision {
  const wanted = wantedOf(facts);
  if (wanted.do !== 'run' || !done.includes(wanted.type)) return wanted;
  // What was put right and is not right yet would never end.
  if (wanted.type === 'drift') return { do: 'finish' };
  const active = activePolicyOf(facts);
  const afterMs = stateOf(facts) === 'Failed' ? (active?.retryIntervalMs ?? 0) : 0;
  return { do: 'again', afterMs, why: wanted.why };
}

/** How a reconcile ends in which a remediation was made. */
export function afterRemediation(facts: ReleaseFacts): ReleaseDecision {
  const active = activePolicyOf(facts);
  if (active && isExhausted(active)) return exhausted(facts.lastAction ?? 'upgrade', active);
  return { do: 'again', afterMs: 0, why: 'the failed release was remediated' };
}

function wantedOf(facts: ReleaseFacts): ReleaseDecision {
  const { stored, isForced } = facts;
  switch (stateOf(facts)) {
    case 'Moved':
      return run('uninstall', 'release', 'it has another name or namespace now');
    case 'Absent':
      if (isExhausted(facts.install) && !isForced) return exhausted('install', facts.install);
      return run('install', 'release', 'no release is in the storage');
    case 'Unmanaged':
      return run('upgrade', 'release', 'the release in the storage was not made by this object');
    case 'Locked':
      return run('unlock', 'unlock', `it was left in state '${stored?.status}'`);
    case 'OutOfSync':
      if (facts.mustReinstall) return run('uninstall', 'release', facts.difference ?? '');
      if (isExhausted(facts.upgrade) && !isForced) return exhausted('upgrade', facts.upgrade);
      return run('upgrade', 'release', facts.difference ?? '');
    case 'Untested':
      return run('test', 'test', 'it was not tested yet');
    case 'Failed':
      return afterFailure(facts);
    case 'Drifted':
      if (isForced) return run('upgrade', 'release', 'a person asked for it');
      if (facts.drift?.mode === 'warn') return { do: 'finish' };
      return run('correct', 'drift', `${facts.drift?.count} objects were changed in the cluster`);
    case 'InSync':
      return isForced ? run('upgrade', 'release', 'a person asked for it') : { do: 'finish' };
  }
}

function afterFailure(facts: ReleaseFacts): ReleaseDecision {
  const active = activePolicyOf(facts);
  if (facts.isForced) return run('upgrade', 'release', 'a person asked for it');
  if (!active || active.failures <= 0) return run('upgrade', 'release', 'what failed has changed since');
  if (active.retryIntervalMs !== undefined) return run('upgrade', 'release', 'the last attempt failed');
  if (isExhausted(active) && !active.remediateLastFailure) return exhausted(facts.lastAction ?? 'upgrade', active);
  if (active.remedy === 'uninstall') return run('uninstall', 'remediate', 'the last attempt failed');
  switch (facts.rollbackTarget) {
    case 'intact':
      return run('rollback', 'remediate', 'the last attempt failed');
    case 'corrupt':
      return run('upgrade', 'release', 'the release to go back to was changed or is gone');
    case 'missing':
      return {
        do: 'stall',
        reason: 'MissingRollbackTarget',
        message: 'Failed to perform remediation: missing target release to rollback to',
      };
  }
}

function activePolicyOf({ lastAction, install, upgrade }: ReleaseFacts): AttemptPolicy | undefined {
  if (lastAction === undefined) return undefined;
  return lastAction === 'install' ? install : upgrade;
}

function isExhausted({ retries, failures, retryIntervalMs }: AttemptPolicy): boolean {
  return retryIntervalMs === undefined && retries >= 0 && failures > retries;
}

function exhausted(action: string, { failures }: AttemptPolicy): ReleaseDecision {
  const message = `Failed to ${action} after ${failures} attempt(s)`;
  return { do: 'stall', reason: 'RetriesExceeded', message };
}

function run(action: ReleaseAction, type: ActionType, why: string): ReleaseDecision {
  return { do: 'run', action, type, why };
}
