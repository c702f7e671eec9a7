import { expect, test } from 'vitest';
import type { HelmReleaseSpec } from '../../k8s/api/helm-release.ts';
import {
  type ApplyMethod,
  dryRunArgs,
  installArgs,
  rollbackArgs,
  testArgs,
  uninstallArgs,
  upgradeArgs,
} from './command.ts';

const names = { releaseName: 'web', namespace: 'shop', storageNamespace: 'apps' };

function input(spec: Partial<HelmReleaseSpec> = {}, lastApplyMethod: ApplyMethod = 'ssa') {
  return { spec: { interval: '1m', ...spec }, names, lastApplyMethod };
}

const rendering = ['--namespace=shop', '--values=values.json', '--post-renderer=continuo', '--devel'];
const defaults = ['--timeout=5m0s', '--wait=hookOnly'];

test('the defaults are those of the contract', () => {
  expect(installArgs(input())).toEqual([
    ...['install', 'web', 'chart.tgz', ...rendering, '--skip-crds', '--hide-notes', ...defaults],
    ...['--server-side=true', '--force-conflicts', '--take-ownership'],
  ]);
  expect(upgradeArgs(input())).toEqual([
    ...['upgrade', 'web', 'chart.tgz', ...rendering, '--hide-notes', ...defaults],
    ...['--server-side=true', '--force-conflicts', '--take-ownership', '--reset-values', '--history-max=5'],
  ]);
  expect(rollbackArgs({ ...input(), version: 3 })).toEqual([
    ...['rollback', 'web', '3', '--namespace=shop', ...defaults],
    ...['--server-side=true', '--force-conflicts', '--history-max=5'],
  ]);
  expect(uninstallArgs(input())).toEqual([
    ...['uninstall', 'web', '--namespace=shop', ...defaults, '--cascade=background', '--ignore-not-found'],
  ]);
  expect(testArgs(input())).toEqual(['test', 'web', '--namespace=shop', '--timeout=5m0s']);
});

/** Spec, what is added to the defaults, and what is taken from them. */
const installs: [HelmReleaseSpec['install'], added: string[], removed: string[]][] = [
  [{ timeout: '1m' }, ['--timeout=1m'], ['--timeout=5m0s']],
  [{ disableHooks: true }, ['--no-hooks'], []],
  [{ disableOpenAPIValidation: true }, ['--disable-openapi-validation'], []],
  [{ disableSchemaValidation: true }, ['--skip-schema-validation'], []],
  [{ disableTakeOwnership: true }, [], ['--take-ownership']],
  [{ serverSideApply: false }, ['--server-side=false'], ['--server-side=true', '--force-conflicts']],
  [{ replace: true }, ['--replace'], []],
  [{ disableWait: true, disableWaitForJobs: true, crds: 'CreateReplace', skipCRDs: true }, [], []],
];

test.each(installs)('install %o', (install, added, removed) => {
  const expected = [...installArgs(input()).filter((flag) => !removed.includes(flag)), ...added];
  expect(installArgs(input({ install })).sort()).toEqual(expected.sort());
});

test('a namespace is created only where the release has a target of its own', () => {
  const install = { createNamespace: true };
  expect(installArgs(input({ install }))).not.toContain('--create-namespace');
  expect(installArgs(input({ install, targetNamespace: 'shop' }))).toContain('--create-namespace');
});

const upgrades: [HelmReleaseSpec['upgrade'], ApplyMethod, added: string[], removed: string[]][] = [
  [{}, 'csa', ['--server-side=false'], ['--server-side=true', '--force-conflicts']],
  [{ serverSideApply: 'enabled' }, 'csa', [], []],
  [{ serverSideApply: 'disabled' }, 'ssa', ['--server-side=false'], ['--server-side=true', '--force-conflicts']],
  [{ force: true }, 'ssa', [], []],
  [{ force: true }, 'csa', ['--server-side=false', '--force-replace'], ['--server-side=true', '--force-conflicts']],
  [{ preserveValues: true }, 'ssa', ['--reuse-values'], ['--reset-values']],
  [{ cleanupOnFail: true, disableHooks: true }, 'ssa', ['--cleanup-on-fail', '--no-hooks'], []],
];

test.each(upgrades)('upgrade %o after %s', (upgrade, last, added, removed) => {
  const expected = [...upgradeArgs(input()).filter((flag) => !removed.includes(flag)), ...added];
  expect(upgradeArgs(input({ upgrade }, last)).sort()).toEqual(expected.sort());
});

test('a rollback follows the release that it goes back to', () => {
  const rollback = { force: true, cleanupOnFail: true };
  expect(rollbackArgs({ ...input({ rollback, maxHistory: 0, timeout: '10s' }, 'csa'), version: 1 })).toEqual([
    ...['rollback', 'web', '1', '--namespace=shop', '--timeout=10s', '--wait=hookOnly'],
    ...['--server-side=false', '--force-replace', '--cleanup-on-fail', '--history-max=0'],
  ]);
});

test('an uninstall keeps what it is told to keep', () => {
  const uninstall = { keepHistory: true, disableHooks: true, deletionPropagation: 'orphan', timeout: '1h' } as const;
  expect(uninstallArgs(input({ uninstall }))).toEqual([
    ...['uninstall', 'web', '--namespace=shop', '--timeout=1h', '--wait=hookOnly'],
    ...['--no-hooks', '--keep-history', '--cascade=orphan', '--ignore-not-found'],
  ]);
});

test('tests are chosen by name', () => {
  const filters = [{ name: 'a' }, { name: 'b', exclude: true }];
  expect(testArgs(input({ test: { enable: true, filters } }))).toEqual([
    ...['test', 'web', '--namespace=shop', '--timeout=5m0s', '--filter=name=a', '--filter=!name=b'],
  ]);
});

test('jobs are waited for by helm only when helm waits at all', () => {
  expect(installArgs({ ...input(), wait: 'watcher' })).toEqual(
    expect.arrayContaining(['--wait=watcher', '--wait-for-jobs']),
  );
  const install = { disableWaitForJobs: true };
  expect(installArgs({ ...input({ install }), wait: 'legacy' })).not.toContain('--wait-for-jobs');
});

test('a dry run renders as the action would', () => {
  expect(dryRunArgs({ ...input(), isInstalled: true })).toEqual([
    ...['upgrade', 'web', 'chart.tgz', ...rendering, '--dry-run=server', '--output=json', '--take-ownership'],
    '--reset-values',
  ]);
});
