// The apply engine (contract 2.1, "server-side apply"): stage by stage, every object that is not provably in sync is
// dry-run, all errors are told at once, and only what differs is written. Nothing of a stage is written when one of its
// objects is refused; what later stages can be asked for beforehand is asked before the first write.
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeApiError } from '../../k8s/client.ts';
import { type Change, inventoryEntryOf, type KubeObject, refOf } from '../../k8s/object.ts';
import { compareResourceVersions } from '../../k8s/resource-version.ts';
import { messageOf } from '../errors.ts';
import { type ApplyItem, type Check, itemsOf, resolveResource, typeOf } from './apply-item.ts';
import { type ApplyOptions, type ApplyRequest, type ApplyResult, defaultApplyOptions } from './apply-types.ts';
import { appliedScope } from './cache-scope.ts';
import { checkObject } from './check-object.ts';
import { errorsOf, runConcurrently } from './concurrently.ts';
import { differingPaths } from './diff.ts';
import { type AppliedEntry, fingerprintOf, isEntryInSync } from './fingerprint.ts';
import { compileIgnoreRules } from './ignore-rules.ts';
import { applyManager, lastForeignManager } from './managed-fields.ts';
import { compareForApply, groupBy, kindRank, stageOf } from './order.ts';
import { isOwnedBy, ownerOf } from './owner.ts';
import { awaitUsable, isCustomKindOf } from './prerequisites.ts';
import { isDefinitive, isImmutable, joinErrors, ObjectError, objectError } from './refusals.ts';
import { isApplyDisabled, isCreateOnly } from './selectors.ts';
import { writeObject } from './write-object.ts';

/** A cache that is behind our last write gets this long to catch up before objects are looked at in full. */
const catchUpMs = 1_000;
const cacheSyncMs = 10_000;
/** How long a kind whose CRD was just applied may answer 404. */
const kindRetryMs = 10_000;

/**
 * Applies manifests for an owner. Throws `ReconciliationFailed` with every error of the stage and the lines of what was
 * done before, or the signal's reason; `request.memory` then still says truly what was applied.
 */
export async function applyManifests(request: ApplyRequest): Promise<ApplyResult> {
  const { client, caches, owner, memory, signal } = request;
  const options: ApplyOptions = { ...defaultApplyOptions, ...request.options };
  const takenOver: ApplyResult['takenOver'] = [];
  const yielded: ApplyResult['yielded'] = [];
  const drifted: string[] = [];
  let items: ApplyItem[] = [];
  let through = 0;

  function finish(item: ApplyItem, outcome: ApplyItem['outcome']): void {
    item.outcome = outcome;
    request.onProgress?.(++through, items.length);
  }

  function changeLog(): string[] {
    const done = items.filter((item) => item.outcome && item.outcome !== 'unchanged' && item.outcome !== 'skipped');
    return done.map((item) => `${item.subject} ${item.outcome}`);
  }

  function fail(errors: readonly unknown[]): never {
    throw joinErrors(errors, changeLog(), 'ReconciliationFailed');
  }

  function remember(item: ApplyItem, live: KubeObject | undefined, skip?: AppliedEntry['skip']): void {
    const { metadata } = item.desired;
    const keys = {
      labelKeys: Object.keys(metadata.labels ?? {}),
      annotationKeys: Object.keys(metadata.annotations ?? {}),
    };
    const isMetadataOnly = item.resource ? appliedScope(item.resource).metadataOnly === true : false;
    if (item.resource) memory.resources.set(typeOf(item.ref), item.resource);
    memory.entries.set(item.id, {
      ...keys,
      type: typeOf(item.ref),
      namespace: item.ref.namespace,
      name: item.ref.name,
      desiredDigest: item.desiredDigest,
      fingerprint: live && !skip ? fingerprintOf(live, keys, isMetadataOnly) : '',
      uid: live?.metadata.uid ?? '',
      resourceVersion: live?.metadata.resourceVersion ?? '',
      ...(skip && { skip }),
    });
  }

  /** Opens the caches of all kinds at once, and lets them catch up with our own last writes. */
  async function openCaches(): Promise<void> {
    if (!caches) return;
    const newest = new Map<ApplyItem['cache'], string>();
    for (const item of items) {
      if (!item.resource) continue;
      item.cache = caches.open(appliedScope(item.resource));
      const version = memory.entries.get(item.id)?.resourceVersion ?? '';
      if (compareResourceVersions(version, newest.get(item.cache) ?? '') >= 0) newest.set(item.cache, version);
    }
    const deadline = AbortSignal.timeout(cacheSyncMs);
    const patience = signal ? AbortSignal.any([signal, deadline]) : deadline;
    await Promise.all(
      [...newest].map(async ([cache, version]) => {
        await cache?.sync(patience).catch(() => {});
        if (cache?.isSynced && version) await cache.waitForVersion(version, catchUpMs);
      }),
    );
    signal?.throwIfAborted();
  }

  /** Settles what needs no request: switched off in the source, or provably in sync. */
  function settleKnown(item: ApplyItem): void {
    if (isApplyDisabled(item.desired)) {
      remember(item, undefined, 'desired');
      finish(item, 'skipped');
      return;
    }
    const entry = memory.entries.get(item.id);
    if (options.isForced || !entry || !item.cache?.isSynced) return;
    if (entry.desiredDigest !== item.desiredDigest || entry.type !== typeOf(item.ref)) return;
    const cached = item.cache.get(item.ref.namespace, item.ref.name);
    if (!isEntryInSync(entry, cached, item.cache.scope.metadataOnly === true, options.overrideManagers)) return;
    if (cached && !entry.skip && !isOwnedBy(cached, owner)) return;
    finish(item, entry.skip ? 'skipped' : 'unchanged');
  }

  async function check(item: ApplyItem, isKindNew = false): Promise<Check> {
    const giveUpAt = Date.now() + (isKindNew ? kindRetryMs : 0);
    for (;;) {
      const isKnown = await resolveResource(item, client);
      try {
        if (isKnown) return await checkObject(item, client, options, signal);
        await client.apply(item.desired, { fieldManager: applyManager, dryRun: true, signal });
      } catch (error) {
        signal?.throwIfAborted();
        const isUnknownKind = error instanceof ObjectError ? error.isUnknownKind : !isKnown;
        if (!isUnknownKind || Date.now() >= giveUpAt) throw objectError(item.desired, item.subject, 'dry-run', error);
        item.resource = undefined;
      }
      await sleep(100, undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
  }

  /** Checks items; failed ones are in `errors`, except those that `isTolerated` leaves for later. */
  async function checkAll(
    list: readonly ApplyItem[],
    isKindNew: (item: ApplyItem) => boolean,
    isTolerated: (error: unknown) => boolean,
  ): Promise<void> {
    const run = async (item: ApplyItem): Promise<void> => {
      item.check = await check(item, isKindNew(item));
      settleChecked(item, item.check);
    };
    const outcomes = await runConcurrently(list, options.concurrency, run, { signal });
    const errors = errorsOf(outcomes).filter((error) => !isTolerated(error));
    if (errors.length > 0) fail(errors);
  }

  function settleChecked(item: ApplyItem, result: Check): void {
    if (result.action === 'skipped') {
      remember(item, result.live, result.skip);
      if (result.skip === 'taken')
        yielded.push({ subject: item.subject, to: `${result.by.namespace}/${result.by.name}` });
      finish(item, 'skipped');
    }
    if (result.action === 'unchanged') {
      remember(item, result.live);
      finish(item, 'unchanged');
    }
    if (result.action === 'configured' || result.action === 'recreate') noteTakeover(item, result.live);
    if (result.action === 'configured') noteDrift(item, result.live, result.paths);
  }

  function noteTakeover(item: ApplyItem, live: KubeObject): void {
    const from = ownerOf(live);
    if (from && !isOwnedBy(live, owner))
      takenOver.push({ subject: item.subject, from: `${from.namespace}/${from.name}` });
  }

  function noteDrift(item: ApplyItem, live: KubeObject, paths: string[]): void {
    if (memory.entries.get(item.id)?.desiredDigest !== item.desiredDigest || paths.length === 0) return;
    const manager = lastForeignManager(live);
    drifted.push(`${item.subject} drifted at ${paths.join(', ')}${manager ? ` (changed by "${manager}")` : ''}`);
  }

  async function write(item: ApplyItem, result: Check): Promise<void> {
    // From here until the answer nobody knows what is stored.
    memory.entries.delete(item.id);
    const live = await writeObject(item, result, client, options, signal);
    remember(item, live, isCreateOnly(item.desired) ? 'present' : undefined);
    finish(item, result.action === 'created' ? 'created' : 'configured');
  }

  /** Writes what differs, one rank of kinds after the other. */
  async function writeAll(stage: readonly ApplyItem[]): Promise<ApplyItem[]> {
    const pending = stage.filter((item) => !item.outcome && item.check);
    if (pending.length > 0) await request.onWrite?.(pending.map((item) => inventoryEntryOf(item.ref)));
    for (const rank of groupBy(pending, (item) => kindRank(item.ref.kind))) {
      const run = (item: ApplyItem) => write(item, item.check as Check);
      const outcomes = await runConcurrently(rank, options.concurrency, run, { signal, stopOnError: true });
      const errors = errorsOf(outcomes);
      if (errors.length > 0) fail(errors);
    }
    return pending;
  }

  /**
   * When a single known object is all that there may be to write, its apply is atomic by itself and needs no dry run.
   * False when it has to take the ordinary way after all.
   */
  async function writeSingle(item: ApplyItem): Promise<boolean> {
    const cached = item.cache?.isSynced ? item.cache.get(item.ref.namespace, item.ref.name) : undefined;
    const entry = memory.entries.get(item.id);
    if (!cached || !entry || entry.skip || item.ignored.length > 0 || !isOwnedBy(cached, owner)) return false;
    if (cached.metadata.deletionTimestamp || isCreateOnly(item.desired, cached) || isApplyDisabled(cached))
      return false;
    // Only when the manifest changed: an object that somebody else changed is compared, so that it can be said how.
    const isBehind = compareResourceVersions(cached.metadata.resourceVersion ?? '', entry.resourceVersion) < 0;
    if (isBehind || entry.desiredDigest === item.desiredDigest) return false;
    if (!isEntryInSync(entry, cached, item.cache?.scope.metadataOnly === true, options.overrideManagers)) return false;
    memory.entries.delete(item.id);
    try {
      const live = await client.apply(item.desired, { fieldManager: applyManager, force: true, signal });
      const isSame =
        live.metadata.resourceVersion === cached.metadata.resourceVersion ||
        (!item.cache?.scope.metadataOnly && differingPaths(cached, live).length === 0);
      remember(item, live);
      finish(item, isSame ? 'unchanged' : 'configured');
      return true;
    } catch (error) {
      signal?.throwIfAborted();
      // The ordinary way recreates it, or tells the refusal in its words.
      if (isImmutable(error) || !(error instanceof KubeApiError)) return false;
      fail([objectError(item.desired, item.subject, 'apply', error)]);
    }
  }

  async function applyStages(): Promise<void> {
    const stages = groupBy(items, (item) => stageOf(item.ref, options.customStageKinds));
    const open = items.filter((item) => !item.outcome);
    if (open.length === 1 && (await writeSingle(open[0] as ApplyItem))) return;
    const written: ApplyItem[] = [];
    for (const [index, stage] of stages.entries()) {
      const isKindNew = (item: ApplyItem): boolean => written.some((crd) => isCustomKindOf(crd.desired, item.ref));
      await checkAll(
        stage.filter((item) => !item.outcome && !item.check),
        isKindNew,
        () => false,
      );
      const pending = stage.filter((item) => !item.outcome);
      const later = stages
        .slice(index + 1)
        .flat()
        .filter((item) => !item.outcome && !item.check);
      if (pending.length > 0 && later.length > 0) {
        const askable = later.filter(
          (item) => !pending.some((one) => isPrerequisite(one, item)) && !isUnknown(item, later),
        );
        await checkAll(
          askable,
          () => false,
          (error) => !isFinal(error, pending),
        );
      }
      written.push(...(await writeAll(stage)));
      await awaitUsable(client, pending, owner, options.readyTimeoutMs, signal).catch((error: unknown) => {
        signal?.throwIfAborted();
        fail([error]);
      });
    }
  }

  try {
    items = itemsOf(request.objects, owner, options, compileIgnoreRules(options.ignore));
    for (const item of items) await resolveResource(item, client);
    items.sort(
      (a, b) =>
        stageOf(a.ref, options.customStageKinds) - stageOf(b.ref, options.customStageKinds) ||
        compareForApply(a.ref, b.ref),
    );
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof KubeApiError) fail([new ObjectError('', `API discovery failed: ${messageOf(error)}`, error)]);
    fail([error]);
  }
  await openCaches();
  for (const item of items) settleKnown(item);
  await applyStages();

  const ids = new Set(items.map((item) => item.id));
  for (const id of [...memory.entries.keys()]) if (!ids.has(id)) memory.entries.delete(id);
  return {
    changes: items.map(({ subject, outcome }): Change => ({ subject, action: outcome ?? 'unchanged' })),
    inventory: items.map((item) => inventoryEntryOf(item.ref)),
    waitFor: items.filter((item) => item.outcome !== 'skipped').map((item) => refOf(item.desired)),
    takenOver,
    yielded,
    drifted,
  };
}

/** True when an object cannot be judged before another one is written: it lies in it, or is of its kind. */
function isPrerequisite(pending: ApplyItem, item: ApplyItem): boolean {
  if (pending.ref.kind === 'Namespace' && pending.ref.group === '') {
    return pending.check?.action === 'created' && item.ref.namespace === pending.ref.name;
  }
  return isCustomKindOf(pending.desired, item.ref);
}

/** True for an object whose kind is to come from a CRD of a later stage. */
function isUnknown(item: ApplyItem, later: readonly ApplyItem[]): boolean {
  return !item.resource && later.some((one) => isCustomKindOf(one.desired, item.ref));
}

/** True when an error before the first write cannot go away by the writes. */
function isFinal(error: unknown, pending: readonly ApplyItem[]): boolean {
  if (!(error instanceof ObjectError)) return false;
  if (isDefinitive(error.cause)) return true;
  // Roles that are about to be written may grant what is missing.
  const isForbidden = error.cause instanceof KubeApiError && error.cause.status === 403;
  return isForbidden && !pending.some((item) => item.ref.kind === 'ClusterRole');
}
