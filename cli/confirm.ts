// Asking a person before something that cannot be undone.
import { createInterface } from 'node:readline/promises';
import { CommandError, exitCodes, usageError } from './exit.ts';

/** Throws a usage error where there is no terminal to ask on. */
export function demandTerminal(question: string): void {
  if (process.stdin.isTTY && process.stdout.isTTY) return;
  throw usageError(`${question} There is no terminal to ask on: give -s (--silent) to go on without asking`);
}

/**
 * Resolves when the person says yes. Throws a usage error where there is no terminal to ask on, and for any other answer
 * a {@link CommandError} with the words of `otherwise`.
 */
export async function confirm(question: string, interrupt: AbortSignal, otherwise: string): Promise<void> {
  demandTerminal(question);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  // With a terminal of its own, Ctrl-C comes to it alone.
  const stop = new AbortController();
  terminal.once('SIGINT', () => stop.abort());
  try {
    const answer = await terminal.question(`${question} [y/N] `, { signal: AbortSignal.any([interrupt, stop.signal]) });
    if (/^y(es)?$/i.test(answer.trim())) return;
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'AbortError') throw error;
    throw new CommandError(otherwise, exitCodes.interrupted);
  } finally {
    terminal.close();
  }
  throw new CommandError(otherwise);
}
