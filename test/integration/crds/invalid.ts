// What each kind refuses: a change of its minimal manifest, and what the refusal must name.
import type { Kind } from '../../../k8s/api/index.ts';

export interface InvalidManifest {
  kind: Kind;
  title: string;
  /** JSON merge patch of the minimal spec. */
  change: Record<string, unknown>;
  /** Part of the message: the field, or the message of a CEL rule. */
  names: string;
}

const long = (length: number): string => 'a'.repeat(length);

const byKind: { [K in Kind]: [title: string, change: Record<string, unknown>, names: string][] } = {
  GitRepository: [
    ['no url', { url: null }, 'spec.url: Required'],
    ['an scp-style url', { url: 'git@example.com:org/a.git' }, 'spec.url'],
    ['no interval', { interval: null }, 'spec.interval: Required'],
    ['an interval in days', { interval: '1d' }, 'spec.interval'],
    ['a timeout in hours', { timeout: '1h' }, 'spec.timeout'],
    ['an unknown provider', { provider: 'gcp' }, 'spec.provider'],
    ['a service account without provider', { serviceAccountName: 'a' }, "provider is 'aws' or 'azure'"],
    ['a service account for github', { provider: 'github', serviceAccountName: 'a' }, "provider is 'aws' or 'azure'"],
    ['an unknown verification mode', { verify: { mode: 'All' } }, 'spec.verify.mode'],
    ['verification without keys', { verify: { secretRef: null } }, 'spec.verify.secretRef: Required'],
    ['an include without repository', { include: [{ fromPath: 'a' }] }, 'spec.include[0].repository: Required'],
    ['a secretRef without name', { secretRef: {} }, 'spec.secretRef.name: Required'],
  ],
  OCIRepository: [
    ['an https url', { url: 'https://registry.example.com/a' }, 'spec.url'],
    ['an unknown operation', { layerSelector: { operation: 'unpack' } }, 'spec.layerSelector.operation'],
    ['an unknown provider', { provider: 'github' }, 'spec.provider'],
    ['an unknown verifier', { verify: { provider: 'gpg' } }, 'spec.verify.provider'],
    ['an identity without subject', { verify: { matchOIDCIdentity: [{ issuer: 'a' }] } }, 'subject: Required'],
  ],
  HelmRepository: [
    ['an ssh url', { url: 'ssh://example.com' }, 'spec.url'],
    ['an unknown type', { type: 'git' }, 'spec.type'],
    ['a wrong interval', { interval: 'often' }, 'spec.interval'],
    ['access without selectors', { accessFrom: {} }, 'spec.accessFrom.namespaceSelectors: Required'],
  ],
  HelmChart: [
    ['no chart', { chart: null }, 'spec.chart: Required'],
    ['an OCIRepository as source', { sourceRef: { kind: 'OCIRepository' } }, 'spec.sourceRef.kind'],
    ['an unknown strategy', { reconcileStrategy: 'Always' }, 'spec.reconcileStrategy'],
    ['verification of a chart from a bucket', { verify: {} }, "sourceRef.kind is 'HelmRepository'"],
  ],
  Bucket: [
    ['no bucketName', { bucketName: null }, 'spec.bucketName: Required'],
    ['no endpoint', { endpoint: null }, 'spec.endpoint: Required'],
    ['sts for gcp', { provider: 'gcp', sts: { provider: 'aws', endpoint: 'https://a' } }, "'aws' and 'generic'"],
    ['ldap for aws', { provider: 'aws', sts: { provider: 'ldap', endpoint: 'https://a' } }, "needs sts.provider 'aws'"],
    ['aws for generic', { sts: { provider: 'aws', endpoint: 'https://a' } }, "needs sts.provider 'ldap'"],
    ['an sts endpoint without scheme', { sts: { provider: 'ldap', endpoint: 'a' } }, 'spec.sts.endpoint'],
    [
      'a secret for sts of aws',
      { provider: 'aws', sts: { provider: 'aws', endpoint: 'https://a', secretRef: { name: 'a' } } },
      'sts.secretRef cannot be set',
    ],
    [
      'a certificate for sts of aws',
      { provider: 'aws', sts: { provider: 'aws', endpoint: 'https://a', certSecretRef: { name: 'a' } } },
      'sts.certSecretRef cannot be set',
    ],
    ['a service account for generic', { serviceAccountName: 'a' }, 'serviceAccountName cannot be set'],
    [
      'a secret and a service account',
      { provider: 'aws', serviceAccountName: 'a', secretRef: { name: 'a' } },
      'only one of secretRef and serviceAccountName',
    ],
  ],
  ExternalArtifact: [['a source without kind', { sourceRef: { name: 'a' } }, 'spec.sourceRef.kind: Required']],
  ArtifactGenerator: [
    ['no sources', { sources: [] }, 'spec.sources'],
    ['no artifacts', { artifacts: null }, 'spec.artifacts: Required'],
    ['an alias in upper case', { sources: [{ alias: 'A', kind: 'Bucket', name: 'b' }] }, 'spec.sources[0].alias'],
    ['a source that is none', { sources: [{ alias: 'a', kind: 'Kustomization', name: 'b' }] }, 'spec.sources[0].kind'],
    [
      'a name that is no DNS subdomain',
      { artifacts: [{ name: 'app-{app}', copy: [{ from: '@a/**', to: '@artifact/' }] }] },
      'must be a DNS subdomain when pathPattern is not set',
    ],
    ['nothing to copy', { artifacts: [{ name: 'a', copy: [] }] }, 'spec.artifacts[0].copy'],
    ['a copy from nowhere', { artifacts: [{ name: 'a', copy: [{ from: 'a', to: '@artifact/' }] }] }, 'copy[0].from'],
    ['a copy to elsewhere', { artifacts: [{ name: 'a', copy: [{ from: '@a/b', to: '@b/' }] }] }, 'copy[0].to'],
    [
      'a revision that is no alias',
      { artifacts: [{ name: 'a', revision: 'v1', copy: [{ from: '@a/b', to: '@artifact/' }] }] },
      'spec.artifacts[0].revision',
    ],
  ],
  Kustomization: [
    ['no prune', { prune: null }, 'spec.prune: Required'],
    ['no sourceRef', { sourceRef: null }, 'spec.sourceRef: Required'],
    ['a HelmRepository as source', { sourceRef: { kind: 'HelmRepository' } }, 'spec.sourceRef.kind'],
    ['an interval without unit', { interval: '10' }, 'spec.interval'],
    ['a timeout that is no string', { timeout: 60 }, 'spec.timeout'],
    ['an unknown deletion policy', { deletionPolicy: 'Keep' }, 'spec.deletionPolicy'],
    ['an empty target namespace', { targetNamespace: '' }, 'spec.targetNamespace'],
    ['a long target namespace', { targetNamespace: long(64) }, 'spec.targetNamespace'],
    ['a long prefix', { namePrefix: long(201) }, 'spec.namePrefix'],
    ['decryption with another tool', { decryption: { provider: 'vault' } }, 'spec.decryption.provider'],
    ['a kubeconfig from nowhere', { kubeConfig: {} }, 'exactly one of spec.kubeConfig'],
    [
      'a kubeconfig from two places',
      { kubeConfig: { secretRef: { name: 'a' }, configMapRef: { name: 'b' } } },
      'exactly one of spec.kubeConfig',
    ],
    ['variables from a Pod', { postBuild: { substituteFrom: [{ kind: 'Pod', name: 'a' }] } }, 'substituteFrom[0].kind'],
    ['an unknown substitution', { postBuild: { substituteStrategy: 'Never' } }, 'spec.postBuild.substituteStrategy'],
    ['a health check without kind', { healthChecks: [{ name: 'a' }] }, 'spec.healthChecks[0].kind: Required'],
    ['a health expression without current', { healthCheckExprs: [{ apiVersion: 'v1' }] }, 'current: Required'],
    ['a dependency without name', { dependsOn: [{ namespace: 'a' }] }, 'spec.dependsOn[0].name: Required'],
    ['a patch without patch', { patches: [{ target: { kind: 'A' } }] }, 'spec.patches[0].patch: Required'],
    ['unknown build metadata', { buildMetadata: ['managedByLabel'] }, 'spec.buildMetadata[0]'],
    ['an ignore rule without paths', { ignore: [{ target: { kind: 'A' } }] }, 'spec.ignore[0].paths: Required'],
  ],
  HelmRelease: [
    ['neither chart nor chartRef', { chart: null }, 'exactly one of chart and chartRef'],
    ['chart and chartRef', { chartRef: { kind: 'HelmChart', name: 'a' } }, 'exactly one of chart and chartRef'],
    [
      'a chartRef to a GitRepository',
      { chart: null, chartRef: { kind: 'GitRepository', name: 'a' } },
      'spec.chartRef.kind',
    ],
    ['a chart from an OCIRepository', { chart: { spec: { sourceRef: { kind: 'OCIRepository' } } } }, 'sourceRef.kind'],
    ['a long chart name', { chart: { spec: { chart: long(2049) } } }, 'spec.chart.spec.chart'],
    ['a long release name', { releaseName: long(54) }, 'spec.releaseName'],
    ['values from a Pod', { valuesFrom: [{ kind: 'Pod', name: 'a' }] }, 'spec.valuesFrom[0].kind'],
    [
      'a wrong values key',
      { valuesFrom: [{ kind: 'Secret', name: 'a', valuesKey: 'a/b' }] },
      'valuesFrom[0].valuesKey',
    ],
    [
      'a wrong target path',
      { valuesFrom: [{ kind: 'Secret', name: 'a', targetPath: 'a b' }] },
      'valuesFrom[0].targetPath',
    ],
    ['an unknown crds policy', { install: { crds: 'Replace' } }, 'spec.install.crds'],
    ['an unknown strategy', { upgrade: { strategy: { name: 'Retry' } } }, 'spec.upgrade.strategy.name'],
    [
      'a retry interval with remediation',
      { install: { strategy: { name: 'RemediateOnFailure', retryInterval: '1m' } } },
      "retryInterval can only be set when name is 'RetryOnFailure'",
    ],
    ['an unknown remediation', { upgrade: { remediation: { strategy: 'retry' } } }, 'remediation.strategy'],
    ['server-side apply as a boolean', { upgrade: { serverSideApply: true } }, 'spec.upgrade.serverSideApply'],
    ['server-side apply as a word', { install: { serverSideApply: 'auto' } }, 'spec.install.serverSideApply'],
    ['an unknown propagation', { uninstall: { deletionPropagation: 'Background' } }, 'deletionPropagation'],
    ['an unknown drift mode', { driftDetection: { mode: 'on' } }, 'spec.driftDetection.mode'],
    ['an unknown wait strategy', { waitStrategy: { name: 'watcher' } }, 'spec.waitStrategy.name'],
    ['an unknown post-render strategy', { postRenderStrategy: 'hooks' }, 'spec.postRenderStrategy'],
    ['a test filter without name', { test: { filters: [{ exclude: true }] } }, 'spec.test.filters[0].name: Required'],
  ],
  Provider: [
    ['no type', { type: null }, 'spec.type: Required'],
    ['an unknown type', { type: 'teams' }, 'spec.type'],
    ['a long address', { address: long(2049) }, 'spec.address'],
    ['a proxy without scheme', { proxy: 'proxy:3128' }, 'spec.proxy'],
    ['a timeout in hours', { timeout: '1h' }, 'spec.timeout'],
    ['a commit status for slack', { type: 'slack', commitStatusExpr: 'a' }, 'commitStatusExpr can only be set'],
  ],
  Alert: [
    ['no provider', { providerRef: null }, 'spec.providerRef: Required'],
    ['no event sources', { eventSources: null }, 'spec.eventSources: Required'],
    ['an event source of another kind', { eventSources: [{ kind: 'Pod', name: 'a' }] }, 'spec.eventSources[0].kind'],
    ['an event source without name', { eventSources: [{ kind: 'Bucket' }] }, 'spec.eventSources[0].name: Required'],
    ['an unknown severity', { eventSeverity: 'trace' }, 'spec.eventSeverity'],
    ['a long summary', { summary: long(256) }, 'spec.summary'],
  ],
  Receiver: [
    ['an unknown type', { type: 'gitea' }, 'spec.type'],
    ['no resources', { resources: null }, 'spec.resources: Required'],
    ['no secret', { secretRef: null }, 'secretRef must be set'],
    ['oidc without providers', { type: 'generic-oidc', secretRef: null }, 'oidcProviders must be set'],
    [
      'providers without oidc',
      { oidcProviders: [{ issuerURL: 'https://a', validations: [{ expression: 'true', message: 'a' }] }] },
      'oidcProviders can only be set',
    ],
    [
      'a secret with oidc',
      {
        type: 'generic-oidc',
        oidcProviders: [{ issuerURL: 'https://a', validations: [{ expression: 'a', message: 'a' }] }],
      },
      'where it cannot be set',
    ],
    [
      'a provider without validations',
      { type: 'generic-oidc', secretRef: null, oidcProviders: [{ issuerURL: 'https://a', validations: [] }] },
      'spec.oidcProviders[0].validations',
    ],
  ],
  ImageRepository: [
    ['no image', { image: null }, 'spec.image: Required'],
    ['too many exclusions', { exclusionList: Array.from({ length: 26 }, () => 'a') }, 'spec.exclusionList'],
    ['a long service account', { serviceAccountName: long(254) }, 'spec.serviceAccountName'],
    ['a timeout in hours', { timeout: '1h' }, 'spec.timeout'],
  ],
  ImagePolicy: [
    ['no policy', { policy: null }, 'spec.policy: Required'],
    ['an unknown order', { policy: { alphabetical: { order: 'up' } } }, 'spec.policy.alphabetical.order'],
    ['semver without range', { policy: { semver: {} } }, 'spec.policy.semver.range: Required'],
    ['an unknown reflection', { digestReflectionPolicy: 'Once' }, 'spec.digestReflectionPolicy'],
    ['always without interval', { digestReflectionPolicy: 'Always' }, 'interval must be set'],
    ['an interval without always', { interval: '1m' }, 'interval can only be set'],
  ],
  ImageUpdateAutomation: [
    ['no source', { sourceRef: null }, 'spec.sourceRef: Required'],
    ['another kind of source', { sourceRef: { kind: 'Bucket' } }, 'spec.sourceRef.kind'],
    ['an unknown strategy', { update: { strategy: 'Sed' } }, 'spec.update.strategy'],
    ['git without commit', { git: { push: {} } }, 'spec.git.commit: Required'],
    [
      'an author without mail',
      { git: { commit: { author: { name: 'a' } } } },
      'spec.git.commit.author.email: Required',
    ],
    ['a checkout without ref', { git: { checkout: {} } }, 'spec.git.checkout.ref: Required'],
    [
      'an unknown key type',
      { git: { commit: { author: { email: 'a' }, signingKey: { secretRef: { name: 'a' }, type: 'x509' } } } },
      'signingKey.type',
    ],
  ],
};

/** One line of the table for each refusal. */
export const invalidManifests: InvalidManifest[] = (Object.keys(byKind) as Kind[]).flatMap((kind) =>
  byKind[kind].map(([title, change, names]) => ({ kind, title, change, names })),
);
