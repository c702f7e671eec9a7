// The memory of a release in `status.history` (contract 1.9 and 2.2, "history snapshot"): what was released, and a digest
// by which somebody else's change of the release is found out.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { HelmReleaseSpec, HelmSnapshot } from '../../k8s/api/helm-release.ts';
import { configDigestOf } from './config-digest.ts';
import { goJson } from './go-json.ts';
import type { ReleaseHook, StoredRelease } from './release-storage-codec.ts';

/** The way in which the digest is made; one of another way is not compared. */
const snapshotVersion = 'v2';
const maxSnapshots = 5;

/** What is known of a release beside its content. */
export interface SnapshotOptions {
  /** The action that made it. */
  action?: string;
  /** Digest of the OCI artifact that the chart came in. */
  ociDigest?: string;
  /** The tests that were run, when some were. */
  testHooks?: HelmSnapshot['testHooks'];
}

/** The snapshot of a release as it is in the storage. */
export function snapshotOf(release: StoredRelease, options: SnapshotOptions = {}): HelmSnapshot {
  const { info } = release;
  const metadata = release.chart?.metadata;
  const snapshot: HelmSnapshot = {
    apiVersion: snapshotVersion,
    digest: releaseDigestOf(release, options.ociDigest),
    name: release.name,
    namespace: release.namespace,
    version: release.version,
    status: info.status,
    action: options.action,
    chartName: metadata?.name ?? '',
    chartVersion: metadata?.version ?? '',
    appVersion: metadata?.appVersion || undefined,
    configDigest: configDigestOf(release.config ?? {}),
    firstDeployed: secondsOf(info.first_deployed) ?? '',
    lastDeployed: secondsOf(info.last_deployed) ?? '',
    deleted: secondsOf(info.deleted),
    ociDigest: options.ociDigest || undefined,
    testHooks: options.testHooks,
  };
  return Object.fromEntries(Object.entries(snapshot).filter(([, value]) => value !== undefined)) as HelmSnapshot;
}

/** True when a snapshot is of this release, and nobody has changed the release since. */
export function matchesSnapshot(snapshot: HelmSnapshot, release: StoredRelease): boolean {
  const { name, namespace, version } = snapshot;
  if (name !== release.name || namespace !== release.namespace || version !== release.version) return false;
  if (snapshot.apiVersion !== snapshotVersion) return true;
  const expected = Buffer.from(snapshot.digest);
  const actual = Buffer.from(releaseDigestOf(release, snapshot.ociDigest));
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

/** The snapshots, newest first. */
export function sortSnapshots(history: readonly HelmSnapshot[]): HelmSnapshot[] {
  return history.toSorted((a, b) => b.version - a.version);
}

/** The snapshots with one put in place of that of the same revision. */
export function withSnapshot(history: readonly HelmSnapshot[], snapshot: HelmSnapshot): HelmSnapshot[] {
  return sortSnapshots([...history.filter(({ version }) => version !== snapshot.version), snapshot]);
}

/** The release to roll back to: the newest before the last one that was good, tests included unless they are ignored. */
export function previousSnapshot(history: readonly HelmSnapshot[], areTestsIgnored: boolean): HelmSnapshot | undefined {
  return sortSnapshots(history)
    .slice(1)
    .find((snapshot) => isGood(snapshot, areTestsIgnored));
}

/** After a success: down to the release that a rollback would go to; where there is none, the newest five. */
export function truncateSnapshots(history: readonly HelmSnapshot[], areTestsIgnored: boolean): HelmSnapshot[] {
  const sorted = sortSnapshots(history);
  const previous = sorted.slice(1).findIndex((snapshot) => isGood(snapshot, areTestsIgnored));
  return sorted.slice(0, previous < 0 ? maxSnapshots : previous + 2);
}

/** At any other time: the newest five. */
export function newestSnapshots(history: readonly HelmSnapshot[]): HelmSnapshot[] {
  return sortSnapshots(history).slice(0, maxSnapshots);
}

function isGood(snapshot: HelmSnapshot, areTestsIgnored: boolean): boolean {
  if (snapshot.status !== 'deployed' && snapshot.status !== 'superseded') return false;
  return areTestsIgnored || !hasFailedTest(snapshot);
}

/** True when a test of the release failed. */
export function hasFailedTest(snapshot: HelmSnapshot): boolean {
  return Object.values(snapshot.testHooks ?? {}).some((hook) => hook?.phase === 'Failed');
}

/** The tests of a release that the filters choose, by name, with how each ended; a test that was not run has no phase. */
export function testHooksOf(
  release: Pick<StoredRelease, 'hooks'>,
  filters: NonNullable<HelmReleaseSpec['test']>['filters'] = [],
): NonNullable<HelmSnapshot['testHooks']> {
  const included = filters.filter(({ exclude }) => !exclude);
  const isChosen = (name: string): boolean =>
    !filters.some((filter) => filter.exclude && filter.name === name) &&
    (included.length === 0 || included.some((filter) => filter.name === name));
  const tests = (release.hooks ?? []).filter((hook) => isTestHook(hook) && isChosen(hook.name ?? ''));
  return Object.fromEntries(
    tests.map(({ name = '', last_run }) => {
      const status = {
        phase: last_run?.phase || undefined,
        lastStarted: secondsOf(last_run?.started_at),
        lastCompleted: secondsOf(last_run?.completed_at),
      };
      return [name, Object.fromEntries(Object.entries(status).filter(([, value]) => value !== undefined))];
    }),
  );
}

/** True for a hook that `helm test` runs. */
export function isTestHook(hook: ReleaseHook): boolean {
  return (hook.events ?? []).includes('test');
}

/**
 * Digest of what the release is: the JSON that Flux's controller makes of it, so that either takes over the releases of
 * the other. Test hooks are left out, as each test changes them.
 */
export function releaseDigestOf(release: StoredRelease, ociDigest: string | undefined): string {
  const hooks = (release.hooks ?? []).filter((hook) => !isTestHook(hook)).map(hookFields);
  const config = release.config ?? {};
  const observed = {
    name: release.name,
    version: release.version,
    info: infoFields(release),
    chartMetadata: chartFields(release.chart?.metadata ?? {}),
    config: Object.keys(config).length > 0 ? new Map(Object.entries(config)) : null,
    manifest: release.manifest ?? '',
    hooks: hooks.length > 0 ? hooks : null,
    namespace: release.namespace,
    ociDigest: ociDigest || undefined,
  };
  return `sha256:${createHash('sha256')
    .update(`${goJson(observed)}\n`)
    .digest('hex')}`;
}

function infoFields({ info }: StoredRelease): unknown {
  return inOrder(info, [
    'first_deployed',
    'last_deployed',
    'deleted',
    'description',
    'status',
    'rollback_revision',
    'notes',
  ]);
}

function hookFields(hook: ReleaseHook): unknown {
  const run = hook.last_run;
  const lastRun = {
    started_at: run?.started_at || undefined,
    completed_at: run?.completed_at || undefined,
    phase: run?.phase ?? '',
  };
  return {
    ...inOrder(hook, ['name', 'kind', 'path', 'manifest', 'events']),
    last_run: lastRun,
    ...inOrder(hook, ['weight', 'delete_policies', 'output_log_policies']),
  };
}

const chartFieldNames = [
  ...['name', 'home', 'sources', 'version', 'description', 'keywords', 'maintainers', 'icon', 'apiVersion'],
  ...['condition', 'tags', 'appVersion', 'deprecated', 'annotations', 'kubeVersion', 'dependencies', 'type'],
];

function chartFields(metadata: Record<string, unknown>): unknown {
  return inOrder(
    {
      ...metadata,
      maintainers: listOf(metadata.maintainers, (one) => inOrder(one, ['name', 'email', 'url'])),
      annotations: isObject(metadata.annotations) ? new Map(Object.entries(metadata.annotations)) : undefined,
      dependencies: listOf(metadata.dependencies, (one) => ({
        name: one.name ?? '',
        ...inOrder(one, ['version']),
        repository: one.repository ?? '',
        ...inOrder(one, ['condition', 'tags', 'enabled', 'import-values', 'alias']),
      })),
    },
    chartFieldNames,
  );
}

/** The fields that are not empty, as Go's `omitempty` leaves them out. */
function inOrder(object: object, names: readonly string[]): Record<string, unknown> {
  const values = object as Record<string, unknown>;
  return Object.fromEntries(
    names.filter((name) => !isEmpty(values[name])).map((name) => [name, freeForm(values[name])]),
  );
}

/** Maps without a form of their own have sorted keys in Go; those made here are told by being a Map already. */
function freeForm(value: unknown): unknown {
  if (value instanceof Map || !Array.isArray(value)) return value;
  return value.map((item: unknown) => (isObject(item) && 'child' in item ? new Map(Object.entries(item)) : item));
}

function isEmpty(value: unknown): boolean {
  if (value instanceof Map) return value.size === 0;
  if (Array.isArray(value)) return value.length === 0;
  return value === undefined || value === null || value === '' || value === 0 || value === false;
}

function listOf(value: unknown, fields: (item: Record<string, unknown>) => unknown): unknown[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.map((item: unknown) => (isObject(item) ? fields(item) : null));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map);
}

/** A time as Kubernetes writes it: whole seconds, UTC. */
function secondsOf(time: string | undefined): string | undefined {
  if (!time) return undefined;
  const ms = Date.parse(time);
  return Number.isNaN(ms) || ms <= Date.parse('0001-01-02') ? undefined : `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
