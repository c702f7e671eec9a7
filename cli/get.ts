// `continuo get`: objects of our kinds and how they stand.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type KindDefinition, resourceOf } from '../k8s/api/definition.ts';
import { definitions } from '../k8s/api/index.ts';
import type { KubeClient, ListOptions } from '../k8s/client.ts';
import type { KubeObject } from '../k8s/object.ts';
import { withCluster } from './connect.ts';
import { usageError } from './exit.ts';
import { addAllNamespacesFlag, addClusterFlags, addOutputFlag, type ClusterFlags, type OutputFormat } from './flags.ts';
import { parseTarget, type Target } from './kinds.ts';
import { objectColumns } from './object-columns.ts';
import { readObject, servedResource } from './objects.ts';
import { formatObjects, formatValue, withoutManagedFields } from './output.ts';
import { statusOf } from './readiness.ts';
import { createTable } from './table.ts';
import { onInterrupt, watchObjects } from './watch-objects.ts';

interface GetFlags extends ClusterFlags {
  output?: OutputFormat;
  watch?: boolean;
  selector?: string;
  /** The same as `selector`, by flux's name. */
  labelSelector?: string;
  statusSelector?: StatusSelector;
  /** False with `--no-headers`, and with `--no-header`, flux's name for it. */
  headers: boolean;
  header: boolean;
}

interface StatusSelector {
  condition: string;
  status: string;
}

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('get')
    .description('list objects: their revision and whether they are ready')
    .usage('[kind [name...]] [flags]')
    .argument(
      '[kind-and-names...]',
      'such as "ks", "ks demo", "ks/demo", "source git", "sources all"; nothing: all kinds that have objects',
    )
    .option('-w, --watch', 'print every change after the list')
    .option('-l, --selector <labels>', 'only objects with these labels')
    .addOption(new Option('--label-selector <labels>').hideHelp())
    .option(
      '--status-selector <condition=status>',
      'only objects with a condition like this, such as ready=false',
      parseStatusSelector,
    )
    .option('--no-headers', 'print no titles')
    .addOption(new Option('--no-header').hideHelp())
    .action((words: string[], { labelSelector, header, ...flags }: GetFlags) =>
      runGet(words, {
        ...flags,
        header,
        selector: flags.selector ?? labelSelector,
        headers: flags.headers && header,
      }),
    );
  addOutputFlag(addAllNamespacesFlag(addClusterFlags(command)), ['wide', 'json', 'yaml', 'name']);
}

async function runGet(words: string[], flags: GetFlags): Promise<void> {
  const target = parseTarget(words);
  if (target.names.length > 0 && flags.allNamespaces) {
    throw usageError('a name is looked up in one namespace: expected --namespace, got --all-namespaces');
  }
  if (target.names.length > 0 && flags.selector) throw usageError('expected names or --selector, got both');
  if (flags.watch && !target.definition)
    throw usageError('--watch needs a kind: expected for example "get ks --watch"');
  if (flags.watch && target.names.length > 1)
    throw usageError('--watch follows one object or all of a kind, got several names');
  await withCluster(flags, (kube) => (flags.watch ? watch(kube, target, flags) : list(kube, target, flags)));
}

async function list(kube: KubeClient, target: Target, flags: GetFlags): Promise<void> {
  const groups = (await readAll(kube, target, flags)).map((group) => group.filter((object) => isAsked(object, flags)));
  const objects = groups.flat();
  if (flags.output && flags.output !== 'wide') {
    console.log(formatObjects(objects, flags.output, target.names.length === 1));
    return;
  }
  if (objects.length === 0) {
    const where = flags.allNamespaces ? 'any namespace' : `namespace "${flags.namespace}" (see -A)`;
    console.error(`no ${target.definition?.plural ?? 'objects of Flux kinds'} found in ${where}`);
    return;
  }
  const blocks = groups
    .filter((group) => group.length > 0)
    .map((group) => {
      const table = tableOf(flags, target.definition === undefined);
      const lines = table.lines(group);
      return (flags.headers ? [table.header(), ...lines] : lines).join('\n');
    });
  console.log(blocks.join('\n\n'));
}

/** Prints what is there, then a line for every change, until Ctrl-C. */
async function watch(kube: KubeClient, target: Target, flags: GetFlags): Promise<void> {
  const resource = await servedResource(kube, target.definition as KindDefinition);
  const table = tableOf(flags, false);
  let isFirst = true;
  const print = (objects: KubeObject[]): void => {
    const { output } = flags;
    if (output === 'name') console.log(formatObjects(objects, output, false));
    else if (output === 'json' || output === 'yaml') {
      for (const object of objects) {
        console.log((output === 'yaml' ? '---\n' : '') + formatValue(withoutManagedFields(object), output));
      }
    } else {
      const lines = table.lines(objects);
      console.log((isFirst && flags.headers ? [table.header(), ...lines] : lines).join('\n'));
    }
    isFirst = false;
  };
  const [name] = target.names;
  const fieldSelector = name === undefined ? undefined : `metadata.name=${name}`;
  const { signal } = onInterrupt();
  for await (const change of watchObjects(kube, resource, { ...listOptionsOf(flags), fieldSelector, signal })) {
    const objects = change.type === 'LISTED' ? change.objects : [change.object];
    const asked = objects.filter((object) => isAsked(object, flags));
    if (asked.length > 0) print(asked);
  }
}

/** `ready=false`, whatever the case. Throws what commander shows for anything else. */
export function parseStatusSelector(text: string): StatusSelector {
  const [condition, status, ...rest] = text.split('=');
  if (condition && status && rest.length === 0) return { condition, status };
  throw new InvalidArgumentError(`expected "<condition>=<status>" such as "ready=false", got "${text}"`);
}

function isAsked(object: KubeObject, { statusSelector }: Pick<GetFlags, 'statusSelector'>): boolean {
  if (!statusSelector) return true;
  const isLike = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();
  const { conditions = [] } = statusOf(object);
  return conditions.some(
    ({ type, status }) => isLike(type, statusSelector.condition) && isLike(status, statusSelector.status),
  );
}

/** One group of objects for each kind. */
async function readAll(kube: KubeClient, target: Target, flags: GetFlags): Promise<KubeObject[][]> {
  const { definition, names } = target;
  if (!definition) {
    return await Promise.all((target.definitions ?? definitions).map((each) => readKind(kube, each, flags)));
  }
  if (names.length === 0) return [await readKind(kube, definition, flags, true)];
  const objects = await Promise.all(names.map((name) => readObject(kube, definition, flags.namespace, name)));
  return [objects];
}

async function readKind(
  kube: KubeClient,
  definition: KindDefinition,
  flags: GetFlags,
  isNeeded = false,
): Promise<KubeObject[]> {
  const { group, version, kind } = resourceOf(definition);
  const resource = isNeeded ? await servedResource(kube, definition) : await kube.resourceFor(group, version, kind);
  if (!resource) return [];
  const { items } = await kube.list(resource, listOptionsOf(flags));
  return items.sort((a, b) => keyOf(a).localeCompare(keyOf(b)));
}

function listOptionsOf(flags: GetFlags): ListOptions {
  return { namespace: flags.allNamespaces ? undefined : flags.namespace, labelSelector: flags.selector };
}

function tableOf(flags: GetFlags, hasKind: boolean) {
  return createTable(
    objectColumns({
      isWide: flags.output === 'wide',
      hasNamespace: flags.allNamespaces === true,
      hasKind,
      nowMs: () => Date.now(),
    }),
  );
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}
