// What is built at a path: the kustomization file there, or one made from the manifests below it, with the overrides of
// the Kustomization object merged in (contract 2.1, "kustomization.yaml handling").
import type { UnpackedArtifact } from '../artifact/artifact.ts';
import type { BuildSpec, ImageOverride } from './build-spec.ts';
import { fileTreeOf, resolveInside } from './file-tree.ts';
import { findKustomizationFile, type KustomizationFields, readKustomizationFile } from './kustomization-file.ts';
import { isRecord } from './read-manifests.ts';

/** What to hand to kustomize for a directory. */
export interface BuildInput {
  directory: string;
  /** The kustomization file in the directory, undefined when it was generated. */
  file: string | undefined;
  fields: KustomizationFields;
  /** True when `fields` differs from what stands in the file. */
  isChanged: boolean;
}

/**
 * Reads or generates the kustomization of a directory and merges the overrides. Reads kustomization files only.
 * Throws an `Error` whose message says what is wrong with which entry.
 */
export function prepareBuild(artifact: UnpackedArtifact, directory: string, spec: BuildSpec): BuildInput {
  const file = findKustomizationFile(artifact, directory);
  const written = file ? readKustomizationFile(artifact, file) : undefined;
  const original = written ?? { resources: listManifests(artifact, directory) };
  const components = localComponents(artifact, directory, spec);
  const fields = mergeOverrides(original, { ...spec, components });
  return { directory, file, fields, isChanged: fields !== written };
}

/**
 * The resources of a directory without a kustomization file: every .yaml and .yml below it, and each sub-directory with
 * a kustomization file of its own as one entry. Sorted, relative to the directory.
 */
export function listManifests(artifact: UnpackedArtifact, directory: string): string[] {
  const tree = fileTreeOf(artifact);
  const prefix = directory ? `${directory}/` : '';
  const nested: string[] = [];
  function findNested(at: string): void {
    for (const name of tree.directoriesIn(at)) {
      const path = at ? `${at}/${name}` : name;
      if (findKustomizationFile(artifact, path)) nested.push(path);
      else findNested(path);
    }
  }
  findNested(directory);
  const covered = nested.map((path) => `${path}/`);
  const files = tree
    .filesBelow(directory)
    .filter((path) => /\.ya?ml$/.test(path) && !covered.some((below) => path.startsWith(below)));
  return [...files, ...nested].map((path) => path.slice(prefix.length)).sort();
}

/** Merges the overrides of a Kustomization; gives back the very same object when there are none. */
export function mergeOverrides(original: KustomizationFields, spec: BuildSpec): KustomizationFields {
  const changes: Record<string, unknown> = {};
  if (spec.targetNamespace) changes.namespace = spec.targetNamespace;
  if (spec.namePrefix) changes.namePrefix = spec.namePrefix;
  if (spec.nameSuffix) changes.nameSuffix = spec.nameSuffix;
  if (spec.patches?.length) {
    const patches = spec.patches.map(({ patch, target }) => (target ? { patch, target } : { patch }));
    changes.patches = [...listOf(original, 'patches'), ...patches];
  }
  if (spec.images?.length) changes.images = mergeImages(listOf(original, 'images'), spec.images);
  if (spec.components?.length) changes.components = union(listOf(original, 'components'), spec.components);
  if (spec.buildMetadata?.length) changes.buildMetadata = union(listOf(original, 'buildMetadata'), spec.buildMetadata);
  return Object.keys(changes).length === 0 ? original : { ...original, ...changes };
}

/**
 * Images by name: a new name replaces the name alone, a new tag or digest replaces both of tag and digest, as they say
 * the same thing in two ways.
 */
export function mergeImages(original: unknown[], overrides: ImageOverride[]): unknown[] {
  const merged = original.map((image) => (isRecord(image) ? { ...image } : image));
  for (const override of overrides) {
    const known = merged.find((image) => isRecord(image) && image.name === override.name);
    const target: Record<string, unknown> = isRecord(known) ? known : { name: override.name };
    if (!isRecord(known)) merged.push(target);
    if (override.newName) target.newName = override.newName;
    if (!override.newTag && !override.digest) continue;
    delete target.newTag;
    delete target.digest;
    if (override.newTag) target.newTag = override.newTag;
    if (override.digest) target.digest = override.digest;
  }
  return merged;
}

function localComponents(artifact: UnpackedArtifact, directory: string, spec: BuildSpec): string[] | undefined {
  const kept: string[] = [];
  for (const entry of spec.components ?? []) {
    const path = /^[a-z+]+:|@/i.test(entry) ? undefined : resolveInside(directory, entry);
    if (path === undefined) {
      throw new Error(`spec.components "${entry}" has to be a relative path inside the source`);
    }
    if (!spec.ignoreMissingComponents || fileTreeOf(artifact).isDirectory(path)) kept.push(entry);
  }
  return kept;
}

/** A field that is no list is kustomize's to refuse; merging must not hide it. */
function listOf(original: KustomizationFields, field: string): unknown[] {
  const value = original[field] ?? [];
  if (!Array.isArray(value)) throw new Error(`"${field}" in the kustomization has to be a list`);
  return value;
}

function union(first: unknown[], second: unknown[]): unknown[] {
  return [...new Set([...first, ...second])];
}
