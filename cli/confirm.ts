// Asking a person before something that cannot be undone.
import { createInterface } from 'node:readline/promises';
import { CommandError, exitCodes, usageError } from './exit.ts';

/**
 * Resolves when the person says yes. Throws a usage error where there is no terminal to ask on, and a
 * {@link CommandError} for any other answer.
 */
export async function confirm(question: string, interrupt: AbortSignal): Promise<void> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw usageError(`${question} There is no terminal to ask on: give -s (--silent) to go on without asking`);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  // With a terminal of its own, Ctrl-C comes to it alone.
  const stop = new AbortController();
  terminal.once('SIGINT', () => stop.abort());
  try {
    const answer = await terminal.question(`${question} [y/N] `, { signal: AbortSignal.any([interrupt, stop.signal]) });
    if (/^y(es)?$/i.test(answer.trim())) return;
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'AbortError') throw error;
    throw new CommandError('nothing was deleted', exitCodes.interrupted);
  } finally {
    terminal.close();
  }
  throw new CommandError('nothing was deleted');
}
