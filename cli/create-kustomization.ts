// The Kustomization that `continuo create kustomization` makes of its flags. Pure.
import { kinds } from '../k8s/api/index.ts';
import type { KustomizationSpec } from '../k8s/api/kustomization.ts';
import type { ObjectKindRef } from '../k8s/api/shared/reference.ts';
import type { KubeObject } from '../k8s/object.ts';
import { type CreateFlags, objectOf, parseDependency, parseDotted } from './create-flags.ts';
import { usageError } from './exit.ts';
import { kindOf } from './kinds.ts';

export interface KustomizationFlags extends CreateFlags {
  source?: string;
  path: string;
  prune?: boolean;
  wait?: boolean;
  retryInterval?: string;
  dependsOn?: string[];
  healthCheck?: string[];
  healthCheckTimeout: string;
  targetNamespace?: string;
  serviceAccount?: string;
  decryptionProvider?: 'sops';
  decryptionSecret?: string;
  kubeconfigSecretRef?: string;
}

const sourceKinds = ['GitRepository', 'OCIRepository', 'Bucket', 'ExternalArtifact'] as const;

/** Throws a usage error that names the flag whose value is wrong. */
export function kustomizationFromFlags(name: string, flags: KustomizationFlags): KubeObject {
  const isChecked = flags.wait === true || (flags.healthCheck?.length ?? 0) > 0;
  if (flags.decryptionSecret !== undefined && flags.decryptionProvider === undefined) {
    throw usageError('--decryption-secret is for a provider: give --decryption-provider=sops as well');
  }
  const spec: Partial<KustomizationSpec> = {
    interval: flags.interval,
    ...(flags.retryInterval && { retryInterval: flags.retryInterval }),
    ...(isChecked && { timeout: flags.healthCheckTimeout }),
    sourceRef: parseSource(flags.source),
    path: parsePath(flags.path),
    prune: flags.prune === true,
    ...(flags.wait && { wait: true }),
    ...(flags.healthCheck && !flags.wait && { healthChecks: flags.healthCheck.map(parseHealthCheck) }),
    ...(flags.dependsOn && { dependsOn: flags.dependsOn.map((text) => parseDependency(text, 'Kustomization')) }),
    ...(flags.targetNamespace && { targetNamespace: flags.targetNamespace }),
    ...(flags.serviceAccount && { serviceAccountName: flags.serviceAccount }),
    ...(flags.decryptionProvider && {
      decryption: {
        provider: flags.decryptionProvider,
        ...(flags.decryptionSecret && { secretRef: { name: flags.decryptionSecret } }),
      },
    }),
    ...(flags.kubeconfigSecretRef && { kubeConfig: { secretRef: { name: flags.kubeconfigSecretRef } } }),
  };
  return objectOf(kinds.Kustomization, name, flags, spec);
}

/** `[Kind/]name[.namespace]`; a kind that is not given is GitRepository. */
export function parseSource(text: string | undefined): KustomizationSpec['sourceRef'] {
  if (!text)
    throw usageError('--source is missing: expected "[<kind>/]<name>[.<namespace>]" such as "GitRepository/demo"');
  const slash = text.indexOf('/');
  const word = slash < 0 ? 'GitRepository' : text.slice(0, slash);
  const kind = sourceKinds.find((known) => known === kindOf(word)?.kind);
  if (!kind) throw usageError(`--source "${text}": expected one of the kinds ${sourceKinds.join(', ')}, got "${word}"`);
  return { kind, ...parseDotted(text.slice(slash + 1), '--source', text) };
}

const workloadKinds = ['Deployment', 'StatefulSet', 'DaemonSet'];

/** `<kind>/<name>.<namespace>`, as it is in `spec.healthChecks`. */
export function parseHealthCheck(text: string): ObjectKindRef {
  const [kind, rest, ...more] = text.split('/');
  if (!kind || !rest || more.length > 0) {
    throw usageError(`--health-check "${text}": expected "<kind>/<name>.<namespace>" such as "Deployment/web.apps"`);
  }
  const ours = kindOf(kind);
  const workload = workloadKinds.find((known) => known.toLowerCase() === kind.toLowerCase());
  const version = ours?.versions.find(({ isStored }) => isStored)?.name;
  const apiVersion = ours ? `${ours.group}/${version}` : workload && 'apps/v1';
  return {
    ...(apiVersion && { apiVersion }),
    kind: ours?.kind ?? workload ?? kind,
    ...parseDotted(rest, '--health-check', text),
  };
}

/** A directory of the source: relative, and inside of it. */
function parsePath(path: string): string {
  if (path.startsWith('/') || path.split('/').includes('..')) {
    throw usageError(`--path "${path}": expected a directory of the source, such as "./apps"`);
  }
  return path === '' || path.startsWith('./') || path === '.' ? path || './' : `./${path}`;
}
