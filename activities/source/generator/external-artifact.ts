// The ExternalArtifacts of an ArtifactGenerator, as objects (contract 1.7). Pure.
import type { ArtifactGenerator } from '../../../k8s/api/artifact-generator.ts';
import type { ExternalArtifact } from '../../../k8s/api/external-artifact.ts';
import type { Artifact } from '../../artifact/artifact.ts';

/** Whose an ExternalArtifact is: the uid of the ArtifactGenerator. */
export const generatorLabel = 'source.extensions.fluxcd.io/generator';
export const generatorFieldManager = 'source-watcher';

/** What is applied. Our own labels win over those of the spec, which win over the captures of `spec.pathPattern`. */
export function externalArtifactOf(
  { apiVersion, kind, metadata, spec }: ArtifactGenerator,
  name: string,
  captures: Readonly<Record<string, string>>,
): ExternalArtifact {
  const { labels, annotations } = spec.commonMetadata ?? {};
  return {
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'ExternalArtifact',
    metadata: {
      name,
      namespace: metadata.namespace,
      labels: {
        ...captures,
        ...labels,
        'app.kubernetes.io/managed-by': generatorFieldManager,
        [generatorLabel]: metadata.uid ?? '',
      },
      ...(annotations ? { annotations } : {}),
    },
    spec: { sourceRef: { apiVersion, kind, name: metadata.name, namespace: metadata.namespace } },
  };
}

/** The status of one whose artifact is in the store. */
export function externalArtifactStatus(
  { metadata, status }: ExternalArtifact,
  artifact: Artifact,
): NonNullable<ExternalArtifact['status']> {
  const before = status?.conditions?.find(({ type }) => type === 'Ready');
  const others = (status?.conditions ?? []).filter(({ type }) => type !== 'Ready');
  const ready = {
    type: 'Ready',
    status: 'True' as const,
    reason: 'Succeeded',
    message: 'Artifact is ready',
    observedGeneration: metadata.generation ?? 1,
    lastTransitionTime: before?.status === 'True' ? before.lastTransitionTime : artifact.lastUpdateTime,
  };
  return { ...status, conditions: [ready, ...others], artifact };
}

/** True for one that this generator, and not another one of its name, has made. */
export function isMadeBy({ metadata }: Pick<ExternalArtifact, 'metadata'>, generator: ArtifactGenerator): boolean {
  return metadata.labels?.[generatorLabel] === generator.metadata.uid;
}
