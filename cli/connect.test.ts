import { describe, expect, it } from 'vitest';
import { temporalTargetOf, uiLink } from './connect.ts';
import { parseEnvironment } from './local-platform.ts';

const platform = { TEMPORAL_ADDRESS: '127.0.0.1:30001', CONTINUO_UI_URL: 'http://127.0.0.1:30002' };

describe('where Temporal is', () => {
  it.each([
    ['the local platform', {}, {}, platform, '127.0.0.1:30001', 'http://127.0.0.1:30002'],
    [
      'the environment before the platform',
      {},
      { TEMPORAL_ADDRESS: 'temporal.test:7233' },
      platform,
      'temporal.test:7233',
      'http://temporal.test:8233',
    ],
    [
      'the flag before all',
      { temporalAddress: 'other.test:7233' },
      { TEMPORAL_ADDRESS: 'x:1' },
      platform,
      'other.test:7233',
      'http://other.test:8233',
    ],
    ['the named UI', {}, { CONTINUO_UI_URL: 'https://ui.test' }, platform, '127.0.0.1:30001', 'https://ui.test'],
    ['the default', {}, {}, undefined, '127.0.0.1:7233', 'http://127.0.0.1:8233'],
  ])('takes %s', (_, flags, environment, local, address, uiUrl) => {
    expect(temporalTargetOf(flags, environment, local)).toEqual({ address, namespace: 'default', uiUrl });
  });

  it('links to a run, with the slashes of the workflow id escaped', () => {
    const target = { uiUrl: 'http://ui.test/', namespace: 'default' };
    expect(uiLink(target, 'kustomization/flux-system/demo', 'run-1')).toBe(
      'http://ui.test/namespaces/default/workflows/kustomization%2Fflux-system%2Fdemo/run-1/history',
    );
  });

  it('reads the variables that "continuo up" has written, and passes over the rest', () => {
    const text = `export KUBECONFIG='/a b/it'\\''s/kubeconfig'\nexport PATH='/x/bin':"$PATH"\n# comment\n`;
    expect(parseEnvironment(text)).toEqual({ KUBECONFIG: `/a b/it's/kubeconfig` });
  });
});
