// Defaults of a spec that an installation has changed by Flux's feature gates (contract 7). What a spec says itself wins.
import type { HelmRelease, HelmReleaseSpec } from '../../k8s/api/helm-release.ts';

export interface DefaultGates {
  /** Installs are applied by the client, Helm waits by itself in its old way, and post-renderers get no hooks. @default false */
  useHelm3Defaults?: boolean;
  /** RetryOnFailure where neither strategy nor remediation is set. @default false */
  defaultToRetryOnFailure?: boolean;
}

/** The object with the defaults of the gates written into its spec; the object itself when no gate is open. */
export function withGatedDefaults(object: HelmRelease, gates: DefaultGates): HelmRelease {
  if (!gates.useHelm3Defaults && !gates.defaultToRetryOnFailure) return object;
  let { spec } = object;
  if (gates.useHelm3Defaults) spec = withHelm3Defaults(spec);
  if (gates.defaultToRetryOnFailure) {
    spec = { ...spec, install: withRetry(spec.install), upgrade: withRetry(spec.upgrade) };
  }
  return { ...object, spec };
}

/** Upgrades and rollbacks go on as the release was made, whatever the gate (contract 1.9, `serverSideApply`). */
function withHelm3Defaults(spec: HelmReleaseSpec): HelmReleaseSpec {
  return {
    ...spec,
    install: { ...spec.install, serverSideApply: spec.install?.serverSideApply ?? false },
    waitStrategy: spec.waitStrategy ?? { name: 'legacy' },
    postRenderStrategy: spec.postRenderStrategy ?? 'nohooks',
  };
}

type Action = NonNullable<HelmReleaseSpec['install'] | HelmReleaseSpec['upgrade']>;

function withRetry<T extends Action>(action: T | undefined): T {
  const known = (action ?? {}) as T;
  return known.strategy || known.remediation ? known : { ...known, strategy: { name: 'RetryOnFailure' } };
}
