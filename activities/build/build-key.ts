// The build key: same key, same manifests. It covers exactly what a build reads and nothing else, so that a commit which
// touches other files costs this Kustomization no build.
import { createHash } from 'node:crypto';
import type { UnpackedArtifact } from '../artifact/artifact.ts';
import type { BuildSpec } from './build-spec.ts';
import type { Closure } from './closure.ts';
import { fileTreeOf } from './file-tree.ts';
import type { BuildInput } from './generate-kustomization.ts';

/** To be raised whenever this engine would make other manifests of the same input. */
export const buildEngineVersion = 1;

/**
 * The key of a build, or undefined when something is fetched over the network: then nothing but a build can tell.
 * With an unknown field in a kustomization the whole artifact counts as read.
 */
export function buildKeyOf(
  artifact: UnpackedArtifact,
  input: BuildInput,
  spec: BuildSpec,
  closure: Closure,
  kustomizeVersion: string,
): string | undefined {
  if (closure.remotes.length > 0) return undefined;
  const tree = fileTreeOf(artifact);
  const read = new Set(input.file ? [input.file, ...closure.files] : closure.files);
  const files = closure.isComplete ? [...read].sort().map((path) => [path, tree.sha256(path)]) : artifact.digest;
  // Whether a missing component is an error is told by the components that were merged, so it is no input of its own.
  const { ignoreMissingComponents: _, components: __, path: ___, ...overrides } = spec;
  const described = {
    engine: buildEngineVersion,
    kustomize: kustomizeVersion,
    directory: input.directory,
    overrides: Object.fromEntries(Object.entries(overrides).sort(([a], [b]) => (a < b ? -1 : 1))),
    // The merged lists, as they also depend on which files and directories exist.
    resources: input.file ? undefined : input.fields.resources,
    components: input.fields.components,
    files,
  };
  return createHash('sha256').update(JSON.stringify(described)).digest('hex');
}
