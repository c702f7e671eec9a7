// What the schema of an ArtifactGenerator cannot say (contract 1.7). Pure.
import type { ArtifactGenerator } from '../../../k8s/api/artifact-generator.ts';
import { parseAliased } from './copy-rules.ts';

/** Copy operations of all artifacts together. */
const maxCopyOperations = 10_000;

/** Why a spec contradicts itself; undefined when it does not. */
export function specProblem({ metadata, spec }: ArtifactGenerator): string | undefined {
  const aliases = new Set<string>();
  for (const { alias } of spec.sources) {
    if (aliases.has(alias)) return `duplicate source alias "${alias}" found: rename one of them in spec.sources`;
    aliases.add(alias);
  }
  const unknown = (field: string, alias: string): string | undefined =>
    aliases.has(alias) ? undefined : `${field} names the source alias "${alias}", which spec.sources has not`;

  const names = new Set<string>();
  for (const { name, revision, originRevision, copy } of spec.artifacts) {
    if (names.has(name)) return `duplicate artifact name "${name}" found: rename one of them in spec.artifacts`;
    names.add(name);
    for (const [field, value] of Object.entries({ revision, originRevision })) {
      const problem = value && unknown(`${field} of artifact "${name}"`, value.slice(1));
      if (problem) return problem;
    }
    for (const { from, to } of copy) {
      try {
        const problem = unknown(`copy.from of artifact "${name}"`, parseAliased(from).alias);
        if (problem) return problem;
        parseAliased(to);
      } catch (error) {
        return `copy of artifact "${name}": ${(error as Error).message}`;
      }
    }
  }
  const operations = spec.artifacts.reduce((sum, { copy }) => sum + copy.length, 0);
  if (operations > maxCopyOperations) return `spec.artifacts has more than the ${maxCopyOperations} copies allowed`;
  const own = spec.sources.find(
    ({ kind, name, namespace = metadata.namespace }) =>
      kind === 'ExternalArtifact' && namespace === metadata.namespace && names.has(name),
  );
  if (own) return `ExternalArtifact "${own.name}" is a source and an artifact of this object: name another source`;
  return spec.pathPattern === undefined ? undefined : unknownInPattern(spec.pathPattern, unknown);
}

function unknownInPattern(
  pattern: string,
  unknown: (field: string, alias: string) => string | undefined,
): string | undefined {
  return unknown('spec.pathPattern', /^@([^/]*)/.exec(pattern)?.[1] ?? '');
}
