// The names that a HelmRelease gives to what it makes (contract 1.9 and 2.2, "names").
import { createHash } from 'node:crypto';
import type { HelmRelease } from '../../k8s/api/helm-release.ts';
import type { NamespacedName } from '../../k8s/object.ts';

/** What a release is called and where it is kept. */
export interface ReleaseNames {
  /** Name of the Helm release, at most 53 characters. */
  releaseName: string;
  /** Namespace of the rendered objects: `spec.targetNamespace`. */
  namespace: string;
  /** Namespace of the release Secrets: `spec.storageNamespace`. */
  storageNamespace: string;
}

/** Helm refuses longer names of releases. */
const maxNameLength = 53;
const keptLength = 40;
const hashLength = 12;

/** The names of a release, with the defaults of the contract. */
export function releaseNamesOf(object: Pick<HelmRelease, 'metadata' | 'spec'>): ReleaseNames {
  const { spec, metadata } = object;
  const own = metadata.namespace ?? '';
  const unshortened = spec.releaseName ?? (spec.targetNamespace ? `${spec.targetNamespace}-` : '') + metadata.name;
  return {
    releaseName: shortenReleaseName(unshortened),
    namespace: spec.targetNamespace ?? own,
    storageNamespace: spec.storageNamespace ?? own,
  };
}

/** A name as it is, or its first 40 characters, `-`, and 12 hex digits of its sha256 when Helm would refuse it. */
export function shortenReleaseName(name: string): string {
  if (name.length <= maxNameLength) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, hashLength);
  return `${name.slice(0, keptLength)}-${hash}`;
}

const secretPrefix = 'sh.helm.release.v1.';

/** Name of the Secret that holds one revision of a release. */
export function releaseSecretName(releaseName: string, version: number): string {
  return `${secretPrefix}${releaseName}.v${version}`;
}

/** True for the name of a Secret that Helm keeps a release in. */
export function isReleaseSecretName(name: string): boolean {
  return name.startsWith(secretPrefix);
}

/** The HelmChart object of `spec.chart`: `<namespace>-<name>`, in the namespace of its source. */
export function helmChartRefOf(object: Pick<HelmRelease, 'metadata' | 'spec'>): NamespacedName | undefined {
  const { chart } = object.spec;
  if (!chart) return undefined;
  const own = object.metadata.namespace ?? '';
  return { namespace: chart.spec.sourceRef.namespace ?? own, name: `${own}-${object.metadata.name}` };
}
