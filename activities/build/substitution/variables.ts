// Which variables a Kustomization gives to its manifests, and from where (contract 2.1, "postBuild substitution").
// A message names object and key, never a value.
import { KubeApiError } from '../../../k8s/client.ts';
import type { PostBuild, SubstituteRef } from '../../../k8s/api/kustomization.ts';
import type { KubeObject } from '../../../k8s/object.ts';
import type { ReferencedObjects } from '../../../k8s/referenced-objects.ts';
import { failure, messageOf } from '../../errors.ts';

export interface Variable {
  /** Without its newlines; undefined for bytes of a Secret that are no UTF-8 text. */
  value: string | undefined;
  /** Where it was set, for messages: `Secret/apps/settings` or `spec.postBuild.substitute`. */
  origin: string;
}

/** Variables by name. */
export type Variables = ReadonlyMap<string, Variable>;

const inlineOrigin = 'spec.postBuild.substitute';
const namePattern = /^[_a-zA-Z][_a-zA-Z0-9]*$/;
const maxReferences = 100;
const maxValuesLength = 16 * 1024 * 1024;
const maxNameShown = 100;

/**
 * The variables of `spec.postBuild`: those of `substituteFrom` in the order of the list, then the inline ones; later ones
 * win. Costs at most one request an entry of `substituteFrom`.
 * Fails with BuildFailed for an object that is missing and not optional, cannot be read, or has a key that is no name of
 * a variable.
 */
export async function resolveVariables(
  postBuild: PostBuild,
  namespace: string,
  references: ReferencedObjects,
): Promise<Variables> {
  const from = postBuild.substituteFrom ?? [];
  if (from.length > maxReferences) {
    throw failed(`spec.postBuild.substituteFrom has ${from.length} entries, over the limit of ${maxReferences}`);
  }
  const variables = new Map<string, Variable>();
  let length = 0;
  function add(name: string, value: string | undefined, origin: string): void {
    if (!namePattern.test(name)) {
      const shown = name.length > maxNameShown ? `${name.slice(0, maxNameShown)}…` : name;
      throw failed(
        `"${shown}" in ${origin} is no name of a variable: expected letters, digits and "_", and no digit first`,
        origin,
      );
    }
    length += value?.length ?? 0;
    if (length > maxValuesLength) throw failed(`variables are longer than ${maxValuesLength} characters altogether`);
    variables.set(name, { value: value?.replaceAll('\n', ''), origin });
  }

  const objects = await Promise.all(from.map((reference) => read(reference, namespace, references)));
  for (const [index, object] of objects.entries()) {
    const { kind, name } = from[index] as SubstituteRef;
    const origin = `${kind}/${namespace}/${name}`;
    for (const [key, value] of Object.entries(dataOf(object))) {
      add(key, kind === 'Secret' ? decode(value) : value, origin);
    }
  }
  for (const [name, value] of Object.entries(postBuild.substitute ?? {})) add(name, value, inlineOrigin);
  return variables;
}

async function read(
  { kind, name, optional }: SubstituteRef,
  namespace: string,
  references: ReferencedObjects,
): Promise<KubeObject | undefined> {
  const subject = `${kind}/${namespace}/${name}`;
  let object: KubeObject | undefined;
  try {
    object = await references.get(kind, namespace, name);
  } catch (cause) {
    const isTransient = cause instanceof KubeApiError && cause.isTransient;
    const reason = cause instanceof KubeApiError && cause.reason ? ` (${cause.reason})` : '';
    throw failed(`${subject} cannot be read${reason}: ${messageOf(cause)}`, subject, { cause, isTransient });
  }
  if (object || optional) return object;
  throw failed(
    `${subject} of spec.postBuild.substituteFrom does not exist: create it, or set "optional: true"`,
    subject,
  );
}

/** `data` of a ConfigMap or a Secret; an absent object has none, and `binaryData` does not count. */
function dataOf(object: KubeObject | undefined): Record<string, string> {
  return (object?.data ?? {}) as Record<string, string>;
}

function decode(base64: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(base64, 'base64'));
  } catch {
    // Said when an expression uses it: a Secret may have other keys beside the variables.
    return undefined;
  }
}

function failed(message: string, subject?: string, options: { cause?: unknown; isTransient?: boolean } = {}): Error {
  return failure('BuildFailed', `post build failed: ${message}`, { subject, ...options });
}
