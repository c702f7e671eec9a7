// What to do with each CustomResourceDefinition at the start: a pure decision on what the cluster has.
import { compare, valid } from 'semver';
import type { KubeObject } from './object.ts';

/** Marks a CRD as made by Continuo, with the version that made it. */
export const crdVersionAnnotation = 'continuo.dev/crd-version';
/** Digest of the CRD's spec, which changes also between two builds of one version. */
export const crdDigestAnnotation = 'continuo.dev/crd-digest';

/**
 * `create` when there is none; `update` for an older one of ours; `keep` for one of ours that is the same or newer, and
 * for one of others that serves what we need; `refuse` for one of others that does not.
 */
export type CrdDecision = { action: 'create' | 'update' | 'keep' } | { action: 'refuse'; message: string };

/** Decides on one CRD: `wanted` is the generated one, `existing` what the cluster has. */
export function decideOnCrd(wanted: KubeObject, existing: KubeObject | undefined): CrdDecision {
  if (!existing) return { action: 'create' };
  const made = existing.metadata.annotations?.[crdVersionAnnotation];
  if (made === undefined) return decideOnForeignCrd(wanted, existing);
  const ours = wanted.metadata.annotations?.[crdVersionAnnotation] ?? '';
  const order = valid(made) && valid(ours) ? compare(made, ours) : -1;
  if (order > 0) return { action: 'keep' };
  const isSame =
    existing.metadata.annotations?.[crdDigestAnnotation] === wanted.metadata.annotations?.[crdDigestAnnotation];
  return { action: order === 0 && isSame ? 'keep' : 'update' };
}

function decideOnForeignCrd(wanted: KubeObject, existing: KubeObject): CrdDecision {
  const needed = versionsOf(wanted).find((version) => version.storage)?.name ?? '';
  const served = versionsOf(existing)
    .filter((version) => version.served)
    .map((version) => version.name);
  if (served.includes(needed)) return { action: 'keep' };
  const serves = served.length > 0 ? served.map((name) => `"${name}"`).join(', ') : 'nothing';
  return {
    action: 'refuse',
    message:
      `CustomResourceDefinition/${wanted.metadata.name} was not installed by Continuo and does not serve version ` +
      `"${needed}" (it serves ${serves}): upgrade it to Flux 2.7 or later, or delete it if nothing uses it`,
  };
}

/** True once the API server serves the kind. */
export function isEstablished(crd: KubeObject): boolean {
  const status = crd.status as { conditions?: { type: string; status: string }[] } | undefined;
  return (
    status?.conditions?.some((condition) => condition.type === 'Established' && condition.status === 'True') ?? false
  );
}

interface CrdVersion {
  name: string;
  served: boolean;
  storage: boolean;
}

function versionsOf(crd: KubeObject): CrdVersion[] {
  return (crd.spec as { versions?: CrdVersion[] } | undefined)?.versions ?? [];
}
