// `continuo events`: what happened to our objects, oldest first, in kubectl's columns.
import { type Command, InvalidArgumentError } from 'commander';
import { definitions } from '../k8s/api/index.ts';
import type { KubeClient, ListOptions, ResourceInfo } from '../k8s/client.ts';
import { type KubeObject, splitApiVersion } from '../k8s/object.ts';
import { withCluster } from './connect.ts';
import { addAllNamespacesFlag, addClusterFlags, addOutputFlag, type ClusterFlags, type OutputFormat } from './flags.ts';
import { kindOf } from './kinds.ts';
import { ageOf, formatObjects, formatValue, paint, shortHashes, withoutManagedFields } from './output.ts';
import { type Column, createTable } from './table.ts';
import { onInterrupt, watchObjects } from './watch-objects.ts';

const eventTypes = ['Normal', 'Warning'] as const;

interface EventFlags extends ClusterFlags {
  for?: { kind: string; name: string };
  types?: string[];
  watch?: boolean;
  output?: OutputFormat;
  headers: boolean;
}

/** A core/v1 Event; only what is shown. */
interface KubeEvent extends KubeObject {
  involvedObject: { apiVersion?: string; kind: string; namespace?: string; name: string };
  type?: string;
  reason?: string;
  message?: string;
  count?: number;
  series?: { count?: number; lastObservedTime?: string };
  firstTimestamp?: string | null;
  lastTimestamp?: string | null;
  eventTime?: string | null;
}

const eventResource: ResourceInfo = { group: '', version: 'v1', kind: 'Event', resource: 'events', namespaced: true };
const ourGroups = new Set(definitions.map((definition) => definition.group));

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('events')
    .description('events of objects of Flux kinds, oldest first')
    .option(
      '--for <kind/name>',
      'only events of this object, of any kind, such as "ks/demo" or "Deployment/web"',
      parseFor,
    )
    .option('--types <types>', 'only events of these types: Normal, Warning', parseTypes)
    .option('-w, --watch', 'go on with events as they come')
    .option('--no-headers', 'print no titles')
    .action(runEvents);
  addOutputFlag(addAllNamespacesFlag(addClusterFlags(command)), ['json', 'yaml']);
}

async function runEvents(flags: EventFlags): Promise<void> {
  await withCluster(flags, (kube) => (flags.watch ? watch(kube, flags) : list(kube, flags)));
}

async function list(kube: KubeClient, flags: EventFlags): Promise<void> {
  const { items } = await kube.list(eventResource, listOptionsOf(flags));
  const events = selectEvents(items as KubeEvent[], flags);
  if (flags.output && flags.output !== 'wide') {
    console.log(formatObjects(events, flags.output, false));
    return;
  }
  if (events.length === 0) {
    console.error(
      `no events found in ${flags.allNamespaces ? 'any namespace' : `namespace "${flags.namespace}" (see -A)`}`,
    );
    return;
  }
  const table = createTable(eventColumns(flags.allNamespaces === true));
  const lines = table.lines(events);
  console.log((flags.headers ? [table.header(), ...lines] : lines).join('\n'));
}

async function watch(kube: KubeClient, flags: EventFlags): Promise<void> {
  const { signal } = onInterrupt();
  const table = createTable(eventColumns(flags.allNamespaces === true));
  let isFirst = true;
  for await (const change of watchObjects(kube, eventResource, { ...listOptionsOf(flags), signal })) {
    if (change.type === 'DELETED') continue;
    const events = selectEvents((change.type === 'LISTED' ? change.objects : [change.object]) as KubeEvent[], flags);
    if (events.length === 0) continue;
    if (flags.output === 'json' || flags.output === 'yaml') {
      const separator = flags.output === 'yaml' ? '---\n' : '';
      for (const event of events) console.log(separator + formatValue(withoutManagedFields(event), flags.output));
      continue;
    }
    const lines = table.lines(events);
    console.log((isFirst && flags.headers ? [table.header(), ...lines] : lines).join('\n'));
    isFirst = false;
  }
}

/** Those that are asked for, oldest first. Without `--for`, the events of our kinds. */
export function selectEvents<E extends KubeEvent>(events: readonly E[], flags: Pick<EventFlags, 'for' | 'types'>): E[] {
  return events
    .filter((event) => (flags.for ? isAbout(event, flags.for) : isOurs(event)))
    .filter((event) => !flags.types || flags.types.includes(event.type ?? 'Normal'))
    .sort((a, b) => Date.parse(lastSeen(a)) - Date.parse(lastSeen(b)));
}

function isOurs(event: KubeEvent): boolean {
  return ourGroups.has(splitApiVersion(event.involvedObject.apiVersion ?? '').group);
}

function isAbout({ involvedObject }: KubeEvent, { kind, name }: { kind: string; name: string }): boolean {
  return involvedObject.name === name && involvedObject.kind.toLowerCase() === kind.toLowerCase();
}

function listOptionsOf(flags: EventFlags): ListOptions {
  const fieldSelector = flags.for && `involvedObject.name=${flags.for.name}`;
  return { namespace: flags.allNamespaces ? undefined : flags.namespace, fieldSelector };
}

function eventColumns(hasNamespace: boolean): Column<KubeEvent>[] {
  return [
    ...(hasNamespace ? [{ title: 'NAMESPACE', value: (e: KubeEvent) => e.metadata.namespace ?? '' }] : []),
    { title: 'LAST SEEN', value: seenCell },
    { title: 'TYPE', value: (e) => e.type ?? '', paint: (text) => (text === 'Warning' ? paint('yellow', text) : text) },
    { title: 'REASON', value: (e) => e.reason ?? '' },
    { title: 'OBJECT', value: (e) => `${e.involvedObject.kind.toLowerCase()}/${e.involvedObject.name}` },
    { title: 'MESSAGE', value: (e) => shortHashes(e.message ?? '') },
  ];
}

/** `5s`, or for one that was repeated `5s (x3 over 2m)`. */
function seenCell(event: KubeEvent): string {
  const nowMs = Date.now();
  const count = event.series?.count ?? event.count ?? 1;
  const age = ageOf(lastSeen(event), nowMs);
  return count > 1
    ? `${age} (x${count} over ${ageOf(event.firstTimestamp ?? event.eventTime ?? undefined, nowMs)})`
    : age;
}

function lastSeen(event: KubeEvent): string {
  const { creationTimestamp = '' } = event.metadata;
  return event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? creationTimestamp;
}

/** Our kinds by any of their names, other kinds as they are written. */
function parseFor(text: string): { kind: string; name: string } {
  const [kind, name, ...rest] = text.split('/');
  if (!kind || !name || rest.length > 0 || /[,=!]/.test(text)) {
    throw new InvalidArgumentError(`expected "<kind>/<name>" such as "ks/demo", got "${text}"`);
  }
  return { kind: kindOf(kind)?.kind ?? kind, name };
}

function parseTypes(text: string): string[] {
  return text.split(',').map((word) => {
    const type = eventTypes.find((known) => known.toLowerCase() === word.trim().toLowerCase());
    if (type) return type;
    throw new InvalidArgumentError(`expected ${eventTypes.join(' or ')}, got "${word}"`);
  });
}
