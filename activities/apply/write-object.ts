// The write of one object: clean up field managers, apply, or delete and create again. Returns what is stored afterwards.
import { KubeApiError, type KubeClient } from '../../k8s/client.ts';
import type { KubeObject } from '../../k8s/object.ts';
import type { ApplyItem, Check } from './apply-item.ts';
import type { ApplyOptions } from './apply-types.ts';
import { awaitObjects } from './await-objects.ts';
import { cleanupPatch } from './field-managers.ts';
import { adoptIgnored } from './ignore-rules.ts';
import { applyManager } from './managed-fields.ts';
import { isImmutable, ObjectError, objectError } from './refusals.ts';
import { isForceEnabled, isMerge } from './selectors.ts';

const maxCleanupAttempts = 3;

/** Does what a check says; throws an `ObjectError`. */
export async function writeObject(
  item: ApplyItem,
  check: Check,
  client: KubeClient,
  options: ApplyOptions,
  signal?: AbortSignal,
): Promise<KubeObject> {
  try {
    if (check.action === 'recreate') return await recreate(item, check.live, client, options, signal);
    const isUpdate = check.action === 'configured';
    let live: KubeObject | undefined;
    if (isUpdate && check.isCleanup) live = await cleanUp(item, client, options, signal);
    let body = item.desired;
    if (isUpdate && item.ignored.length > 0) {
      live ??= await client.get(item.ref, { signal });
      if (live) body = adoptIgnored(body, live, item.ignored);
    }
    return await client.apply(body, { fieldManager: applyManager, force: true, signal });
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof ObjectError || !isImmutable(error) || check.action === 'recreate') {
      throw objectError(item.desired, item.subject, 'apply', error);
    }
    const live = await client.get(item.ref, { signal });
    if (!live || !(options.force || isForceEnabled(item.desired, live))) {
      throw objectError(item.desired, item.subject, 'apply', error, true);
    }
    return recreate(item, live, client, options, signal);
  }
}

/** Gives the fields of stale managers to us; tried again when somebody writes at the same time. */
async function cleanUp(
  item: ApplyItem,
  client: KubeClient,
  options: ApplyOptions,
  signal: AbortSignal | undefined,
): Promise<KubeObject | undefined> {
  for (let attempt = 1; ; attempt++) {
    const live = await client.get(item.ref, { signal });
    if (!live || isMerge(item.desired, live)) return live;
    const patch = cleanupPatch(live, options.overrideManagers);
    if (patch.length === 0) return live;
    try {
      return await client.patch(item.ref, patch, { type: 'json', fieldManager: applyManager, signal });
    } catch (error) {
      const isConflict = error instanceof KubeApiError && error.status === 409;
      if (!isConflict || attempt >= maxCleanupAttempts) throw error;
    }
  }
}

async function recreate(
  item: ApplyItem,
  live: KubeObject,
  client: KubeClient,
  options: ApplyOptions,
  signal: AbortSignal | undefined,
): Promise<KubeObject> {
  try {
    const { uid } = live.metadata;
    await client.delete(item.ref, { propagationPolicy: 'Background', uid, signal });
    const left = await awaitObjects({
      client,
      resource: item.resource ?? (await mustResolve(item, client)),
      refs: [item.ref],
      metadataOnly: true,
      isDone: (object) => !object || object.metadata.uid !== uid,
      timeoutMs: options.deleteTimeoutMs,
      signal,
    });
    if (left.length > 0) {
      const finalizers = (live.metadata.finalizers ?? []).map((name) => `"${name}"`).join(', ') || 'none';
      throw new ObjectError(
        item.subject,
        `${item.subject} recreation failed: it is not gone after ${options.deleteTimeoutMs / 1000}s (finalizers: ${finalizers}): see what holds it`,
      );
    }
    return await client.apply(item.desired, { fieldManager: applyManager, force: true, signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw objectError(item.desired, item.subject, 'recreation', error);
  }
}

async function mustResolve(item: ApplyItem, client: KubeClient) {
  const resource = await client.resourceFor(item.ref.group, item.ref.version, item.ref.kind);
  if (resource) return resource;
  throw new KubeApiError(`no matches for kind "${item.ref.kind}"`, 404, 'NoKindMatch');
}
