// A look at one object: a server-side dry run compared with the live object says what an apply would do.
import { KubeApiError, type KubeClient } from '../../k8s/client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import type { ApplyItem, Check } from './apply-item.ts';
import type { ApplyOptions } from './apply-types.ts';
import { differingPaths } from './diff.ts';
import { needsCleanup } from './field-managers.ts';
import { applyManager } from './managed-fields.ts';
import { isImmutable, objectError } from './refusals.ts';
import { isApplyDisabled, isCreateOnly, isForceEnabled, isMerge } from './selectors.ts';

const maxDryRuns = 3;

/** What is to be done with an object; throws an `ObjectError` when the server refuses it. Nothing is written. */
export async function checkObject(
  item: ApplyItem,
  client: KubeClient,
  options: ApplyOptions,
  signal?: AbortSignal,
): Promise<Check> {
  const { desired, ref } = item;
  if (isApplyDisabled(desired)) return { action: 'skipped', skip: 'desired' };
  if (isCreateOnly(desired)) {
    const live = await client.get(ref, { metadataOnly: true, signal });
    if (live) return { action: 'skipped', skip: 'present', live };
  }
  let dryRun: KubeObject;
  let live: KubeObject | undefined;
  for (let attempt = 1; ; attempt++) {
    try {
      dryRun = await client.apply(desired, { fieldManager: applyManager, force: true, dryRun: true, signal });
    } catch (error) {
      signal?.throwIfAborted();
      return checkRefused(item, client, options, error, signal);
    }
    // Nothing is stored of an object that would be created, so it has no version.
    const version = dryRun.metadata.resourceVersion;
    if (!version) return { action: 'created' };
    if (live?.metadata.resourceVersion === version) break;
    live = liveInCache(item, dryRun) ?? (await client.get(ref, { signal }));
    if (!live) return { action: 'created' };
    // A controller that writes in between would look like drift; for one that always does, an apply does no harm.
    if (live.metadata.resourceVersion === version || attempt >= maxDryRuns) break;
  }
  const skipped = await checkLive(item, live, options);
  if (skipped) return skipped;
  const isCleanup = !isMerge(desired, live) && needsCleanup(live, options.overrideManagers);
  const paths = differingPaths(live, dryRun, item.ignored);
  if (paths.length === 0 && !isCleanup) return { action: 'unchanged', live };
  return { action: 'configured', live, paths, isCleanup };
}

/** Why a live object is left alone, if it is. */
async function checkLive(item: ApplyItem, live: KubeObject, options: ApplyOptions): Promise<Check | undefined> {
  if (isApplyDisabled(live)) return { action: 'skipped', skip: 'live', live };
  if (isCreateOnly(live)) return { action: 'skipped', skip: 'present', live };
  const by = await options.rivalOf?.(item.id, live);
  return by && { action: 'skipped', skip: 'taken', live, by };
}

/** The cached object, when the dry run was made against exactly this version of it. */
function liveInCache(item: ApplyItem, dryRun: KubeObject): KubeObject | undefined {
  if (!item.cache?.isSynced || item.cache.scope.metadataOnly) return undefined;
  const cached = item.cache.get(item.ref.namespace, item.ref.name);
  return cached?.metadata.resourceVersion === dryRun.metadata.resourceVersion ? cached : undefined;
}

/** A refusal matters only for objects that may be applied, and not when they may be created anew. */
async function checkRefused(
  item: ApplyItem,
  client: KubeClient,
  options: ApplyOptions,
  error: unknown,
  signal: AbortSignal | undefined,
): Promise<Check> {
  const isAnswer = error instanceof KubeApiError && error.status !== 0 && error.status !== 404;
  const live = isAnswer ? await client.get(item.ref, { signal }).catch(() => undefined) : undefined;
  const skipped = live && (await checkLive(item, live, options));
  if (skipped) return skipped;
  if (live && isImmutable(error)) {
    if (options.force || isForceEnabled(item.desired, live)) return { action: 'recreate', live };
  }
  throw objectError(item.desired, item.subject, 'dry-run', error, live !== undefined && !options.force);
}
