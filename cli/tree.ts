// `continuo tree`: what a Kustomization or a HelmRelease has applied, what those among it have, and how all of it stands.
import type { Command } from 'commander';
import { runConcurrently } from '../activities/apply/concurrently.ts';
import { healthOf } from '../activities/health/status.ts';
import type { HelmRelease } from '../k8s/api/helm-release.ts';
import type { Kustomization } from '../k8s/api/kustomization.ts';
import type { KubeClient } from '../k8s/client.ts';
import { joinApiVersion, type KubeObject, type ObjectRef, refOf, refOfInventoryEntry } from '../k8s/object.ts';
import { compareForApply } from '../activities/apply/order.ts';
import { withCluster } from './connect.ts';
import { addClusterFlags, addOutputFlag, type ClusterFlags, type OutputFormat } from './flags.ts';
import { usageError } from './exit.ts';
import { definitionOf, parseObjectTarget } from './kinds.ts';
import { readObject } from './objects.ts';
import { formatValue } from './output.ts';
import { isSuspended, readinessOf } from './readiness.ts';
import { compactTree, treeLines, type TreeNode } from './tree-lines.ts';

interface TreeFlags extends ClusterFlags {
  compact?: boolean;
  output?: OutputFormat;
}

const concurrentReads = 8;

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('tree')
    .description('what a Kustomization or a HelmRelease has applied, as a tree, and how it stands')
    .usage('<kind> <name> [flags]')
    .argument('<kind-and-name...>', 'such as "kustomization demo", "ks/demo", "hr demo"')
    .option('--compact', 'only objects of Flux kinds')
    .action(runTree);
  addOutputFlag(addClusterFlags(command), ['json', 'yaml']);
}

async function runTree(words: string[], flags: TreeFlags): Promise<void> {
  const { definition, name } = parseObjectTarget(words);
  if (definition.kind !== 'Kustomization' && definition.kind !== 'HelmRelease') {
    throw usageError(`expected a Kustomization or a HelmRelease, got a ${definition.kind}`);
  }
  await withCluster(flags, async (kube) => {
    const object = await readObject(kube, definition, flags.namespace, name);
    const whole = await nodeOf(kube, refOf(object), object, new Set());
    const tree = flags.compact ? compactTree(whole, (node) => definitionOf(node) !== undefined) : whole;
    if (flags.output === 'json' || flags.output === 'yaml') console.log(formatValue(tree, flags.output));
    else console.log(treeLines(tree).join('\n'));
  });
}

/** `above` is what lies on the way from the root: an object that applies itself is not opened again. */
async function nodeOf(
  kube: KubeClient,
  ref: ObjectRef,
  object: KubeObject | undefined,
  above: ReadonlySet<string>,
): Promise<TreeNode> {
  const node = leafOf(ref, standingOf(object));
  const key = `${ref.kind}/${ref.namespace}/${ref.name}`;
  if (!hasInventory(object) || above.has(key)) return node;
  const refs = (object.status?.inventory?.entries ?? []).map(refOfInventoryEntry).sort(compareForApply);
  if (object.spec.kubeConfig) {
    const standing = { status: 'Remote', message: 'is in the cluster of spec.kubeConfig' };
    return { ...node, children: refs.map((child) => leafOf(child, standing)) };
  }
  const path = new Set([...above, key]);
  const read = async (child: ObjectRef): Promise<TreeNode> => nodeOf(kube, child, await kube.get(child), path);
  const outcomes = await runConcurrently(refs, concurrentReads, read);
  const children = outcomes.map((outcome, index) => {
    if (outcome?.status === 'fulfilled') return outcome.value;
    const message = outcome?.reason instanceof Error ? outcome.reason.message : String(outcome?.reason);
    return leafOf(refs[index] as ObjectRef, { status: 'Unknown', message });
  });
  return { ...node, children };
}

interface Standing {
  status: string;
  message: string;
}

function leafOf(ref: ObjectRef, standing: Standing): TreeNode {
  const { kind, namespace, name } = ref;
  return { apiVersion: joinApiVersion(ref), kind, ...(namespace && { namespace }), name, ...standing, children: [] };
}

/** What is of our kinds says more of itself than the words of health do. */
function standingOf(object: KubeObject | undefined): Standing {
  const definition = object && definitionOf(object);
  if (object && definition?.status && !object.metadata.deletionTimestamp) {
    if (isSuspended(object)) return { status: 'Suspended', message: '' };
    const { state, message } = readinessOf(object);
    const status = { ready: 'Ready', progressing: 'InProgress', failed: 'Failed', stalled: 'Failed' }[state];
    return { status, message };
  }
  const { status, message } = healthOf(object);
  return { status, message: status === 'Current' || status === 'NotFound' ? '' : message };
}

function hasInventory(object: KubeObject | undefined): object is Kustomization | HelmRelease {
  const kind = object && definitionOf(object)?.kind;
  return kind === 'Kustomization' || kind === 'HelmRelease';
}
