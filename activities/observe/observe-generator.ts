// Observe an ArtifactGenerator: the object, and what its sources have now. Reads memory only; no request is sent.
import { generatorReconcileAnnotation } from '../../k8s/api/annotations.ts';
import type { ArtifactGenerator } from '../../k8s/api/artifact-generator.ts';
import { isWatchedKind } from '../../k8s/flux-objects.ts';
import type { Observation } from '../../workflows/decisions/decide.ts';
import { type GeneratorSources, generatorSourcesOf } from './generator-sources.ts';
import {
  absent,
  createLook,
  observationOf,
  type ObserveDependencies,
  type ObserveInput,
} from './observe-activities.ts';

/** Contract 1.7. The sources are watched, so this is for what no watch tells. */
const interval = '1h';

export type ObserveGeneratorActivities = ReturnType<typeof createObserveGeneratorActivities>;

export function createObserveGeneratorActivities(
  deps: Pick<ObserveDependencies, 'objects' | 'references' | 'isCrossNamespaceAllowed' | 'isExternalArtifactAllowed'>,
) {
  const look = createLook(deps);

  /** The sources as the wakers saw them: when there is no news, this worker may be behind. */
  const sourcesOf = async (object: ArtifactGenerator, { wakes }: ObserveInput): Promise<GeneratorSources> => {
    const seen = await generatorSourcesOf(object, deps);
    if ('digest' in seen && seen.digest !== object.status?.observedSourcesDigest) return seen;
    const kinds = new Set(object.spec.sources.map(({ kind }) => kind).filter(isWatchedKind));
    const versions = wakes.flatMap((wake) => (wake.type === 'artifact' ? (wake.resourceVersion ?? []) : []));
    if (versions.length === 0) return seen;
    await Promise.all([...kinds].flatMap((kind) => versions.map((version) => deps.objects.catchUp(kind, version))));
    return await generatorSourcesOf(object, deps);
  };

  return {
    async observeArtifactGenerator(input: ObserveInput): Promise<Observation> {
      const object = (await look('ArtifactGenerator', input)) as ArtifactGenerator | undefined;
      if (!object) return absent;
      const { metadata, status } = object;
      const common: Observation = {
        ...observationOf(object as Parameters<typeof observationOf>[0], interval),
        isSuspended: metadata.annotations?.[generatorReconcileAnnotation]?.toLowerCase() === 'disabled',
        // The status has no field for it (contract 1.0, "observedGeneration"): the condition says it.
        observedGeneration: status?.conditions?.find(({ type }) => type === 'Ready')?.observedGeneration ?? -1,
      };
      if (common.isDeleting || common.isSuspended) return common;
      const sources = await sourcesOf(object, input);
      if ('reason' in sources) return { ...common, appliedRevision: status?.observedSourcesDigest };
      if ('awaitMs' in sources) return { ...common, ...sources };
      return { ...common, revision: sources.digest, appliedRevision: status?.observedSourcesDigest };
    },
  };
}
