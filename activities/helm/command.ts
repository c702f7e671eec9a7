// The command line of each Helm action (contract 1.9 and 2.2, "apply behaviour"). Nothing secret is in it: values and the
// chart are files of the process's private directory, and so is the kubeconfig.
import type { HelmReleaseSpec } from '../../k8s/api/helm-release.ts';
import type { ReleaseNames } from './names.ts';

/** Names of the files in the directory of a helm process. */
export const processFiles = { chart: 'chart.tgz', values: 'values.json', postRenderer: 'continuo' } as const;

/** What helm itself waits for after it has applied. Hooks are always waited for. */
export type HelmWait = 'hookOnly' | 'watcher' | 'legacy';

/** `csa` is what Helm 3 did, and what an empty `apply_method` means. */
export type ApplyMethod = 'ssa' | 'csa';

/** What all actions are told. */
export interface CommandInput {
  spec: HelmReleaseSpec;
  names: ReleaseNames;
  /** @default 'hookOnly': readiness is awaited outside of helm, where it costs no process. */
  wait?: HelmWait;
  /** Resolve names with DNS in templates; a gate of the installation. @default false */
  isDnsAllowed?: boolean;
}

/** An action on a release that is there, which `auto` follows. */
export interface FollowingInput extends CommandInput {
  /** `apply_method` of the last release (upgrade), or of the release that is rolled back to. */
  lastApplyMethod: ApplyMethod;
}

/** Flux's defaults (contract 1.9). */
const defaultTimeout = '5m0s';
const defaultMaxHistory = 5;

type Flag = string | false | undefined;

/** `helm install`. CRDs of the chart are applied by us beforehand, as helm would only create them. */
export function installArgs({ spec, names, wait, isDnsAllowed }: CommandInput): string[] {
  const install = spec.install ?? {};
  const isServerSide = install.serverSideApply ?? true;
  return command('install', [names.releaseName, processFiles.chart], names, [
    ...rendering(install, isDnsAllowed),
    '--skip-crds',
    '--hide-notes',
    ...waiting(install, spec, wait),
    `--server-side=${isServerSide}`,
    isServerSide && '--force-conflicts',
    !install.disableTakeOwnership && '--take-ownership',
    install.replace && '--replace',
    Boolean(spec.targetNamespace && install.createNamespace) && '--create-namespace',
  ]);
}

/** `helm upgrade` of a release that is there. */
export function upgradeArgs(input: FollowingInput): string[] {
  const { spec, names, wait, isDnsAllowed } = input;
  const upgrade = spec.upgrade ?? {};
  return command('upgrade', [names.releaseName, processFiles.chart], names, [
    ...rendering(upgrade, isDnsAllowed),
    '--hide-notes',
    ...waiting(upgrade, spec, wait),
    ...following(upgrade, input.lastApplyMethod),
    !upgrade.disableTakeOwnership && '--take-ownership',
    upgrade.preserveValues ? '--reuse-values' : '--reset-values',
    upgrade.cleanupOnFail && '--cleanup-on-fail',
    historyLimit(spec),
  ]);
}

/** `helm rollback` to a revision. */
export function rollbackArgs(input: FollowingInput & { version: number }): string[] {
  const { spec, names, wait, version } = input;
  const rollback = spec.rollback ?? {};
  return command('rollback', [names.releaseName, String(version)], names, [
    ...waiting(rollback, spec, wait),
    ...following(rollback, input.lastApplyMethod),
    rollback.cleanupOnFail && '--cleanup-on-fail',
    historyLimit(spec),
  ]);
}

/** `helm uninstall`; a release that is gone is a success. */
export function uninstallArgs({ spec, names, wait }: CommandInput): string[] {
  const uninstall = spec.uninstall;
  return command('uninstall', [names.releaseName], names, [
    `--timeout=${timeoutOf(uninstall, spec)}`,
    `--wait=${wait ?? 'hookOnly'}`,
    uninstall?.disableHooks && '--no-hooks',
    uninstall?.keepHistory && '--keep-history',
    `--cascade=${uninstall?.deletionPropagation ?? 'background'}`,
    '--ignore-not-found',
  ]);
}

/** `helm test`, with the filters of the spec. */
export function testArgs({ spec, names }: CommandInput): string[] {
  const test = spec.test ?? {};
  const filters = (test.filters ?? []).map(({ name, exclude }) => `--filter=${exclude ? '!name' : 'name'}=${name}`);
  return command('test', [names.releaseName], names, [`--timeout=${timeoutOf(test, spec)}`, ...filters]);
}

/** `helm test` of the hooks that follow an action, which the process sees as tests. */
export function postHookArgs({ names, timeout }: { names: ReleaseNames; timeout: string }): string[] {
  return command('test', [names.releaseName], names, [`--timeout=${timeout}`]);
}

/** What an upgrade, or the first install, would render, asked of the cluster but changing nothing; prints JSON. */
export function dryRunArgs(input: CommandInput & { isInstalled: boolean }): string[] {
  const { spec, names, isDnsAllowed, isInstalled } = input;
  const action = isInstalled ? (spec.upgrade ?? {}) : (spec.install ?? {});
  return command(isInstalled ? 'upgrade' : 'install', [names.releaseName, processFiles.chart], names, [
    ...rendering(action, isDnsAllowed),
    '--dry-run=server',
    '--output=json',
    action.disableHooks && '--no-hooks',
    !action.disableTakeOwnership && '--take-ownership',
    isInstalled ? (spec.upgrade?.preserveValues ? '--reuse-values' : '--reset-values') : '--skip-crds',
  ]);
}

/** The time-out of an action as Go writes durations: its own, that of the spec, or five minutes. */
export function timeoutOf(action: { timeout?: string } | undefined, spec: Pick<HelmReleaseSpec, 'timeout'>): string {
  return action?.timeout ?? spec.timeout ?? defaultTimeout;
}

/** Whether an action on a release that is there applies on the server (contract 2.2, "apply behaviour"). */
export function isServerSideApplied(
  action: { serverSideApply?: 'enabled' | 'disabled' | 'auto' } | undefined,
  lastApplyMethod: ApplyMethod,
): boolean {
  const mode = action?.serverSideApply ?? 'auto';
  return mode === 'auto' ? lastApplyMethod === 'ssa' : mode === 'enabled';
}

function command(verb: string, operands: string[], names: ReleaseNames, flags: Flag[]): string[] {
  const present = flags.filter((flag): flag is string => typeof flag === 'string');
  return [verb, ...operands, `--namespace=${names.namespace}`, ...present];
}

interface Rendering {
  disableOpenAPIValidation?: boolean;
  disableSchemaValidation?: boolean;
}

function rendering(action: Rendering, isDnsAllowed = false): Flag[] {
  return [
    `--values=${processFiles.values}`,
    `--post-renderer=${processFiles.postRenderer}`,
    '--devel',
    action.disableOpenAPIValidation && '--disable-openapi-validation',
    action.disableSchemaValidation && '--skip-schema-validation',
    isDnsAllowed && '--enable-dns',
  ];
}

interface Waiting {
  timeout?: string;
  disableHooks?: boolean;
  disableWaitForJobs?: boolean;
}

function waiting(action: Waiting, spec: HelmReleaseSpec, wait: HelmWait = 'hookOnly'): Flag[] {
  return [
    `--timeout=${timeoutOf(action, spec)}`,
    `--wait=${wait}`,
    wait !== 'hookOnly' && !action.disableWaitForJobs && '--wait-for-jobs',
    action.disableHooks && '--no-hooks',
  ];
}

interface Following {
  serverSideApply?: 'enabled' | 'disabled' | 'auto';
  force?: boolean;
}

/** Conflicts are always forced on the server; objects are replaced only where they are not applied there. */
function following(action: Following, lastApplyMethod: ApplyMethod): Flag[] {
  const isServerSide = isServerSideApplied(action, lastApplyMethod);
  return [
    `--server-side=${isServerSide}`,
    isServerSide && '--force-conflicts',
    Boolean(action.force && !isServerSide) && '--force-replace',
  ];
}

function historyLimit(spec: HelmReleaseSpec): string {
  return `--history-max=${spec.maxHistory ?? defaultMaxHistory}`;
}
