// `continuo diff`: what a reconcile of a Kustomization, or an upgrade of a release, would change in the cluster, field by
// field, and nothing is changed.
import type { Command } from 'commander';
import type { Comparison, Difference } from '../activities/apply/compare-manifests.ts';
import { kinds } from '../k8s/api/index.ts';
import type { HelmRelease } from '../k8s/api/helm-release.ts';
import type { KubeClient } from '../k8s/client.ts';
import { watchedKinds } from '../k8s/flux-objects.ts';
import { subjectOf } from '../k8s/object.ts';
import { addBuildFlags, type BuildFlags, kustomizationOf } from './build-flags.ts';
import { changeLinesOf } from './change-lines.ts';
import { withCluster } from './connect.ts';
import { collect } from './create-flags.ts';
import { CommandError, exitCodeOf, exitCodes, usageError } from './exit.ts';
import { type FieldChange, fieldChanges } from './field-changes.ts';
import { addClusterFlags, addOutputFlag, type ClusterFlags, type OutputFormat } from './flags.ts';
import { parseObjectTarget } from './kinds.ts';
import { mask, maskPair } from './mask-secrets.ts';
import { readObject } from './objects.ts';
import { formatValue, printLine, shortHashes } from './output.ts';
import { holdsSecret, type SecretValues } from './secret-values.ts';
import { onInterrupt } from './watch-objects.ts';

const concurrentRequests = 8;

interface DiffFlags extends ClusterFlags, BuildFlags {
  values: string[];
  output?: OutputFormat;
}

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
    .option(
      '--values <file>',
      'merge the values of this file over those of the HelmRelease; may be repeated',
      collect,
      [],
    )
    .action(runDiff);
  addOutputFlag(addClusterFlags(addBuildFlags(command), diffExitCodesHelp), ['json', 'yaml']);
}

async function runDiff(words: string[], flags: DiffFlags): Promise<void> {
  try {
    const { definition, name } = parseObjectTarget(words);
    const compare = comparers[definition.kind];
    if (!compare) throw usageError(`expected a Kustomization or a HelmRelease, got a ${definition.kind}`);
    process.exitCode = await withCluster(flags, async (kube) => show(await compare(kube, name, flags), flags));
  } catch (error) {
    const code = exitCodeOf(error);
    const message = error instanceof Error ? error.message : String(error);
    throw new CommandError(message, code === exitCodes.failed ? diffExitCodes.failed : code);
  }
}

/** What would change, and where that comes from. */
interface Compared extends Comparison {
  /** Texts that must not be shown. */
  secrets: SecretValues;
  /** The revision, the directory or the chart. */
  from: string;
}

const comparers: Partial<Record<string, (kube: KubeClient, name: string, flags: DiffFlags) => Promise<Compared>>> = {
  Kustomization: compareKustomization,
  HelmRelease: compareHelmRelease,
};

async function compareKustomization(kube: KubeClient, name: string, flags: DiffFlags): Promise<Compared> {
  if (flags.values.length > 0) throw usageError('--values is for a HelmRelease');
  const [{ renderKustomization }, { compareManifests }, { rivalRule }, { withTarget }] = await Promise.all([
    import('./render.ts'),
    import('../activities/apply/compare-manifests.ts'),
    import('../activities/apply/claims.ts'),
    import('./target-client.ts'),
  ]);
  const { signal } = onInterrupt();
  const { kustomization, inventory } = await kustomizationOf(kube, name, flags);
  const { objects, secrets, from } = await renderKustomization({
    kustomization,
    kube,
    directory: flags.path,
    artifactAddress: flags.artifactAddress,
    isStrict: flags.strictSubstitute,
    signal,
    report,
  });
  const { force, commonMetadata, ignore, prune } = kustomization.spec;
  const known = new Set(inventory.map(({ id }) => id));
  const rivalOf = rivalRule(kustomization, known, {
    kustomization: (ref) => kube.get({ ...watchedKinds.Kustomization, ...ref }),
  });
  const compare = (client: KubeClient): Promise<Comparison> =>
    compareManifests({
      client,
      owner: { kind: 'Kustomization', namespace: kustomization.metadata.namespace ?? '', name },
      objects,
      inventory,
      isPruned: prune,
      options: { force, commonMetadata, ignore, rivalOf },
      signal,
    });
  return { ...(await withTarget(kube, kustomization, report, compare)), secrets, from };
}

async function compareHelmRelease(kube: KubeClient, name: string, flags: DiffFlags): Promise<Compared> {
  if (flags.kustomizationFile !== undefined) throw usageError('--kustomization-file is for a Kustomization');
  const [
    { renderRelease },
    { compareRelease },
    { withHelmMarks },
    { helmManager },
    { releaseNamesOf },
    { withTarget },
  ] = await Promise.all([
    import('./render-release.ts'),
    import('../activities/apply/compare-release.ts'),
    import('../activities/apply/release-drift.ts'),
    import('../activities/helm/api-gateway.ts'),
    import('../activities/helm/names.ts'),
    import('./target-client.ts'),
  ]);
  const { signal } = onInterrupt();
  const release = (await readObject(kube, kinds.HelmRelease, flags.namespace, name)) as HelmRelease;
  const { releaseName, namespace } = releaseNamesOf(release);
  return await withTarget(kube, release, report, async (target) => {
    const { path: chartDirectory, values: valuesFiles, artifactAddress } = flags;
    const request = { release, kube, target, chartDirectory, valuesFiles, artifactAddress, signal, report };
    const { objects, crds, deployed, secrets, from } = await renderRelease(request);
    const marked = objects.map((object) => withHelmMarks(object, { name: releaseName, namespace }));
    const compared = await compareRelease({
      client: target,
      desired: [...crds, ...marked],
      deployed,
      fieldManager: helmManager,
      concurrency: concurrentRequests,
      signal,
    });
    return { ...compared, secrets, from };
  });
}

/** What goes wrong on the way, and what has to be fetched, is not the answer. */
function report(line: string): void {
  console.error(line);
}

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
