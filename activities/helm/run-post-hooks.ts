// The hooks that follow an action, once its rollout is over: helm runs them as if they were tests, in a process of their
// own (docs/decisions/0019).
import { failure } from '../errors.ts';
import { KubeApiError } from '../../k8s/client.ts';
import { refOf } from '../../k8s/object.ts';
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import { actionSpecOf } from './action-spec.ts';
import { attemptAnnotation } from './api-gateway.ts';
import { runBehindGateway } from './behind-gateway.ts';
import { postHookArgs, timeoutOf } from './command.ts';
import { deleteObjects } from './delete-objects.ts';
import { hookRunView, hooksOf, type PostEvent } from './hook-view.ts';
import { attemptName, type ReleaseDependencies, type ReleaseTarget, signalOf, storageOf } from './release-context.ts';
import { objectsOf, placeObjects } from './release-objects.ts';
import type { ReadRelease } from './release-storage.ts';
import type { ReleaseActionResult } from './release-types.ts';
import { snapshotOf } from './snapshot.ts';

/** What they are run with. */
export interface PostHookContext {
  deps: Pick<ReleaseDependencies, 'gateway' | 'helm'>;
  object: HelmRelease;
  target: ReleaseTarget;
  /** Of the action. */
  result: ReleaseActionResult;
  /** Texts out of Secrets, which no message may hold. */
  hidden?: string[];
}

/**
 * Runs them; one that fails is a failure of the action, in helm's words. All are run again by an attempt that replaces one
 * whose worker died, as the hooks before an action are; only where the last of them had ended nothing is. Rejects when it
 * was cancelled or cannot be run, and with ReconcileError when somebody has made another revision meanwhile.
 */
export async function runPostHooks(context: PostHookContext): Promise<ReleaseActionResult> {
  const { target, result } = context;
  const { postHooks: event, release, snapshot, ...done } = result;
  if (!event || !snapshot) throw new Error('an action without a revision has no hooks that follow it');
  const startedMs = performance.now();
  const signal = signalOf(target);
  const storage = storageOf(target, release);
  const findRevision = async (): Promise<ReadRelease> => {
    const read = await storage.last(release.name, signal);
    if (read?.version === snapshot.version) return read;
    const found = read ? `revision ${read.version}` : 'no revision';
    const subject = `release ${release.namespace}/${release.name}`;
    throw failure(
      'ReconcileError',
      `${subject} has ${found}, expected ${snapshot.version}: its ${event} hooks are not run`,
    );
  };
  const before = await findRevision();
  const isDone = before.annotations[attemptAnnotation] === attemptName() && haveAllSucceeded(before, event);
  if (isDone) await deleteSucceeded(context, before, event);
  const failed = isDone ? undefined : await runHelm(context, event);
  const { action, ociDigest } = snapshot;
  return {
    ...done,
    release,
    failure: failed,
    snapshot: snapshotOf((await findRevision()).release, { action, ociDigest }),
    mustWait: false,
    durationMs: result.durationMs + Math.round(performance.now() - startedMs),
  };
}

async function runHelm(
  { deps, object, target, result, hidden }: PostHookContext,
  event: PostEvent,
): Promise<ReleaseActionResult['failure']> {
  const { release, action } = result;
  const names = { releaseName: release.name, ...release };
  const { error, log, wasServerAway } = await runBehindGateway(deps, {
    ...{ target, release, hidden },
    args: postHookArgs({ names, timeout: timeoutOf(actionSpecOf(object, action), object.spec) }),
    attempt: attemptName(),
    view: hookRunView(event),
    isMarkingAll: true,
    signal: signalOf(target),
  });
  if (error === undefined) return undefined;
  if (wasServerAway) throw new KubeApiError(`the API server was away while hooks ran: ${error}`, 0, '');
  return { message: postHookError(event, error), logTail: log.slice(-10) };
}

/** What helm says of a hook that fails, in place of what `helm test` says of it. */
export function postHookError(event: PostEvent, error: string): string {
  const cause = error.replace(/^(warning: Hook |unable to build kubernetes object for )test\b/, `$1${event}`);
  switch (event) {
    case 'post-install':
      return `failed post-install: ${cause}`;
    case 'post-upgrade':
      return `post-upgrade hooks failed: ${cause}`;
    default:
      return cause;
  }
}

/** Helm notes a hook as running before it notes the next one: all have ended well only at the very end. */
function haveAllSucceeded({ release }: ReadRelease, event: PostEvent): boolean {
  return hooksOf(release, event).every(({ last_run }) => last_run?.phase === 'Succeeded');
}

/** What helm does after it has noted the end of the last hook, and may not have come to. */
async function deleteSucceeded({ target }: PostHookContext, { release }: ReadRelease, event: PostEvent): Promise<void> {
  const passing = hooksOf(release, event).filter(
    ({ kind, delete_policies }) => kind !== 'CustomResourceDefinition' && delete_policies?.includes('hook-succeeded'),
  );
  const objects = passing.flatMap(({ manifest = '' }) => objectsOf(manifest));
  const placed = await placeObjects(objects, release.namespace, target.client);
  await deleteObjects(target.client, placed.map(refOf));
}
