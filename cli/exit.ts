// How verbs end: the exit codes that scripts rely on, and the errors that carry them.

/** What the process ends with; every verb's `--help` lists them. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, timedOut: 3, interrupted: 130 } as const;

/** An error whose message is all that a person needs, with the exit code it stands for. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: number;
  constructor(message: string, exitCode: number = exitCodes.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** An error of whoever typed the command. */
export function usageError(message: string): CommandError {
  return new CommandError(message, exitCodes.usage);
}

/** The exit code of anything thrown; commander's own errors are usage errors, except those of `--help`. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof Error && error.name === 'AbortError') return exitCodes.interrupted;
  if (isCommanderError(error)) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  return exitCodes.failed;
}

/** True for what commander has printed itself already. */
export function isCommanderError(error: unknown): error is Error & { code: string; exitCode: number } {
  return (
    error instanceof Error && 'code' in error && String(error.code).startsWith('commander.') && 'exitCode' in error
  );
}

/** The last lines of every verb's help. */
export const exitCodesHelp = `
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 timed out, 130 interrupted.`;
