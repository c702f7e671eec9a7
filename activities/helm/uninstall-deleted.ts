// The release of a HelmRelease that is being deleted (contract 2.2, "uninstall on delete").
import { Context } from '@temporalio/activity';
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import { parseDuration } from '../../k8s/duration.ts';
import { ClusterError } from '../../k8s/remote-clusters.ts';
import { failure } from '../errors.ts';
import { timeoutOf } from './command.ts';
import { activityFailure, namedReleaseOf, type ReleaseDependencies, signalOf, storageOf } from './release-context.ts';
import { movedFrom } from './release-facts.ts';
import { runAction } from './run-action.ts';

const heartbeatMs = 1_000;
/** Longest wait for a cluster that is away; less where the uninstall may take less. */
const maxPatienceMs = 60_000;

/**
 * Uninstalls it and says what was done. An account or kubeconfig that is gone, or a cluster that does not come back, is
 * passed over with an event that tells what was left. Fails with UninstallFailed.
 */
export async function uninstallDeleted(deps: ReleaseDependencies, object: HelmRelease): Promise<string> {
  const release = movedFrom(object) ?? namedReleaseOf(object);
  const timer = setInterval(() => Context.current().heartbeat(), heartbeatMs);
  const leave = (why: string): string => {
    const message = `nothing was uninstalled: ${why}`;
    deps.tell(object, 'UninstallFailed', message, 'Warning');
    return message;
  };
  try {
    const target = await deps.targetOf(object);
    try {
      const wrong = await target.accountError();
      if (wrong) return leave(wrong);
      const records = await storageOf(target, release).list(release.name, signalOf(target));
      if (records.length === 0) return 'no release is in the storage';
      const { namespace = '', name, generation = 1 } = object.metadata;
      const none = { failures: 0, installFailures: 0, upgradeFailures: 0 };
      const attempt = { generation, chart: { name: '', version: '' }, configDigest: '', ...none };
      const input = { helmRelease: { namespace, name }, generation, action: 'uninstall' as const, attempt };
      const result = await runAction({ deps, object, target, release, input });
      if (result.failure) throw failure('UninstallFailed', result.failure.message);
      return `uninstalled release ${release.namespace}/${release.name}`;
    } finally {
      target.release();
    }
  } catch (error) {
    // The object must not hang for ever on a cluster or an account that may never come back.
    if (error instanceof ClusterError && (!error.isAway || isPatienceOver(object))) return leave(error.message);
    throw activityFailure(error, 'UninstallFailed');
  } finally {
    clearInterval(timer);
  }
}

/** True when the object has waited long enough for its cluster. */
function isPatienceOver({ metadata, spec }: HelmRelease): boolean {
  const deletedAtMs = Date.parse(metadata.deletionTimestamp ?? '');
  const patienceMs = Math.min(parseDuration(timeoutOf(spec.uninstall, spec)), maxPatienceMs);
  return Number.isNaN(deletedAtMs) || Date.now() - deletedAtMs >= patienceMs;
}
