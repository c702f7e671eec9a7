// What an ArtifactGenerator is made from, or why it cannot be made (contract 1.7).
import { createHash } from 'node:crypto';
import type { ArtifactGenerator } from '../../k8s/api/artifact-generator.ts';
import { isWatchedKind } from '../../k8s/flux-objects.ts';
import type { Obstacle } from '../../workflows/decisions/obstacle.ts';
import type { SourceObject } from '../source/source-driver.ts';
import type { ArtifactRef } from './observation.ts';
import { accessRefusal, artifactRefOf, awaitFresh, requeueDependencyMs, type SourceLookup } from './source-of.ts';

export interface GeneratorSource {
  alias: string;
  /** `Kind/namespace/name` */
  subject: string;
  artifact: ArtifactRef;
}

export type GeneratorSources =
  | { sources: GeneratorSource[]; digest: string }
  | Obstacle
  | { awaitMs: number; awaiting: string };

/** Access is refused before anything is said of what a source has. */
export async function generatorSourcesOf(object: ArtifactGenerator, deps: SourceLookup): Promise<GeneratorSources> {
  const own = object.metadata.namespace ?? '';
  const named = object.spec.sources.map(({ alias, kind, name, namespace = own }) => ({ alias, kind, name, namespace }));
  for (const ref of named) {
    const refusal = accessRefusal(ref, own, deps);
    if (refusal) return refusal;
  }
  const sources: GeneratorSource[] = [];
  for (const { alias, kind, namespace, name } of named) {
    const subject = `${kind}/${namespace}/${name}`;
    const missing = (why: string): Obstacle => ({
      reason: 'SourceFetchFailed',
      message: `source @${alias}: ${subject} ${why}`,
      retryInMs: requeueDependencyMs,
    });
    const source = isWatchedKind(kind)
      ? ((await deps.objects.get(kind, { namespace, name })) as SourceObject | undefined)
      : undefined;
    if (!source) return missing('not found: create it, or correct spec.sources');
    const artifact = source.status?.artifact;
    if (!artifact) {
      const fresh = awaitFresh(source);
      return fresh ? { ...fresh, awaiting: `waiting for ${subject}` } : missing('has no artifact yet');
    }
    sources.push({ alias, subject, artifact: artifactRefOf(artifact) });
  }
  return { sources, digest: observedSourcesDigest(sources) };
}

/** `status.observedSourcesDigest`: `sha256:<hex>` over what each alias stands for, in the form of the contract. */
export function observedSourcesDigest(sources: readonly Pick<GeneratorSource, 'alias' | 'artifact'>[]): string {
  const parts = sources.map(
    ({ alias, artifact: { digest, revision, url } }) => `${alias}=[digest=${digest},revision=${revision},url=${url}]`,
  );
  return `sha256:${createHash('sha256').update(parts.sort().join('|')).digest('hex')}`;
}
