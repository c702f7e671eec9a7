// The part of a Kustomization's spec that decides what a build makes (contract 1.8).
import type { KubeObject } from '../../k8s/object.ts';
import { failure } from '../errors.ts';
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

/** The first field that this step cannot honour, or undefined. */
export function unsupportedField(kustomization: KubeObject): string | undefined {
  const spec = isRecord(kustomization.spec) ? kustomization.spec : {};
  if (isRecord(spec.decryption)) return 'decryption';
  if (isRecord(spec.kubeConfig)) return 'kubeConfig';
  const postBuild = isRecord(spec.postBuild) ? spec.postBuild : {};
  const variables = isRecord(postBuild.substitute) ? Object.keys(postBuild.substitute) : [];
  const sources = Array.isArray(postBuild.substituteFrom) ? postBuild.substituteFrom : [];
  const isAsked = variables.length > 0 || sources.length > 0 || postBuild.substituteStrategy === 'Always';
  return isAsked ? 'postBuild' : undefined;
}

/** Refuses a Kustomization that asks for more than this step does: to build it without would apply the wrong thing. */
export function assertSupported(kustomization: KubeObject): void {
  const field = unsupportedField(kustomization);
  if (field) throw failure('BuildFailed', `spec.${field} is not supported yet by this version of Continuo`);
}
