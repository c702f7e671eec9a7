import { describe, expect, it } from 'vitest';
import { checkDuration, collect, parseDependency } from './create-flags.ts';
import { kustomizationFromFlags, parseHealthCheck, parseSource } from './create-kustomization.ts';
import { credentialsSecret, gitRepositoryFromFlags } from './create-source-git.ts';

const common = { namespace: 'flux-system', interval: '1m0s', waitReady: true, timeout: 1 };
const defaults = { ...common, path: './', healthCheckTimeout: '2m0s', source: 'demo' };

describe('create kustomization', () => {
  it('makes the object of its flags', () => {
    const object = kustomizationFromFlags('apps', {
      ...defaults,
      source: 'GitRepository/demo.sources',
      path: 'apps',
      prune: true,
      healthCheck: ['Deployment/web.apps', 'HelmRelease/chart'],
      dependsOn: ['infra', 'other/base'],
      targetNamespace: 'apps',
      serviceAccount: 'deployer',
      decryptionProvider: 'sops',
      decryptionSecret: 'keys',
      kubeconfigSecretRef: 'remote',
      label: ['team=web', 'tier=front'],
    });
    expect(object).toEqual({
      apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
      kind: 'Kustomization',
      metadata: { name: 'apps', namespace: 'flux-system', labels: { team: 'web', tier: 'front' } },
      spec: {
        interval: '1m0s',
        timeout: '2m0s',
        sourceRef: { kind: 'GitRepository', name: 'demo', namespace: 'sources' },
        path: './apps',
        prune: true,
        healthChecks: [
          { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', namespace: 'apps' },
          { apiVersion: 'helm.toolkit.fluxcd.io/v2', kind: 'HelmRelease', name: 'chart' },
        ],
        dependsOn: [{ name: 'infra' }, { name: 'base', namespace: 'other' }],
        targetNamespace: 'apps',
        serviceAccountName: 'deployer',
        decryption: { provider: 'sops', secretRef: { name: 'keys' } },
        kubeConfig: { secretRef: { name: 'remote' } },
      },
    });
  });

  it('leaves out what is not asked for', () => {
    expect(kustomizationFromFlags('apps', defaults)).toEqual({
      apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
      kind: 'Kustomization',
      metadata: { name: 'apps', namespace: 'flux-system' },
      spec: { interval: '1m0s', sourceRef: { kind: 'GitRepository', name: 'demo' }, path: './', prune: false },
    });
  });

  it.each([
    ['demo', { kind: 'GitRepository', name: 'demo' }],
    ['OCIRepository/demo', { kind: 'OCIRepository', name: 'demo' }],
    ['gitrepo/my.app.sources', { kind: 'GitRepository', name: 'my.app', namespace: 'sources' }],
  ])('takes the source %s', (text, expected) => {
    expect(parseSource(text)).toEqual(expected);
  });

  it('takes dependencies of any Flux kind, and health checks of any kind', () => {
    expect(parseDependency('HelmRelease/apps/chart', 'Kustomization')).toEqual({
      kind: 'HelmRelease',
      namespace: 'apps',
      name: 'chart',
    });
    expect(parseDependency('ks/apps/web', 'Kustomization')).toEqual({ namespace: 'apps', name: 'web' });
    expect(parseHealthCheck('Widget/a.b')).toEqual({ kind: 'Widget', name: 'a', namespace: 'b' });
  });

  it.each<[string, () => unknown]>([
    ['--source is missing', () => parseSource(undefined)],
    ['expected one of the kinds', () => parseSource('Secret/a')],
    ['expected "<name>" or "<name>.<namespace>"', () => parseSource('GitRepository/')],
    ['--depends-on "a/"', () => parseDependency('a/', 'Kustomization')],
    ['expected a Flux kind, got "Deployment"', () => parseDependency('Deployment/a/b', 'Kustomization')],
    ['--health-check "web"', () => parseHealthCheck('web')],
    ['--path "../a"', () => kustomizationFromFlags('a', { ...defaults, path: '../a' })],
    ['give --decryption-provider', () => kustomizationFromFlags('a', { ...defaults, decryptionSecret: 'keys' })],
    ['--label "a"', () => kustomizationFromFlags('a', { ...defaults, label: ['a'] })],
    ['expected a duration', () => checkDuration('soon')],
  ])('says "%s" when a flag is wrong', (message, work) => {
    expect(work).toThrow(message);
  });

  it('takes lists in one flag or in several', () => {
    expect(collect('c, d', collect('a,b'))).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('create source git', () => {
  const git = { ...common, url: 'https://host/a', branch: 'main' };

  it('makes the object of its flags', () => {
    const object = gitRepositoryFromFlags('demo', {
      ...git,
      tagSemver: '>=1.0.0',
      secretRef: 'login',
      ignorePaths: ['/docs', '*.md'],
      sparseCheckoutPaths: ['apps'],
    });
    expect(object.spec).toEqual({
      interval: '1m0s',
      url: 'https://host/a',
      ref: { branch: 'main', semver: '>=1.0.0' },
      secretRef: { name: 'login' },
      ignore: '/docs\n*.md',
      sparseCheckout: ['apps'],
    });
  });

  it('keeps credentials in a Secret of the same name', () => {
    const flags = { ...git, username: 'me', password: 'hunter2' };
    expect(gitRepositoryFromFlags('demo', flags).spec).toMatchObject({ secretRef: { name: 'demo' } });
    expect(credentialsSecret('demo', flags)).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'demo', namespace: 'flux-system' },
      stringData: { username: 'me', password: 'hunter2' },
    });
    expect(credentialsSecret('demo', git)).toBeUndefined();
  });

  it.each<[string, object]>([
    ['--url is missing', { url: undefined }],
    ['give --branch, --tag', { branch: undefined }],
    ['--url has to be an address', { url: 'file:///etc' }],
    ['--url must hold no password', { url: 'https://me:hunter2@host/a' }],
    ['an ssh:// address needs keys', { url: 'ssh://git@host/a' }],
  ])('says "%s" when a flag is wrong, and shows no password', (message, changed) => {
    const work = (): unknown => gitRepositoryFromFlags('demo', { ...git, ...changed });
    expect(work).toThrow(message);
    expect(work).not.toThrow('hunter2');
  });
});
