// `continuo diff`: what a reconcile of a Kustomization, or an upgrade of a release, would change in the cluster, field by
// field, and nothing is changed.
import type { Command } from 'commander';
import type { Difference } from '../activities/apply/compare-manifests.ts';
import { subjectOf } from '../k8s/object.ts';
import { addBuildFlags } from './build-flags.ts';
import { changeLinesOf } from './change-lines.ts';
import type { Compare, Compared, DiffFlags } from './compared.ts';
import { withCluster } from './connect.ts';
import { collect } from './create-flags.ts';
import { CommandError, exitCodeOf, exitCodes, usageError } from './exit.ts';
import { type FieldChange, fieldChanges } from './field-changes.ts';
import { addClusterFlags, addOutputFlag } from './flags.ts';
import { parseObjectTarget } from './kinds.ts';
import { mask, maskPair } from './mask-secrets.ts';
import { formatValue, printLine, shortHashes } from './output.ts';
import { holdsSecret, type SecretValues } from './secret-values.ts';

/** As flux and kubectl have them: 1 is no failure here. */
export const diffExitCodes = { same: 0, different: 1, failed: 2 } as const;

const diffExitCodesHelp = `
Exit codes: 0 nothing would change, 1 something would, 2 failed or wrong usage, 130 interrupted.`;

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('diff')
    .description(
      'what a reconcile of a Kustomization, or an upgrade of a HelmRelease, would change; nothing is changed',
    )
    .usage('<kind> <name> [flags]')
    .argument('<kind-and-name...>', 'such as "kustomization demo", "ks/demo", "hr demo"')
    .option('--helmrelease-file <file>', 'take the HelmRelease from this file, not from the cluster')
    .option(
      '--values <files>',
      'merge these files over the values of the HelmRelease; several, or separated by commas',
      collect,
    )
    .action(runDiff);
  addOutputFlag(addClusterFlags(addBuildFlags(command), diffExitCodesHelp), ['json', 'yaml']);
}

async function runDiff(words: string[], flags: DiffFlags): Promise<void> {
  try {
    const { definition, name } = parseObjectTarget(words);
    const comparer = comparers[definition.kind];
    if (!comparer) throw usageError(`expected a Kustomization or a HelmRelease, got a ${definition.kind}`);
    const compare = await comparer();
    process.exitCode = await withCluster(flags, async (kube) => show(await compare(kube, name, flags), flags));
  } catch (error) {
    const code = exitCodeOf(error);
    const message = error instanceof Error ? error.message : String(error);
    throw new CommandError(message, code === exitCodes.failed ? diffExitCodes.failed : code);
  }
}

/** Loaded when they are needed, so that `--help` stays quick. */
const comparers: Partial<Record<string, () => Promise<Compare>>> = {
  Kustomization: async () => (await import('./diff-kustomization.ts')).compareKustomization,
  HelmRelease: async () => (await import('./diff-helmrelease.ts')).compareHelmRelease,
};

/** Prints; gives the exit code. */
function show({ differences, errors, unchangedCount, secrets, from }: Compared, { output }: DiffFlags): number {
  const shown = differences.map((difference) => describe(difference, secrets));
  if (output === 'json' || output === 'yaml') console.log(formatValue(shown, output));
  else print(shown, unchangedCount, from);
  for (const error of errors) console.error(`✗ ${error instanceof Error ? error.message : String(error)}`);
  if (errors.length > 0) return diffExitCodes.failed;
  return differences.length > 0 ? diffExitCodes.different : diffExitCodes.same;
}

/** A difference as it is shown: nothing in it is secret. */
interface ShownDifference {
  kind: string;
  namespace?: string;
  name: string;
  action: Difference['action'];
  fields?: FieldChange[];
}

function describe({ ref, action, before, after }: Difference, secrets: SecretValues): ShownDifference {
  const { kind, namespace, name } = ref;
  const pair = before && after && maskPair(kind, before, after);
  const fields = pair && fieldChanges(pair.before, pair.after).map((change) => maskChange(change, secrets));
  return { kind, ...(namespace && { namespace }), name, action, ...(fields && { fields }) };
}

/** A field with a secret in one of its states hides both. */
function maskChange(change: FieldChange, secrets: SecretValues): FieldChange {
  const { path, before, after } = change;
  if (!holdsSecret(before, secrets) && !holdsSecret(after, secrets)) return change;
  if (before === undefined || after === undefined) {
    return { path, before: before === undefined ? before : mask, after: after === undefined ? after : mask };
  }
  return { path, before: `${mask} (before)`, after: `${mask} (after)` };
}

function print(differences: readonly ShownDifference[], unchangedCount: number, from: string): void {
  for (const { kind, namespace = '', name, action, fields = [] } of differences) {
    const told = action === 'unknown' ? 'drifted (what its new definition makes of it cannot be told yet)' : action;
    printLine(`► ${subjectOf({ kind, namespace, name })} ${told}`);
    for (const line of fields.flatMap(changeLinesOf)) console.log(`    ${line}`);
  }
  const counts = Map.groupBy(differences, ({ action }) => (action === 'unknown' ? 'drifted' : action));
  const told = [...counts].map(([action, group]) => `${group.length} ${action}`);
  const end = [...told, `${unchangedCount} unchanged`].join(', ');
  printLine(`${differences.length > 0 ? '►' : '✔'} ${end} (${shortHashes(from)})`);
}
