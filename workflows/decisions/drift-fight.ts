// When another manager keeps writing back what we correct, correcting at once only makes noise: after a few rounds the
// object is corrected on the interval alone, and a condition says who the other writer is.
import type { WakeReason } from '../messages.ts';

/** Rounds within the window after which the fight is over, and how long a quiet object takes to be forgiven. */
export const fightLimits = { rounds: 3, windowMs: 5 * 60_000 };

/** Drift of one object that was corrected lately. */
export interface DriftRound {
  subject: string;
  manager: string;
  rounds: number;
  lastAtMs: number;
}

/** Counts corrected drift; quiet objects drop out of the list. */
export function countDrift(history: readonly DriftRound[], wakes: readonly WakeReason[], nowMs: number): DriftRound[] {
  const fresh = history.filter((round) => nowMs - round.lastAtMs < fightLimits.windowMs);
  for (const wake of wakes) {
    if (wake.type !== 'drift' || !wake.subject || !wake.manager) continue;
    const index = fresh.findIndex((round) => round.subject === wake.subject && round.manager === wake.manager);
    const known = fresh[index];
    const counted: DriftRound = {
      subject: wake.subject,
      manager: wake.manager,
      rounds: (known?.rounds ?? 0) + 1,
      lastAtMs: nowMs,
    };
    if (index >= 0) fresh[index] = counted;
    else fresh.push(counted);
  }
  return fresh.slice(-20);
}

/** The fights that were given up: corrected on the interval until the window has passed without a write. */
export function lostFights(history: readonly DriftRound[], nowMs: number): DriftRound[] {
  return history.filter((r) => r.rounds >= fightLimits.rounds && nowMs - r.lastAtMs < fightLimits.windowMs);
}

/** Drift wakes that are still acted on at once: the round that ends a fight is corrected and told, later ones are not. */
export function withoutLostFights(
  wakes: readonly WakeReason[],
  history: readonly DriftRound[],
  nowMs: number,
): WakeReason[] {
  const lost = lostFights(history, nowMs).filter((r) => r.rounds > fightLimits.rounds);
  return wakes.filter((wake) => wake.type !== 'drift' || !lost.some((r) => r.subject === wake.subject));
}
