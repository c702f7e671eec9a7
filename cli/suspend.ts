// `continuo suspend` and `continuo resume`: set and unset `spec.suspend`; the object stays the truth.
import { type Command, Option } from 'commander';
import type { KindDefinition } from '../k8s/api/definition.ts';
import type { KubeClient } from '../k8s/client.ts';
import { type KubeObject, refOf } from '../k8s/object.ts';
import { awaitReady } from './await-ready.ts';
import { openTemporal, withCluster } from './connect.ts';
import { CommandError, usageError } from './exit.ts';
import { addClusterFlags, addTemporalFlags, addTimeoutFlag, type ClusterFlags, type TemporalFlags } from './flags.ts';
import { parseKindTarget } from './kinds.ts';
import { cliFieldManager, readObject, servedResource, subjectOfObject } from './objects.ts';
import { printLine } from './output.ts';
import { isSuspended } from './readiness.ts';
import { onInterrupt } from './watch-objects.ts';
import { isReconciledKind } from './workflow-view.ts';

interface SuspendFlags extends ClusterFlags {
  all?: boolean;
}

interface ResumeFlags extends SuspendFlags, TemporalFlags {
  timeout: number;
  /** False with `--no-wait`. */
  wait: boolean;
}

/** Adds both commands. */
export function register(program: Command): void {
  const suspend = program
    .command('suspend')
    .description('stop reconciling objects; what they applied stays')
    .usage('<kind> <name...> [flags]')
    .argument('<kind-and-names...>', 'such as "ks demo", "source git demo"')
    .option('--all', 'all objects of the kind in the namespace')
    .action(runSuspend);
  addClusterFlags(suspend);
  const resume = program
    .command('resume')
    .description('reconcile suspended objects again, and wait until they are ready')
    .usage('<kind> <name...> [flags]')
    .argument('<kind-and-names...>', 'such as "ks demo", "source git demo"')
    .option('--all', 'all objects of the kind in the namespace')
    .addOption(new Option('--wait').default(true).hideHelp()) // flux has it
    .option('--no-wait', 'do not wait until they are ready')
    .action(runResume);
  addTimeoutFlag(addTemporalFlags(addClusterFlags(resume)));
}

async function runSuspend(words: string[], flags: SuspendFlags): Promise<void> {
  await withCluster(flags, async (kube) => {
    const { definition, objects } = await select(kube, words, flags);
    for (const object of objects) await setSuspended(kube, definition, object, true);
  });
}

async function runResume(words: string[], flags: ResumeFlags): Promise<void> {
  const interrupt = onInterrupt().signal;
  const temporal = openTemporal(flags);
  try {
    await withCluster(flags, async (kube) => {
      const { definition, objects } = await select(kube, words, flags);
      for (const object of objects) await setSuspended(kube, definition, object, false);
      if (!flags.wait) return;
      if (!isReconciledKind(definition.kind)) {
        printLine(`► a ${definition.kind} is not reconciled by this version of Continuo: there is nothing to wait for`);
        return;
      }
      const waits = objects.map((object) =>
        awaitReady({ kube, temporal, definition, object, timeoutMs: flags.timeout, interrupt }),
      );
      const failed = (await Promise.allSettled(waits)).filter((result) => result.status === 'rejected');
      // The last one is left for the caller to print, with its exit code.
      for (const { reason } of failed.slice(0, -1)) printLine(`✗ ${reason instanceof Error ? reason.message : reason}`);
      const last = failed.at(-1);
      if (last) throw last.reason;
    });
  } finally {
    await temporal.close();
  }
}

/** The objects that the words and `--all` mean; at least one. */
async function select(
  kube: KubeClient,
  words: string[],
  { namespace, all }: SuspendFlags,
): Promise<{ definition: KindDefinition; objects: KubeObject[] }> {
  const { definition, names } = parseKindTarget(words);
  if (suspensionPatch(definition, true) === undefined) {
    throw usageError(`objects of the kind ${definition.kind} cannot be suspended: nothing of them is reconciled`);
  }
  if (all && names.length > 0) throw usageError('expected names or --all, got both');
  if (!all && names.length === 0) throw usageError(`expected the names of ${definition.plural}, or --all`);
  if (!all) {
    const objects = await Promise.all(names.map((name) => readObject(kube, definition, namespace, name)));
    return { definition, objects };
  }
  const { items } = await kube.list(await servedResource(kube, definition), { namespace });
  if (items.length === 0) throw new CommandError(`no ${definition.plural} found in namespace "${namespace}"`);
  return { definition, objects: items };
}

async function setSuspended(
  kube: KubeClient,
  definition: KindDefinition,
  object: KubeObject,
  isWanted: boolean,
): Promise<void> {
  const word = isWanted ? 'suspended' : 'resumed';
  if (isSuspended(object) === isWanted) {
    printLine(`✔ ${subjectOfObject(object)} ${isWanted ? 'was suspended already' : 'was not suspended'}`);
    return;
  }
  const options = { type: 'merge', fieldManager: cliFieldManager } as const;
  await kube.patch(refOf(object), suspensionPatch(definition, isWanted), options);
  printLine(`✔ ${subjectOfObject(object)} ${word}`);
}

/** The merge patch that suspends or resumes an object; undefined for a kind that cannot be suspended. */
export function suspensionPatch(definition: KindDefinition, isWanted: boolean): object | undefined {
  if (definition.kind === 'ArtifactGenerator') {
    const annotations = { 'source.extensions.fluxcd.io/reconcile': isWanted ? 'disabled' : null };
    return { metadata: { annotations } };
  }
  return 'suspend' in definition.spec.shape ? { spec: { suspend: isWanted ? true : null } } : undefined;
}
