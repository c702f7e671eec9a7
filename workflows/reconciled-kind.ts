// What a kind brings to the reconcile loop, and what it gets from it.
import type { Cursor, Observation, Trigger } from './decisions/decide.ts';
import type { DriftRound } from './decisions/drift-fight.ts';
import type { ReconciledRef, WakeReason } from './messages.ts';

/** What a stage sequence gives when it ended well. */
export interface ReconcileOutcome {
  isUnchanged: boolean;
  reason: string;
  message: string;
  revision?: string;
  changes?: Record<string, number>;
  changed?: string[];
  /** It ended well, but not with what was wanted. */
  isRolledBack?: boolean;
}

/** What it needs was asked for and is on its way: looked at again so much later, unless a wake comes first. No reconcile yet. */
export interface Awaiting {
  awaitMs: number;
  /** For people. */
  awaiting: string;
}

/** What a kind's failure report gives back: how the loop goes on. */
export interface FailureVerdict {
  isStalled: boolean;
  retryInMs: number;
}

/** A failed reconcile as it reaches the report: the reason is one of the table, the message is a person's. */
export interface StageFailure {
  reason: string;
  message: string;
  /** When the failure itself knows when to try again (a dependency, a missing artifact). */
  retryInMs?: number;
}

/** A pass in progress: what was seen, why, and which drift was given up. */
export interface Pass<O extends Observation> {
  ref: ReconciledRef;
  observation: O;
  trigger: Trigger;
  /** What woke it. */
  wakes: readonly WakeReason[];
  failures: number;
  startedAtMs: number;
  lostFights: DriftRound[];
  /** Says what is being done, for the UI and the status query. */
  phase(text: string): void;
}

/** What a kind brings. Stages throw ApplicationFailures whose type is the reason. */
export interface ReconciledKind<O extends Observation> {
  observe(ref: ReconciledRef, wakes: WakeReason[]): Promise<O>;
  /** Runs the stages and reports success. */
  reconcile(pass: Pass<O>): Promise<ReconcileOutcome | Awaiting>;
  /** All is in place: reports it without running a stage. */
  acknowledge(pass: Pass<O>): Promise<ReconcileOutcome | Awaiting>;
  reportFailure(pass: Pass<O>, failed: StageFailure): Promise<FailureVerdict>;
  /** Work that a superseded reconcile owes, e.g. recording what it had applied. */
  settleSuperseded(pass: Pass<O>): Promise<void>;
  finalize(ref: ReconciledRef, observation: O): Promise<void>;
  /** Looks up what a rollback would go back to; throws the refusal. A kind without it cannot be rolled back. */
  checkRollback?(ref: ReconciledRef, revision: string | undefined): Promise<void>;
  /** The workflows of what it waits for; they are asked to tell when it may go on. */
  waitsFor?(observation: O): ReconciledRef[];
  /** Once the object is gone: those that may have waited for that. */
  released?(): ReconciledRef[];
}

/** Input of every object workflow; `carried` comes from the run before. */
export interface ObjectInput {
  ref: ReconciledRef;
  wakes?: WakeReason[];
  carried?: { cursor: Cursor; drift: DriftRound[]; dependants?: ReconciledRef[] };
}
