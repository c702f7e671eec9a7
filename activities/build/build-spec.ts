// The part of a Kustomization's spec that decides what a build makes (contract 1.8).
import type { KubeObject } from '../../k8s/object.ts';
import { isRecord } from './read-manifests.ts';

export interface ImageOverride {
  name: string;
  newName?: string;
  newTag?: string;
  digest?: string;
}

export interface PatchOverride {
  patch: string;
  target?: Record<string, unknown>;
}

/** Fields that are merged into the kustomization, and the path that is built. */
export interface BuildSpec {
  path?: string;
  targetNamespace?: string;
  namePrefix?: string;
  nameSuffix?: string;
  patches?: PatchOverride[];
  images?: ImageOverride[];
  components?: string[];
  ignoreMissingComponents?: boolean;
  buildMetadata?: string[];
}

const buildFields = [
  'path',
  'targetNamespace',
  'namePrefix',
  'nameSuffix',
  'patches',
  'images',
  'components',
  'ignoreMissingComponents',
  'buildMetadata',
] as const satisfies (keyof BuildSpec)[];

/** The build's part of a Kustomization; fields that are empty are left out, so that they cannot change a build key. */
export function buildSpecOf(kustomization: KubeObject): BuildSpec {
  const spec = isRecord(kustomization.spec) ? kustomization.spec : {};
  const result: Record<string, unknown> = {};
  for (const field of buildFields) {
    const value = spec[field];
    if (value && !(Array.isArray(value) && value.length === 0)) result[field] = value;
  }
  return result;
}
