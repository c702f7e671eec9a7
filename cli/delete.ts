// `continuo delete`: deletes objects of our kinds, after a question that says what goes with them, and waits for it.
import type { Command } from 'commander';
import type { KindDefinition } from '../k8s/api/definition.ts';
import type { HelmRelease } from '../k8s/api/helm-release.ts';
import type { Kustomization } from '../k8s/api/kustomization.ts';
import type { KubeClient } from '../k8s/client.ts';
import { type KubeObject, refOf } from '../k8s/object.ts';
import { confirm } from './confirm.ts';
import { withCluster } from './connect.ts';
import { CommandError, exitCodes, usageError } from './exit.ts';
import { addClusterFlags, addTimeoutFlag, type ClusterFlags } from './flags.ts';
import { parseKindTarget } from './kinds.ts';
import { readObject, servedResource, subjectOfObject } from './objects.ts';
import { printLine, shortDuration, shortHashes } from './output.ts';
import { conditionOf } from './readiness.ts';
import { oneLine } from './table.ts';
import { onInterrupt, watchObjects } from './watch-objects.ts';

interface DeleteFlags extends ClusterFlags {
  silent?: boolean;
  /** False with `--no-wait`. */
  wait: boolean;
  timeout: number;
}

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('delete')
    .description('delete objects, after a question; what a Kustomization has applied goes with it if it prunes')
    .usage('<kind> <name...> [flags]')
    .argument('<kind-and-names...>', 'such as "ks demo", "ks/demo", "source git demo"')
    .option('-s, --silent', 'do not ask')
    .option('--no-wait', 'do not wait until they are gone')
    .action(runDelete);
  addTimeoutFlag(addClusterFlags(command));
}

async function runDelete(words: string[], flags: DeleteFlags): Promise<void> {
  const { definition, names } = parseKindTarget(words);
  if (names.length === 0) throw usageError(`expected the names of ${definition.plural} to delete`);
  const interrupt = onInterrupt().signal;
  await withCluster(flags, async (kube) => {
    const objects = await Promise.all(names.map((name) => readObject(kube, definition, flags.namespace, name)));
    if (!flags.silent) {
      const questions = objects.map((object) => `Delete ${subjectOfObject(object)}${consequenceOf(object)}?`);
      await confirm(questions.join(' '), interrupt, 'nothing was deleted');
    }
    for (const object of objects) {
      const { uid } = object.metadata;
      await kube.delete(refOf(object), { uid, propagationPolicy: 'Background' });
      printLine(`► ${subjectOfObject(object)}: deletion requested`);
    }
    if (!flags.wait) return;
    const waits = objects.map((object) => awaitGone(kube, definition, object, flags.timeout, interrupt));
    await Promise.all(waits);
  });
}

/** What goes with the object, as a person should know before (contract 2.1, "deletion"). */
export function consequenceOf(object: KubeObject): string {
  if (object.kind === 'HelmRelease') return consequenceOfRelease(object as HelmRelease);
  if (object.kind !== 'Kustomization') return '';
  const { spec, status } = object as Kustomization;
  const count = status?.inventory?.entries.length ?? 0;
  if (count === 0) return '';
  const objects = count === 1 ? 'object' : 'objects';
  const policy = spec.deletionPolicy ?? 'MirrorPrune';
  const isKept = spec.suspend || policy === 'Orphan' || (policy === 'MirrorPrune' && !spec.prune);
  const why = spec.suspend
    ? 'it is suspended'
    : policy === 'Orphan'
      ? 'its deletionPolicy is Orphan'
      : 'it does not prune';
  return isKept
    ? ` and leave the ${count} ${objects} that it has applied, as ${why}`
    : ` and the ${count} ${objects} that it has applied`;
}

/** A release is uninstalled, unless its HelmRelease is suspended (contract 2.2, step 1). */
function consequenceOfRelease({ spec, status }: HelmRelease): string {
  const last = status?.history?.[0];
  if (!last) return '';
  const release = `the release "${last.namespace}/${last.name}"`;
  return spec.suspend ? ` and leave ${release} as it is, as it is suspended` : ` and uninstall ${release}`;
}

/** Throws a {@link CommandError} that says what holds the object: exit code 3 after the time-out. */
async function awaitGone(
  kube: KubeClient,
  definition: KindDefinition,
  object: KubeObject,
  timeoutMs: number,
  interrupt: AbortSignal,
): Promise<void> {
  const subject = subjectOfObject(object);
  const { namespace, name, uid } = object.metadata;
  const resource = await servedResource(kube, definition);
  const done = new AbortController();
  const signal = AbortSignal.any([done.signal, AbortSignal.timeout(timeoutMs), interrupt]);
  const scope = { namespace, fieldSelector: `metadata.name=${name}`, signal };
  let last = object;
  try {
    for await (const change of watchObjects(kube, resource, scope)) {
      const seen = change.type === 'LISTED' ? change.objects[0] : change.object;
      const isGone = !seen || change.type === 'DELETED' || seen.metadata.uid !== uid;
      if (!isGone) {
        last = seen;
        continue;
      }
      printLine(`✔ ${subject} deleted`);
      return;
    }
  } finally {
    done.abort();
  }
  if (interrupt.aborted)
    throw new CommandError(`${subject} is not followed any more; its deletion goes on`, exitCodes.interrupted);
  throw new CommandError(`${subject} not gone within ${shortDuration(timeoutMs)}${holding(last)}`, exitCodes.timedOut);
}

function holding(object: KubeObject): string {
  const { finalizers = [] } = object.metadata;
  const ready = conditionOf(object, 'Ready');
  const told = ready?.status === 'False' ? ` (${ready.reason}: ${shortHashes(oneLine(ready.message))})` : '';
  return finalizers.length > 0
    ? `: the finalizer ${finalizers.map((one) => `"${one}"`).join(', ')} holds it${told}; does a worker run?`
    : told;
}
