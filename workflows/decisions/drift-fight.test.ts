import { describe, expect, test } from 'vitest';
import { countDrift, type DriftRound, fightLimits, lostFights, withoutLostFights } from './drift-fight.ts';

const wake = { type: 'drift' as const, subject: 'Service/a/b', manager: 'operator' };

function afterRounds(rounds: number, everyMs: number): { history: DriftRound[]; nowMs: number } {
  let history: DriftRound[] = [];
  let nowMs = 0;
  for (let i = 0; i < rounds; i++) {
    nowMs += everyMs;
    history = countDrift(history, [wake], nowMs);
  }
  return { history, nowMs };
}

describe('drift fights', () => {
  test('one correction is no fight', () => {
    const { history, nowMs } = afterRounds(1, 1000);

    expect(withoutLostFights([wake], history, nowMs)).toEqual([wake]);
  });

  test('the round that ends the fight is corrected once more, and the writer is known', () => {
    const { history, nowMs } = afterRounds(fightLimits.rounds, 1000);

    expect(withoutLostFights([wake], history, nowMs)).toEqual([wake]);
    expect(lostFights(history, nowMs)).toMatchObject([{ subject: 'Service/a/b', manager: 'operator' }]);
  });

  test('after it the object is left to the interval', () => {
    const { history, nowMs } = afterRounds(fightLimits.rounds + 1, 1000);

    expect(withoutLostFights([wake], history, nowMs)).toEqual([]);
    expect(lostFights(history, nowMs)).toHaveLength(1);
  });

  test('other objects and other wakes are still acted on', () => {
    const { history, nowMs } = afterRounds(fightLimits.rounds + 1, 1000);
    const others = [{ type: 'request' as const }, { ...wake, subject: 'Service/a/c' }];

    expect(withoutLostFights([wake, ...others], history, nowMs)).toEqual(others);
  });

  test('writes that are far apart are no fight', () => {
    const { history, nowMs } = afterRounds(10, fightLimits.windowMs + 1);

    expect(lostFights(history, nowMs)).toEqual([]);
  });

  test('a writer that has been quiet for the window is forgiven', () => {
    const { history, nowMs } = afterRounds(fightLimits.rounds, 1000);

    expect(lostFights(history, nowMs + fightLimits.windowMs)).toEqual([]);
  });
});
