// `continuo export`: objects as a person would write them, for a file in Git: without status and bookkeeping.
import type { Command } from 'commander';
import type { KubeObject } from '../k8s/object.ts';
import { withCluster } from './connect.ts';
import { CommandError, usageError } from './exit.ts';
import { addAllNamespacesFlag, addClusterFlags, addOutputFlag, type ClusterFlags, type OutputFormat } from './flags.ts';
import { parseKindTarget } from './kinds.ts';
import { readObject, servedResource } from './objects.ts';
import { formatDocuments, formatObjects } from './output.ts';

interface ExportFlags extends ClusterFlags {
  all?: boolean;
  output?: OutputFormat;
}

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('export')
    .description('print objects as YAML for a file: what was written, without status')
    .usage('<kind> <name...>|--all [flags]')
    .argument('<kind-and-names...>', 'such as "ks demo", "ks/demo", "source git demo"')
    .option('--all', 'all objects of the kind in the namespace')
    .action(runExport);
  addOutputFlag(addAllNamespacesFlag(addClusterFlags(command)), ['json', 'yaml']);
}

async function runExport(words: string[], flags: ExportFlags): Promise<void> {
  const { definition, names } = parseKindTarget(words);
  const isAll = flags.all === true || flags.allNamespaces === true;
  if (isAll && names.length > 0) throw usageError('expected names or --all, got both');
  if (!isAll && names.length === 0) throw usageError(`expected the names of ${definition.plural}, or --all`);
  await withCluster(flags, async (kube) => {
    let objects: KubeObject[];
    if (isAll) {
      const namespace = flags.allNamespaces ? undefined : flags.namespace;
      objects = (await kube.list(await servedResource(kube, definition), { namespace })).items;
      if (objects.length === 0) {
        const where = namespace === undefined ? 'any namespace' : `namespace "${namespace}" (see -A)`;
        throw new CommandError(`no ${definition.plural} found in ${where}`);
      }
    } else objects = await Promise.all(names.map((name) => readObject(kube, definition, flags.namespace, name)));
    const shown = objects.map(asWritten);
    console.log(flags.output === 'json' ? formatObjects(shown, 'json', names.length === 1) : formatDocuments(shown));
  });
}

/** Set by tools at work, not by whoever wrote the object. */
const bookkeeping = [
  'kubectl.kubernetes.io/last-applied-configuration',
  'reconcile.fluxcd.io/requestedAt',
  'reconcile.fluxcd.io/forceAt',
  'reconcile.fluxcd.io/resetAt',
];

/** Identity, labels, annotations and spec. */
export function asWritten({ apiVersion, kind, metadata, spec }: KubeObject): KubeObject {
  const annotations = Object.fromEntries(
    Object.entries(metadata.annotations ?? {}).filter(([key]) => !bookkeeping.includes(key)),
  );
  const labels = metadata.labels ?? {};
  return {
    apiVersion,
    kind,
    metadata: {
      name: metadata.name,
      namespace: metadata.namespace,
      ...(Object.keys(labels).length > 0 && { labels }),
      ...(Object.keys(annotations).length > 0 && { annotations }),
    },
    spec,
  };
}
