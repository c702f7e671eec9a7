// The values of a release: `spec.valuesFrom` in its order, and `spec.values` over them (contract 2.2, "values").
import type { HelmRelease, ValuesRef } from '../../k8s/api/helm-release.ts';
import type { KubeObject } from '../../k8s/object.ts';
import type { ReferencedObjects } from '../../k8s/referenced-objects.ts';
import { failure } from '../errors.ts';
import { setAtPath } from './set-path.ts';
import { mergeValues, type Values } from './values-map.ts';
import { readValuesYaml } from './values-yaml.ts';

export type { Values } from './values-map.ts';

const defaultKey = 'values.yaml';
/** Helm keeps a release, chart and manifest included, in one Secret of at most 1 MiB. */
const maxValuesBytes = 1024 * 1024;
const maxReferences = 100;

/**
 * The values of a release as its references are now. Fails with reason ValuesError that names the object and the key or
 * the path, and quotes no value; rejects with the `KubeApiError` of a reference that cannot be read.
 */
export async function composeValues(
  object: Pick<HelmRelease, 'metadata' | 'spec'>,
  references: Pick<ReferencedObjects, 'get'>,
): Promise<Values> {
  const { spec } = object;
  const namespace = object.metadata.namespace ?? '';
  // Inline values are changed in place below, and the object may be shared with other readers.
  const inline = structuredClone((spec.values ?? {}) as Values);
  if ((spec.valuesFrom ?? []).length > maxReferences) {
    throw failure('ValuesError', `spec.valuesFrom has more than ${maxReferences} entries: merge some of them`);
  }
  const known = new Map<string, KubeObject | undefined>();
  let values: Values = {};
  for (const reference of spec.valuesFrom ?? []) {
    const key = `${reference.kind}/${reference.name}`;
    // Two entries of one object see the same version of it.
    if (!known.has(key)) known.set(key, await references.get(reference.kind, namespace, reference.name));
    const text = textOf(known.get(key), namespace, reference);
    if (text === undefined) continue;
    values = reference.targetPath
      ? withValueAt(mergeValues(values, inline), text, namespace, reference)
      : mergeValues(values, readReference(text, namespace, reference));
  }
  // A map of the inline values that a path was set in is in `values` itself, not a copy, so that the path wins; a scalar
  // at the root is put back by this merge. That is what Flux does, and charts are written for it.
  return mergeValues(values, inline);
}

/** The content of a reference; undefined for an optional one that is not there. */
function textOf(found: KubeObject | undefined, namespace: string, reference: ValuesRef): string | undefined {
  const key = reference.valuesKey ?? defaultKey;
  const subject = `${reference.kind}/${namespace}/${reference.name}`;
  const data = (found?.data ?? {}) as Record<string, string>;
  if (!found) {
    if (reference.optional) return undefined;
    throw failure('ValuesError', `${subject} of spec.valuesFrom not found: create it, or set optional`, { subject });
  }
  const content = Object.hasOwn(data, key) ? data[key] : undefined;
  if (content === undefined) {
    if (reference.optional) return undefined;
    throw failure('ValuesError', `${subject} has no key "${key}": add it, or correct valuesKey`, { subject });
  }
  const bytes = Buffer.from(content, reference.kind === 'Secret' ? 'base64' : 'utf8');
  if (bytes.length > maxValuesBytes) {
    const message = `key "${key}" of ${subject} has ${bytes.length} bytes, more than ${maxValuesBytes}`;
    throw failure('ValuesError', message, { subject });
  }
  return bytes.toString('utf8');
}

function readReference(text: string, namespace: string, reference: ValuesRef): Values {
  try {
    return readValuesYaml(text);
  } catch (error) {
    throw wrong(namespace, reference, (error as Error).message);
  }
}

function withValueAt(values: Values, text: string, namespace: string, reference: ValuesRef): Values {
  try {
    setAtPath(values, reference.targetPath ?? '', text, { isLiteral: reference.literal });
    return values;
  } catch (error) {
    const cause = `cannot be set at "${reference.targetPath}": ${(error as Error).message}`;
    throw wrong(namespace, reference, cause);
  }
}

function wrong(namespace: string, reference: ValuesRef, cause: string): Error {
  const subject = `${reference.kind}/${namespace}/${reference.name}`;
  return failure('ValuesError', `key "${reference.valuesKey ?? defaultKey}" of ${subject} ${cause}`, { subject });
}
