// A rollback that a person asks for: which revision it goes back to, what it holds, and for how long (decision 0010).
import { requestedAtAnnotation } from '../../k8s/api/annotations.ts';
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import { heldReason } from '../../workflows/decisions/release-state.ts';
import { failure } from '../errors.ts';
import type { ReleaseRecord } from './release-storage.ts';
import type { Attempt } from './release-types.ts';
import { previousSnapshot } from './snapshot.ts';

/** What was attempted last: by a rollback it is held. Its counters are empty, as the word of a person is no failure. */
export function heldAttemptOf({ metadata, status = {} }: HelmRelease): Attempt {
  const [newest] = status.history ?? [];
  return {
    generation: metadata.generation ?? 1,
    chart: {
      name: newest?.chartName ?? '',
      version: status.lastAttemptedRevision ?? '',
      ociDigest: status.lastAttemptedRevisionDigest,
    },
    configDigest: status.lastAttemptedConfigDigest ?? '',
    failures: 0,
    installFailures: 0,
    upgradeFailures: 0,
    postRenderersDigest: status.observedPostRenderersDigest,
    commonMetadataDigest: status.observedCommonMetadataDigest,
  };
}

/** True while chart, values and spec are those that were held, and nobody has asked for a reconcile since. */
export function isHeld({ metadata, status = {} }: HelmRelease, attempt: Attempt): boolean {
  const remediated = status.conditions?.find(({ type }) => type === 'Remediated');
  const request = metadata.annotations?.[requestedAtAnnotation];
  return (
    remediated?.reason === heldReason &&
    remediated.observedGeneration === metadata.generation &&
    status.lastAttemptedRevision === attempt.chart.version &&
    status.lastAttemptedConfigDigest === attempt.configDigest &&
    (request === undefined || request === status.lastHandledReconcileAt)
  );
}

/**
 * The revision that a person means: `asked` is its number as `helm history` has it (`3` or `v3`), or the version of its
 * chart; unset, the last good one before the present. Fails with RollbackFailed, which names those that there are.
 */
export function rollbackVersionAsked(
  object: HelmRelease,
  records: readonly ReleaseRecord[],
  asked: string | undefined,
): number {
  const history = object.status?.history ?? [];
  const [newest, ...older] = records;
  const good = older.filter(({ status }) => status === 'superseded' || status === 'deployed');
  const byChart = history.filter(({ chartVersion }) => chartVersion === asked).map(({ version }) => version);
  const number = /^v?(\d+)$/.exec(asked ?? '')?.[1];
  const wanted =
    asked === undefined
      ? [previousSnapshot(history, false)?.version, good[0]?.version]
      : number
        ? [Number(number)]
        : byChart;
  const found = wanted.find((version) => good.some((record) => record.version === version));
  if (found !== undefined) return found;
  const { namespace = '', name } = object.metadata;
  const why =
    asked === undefined
      ? 'there is no good revision before the present one'
      : `"${asked}" is ${newest && wanted.includes(newest.version) ? 'in place' : 'no good revision'}`;
  const there = good.map(({ version }) => version).join(', ');
  const expected = there ? `expected one of ${there} (see "helm history")` : 'its history has no other good one';
  throw failure('RollbackFailed', `HelmRelease/${namespace}/${name} cannot be rolled back: ${why}; ${expected}`);
}
