import { expect, test } from 'vitest';
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import { type DefaultGates, withGatedDefaults } from './gated-defaults.ts';

const release = (spec: object = {}): HelmRelease => ({
  apiVersion: 'helm.toolkit.fluxcd.io/v2',
  kind: 'HelmRelease',
  metadata: { namespace: 'apps', name: 'web' },
  spec: { interval: '1m', ...spec },
});
const retry = { strategy: { name: 'RetryOnFailure' } };

const cases: [string, DefaultGates, object, object][] = [
  ['no gate', {}, {}, {}],
  [
    'UseHelm3Defaults',
    { useHelm3Defaults: true },
    {},
    { install: { serverSideApply: false }, waitStrategy: { name: 'legacy' }, postRenderStrategy: 'nohooks' },
  ],
  [
    'UseHelm3Defaults, and a spec that says otherwise',
    { useHelm3Defaults: true },
    { install: { serverSideApply: true }, waitStrategy: { name: 'poller' }, postRenderStrategy: 'combined' },
    { install: { serverSideApply: true }, waitStrategy: { name: 'poller' }, postRenderStrategy: 'combined' },
  ],
  [
    'DefaultToRetryOnFailure',
    { defaultToRetryOnFailure: true },
    { install: { timeout: '1m' } },
    { install: { timeout: '1m', ...retry }, upgrade: retry },
  ],
  [
    'DefaultToRetryOnFailure, and a spec that says otherwise',
    { defaultToRetryOnFailure: true },
    { install: { remediation: { retries: 1 } }, upgrade: { strategy: { name: 'RemediateOnFailure' } } },
    { install: { remediation: { retries: 1 } }, upgrade: { strategy: { name: 'RemediateOnFailure' } } },
  ],
];

test.each(cases)('%s', (_, gates, spec, expected) => {
  expect(withGatedDefaults(release(spec), gates).spec).toEqual({ interval: '1m', ...spec, ...expected });
});
