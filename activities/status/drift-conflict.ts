// What a status and an event say of drift that another manager writes again and again (decision 0006).
import type { DriftRound } from '../../workflows/decisions/drift-fight.ts';
import type { ConditionWish } from './conditions.ts';

/** The condition that names another manager which keeps writing what Continuo corrects. Not one of Flux's. */
export const driftConflictCondition = 'DriftConflict';

/** The reason of that condition, and of its event. */
export const driftConflictReason = 'FieldManagerConflict';

/** The condition of an object of this kind of ours; none while no fight is lost. */
export function driftConflictWishes(kind: string, fights: readonly DriftRound[]): ConditionWish[] {
  if (fights.length === 0) return [];
  const writers = fights.map((fight) => `${fight.subject} (written by '${fight.manager}')`).join(', ');
  return [
    {
      type: driftConflictCondition,
      status: 'True',
      reason: driftConflictReason,
      message: `another manager keeps writing fields of this ${kind}, which are now corrected on the interval only: ${writers}. Remove the fields from the source, or stop the other writer`,
    },
  ];
}

/** What the Warning of one lost fight says. */
export function driftConflictNote({ subject, manager }: DriftRound): string {
  return `${subject} is written again and again by '${manager}'; it is corrected on the interval only from now on`;
}
