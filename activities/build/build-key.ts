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

/** Digests of what a build reads beside the files of its source, by name; one that is undefined is not used at all. */
export type OtherInputs = Readonly<Record<string, string | undefined>>;

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
  others: OtherInputs = {},
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
    overrides: sortedByKey(overrides),
    // The merged lists, as they also depend on which files and directories exist.
    resources: input.file ? undefined : input.fields.resources,
    components: input.fields.components,
    files,
    // Without any, the text is as it was before there were any: keys that are stored stay valid.
    ...sortedByKey(others),
  };
  return createHash('sha256').update(JSON.stringify(described)).digest('hex');
}

function sortedByKey(record: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
