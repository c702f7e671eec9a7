// What an ArtifactGenerator is made from, or why it cannot be made (contract 1.7).
import { createHash } from 'node:crypto';
import type { ArtifactGenerator } from '../../k8s/api/artifact-generator.ts';
import { isWatchedKind } from '../../k8s/flux-objects.ts';
import type { Obstacle } from '../../workflows/decisions/obstacle.ts';
import type { SourceObject } from '../source/source-driver.ts';
import type { ArtifactRef } from './observation.ts';
import { accessRefusal, type SourceLookup } from './source-of.ts';

/** Contract 7: --requeue-dependency. A wake of the source comes long before. */
const requeueDependencyMs = 30_000;
/** A source that was made a moment ago and was not reconciled yet is given so long before its absence is told. */
const freshSourceMs = 5_000;
const awaitFreshMs = 1_000;

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
      const ageMs = Date.now() - Date.parse(source.metadata.creationTimestamp ?? '');
      const isReconciled = (source.status?.conditions?.length ?? 0) > 0;
      if (!isReconciled && ageMs < freshSourceMs) return { awaitMs: awaitFreshMs, awaiting: `waiting for ${subject}` };
      return missing('has no artifact yet');
    }
    const { digest, url, revision } = artifact;
    const originRevision = artifact.metadata?.['org.opencontainers.image.revision']?.slice(0, 200);
    sources.push({
      alias,
      subject,
      artifact: { digest, url, revision, ...(originRevision ? { originRevision } : {}) },
    });
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
