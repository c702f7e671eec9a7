// Objects as they may be shown: the values of Secrets are not. Pure.
import type { KubeObject } from '../k8s/object.ts';

/** What is shown for a value that is a secret, or as secret as the object it is quoted from. */
export const mask = '*****';

type Fields = Record<string, unknown>;

/** kubectl keeps the whole manifest in it, the data of a Secret included. */
const copyAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';

/** A Secret without its values; any other object as it is. The input is never changed. */
export function maskObject(object: KubeObject): KubeObject {
  return isSecret(object) ? { ...object, ...maskFields(object, object) } : object;
}

/**
 * Two states of one object. The values of a Secret are masked, so that those which differ still do:
 * `***** (before)` and `***** (after)`.
 */
export function maskPair(kind: string, before: Fields, after: Fields): { before: Fields; after: Fields } {
  if (kind !== 'Secret') return { before, after };
  return { before: maskFields(before, after, 'before'), after: maskFields(after, before, 'after') };
}

function maskFields(fields: Fields, other: Fields, side = ''): Fields {
  const shown: Fields = { ...fields };
  for (const field of ['data', 'stringData']) {
    if (fields[field] !== undefined) shown[field] = maskValues(fields[field], other[field], side);
  }
  const metadata = fields['metadata'] as { annotations?: Fields } | undefined;
  if (metadata?.annotations?.[copyAnnotation] !== undefined) {
    shown['metadata'] = { ...metadata, annotations: { ...metadata.annotations, [copyAnnotation]: mask } };
  }
  return shown;
}

/** Anything that is no mapping of values is masked as a whole. */
function maskValues(values: unknown, other: unknown, side: string): unknown {
  if (typeof values !== 'object' || values === null || Array.isArray(values)) return mask;
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => {
      const counterpart = (other as Fields | undefined)?.[key];
      const isChanged = side !== '' && counterpart !== undefined && counterpart !== value;
      return [key, isChanged ? `${mask} (${side})` : mask];
    }),
  );
}

function isSecret({ kind, apiVersion }: KubeObject): boolean {
  return kind === 'Secret' && apiVersion === 'v1';
}
