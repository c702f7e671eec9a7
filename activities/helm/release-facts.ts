// What is known of a release, as the rules of workflows/decisions/release-state.ts take it (contract 2.2, "state → action",
// "counting").
import { forceAtAnnotation, requestedAtAnnotation, resetAtAnnotation } from '../../k8s/api/annotations.ts';
import type { HelmRelease, HelmSnapshot } from '../../k8s/api/helm-release.ts';
import { parseDuration } from '../../k8s/duration.ts';
import type { AttemptPolicy, ReleaseFacts } from '../../workflows/decisions/release-state.ts';
import { commonMetadataDigestOf, configDigestOf, postRenderersDigestOf } from './config-digest.ts';
import { releaseNamesOf } from './names.ts';
import type { ReadRelease } from './release-storage.ts';
import type { Attempt, ChartSummary, NamedRelease } from './release-types.ts';
import { isHeld } from './rollback-by-hand.ts';
import { hasFailedTest, matchesSnapshot } from './snapshot.ts';

const defaultRetryInterval = '5m';

/** What this reconcile tries, and the failures that still count against it. */
export function attemptOf(object: HelmRelease, chart: ChartSummary, configDigest: string): Attempt {
  const { status = {}, metadata, spec } = object;
  const generation = metadata.generation ?? 1;
  const isReset = isAsked(object, resetAtAnnotation, status.lastHandledResetAt);
  const isOther =
    status.lastAttemptedGeneration !== generation ||
    status.lastAttemptedRevision !== chart.version ||
    status.lastAttemptedConfigDigest !== configDigest;
  const counts = isReset || isOther ? {} : status;
  const postRenderersDigest = postRenderersDigestOf(spec.postRenderers) || undefined;
  const commonMetadataDigest = commonMetadataDigestOf(spec.commonMetadata) || undefined;
  return {
    generation,
    chart,
    configDigest,
    failures: counts.failures ?? 0,
    installFailures: counts.installFailures ?? 0,
    upgradeFailures: counts.upgradeFailures ?? 0,
    forceAt: metadata.annotations?.[forceAtAnnotation],
    resetAt: metadata.annotations?.[resetAtAnnotation],
    postRenderersDigest,
    commonMetadataDigest,
  };
}

/** Facts without those that need another look: the rollback target and drift. */
export function factsOf(
  object: HelmRelease,
  attempt: Attempt,
  stored: ReadRelease | undefined,
): Omit<ReleaseFacts, 'rollbackTarget'> {
  const { spec, status = {} } = object;
  const [newest] = status.history ?? [];
  const lastAction = status.lastAttemptedReleaseAction;
  const difference = stored && differenceOf(object, attempt, stored);
  const isOtherChart = stored !== undefined && stored.release.chart?.metadata?.name !== attempt.chart.name;
  return {
    stored: stored && { version: stored.version, status: stored.release.info.status },
    isManaged: stored !== undefined && newest !== undefined && matchesSnapshot(newest, stored.release),
    ...(movedFrom(object) ? { isMoved: true } : {}),
    ...(difference ? { difference } : {}),
    ...(isOtherChart && spec.upgrade?.chartNameChangeStrategy !== 'InPlaceUpdate' ? { mustReinstall: true } : {}),
    tests: testsOf(object, newest),
    ...(isHeld(object, attempt) ? { isHeld: true } : {}),
    isForced: isAsked(object, forceAtAnnotation, status.lastHandledForceAt),
    lastAction,
    install: installPolicy(object, attempt),
    upgrade: upgradePolicy(object, attempt),
  };
}

/** The name and place that the release had before the spec gave it others; undefined when they are the same. */
export function movedFrom(object: HelmRelease): NamedRelease | undefined {
  const { history = [], storageNamespace } = object.status ?? {};
  const [newest] = history;
  if (!newest || !storageNamespace || newest.status === 'uninstalled') return undefined;
  const names = releaseNamesOf(object);
  const isSame =
    newest.name === names.releaseName &&
    newest.namespace === names.namespace &&
    storageNamespace === names.storageNamespace;
  return isSame ? undefined : { name: newest.name, namespace: newest.namespace, storageNamespace };
}

/** Whether failed tests of the last install or upgrade call for remediation. */
export function areTestsIgnored({ spec, status }: HelmRelease): boolean {
  const { remediation } = (status?.lastAttemptedReleaseAction === 'install' ? spec.install : spec.upgrade) ?? {};
  return remediation?.ignoreTestFailures ?? spec.test?.ignoreFailures ?? false;
}

function differenceOf(object: HelmRelease, attempt: Attempt, { release }: ReadRelease): string | undefined {
  const { spec, status = {}, metadata } = object;
  const deployed = release.chart?.metadata ?? {};
  const { chart } = attempt;
  if (deployed.name !== chart.name) return `chart '${deployed.name}' is to be '${chart.name}'`;
  if (deployed.version !== chart.version) return `chart version '${deployed.version}' is to be '${chart.version}'`;
  // Helm merges kept values into those of the spec, so what it stores says nothing of what was asked for; a rollback has
  // put others in place than were asked for last.
  const isRolledBack = status.history?.[0]?.action === 'rollback';
  const askedDigest = isRolledBack ? undefined : status.lastAttemptedConfigDigest;
  const deployedDigest = spec.upgrade?.preserveValues ? askedDigest : configDigestOf(release.config ?? {});
  if (deployedDigest !== attempt.configDigest) return 'the values have changed';
  if (metadata.generation === status.observedGeneration) return undefined;
  if (status.observedPostRenderersDigest !== attempt.postRenderersDigest) return 'the post-renderers have changed';
  if (status.observedCommonMetadataDigest !== attempt.commonMetadataDigest) return 'the common metadata has changed';
  return undefined;
}

function testsOf(object: HelmRelease, newest: HelmSnapshot | undefined): ReleaseFacts['tests'] {
  if (!object.spec.test?.enable) return 'off';
  if (!newest?.testHooks) return 'due';
  return hasFailedTest(newest) && !areTestsIgnored(object) ? 'failed' : 'passed';
}

function installPolicy({ spec }: HelmRelease, attempt: Attempt): AttemptPolicy {
  const { remediation, strategy } = spec.install ?? {};
  return {
    failures: attempt.installFailures,
    retries: remediation?.retries ?? 0,
    remediateLastFailure: remediation?.remediateLastFailure ?? false,
    remedy: 'uninstall',
    ...retryOf(strategy),
  };
}

function upgradePolicy({ spec }: HelmRelease, attempt: Attempt): AttemptPolicy {
  const { remediation, strategy } = spec.upgrade ?? {};
  const retries = remediation?.retries ?? 0;
  return {
    failures: attempt.upgradeFailures,
    retries,
    remediateLastFailure: remediation?.remediateLastFailure ?? retries > 0,
    remedy: remediation?.strategy ?? 'rollback',
    ...retryOf(strategy),
  };
}

function retryOf(strategy: { name: string; retryInterval?: string } | undefined): { retryIntervalMs?: number } {
  if (strategy?.name !== 'RetryOnFailure') return {};
  return { retryIntervalMs: parseDuration(strategy.retryInterval ?? defaultRetryInterval) };
}

/** Contract 1.0: the annotation counts when it goes with the request, and was not answered yet. */
function isAsked(object: HelmRelease, annotation: string, handled: string | undefined): boolean {
  const { annotations = {} } = object.metadata;
  const asked = annotations[annotation];
  return (
    asked !== undefined &&
    asked === annotations[requestedAtAnnotation] &&
    asked !== handled &&
    asked !== object.status?.lastHandledReconcileAt
  );
}
