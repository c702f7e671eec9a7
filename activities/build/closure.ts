// The closure of a kustomization: exactly the files that a build of it reads. It serves three masters: the build key
// (unchanged closure, unchanged manifests), the build's private directory (only these files are put there), and
// confinement (kustomize runs without its own load restrictor, so every path is checked here before it runs).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { UnpackedArtifact } from '../artifact/artifact.ts';
import { fileTreeOf, resolveInside } from './file-tree.ts';
import { findKustomizationFile, type KustomizationFields, readKustomizationFile } from './kustomization-file.ts';
import { pluginPaths } from './plugin-config.ts';
import { isRecord } from './read-manifests.ts';
import { isFileUrl, isRemote, withoutCredentials } from './remote-base.ts';

export interface Closure {
  /** Files read, sorted, relative to the artifact's root. */
  files: string[];
  /** False when a field is there that we do not know: then any file of the artifact may be read. */
  isComplete: boolean;
  /** What is fetched over the network, without credentials; then the result can change while the files do not. */
  remotes: string[];
  /** The first file that lies outside of the directory of the kustomization that names it, if any. */
  sharedFile: string | undefined;
  /**
   * Files that kustomize reads as they are: those of generators and patches. Path → the name that tells the format, which
   * is a generator's key where it gives one.
   */
  contents: ReadonlyMap<string, string>;
}

/** A kustomization that cannot be built because of a path in it; the message names the file and the path. */
export class ClosureError extends Error {
  override readonly name = 'ClosureError';
}

/** Fields that name no file; a field that is in no list makes the closure incomplete. */
const fieldsWithoutFiles = new Set(
  (
    'apiVersion kind metadata namespace namePrefix nameSuffix commonLabels labels commonAnnotations images imageTags ' +
    'replicas vars sortOptions generatorOptions buildMetadata'
  ).split(' '),
);

/** Fields that list paths of files (never directories). */
const fileLists = ['crds', 'configurations'] as const;
/** Fields that list objects whose `path` is a file. */
const pathObjects = ['patches', 'patchesJson6902', 'replacements'] as const;
const generators = ['configMapGenerator', 'secretGenerator'] as const;
const plugins = ['generators', 'transformers', 'validators'] as const;

/**
 * The closure of a directory's kustomization. `fields` is what is built there (a kustomization file with the overrides
 * of a Kustomization merged, or a generated one), `label` what messages call it. Reads kustomization files only.
 * Throws {@link ClosureError} for a path that leaves the artifact's root or names nothing, ManifestError for bad YAML.
 */
export function closureOf(
  artifact: UnpackedArtifact,
  directory: string,
  fields: KustomizationFields,
  label: string,
): Closure {
  const tree = fileTreeOf(artifact);
  const files = new Set<string>();
  const remotes = new Set<string>();
  const visited = new Set<string>();
  const contents = new Map<string, string>();
  let isComplete = true;
  let sharedFile: string | undefined;

  function visit(at: string, kustomization: KustomizationFields, file: string): void {
    visited.add(at);
    const from = { at, file };
    for (const [field, value] of Object.entries(kustomization)) {
      if (value === null || fieldsWithoutFiles.has(field)) continue;
      visitField(from, field, value);
    }
  }

  function visitField(from: Origin, field: string, value: unknown): void {
    if (field === 'resources' || field === 'bases') return forEach(value, (entry) => addResource(from, field, entry));
    if (field === 'components') return forEach(value, (entry) => addDirectory(from, field, entry));
    if (isOneOf(fileLists, field)) return forEach(value, (entry) => addFile(from, field, entry));
    if (isOneOf(pathObjects, field)) {
      return forEachRecord(value, (item) => addContent(addOptionalFile(from, field, item.path)));
    }
    if (isOneOf(generators, field)) return forEachRecord(value, (item) => addGenerator(from, field, item));
    if (isOneOf(plugins, field)) return forEach(value, (entry) => addPlugin(from, field, entry));
    if (field === 'patchesStrategicMerge') {
      return forEach(value, (entry) => (isInline(entry) ? undefined : addContent(addFile(from, field, entry))));
    }
    if (field === 'openapi') {
      addOptionalFile(from, field, isRecord(value) ? value.path : undefined);
      return;
    }
    isComplete = false;
  }

  function addResource(from: Origin, field: string, entry: string): void {
    const path = isRemote(entry) ? undefined : inside(from, field, entry);
    if (path !== undefined && !tree.isFile(path)) return addDirectory(from, field, entry);
    addFile(from, field, entry);
  }

  function addFile(from: Origin, field: string, entry: string): string | undefined {
    if (isRemote(entry)) {
      remotes.add(withoutCredentials(entry));
      return undefined;
    }
    const path = inside(from, field, entry);
    if (!tree.isFile(path)) throw missing(from, field, entry, tree.isDirectory(path) ? 'is a directory' : undefined);
    if (from.at && !path.startsWith(`${from.at}/`)) sharedFile ??= path;
    files.add(path);
    return path;
  }

  function addOptionalFile(from: Origin, field: string, entry: unknown): string | undefined {
    return typeof entry === 'string' && entry ? addFile(from, field, entry) : undefined;
  }

  function addContent(path: string | undefined, name = path): void {
    if (path !== undefined && name && !contents.has(path)) contents.set(path, name);
  }

  function addDirectory(from: Origin, field: string, entry: string): void {
    if (isRemote(entry)) {
      remotes.add(withoutCredentials(entry));
      return;
    }
    const path = inside(from, field, entry);
    if (!tree.isDirectory(path)) throw missing(from, field, entry);
    if (visited.has(path)) return;
    const file = findKustomizationFile(artifact, path);
    if (!file) throw missing(from, field, entry, 'is a directory without a kustomization file');
    files.add(file);
    visit(path, readKustomizationFile(artifact, file), file);
  }

  function addGenerator(from: Origin, field: string, item: Record<string, unknown>): void {
    const envs = [...strings(item.envs), ...strings(item.env === undefined ? [] : [item.env])];
    for (const entry of envs) addContent(addFile(from, `${field}.envs`, entry));
    for (const entry of strings(item.files)) {
      const equals = entry.indexOf('=');
      const path = addFile(from, `${field}.files`, entry.slice(equals + 1));
      addContent(path, equals > 0 ? entry.slice(0, equals) : path);
    }
  }

  /** A configuration of kustomize's own plugins can name files too; ones of foreign plugins do not run at all. */
  function addPlugin(from: Origin, field: string, entry: string): void {
    if (isInline(entry)) return addPluginPaths(from, entry, from.file);
    if (isRemote(entry)) {
      remotes.add(withoutCredentials(entry));
      return;
    }
    const path = inside(from, field, entry);
    if (!tree.isDirectory(path)) return addPluginFile(from, field, entry);
    const file = findKustomizationFile(artifact, path);
    if (!file) throw missing(from, field, entry, 'is a directory without a kustomization file');
    const nested = readKustomizationFile(artifact, file);
    const unsafe = Object.keys(nested).find((name) => !['apiVersion', 'kind', 'metadata', 'resources'].includes(name));
    if (unsafe) {
      // Its output is the configuration, so the paths in it are unknown until kustomize has already read them.
      throw new ClosureError(`${file}: a directory of ${field} may only list resources, it also has "${unsafe}"`);
    }
    files.add(file);
    if (visited.has(path)) return;
    visited.add(path);
    forEach(nested.resources, (resource) => addPlugin({ at: path, file, root: from.root ?? from.at }, field, resource));
  }

  function addPluginFile(from: Origin, field: string, entry: string): void {
    const path = addFile(from, field, entry);
    if (path !== undefined) addPluginPaths(from, readFileSync(join(artifact.directory, path), 'utf8'), path);
  }

  function addPluginPaths(from: Origin, text: string, file: string): void {
    const found = pluginPaths(text, file);
    if (!found.isKnown) isComplete = false;
    // Paths in a configuration count from the kustomization that uses it.
    for (const entry of found.paths) addFile({ at: from.root ?? from.at, file }, 'path', entry);
  }

  function inside(from: Origin, field: string, entry: string): string {
    const path = isFileUrl(entry) ? undefined : resolveInside(from.at, entry);
    if (path === undefined)
      throw new ClosureError(`path "${entry}" in ${field} of ${from.file} leaves the source's root`);
    return path;
  }

  visit(directory, fields, label);
  return { files: [...files].sort(), isComplete, remotes: [...remotes].sort(), sharedFile, contents };
}

/** Where a path was written: the directory it counts from and the file that messages name. */
interface Origin {
  at: string;
  file: string;
  /** The directory of the kustomization that uses a plugin's configuration from a directory of its own. */
  root?: string;
}

function missing(from: Origin, field: string, entry: string, problem = 'does not exist in the source'): ClosureError {
  return new ClosureError(`${from.file}: "${entry}" in ${field} ${problem}`);
}

/** Kustomize takes an entry of these fields as YAML when it is not the name of a file. */
function isInline(entry: string): boolean {
  return /[\n{]|:\s/.test(entry);
}

function isOneOf(names: readonly string[], field: string): boolean {
  return names.includes(field);
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : [];
}

function forEach(value: unknown, act: (entry: string) => unknown): void {
  for (const entry of strings(value)) act(entry);
}

function forEachRecord(value: unknown, act: (item: Record<string, unknown>) => void): void {
  if (Array.isArray(value)) for (const item of value.filter(isRecord)) act(item);
}
