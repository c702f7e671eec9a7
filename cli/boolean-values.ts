// `--prune=true` and `--prune=false`, as flux and kubectl take them: our parser knows `--prune` and `--no-prune`.
import type { Command } from 'commander';

/** The arguments with every boolean option of the command that they name written without a value. */
export function withoutBooleanValues(args: readonly string[], program: Command): string[] {
  let command = program;
  for (const word of args) {
    const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (!next) break;
    command = next;
  }
  const longs = new Set(
    command.options.filter((option) => option.isBoolean() || option.negate).map((option) => option.long ?? ''),
  );
  return args.flatMap((arg) => {
    const [, name, value] = /^--([a-z][a-z-]*)=(true|false)$/.exec(arg) ?? [];
    const [yes, no] = [`--${name}`, `--no-${name}`];
    if (name === undefined || !(longs.has(yes) || longs.has(no))) return [arg];
    // An option that has only one form is what the other value says when it is left out.
    const wanted = value === 'true' ? yes : no;
    return longs.has(wanted) ? [wanted] : [];
  });
}
