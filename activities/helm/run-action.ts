// Runs one Helm action and says what came of it. What an attempt has stored bears its name, so that the same attempt on
// another worker takes up what the first has done: a revision that is final is the result, one that is pending is removed
// and made again under the same number.
import { Context } from '@temporalio/activity';
import type { HelmRelease, HelmSnapshot } from '../../k8s/api/helm-release.ts';
import { KubeApiError } from '../../k8s/client.ts';
import { parseDuration } from '../../k8s/duration.ts';
import type { KubeObject } from '../../k8s/object.ts';
import { messageOf } from '../errors.ts';
import { actionSpecOf, isAwaitedOutside, isWaitDisabled, makesRevision } from './action-spec.ts';
import { attemptAnnotation } from './api-gateway.ts';
import { type GatewayResult, runBehindGateway } from './behind-gateway.ts';
import { type LoadedChart } from './chart-file.ts';
import {
  type ApplyMethod,
  type HelmWait,
  installArgs,
  rollbackArgs,
  testArgs,
  timeoutOf,
  uninstallArgs,
  upgradeArgs,
} from './command.ts';
import { applyChartCrds, chartCrdsOf, type CrdPolicy } from './crds.ts';
import { isMadeBy, recordedCause, replacedRevision } from './earlier-attempt.ts';
import { hooksOf, type HookView, type PostEvent, postEventOf, renderedView, rollbackView } from './hook-view.ts';
import { releaseSecretName } from './names.ts';
import { createPostRender, originLabelsOf } from './post-render.ts';
import { attemptName, type ReleaseDependencies, type ReleaseTarget, signalOf, storageOf } from './release-context.ts';
import { inventoryOf, objectsOf, placeObjects } from './release-objects.ts';
import { isPending, type ReadRelease, type ReleaseRecord, type ReleaseStorage } from './release-storage.ts';
import type { NamedRelease, ReleaseActionInput, ReleaseActionResult } from './release-types.ts';
import { hideTexts } from './run-helm-log.ts';
import { snapshotOf, testHooksOf } from './snapshot.ts';
import type { Values } from './values-map.ts';

/** What an action works with. */
export interface ActionContext {
  deps: ReleaseDependencies;
  object: HelmRelease;
  target: ReleaseTarget;
  release: NamedRelease;
  input: ReleaseActionInput;
  chart?: LoadedChart;
  values?: Values;
  /** Texts out of Secrets, which no message may hold. */
  hidden?: string[];
  /** Of a rollback. */
  toVersion?: number;
}

/** Runs an action of the helm command; one that fails is a result. Rejects when it was cancelled, or cannot be run. */
export async function runAction(context: ActionContext): Promise<ReleaseActionResult> {
  const { target, release, input, object } = context;
  const { action, isRemediation } = input;
  const startedMs = performance.now();
  const signal = signalOf(target);
  const storage = storageOf(target, release);
  const attempt = attemptName();
  const timeoutMs = parseDuration(timeoutOf(actionSpecOf(object, action), object.spec));
  const { toVersion } = context;
  const common = {
    action,
    release,
    timeoutMs,
    ...(isRemediation ? { isRemediation } : {}),
    ...(toVersion === undefined ? {} : { toVersion }),
  };

  const before = await storage.list(release.name, signal);
  const own = makesRevision(action) && before[0] && isMadeBy(attempt, before[0]) ? before[0] : undefined;
  const others = own ? before.slice(1) : before;
  const isRetried = Context.current().info.attempt > 1;
  const replaced = replacedRevision(others, isRetried ? object.status?.history : undefined);
  let failure: ReleaseActionResult['failure'];
  let writes: HelmOutcome['writes'];
  if (own && isPending(own.status)) await removeRevision(context, own, signal);
  // Helm refuses to uninstall what is uninstalled and kept.
  const isKept = action === 'uninstall' && object.spec.uninstall?.keepHistory === true;
  const isDone = own ? !isPending(own.status) : isKept && before[0]?.status === 'uninstalled';
  if (!isDone) {
    ({ failure, writes } = await runHelm(context, { attempt, others, storage, signal }));
  }
  const durationMs = Math.round(performance.now() - startedMs);
  if (action === 'uninstall') return { ...common, failure, snapshot: uninstalledSnapshot(object, failure), durationMs };

  const after = await storage.list(release.name, signal);
  const newest = after[0] && (await storage.open(release.name, after[0], signal));
  const isMade = after[0] && (!makesRevision(action) || isMadeBy(attempt, after[0]));
  if (!newest || !isMade) return { ...common, failure, durationMs };
  // Helm has recorded it as failed and the worker died before it could say so.
  if (!failure && newest.release.info.status === 'failed') {
    failure = { message: hideTexts(recordedCause(newest.release.info.description), context.hidden) };
  }
  const areTestsOn = action === 'test';
  const [known] = object.status?.history ?? [];
  const snapshot = snapshotOf(newest.release, {
    action: areTestsOn ? known?.action : action,
    ociDigest: areTestsOn || action === 'rollback' ? ociDigestOf(context, newest) : input.attempt.chart.ociDigest,
    ...(areTestsOn ? { testHooks: testHooksOf(newest.release, object.spec.test?.filters) } : {}),
  });
  if (areTestsOn) return { ...common, failure, snapshot, durationMs };
  const changed = await changedSnapshots(context, storage, after, signal);
  return {
    ...common,
    failure,
    snapshot,
    ...(changed.length > 0 ? { others: changed } : {}),
    ...(replaced ? { deployedBefore: replaced.version, statusBefore: replaced.status } : {}),
    ...(await writeInventory(context, newest, writes)),
    ...(isAwaitedOutside(object, action) ? { mustWait: true, ...postHooksOf(context, newest) } : { mustWait: false }),
    durationMs,
  };
}

/** The hooks that are still to be run. */
function postHooksOf(context: ActionContext, { release }: ReadRelease): Pick<ReleaseActionResult, 'postHooks'> {
  const event = deferredEventOf(context);
  return event && hooksOf(release, event).length > 0 ? { postHooks: event } : {};
}

/** The event of the hooks that are not to run before the rollout is over; undefined where helm runs all, or none. */
function deferredEventOf({ object, input }: ActionContext): PostEvent | undefined {
  const { action, areHooksRunApart = false } = input;
  const isDeferred =
    areHooksRunApart && isAwaitedOutside(object, action) && !actionSpecOf(object, action)?.disableHooks;
  return isDeferred ? postEventOf(action) : undefined;
}

interface HelmCall {
  attempt: string;
  /** Revisions of before, newest first. */
  others: readonly ReleaseRecord[];
  storage: ReleaseStorage;
  signal: AbortSignal;
}

interface HelmOutcome {
  failure?: ReleaseActionResult['failure'];
  writes?: Pick<GatewayResult, 'written' | 'created'>;
}

async function runHelm(context: ActionContext, call: HelmCall): Promise<HelmOutcome> {
  const { deps, object, target, release, chart, values, hidden } = context;
  const { attempt, storage, signal } = call;
  try {
    await applyCrds(context, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof KubeApiError && error.isTransient) throw error;
    return { failure: { message: messageOf(error) } };
  }
  try {
    const view = await viewOf(context, call);
    const postRender = {
      kustomize: deps.kustomize,
      temporaryDirectory: deps.temporaryDirectory,
      changeLast: view?.rendered,
    };
    const { error, log, wasServerAway, written, created } = await runBehindGateway(deps, {
      ...{ target, release, attempt, view, signal, values, hidden },
      args: await argsOf(context, call),
      chart: chart?.path,
      postRender: createPostRender(object, postRender),
    });
    const writes = { written, created };
    if (error === undefined) return { writes };
    if (wasServerAway) await startOver(context, call, error);
    return { writes, failure: { message: error, logTail: log.slice(-10) } };
  } catch (error) {
    // What a worker gives up because it stops, or because its cluster is away, is made again: a failed revision would count.
    if (Context.current().cancellationDetails?.cancelRequested) await leaveUnlocked(context, storage, attempt);
    throw error;
  }
}

/** What the process sees of hooks: not those that are to run after the rollout. */
async function viewOf(context: ActionContext, { others, storage, signal }: HelmCall): Promise<HookView | undefined> {
  const event = deferredEventOf(context);
  if (event !== 'post-rollback') return event && renderedView(event);
  const target = others.find(({ version }) => version === context.toVersion);
  const read = target && (await storage.open(context.release.name, target, signal));
  return read && hooksOf(read.release, event).length > 0 ? rollbackView() : undefined;
}

/** Helm gives up when the API server is away: that is no failure of the release, and the action is tried again. */
async function startOver(
  context: ActionContext,
  { attempt, storage, signal }: HelmCall,
  error: string,
): Promise<never> {
  const [newest] = await storage.list(context.release.name, signal);
  const isOwn = makesRevision(context.input.action) && newest && isMadeBy(attempt, newest);
  if (isOwn) await removeRevision(context, newest, signal);
  throw new KubeApiError(`the API server was away while helm worked: ${error}`, 0, '');
}

/** An action that was ended leaves a release that the next upgrade goes over without being unlocked. */
async function leaveUnlocked({ release }: ActionContext, storage: ReleaseStorage, attempt: string): Promise<void> {
  const newest = await storage.last(release.name).catch(() => undefined);
  if (!newest || newest.annotations[attemptAnnotation] !== attempt || !isPending(newest.release.info.status)) return;
  await storage
    .setStatus(newest, 'failed', `Release "${release.name}" failed: the action was cancelled`)
    .catch(() => undefined); // the next reconcile unlocks it
}

async function applyCrds(context: ActionContext, signal: AbortSignal): Promise<void> {
  const { object, target } = context;
  const options = { policy: crdPolicyOf(context), labels: originLabelsOf(object), signal };
  await applyChartCrds(target.client, crdsOf(context), options);
}

/** The CRDs that the action puts in place; none where they are skipped. */
function crdsOf(context: ActionContext): KubeObject[] {
  const { chart, values } = context;
  return chart && crdPolicyOf(context) !== 'Skip' ? chartCrdsOf(chart, values ?? {}).crds : [];
}

function crdPolicyOf({ object, input }: ActionContext): CrdPolicy | undefined {
  return (input.action === 'install' ? object.spec.install : object.spec.upgrade)?.crds;
}

async function argsOf(context: ActionContext, { storage, signal, others }: HelmCall): Promise<string[]> {
  const { object, release, input, toVersion } = context;
  const wait = waitOf(context);
  const { isDnsAllowed } = context.deps;
  const { spec } = object;
  const names = { releaseName: release.name, ...release };
  const methodOf = async (record: ReleaseRecord | undefined): Promise<ApplyMethod> => {
    const read = record && (await storage.open(release.name, record, signal));
    return read?.release.apply_method === 'ssa' ? 'ssa' : 'csa';
  };
  switch (input.action) {
    case 'install':
      return installArgs({ spec, names, wait, isDnsAllowed });
    case 'upgrade':
      return upgradeArgs({ spec, names, wait, isDnsAllowed, lastApplyMethod: await methodOf(others[0]) });
    case 'rollback': {
      const target = others.find(({ version }) => version === toVersion);
      return rollbackArgs({ spec, names, wait, lastApplyMethod: await methodOf(target), version: toVersion ?? 0 });
    }
    case 'uninstall':
      return uninstallArgs({ spec, names, wait, isDnsAllowed });
    default:
      return testArgs({ spec, names, wait });
  }
}

/** Helm itself waits where the spec wants its old wait, for what an uninstall deletes, and for a workflow of before. */
function waitOf({ object, input: { action, areHooksRunApart } }: ActionContext): HelmWait {
  if (action === 'test' || isWaitDisabled(object, action)) return 'hookOnly';
  if (object.spec.waitStrategy?.name === 'legacy') return 'legacy';
  return action === 'uninstall' || !areHooksRunApart ? 'watcher' : 'hookOnly';
}

/** Removes what an attempt that died has left pending, so that its number is free. */
async function removeRevision({ target, release }: ActionContext, own: ReleaseRecord, signal: AbortSignal) {
  const name = releaseSecretName(release.name, own.version);
  const ref = { group: '', version: 'v1', kind: 'Secret', namespace: release.storageNamespace, name };
  await target.client.delete(ref, { signal });
}

/** Snapshots of older revisions whose state the action has changed. */
async function changedSnapshots(
  { object, release }: ActionContext,
  storage: ReleaseStorage,
  [, ...records]: readonly ReleaseRecord[],
  signal: AbortSignal,
): Promise<HelmSnapshot[]> {
  const changed: HelmSnapshot[] = [];
  for (const known of object.status?.history ?? []) {
    const record = records.find(({ version }) => version === known.version);
    if (!record || record.status === known.status) continue;
    const read = await storage.open(release.name, record, signal);
    const { action, ociDigest, testHooks } = known;
    if (read) changed.push(snapshotOf(read.release, { action, ociDigest, testHooks }));
  }
  return changed;
}

async function writeInventory(
  context: ActionContext,
  { release }: ReadRelease,
  writes: HelmOutcome['writes'],
): Promise<Pick<ReleaseActionResult, 'inventoryKey' | 'warning'>> {
  const { deps, object, target } = context;
  const { namespace = '', name } = object.metadata;
  let objects: KubeObject[];
  try {
    objects = [...objectsOf(release.manifest ?? ''), ...crdsOf(context)];
  } catch (error) {
    // Helm has released it all the same.
    const message = `failed to build inventory for ${namespace}/${name}: ${messageOf(error)}`;
    return { warning: { reason: 'InventoryBuildFailed', message } };
  }
  const areJobsAwaited = actionSpecOf(object, context.input.action)?.disableWaitForJobs !== true;
  const unknown: string[] = [];
  const placed = await placeObjects(objects, release.namespace, target.client, (subject) => unknown.push(subject));
  const message = `taken for objects with a namespace, as their kinds are not served: ${unknown.join(', ')}`;
  const inventory = inventoryOf(placed, { ...writes, areJobsAwaited });
  return {
    inventoryKey: await deps.writeInventory({ namespace, name }, inventory),
    ...(unknown.length > 0 ? { warning: { reason: 'NamespaceCheckSkipped', message } } : {}),
  };
}

/** The digest that the snapshot of the same chart has. */
function ociDigestOf({ object }: ActionContext, { release }: ReadRelease): string | undefined {
  const version = release.chart?.metadata?.version;
  return object.status?.history?.find(({ chartVersion }) => chartVersion === version)?.ociDigest;
}

function uninstalledSnapshot(
  { status }: HelmRelease,
  failure: ReleaseActionResult['failure'],
): HelmSnapshot | undefined {
  const [newest] = status?.history ?? [];
  if (!newest) return undefined;
  if (failure) return newest;
  return { ...newest, status: 'uninstalled', deleted: `${new Date().toISOString().slice(0, 19)}Z` };
}
