// Substitution after the build, as a whole: what it needs is gathered first, because the build key depends on it.
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { PostBuild } from '../../../k8s/api/kustomization.ts';
import { type KubeObject, refOf, subjectOf } from '../../../k8s/object.ts';
import type { ReferencedObjects } from '../../../k8s/referenced-objects.ts';
import { failure } from '../../errors.ts';
import { isRecord } from '../read-manifests.ts';
import { substituteObject } from './substitute-object.ts';
import { resolveVariables, type Variables } from './variables.ts';

/** To be raised whenever this engine would make another result of the same input. */
const substitutionEngineVersion = 1;

/** A substitution that is to be done. */
export interface Substitution {
  variables: Variables;
  /** See `EvaluateOptions`. */
  isStrict: boolean;
  /** Hex sha256 of all that decides the result, for the build key. */
  digest: string;
}

export interface SubstitutionDependencies {
  references: ReferencedObjects;
  /** Refuse variables that are not set and have no default; true by default, as in Flux since 2.9. */
  strictSubstitution?: boolean;
}

/**
 * What `spec.postBuild` of a Kustomization asks for; undefined when there is nothing to do: no variable is set and the
 * strategy is not `Always`. Sends no request when there is no `substituteFrom`. Fails like {@link resolveVariables}.
 */
export async function resolveSubstitution(
  kustomization: KubeObject,
  { references, strictSubstitution: isStrict = true }: SubstitutionDependencies,
): Promise<Substitution | undefined> {
  const postBuild = isRecord(kustomization.spec) ? (kustomization.spec.postBuild as PostBuild | undefined) : undefined;
  if (!postBuild) return undefined;
  const variables = await resolveVariables(postBuild, kustomization.metadata.namespace ?? '', references);
  if (variables.size === 0 && postBuild.substituteStrategy !== 'Always') return undefined;
  return { variables, isStrict, digest: digestOf(variables, isStrict) };
}

/** Covers names and values, and neither where they come from nor in which order. */
function digestOf(variables: Variables, isStrict: boolean): string {
  const values = [...variables].map(([name, { value }]) => [name, value ?? null] as const);
  values.sort(([a], [b]) => (a < b ? -1 : 1));
  const described = { engine: substitutionEngineVersion, isStrict, values };
  return createHash('sha256').update(JSON.stringify(described)).digest('hex');
}

/**
 * The objects with the variables put in. Pauses now and then for the other work of this process.
 * Fails with BuildFailed; rejects with the signal's reason when aborted.
 */
export async function substituteObjects(
  objects: readonly KubeObject[],
  substitution: Substitution,
  signal?: AbortSignal,
): Promise<KubeObject[]> {
  const result: KubeObject[] = [];
  let sliceEndsMs = performance.now() + sliceMs;
  for (const object of objects) {
    result.push(substituteObject(object, substitution));
    if (performance.now() < sliceEndsMs) continue;
    await setImmediate();
    signal?.throwIfAborted();
    sliceEndsMs = performance.now() + sliceMs;
  }
  assertDistinct(result);
  return result;
}

/** Names may have been variables: two objects that have become one would overwrite each other. */
function assertDistinct(objects: readonly KubeObject[]): void {
  const seen = new Set<string>();
  for (const object of objects) {
    const { group, ...id } = refOf(object);
    const subject = subjectOf(id);
    const key = `${group} ${subject}`;
    if (object.metadata.name && seen.has(key)) {
      throw failure('BuildFailed', `post build failed for ${subject}: more than one object has this name now`, {
        subject,
      });
    }
    seen.add(key);
  }
}

/** How long the event loop may be kept busy at a stretch. */
const sliceMs = 20;
