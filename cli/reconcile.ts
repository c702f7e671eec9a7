// `continuo reconcile`: asks for a reconcile as flux does, by the annotation, and follows it to its end.
import { forceAtAnnotation, requestedAtAnnotation, resetAtAnnotation } from '../k8s/api/annotations.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { KindDefinition } from '../k8s/api/definition.ts';
import { type Kind, kinds } from '../k8s/api/index.ts';
import type { HelmChart } from '../k8s/api/helm-chart.ts';
import type { HelmRelease } from '../k8s/api/helm-release.ts';
import type { Kustomization } from '../k8s/api/kustomization.ts';
import type { KubeClient } from '../k8s/client.ts';
import { type KubeObject, type NamespacedName, refOf } from '../k8s/object.ts';
import { isStatic } from '../k8s/static-objects.ts';
import type { ReconciledRef } from '../workflows/messages.ts';
import { openTemporal, type TemporalAccess, withCluster } from './connect.ts';
import { CommandError, usageError } from './exit.ts';
import { addClusterFlags, addTemporalFlags, addTimeoutFlag, type ClusterFlags, type TemporalFlags } from './flags.ts';
import { followObject } from './follow.ts';
import type { HistoryRow } from './history-rows.ts';
import { parseObjectTarget, wordOf } from './kinds.ts';
import { cliFieldManager, readObject, subjectOfObject } from './objects.ts';
import { printLine, shortDuration, shortHashes } from './output.ts';
import { isSuspended, readinessOf, statusOf } from './readiness.ts';
import { readHistory } from './read-history.ts';
import { changeLines } from './run-record.ts';
import { oneLine } from './table.ts';
import { onInterrupt } from './watch-objects.ts';
import { isReconciledKind } from './workflow-view.ts';

interface ReconcileFlags extends ClusterFlags, TemporalFlags {
  withSource?: boolean;
  force?: boolean;
  reset?: boolean;
  timeout: number;
}

interface ReconcileContext {
  kube: KubeClient;
  temporal: TemporalAccess;
  timeoutMs: number;
  interrupt: AbortSignal;
  isForced: boolean;
  isReset: boolean;
}

/** The status says Ready a moment before the workflow has noted its record. */
const recordWithinMs = 3_000;
/** A new artifact may have brought a reconcile just before the one that was asked for: their changes are shown together. */
const mostShown = 5;

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('reconcile')
    .description('reconcile an object now, show its phases, what changed and the result')
    .usage('<kind> <name> [flags]')
    .argument('<kind-and-name...>', 'such as "ks demo", "ks/demo", "source git demo"')
    .option('--with-source', 'reconcile its source first (Kustomization, HelmRelease, HelmChart)')
    .option('--force', 'do all of it again: compare what is known to be unchanged, upgrade a release that is in sync')
    .option('--reset', 'forget the failures that were counted (HelmRelease)')
    .action(runReconcile);
  addTimeoutFlag(addTemporalFlags(addClusterFlags(command)));
}

async function runReconcile(words: string[], flags: ReconcileFlags): Promise<void> {
  const { definition, name } = parseObjectTarget(words);
  if (flags.withSource && !['Kustomization', 'HelmRelease', 'HelmChart'].includes(definition.kind)) {
    throw usageError(`--with-source is for a Kustomization, a HelmRelease or a HelmChart, got a ${definition.kind}`);
  }
  if (flags.reset && definition.kind !== 'HelmRelease') {
    throw usageError(`--reset is for a HelmRelease, got a ${definition.kind}`);
  }
  const interrupt = onInterrupt().signal;
  const temporal = openTemporal(flags);
  try {
    await withCluster(flags, async (kube) => {
      const context = {
        kube,
        temporal,
        timeoutMs: flags.timeout,
        interrupt,
        isForced: flags.force === true,
        isReset: flags.reset === true,
      };
      const object = await readObject(kube, definition, flags.namespace, name);
      refuseSuspended(object, definition);
      const before = await newestStart(temporal, object);
      if (flags.withSource) await reconcileSources(context, object);
      await reconcileObject(context, definition, object, before);
    });
  } finally {
    await temporal.close();
  }
}

interface SourceRef {
  kind: Kind;
  namespace: string;
  name: string;
}

/** In the order in which they depend on each other. */
async function reconcileSources(context: ReconcileContext, object: KubeObject): Promise<void> {
  for (const { kind, namespace, name } of await sourcesOf(context.kube, object)) {
    const definition: KindDefinition = kinds[kind];
    const source = await readObject(context.kube, definition, namespace, name);
    // The address of a registry: there is nothing to fetch from it on its own. Nor does anybody here make an ExternalArtifact.
    if (isStatic(source) || kind === 'ExternalArtifact') continue;
    refuseSuspended(source, definition);
    const before = await newestStart(context.temporal, source);
    await reconcileObject({ ...context, isForced: false, isReset: false }, definition, source, before);
  }
}

async function sourcesOf(kube: KubeClient, object: KubeObject): Promise<SourceRef[]> {
  const own = object.metadata.namespace ?? '';
  if (object.kind === 'Kustomization') {
    const { sourceRef } = (object as Kustomization).spec;
    return [{ ...sourceRef, namespace: sourceRef.namespace ?? own }];
  }
  if (object.kind === 'HelmChart') {
    const { kind, name } = (object as HelmChart).spec.sourceRef;
    return [{ kind, namespace: own, name }];
  }
  const { chart, chartRef } = (object as HelmRelease).spec;
  if (chartRef && chartRef.kind !== 'HelmChart') return [{ ...chartRef, namespace: chartRef.namespace ?? own }];
  const ref = chartRef
    ? { namespace: chartRef.namespace ?? own, name: chartRef.name }
    : { namespace: chart?.spec.sourceRef.namespace ?? own, name: `${own}-${object.metadata.name}` };
  const { spec } = (await readObject(kube, kinds.HelmChart, ref.namespace, ref.name)) as HelmChart;
  return [
    { kind: spec.sourceRef.kind, namespace: ref.namespace, name: spec.sourceRef.name },
    { kind: 'HelmChart', ...ref },
  ];
}

/**
 * Asks, follows, and prints the result, with what was reconciled since `before`.
 * Throws a {@link CommandError} when the object is not ready after it.
 */
async function reconcileObject(
  context: ReconcileContext,
  definition: KindDefinition,
  object: KubeObject,
  before: string,
): Promise<void> {
  const { kube, temporal, timeoutMs, interrupt, isForced, isReset } = context;
  const { kind } = definition;
  const subject = subjectOfObject(object);
  if (!isReconciledKind(kind)) {
    const why =
      kind === 'ExternalArtifact'
        ? 'its status is written by who makes it'
        : `this version of Continuo does not reconcile a ${kind} yet`;
    throw new CommandError(`${subject} cannot be reconciled: ${why}`);
  }
  if (isStatic(object)) {
    printLine(`✔ ${subject} is the address of a registry: there is nothing to reconcile`);
    return;
  }
  const ref: NamespacedName = { namespace: object.metadata.namespace ?? '', name: object.metadata.name };
  const handled = statusOf(object).lastHandledReconcileAt;
  const stamp = new Date().toISOString();
  const annotations = {
    [requestedAtAnnotation]: stamp,
    ...(isForced ? { [forceAtAnnotation]: stamp } : {}),
    ...(isReset ? { [resetAtAnnotation]: stamp } : {}),
  };
  await kube.patch(refOf(object), { metadata: { annotations } }, { type: 'merge', fieldManager: cliFieldManager });
  printLine(`► ${subject}: reconcile requested`);

  const isOver = (now: KubeObject): boolean =>
    statusOf(now).lastHandledReconcileAt !== handled && (isSuspended(now) || readinessOf(now).state !== 'progressing');
  const report = printLine;
  const over = await followObject({ kube, temporal, definition, ref, isOver, timeoutMs, interrupt, report });
  refuseSuspended(over, definition);
  const reconciles = await reconcilesSince(temporal, { kind, ...ref }, before);
  for (const line of reconciles.flatMap(changeLines)) console.log(`  ${line}`);

  const { state, reason, message } = readinessOf(over);
  const text = shortHashes(oneLine(message));
  if (state !== 'ready') throw new CommandError(`${subject} is not ready (${reason}): ${text}`);
  printLine(`✔ ${subject} is ready: ${text}${tookOf(reconciles)}`);
}

function refuseSuspended(object: KubeObject, definition: KindDefinition): void {
  if (!isSuspended(object)) return;
  const { namespace, name } = object.metadata;
  throw new CommandError(
    `${subjectOfObject(object)} is suspended and not reconciled: resume it first with ` +
      `"continuo resume ${wordOf(definition)} ${name} -n ${namespace}"`,
  );
}

/** ` (85ms)`: how long the reconciles took together; empty when that is not known. */
function tookOf(reconciles: readonly HistoryRow[]): string {
  const durationMs = reconciles.reduce((sum, row) => sum + (row.durationMs ?? 0), 0);
  return reconciles.length > 0 ? ` (${shortDuration(durationMs)})` : '';
}

/** When the newest reconcile started, by the worker's clock; empty when Temporal knows none or is away. */
async function newestStart(temporal: TemporalAccess, { kind, metadata }: KubeObject): Promise<string> {
  if (!isReconciledKind(kind)) return '';
  const ref = { kind, namespace: metadata.namespace ?? '', name: metadata.name };
  const { rows } = await readHistory(temporal, ref, 1).catch(() => ({ rows: [] }));
  return rows[0]?.startedAt ?? '';
}

/** The reconciles that came after one, oldest first; none when Temporal is away or is slow to tell. */
async function reconcilesSince(temporal: TemporalAccess, ref: ReconciledRef, before: string): Promise<HistoryRow[]> {
  const deadline = performance.now() + recordWithinMs;
  try {
    while (performance.now() < deadline) {
      const { rows } = await readHistory(temporal, ref, mostShown);
      const since = rows.filter((row) => row.startedAt > before);
      if (since.length > 0 && since[0]?.outcome !== 'Running') return since.reverse();
      await sleep(100);
    }
  } catch {
    // Temporal is away: it was said while following, the result is in the conditions.
  }
  return [];
}
