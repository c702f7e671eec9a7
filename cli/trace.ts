// `continuo trace`: from any object to the Kustomization or HelmRelease that has applied it, its source and its revision.
import type { Command } from 'commander';
import { type KubeObject, type ObjectRef, refOf, subjectOf } from '../k8s/object.ts';
import { anyResource, type NamedObject, parseAnyTarget, refIn } from './any-kind.ts';
import { openTemporal, withCluster } from './connect.ts';
import { CommandError, usageError } from './exit.ts';
import {
  addClusterFlags,
  addOutputFlag,
  addTemporalFlags,
  type ClusterFlags,
  type OutputFormat,
  type TemporalFlags,
} from './flags.ts';
import { definitionOf } from './kinds.ts';
import { ageOf, formatValue, paint, shortHashes } from './output.ts';
import { oneLine } from './table.ts';
import { traceOwner } from './trace-owner.ts';
import { stepsFrom, type TraceContext, type TraceStep } from './trace-steps.ts';

interface TraceFlags extends ClusterFlags, TemporalFlags {
  kind?: string;
  apiVersion?: string;
  output?: OutputFormat;
}

/** What is known of one object. */
interface Trace {
  object: string;
  /** `Kind/namespace/name` of what owns it, nearest first. */
  owners: string[];
  steps: TraceStep[];
}

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('trace')
    .description('which Kustomization has applied an object, from which source and revision')
    .usage('<kind> <name...> [flags]')
    .argument('<kind-and-names...>', 'of any kind, such as "deployment web", "deploy/web cm/page", "namespace apps"')
    .option('--kind <kind>', 'the kind, where the words are names only; needs --api-version')
    .option('--api-version <group/version>', 'API version of --kind, such as "apps/v1"')
    .action(runTrace);
  addOutputFlag(addTemporalFlags(addClusterFlags(command)), ['json', 'yaml']);
}

async function runTrace(words: string[], flags: TraceFlags): Promise<void> {
  const { kind, apiVersion, output } = flags;
  if ((kind === undefined) !== (apiVersion === undefined))
    throw usageError('expected both of --kind and --api-version');
  const named = kind === undefined ? parseAnyTarget(words) : words.map((name) => ({ kind, name }));
  await withCluster(flags, async (kube) => {
    const context: TraceContext = { kube, temporal: openTemporal(flags) };
    const traces: Trace[] = [];
    for (const one of named) traces.push(await traceObject(context, await readAny(context, one, flags)));
    if (output === 'json' || output === 'yaml') {
      console.log(formatValue(traces.length === 1 ? traces[0] : traces, output));
    } else console.log(traces.map((trace) => linesOf(trace).join('\n')).join('\n\n'));
    const strays = traces.filter(({ steps }) => steps.length === 0).map(({ object }) => object);
    if (strays.length > 0) {
      throw new CommandError(
        `${strays.join(', ')} not applied by a Kustomization or HelmRelease: neither it nor its owners carry their labels`,
      );
    }
  });
}

async function readAny({ kube }: TraceContext, { kind, name }: NamedObject, flags: TraceFlags): Promise<KubeObject> {
  const ref = await refOfNamed();
  const object = await kube.get(ref);
  if (object) return object;
  const where = ref.namespace ? `: it was looked for in the namespace "${ref.namespace}" (see -n)` : '';
  throw new CommandError(`${subjectOf(ref)} not found (NotFound)${where}`);

  async function refOfNamed(): Promise<ObjectRef> {
    if (flags.apiVersion === undefined) return refIn(await anyResource(kube, kind), flags.namespace, name);
    const { group, version } = refOf({ apiVersion: flags.apiVersion, kind: String(kind), metadata: { name } });
    const resource = await kube.resourceFor(group, version, String(kind));
    if (resource) return refIn(resource, flags.namespace, name);
    throw new CommandError(`kind ${String(kind)} of ${flags.apiVersion} is not served by this cluster (NoKindMatch)`);
  }
}

async function traceObject(context: TraceContext, object: KubeObject): Promise<Trace> {
  const { applier, object: labelled, owners } = await traceOwner(context.kube, object);
  const named = applier ?? (definitionOf(labelled) && refOf(labelled));
  return {
    object: subjectOf(refOf(object)),
    owners: owners.map(subjectOf),
    steps: named ? await stepsFrom(context, named, applier && labelled) : [],
  };
}

function linesOf({ object, owners, steps }: Trace): string[] {
  return [
    ...rows([
      ['Object', object],
      ['Owned by', owners.join(', ')],
    ]),
    ...steps.flatMap((step) => ['---', ...stepLines(step)]),
  ];
}

function stepLines(step: TraceStep): string[] {
  const { status, message, lastReconciled } = step;
  const told = message && status ? `${paintStanding(status)}: ${shortHashes(oneLine(message))}` : status;
  const when = lastReconciled && `${lastReconciled} (${ageOf(lastReconciled, Date.now())} ago)`;
  return rows([
    [step.kind, `${step.namespace}/${step.name}`],
    ['URL', step.url],
    ['Ref', step.ref],
    ['Path', step.path],
    ['Revision', step.revision],
    ['Status', step.exists ? told : paint('red', 'not found: it does not exist (any more)')],
    ['Reconciled', when],
    ['Applied by', step.appliedBy],
    ['Workflow', step.workflow],
    ['Note', step.note],
  ]);
}

const titleWidth = 'ExternalArtifact:'.length + 2;

function rows(facts: readonly (readonly [string, string | undefined])[]): string[] {
  return facts.filter(([, value]) => value).map(([title, value]) => `${`${title}:`.padEnd(titleWidth)}${value}`);
}

function paintStanding(status: string): string {
  if (status === 'Ready') return paint('green', status);
  return paint(/^(Failed|Stalled)/.test(status) ? 'red' : 'yellow', status);
}
