// Texts that come out of Secrets and encrypted files, wherever a build puts them: known, so that they can be masked. Pure.
import type { KubeObject } from '../k8s/object.ts';

/** What a build has read that must not be shown. */
export interface SecretValues {
  add(value: unknown): void;
  /** True for a text that holds one of the values. */
  isIn(text: string): boolean;
}

/** Shorter ones are in texts by chance. */
const shortest = 4;
/** Words that say nothing even when a Secret holds them. */
const plain = /^(?:true|false|null|none|\d+)$/i;

/** An empty set of secret values. Numbers are kept as they are written, every other value that is no text is not. */
export function createSecretValues(): SecretValues {
  const values = new Set<string>();
  return {
    add(value) {
      if (typeof value !== 'string' && typeof value !== 'number') return;
      const text = String(value).trim();
      if (text.length < shortest || plain.test(text)) return;
      values.add(text);
      // Substitution takes line breaks out.
      values.add(text.replaceAll('\n', ''));
    },
    isIn: (text) => [...values].some((value) => text.includes(value)),
  };
}

/** True when a value, or anything in it, is a text with a secret. */
export function holdsSecret(value: unknown, secrets: Pick<SecretValues, 'isIn'>): boolean {
  if (typeof value === 'string') return secrets.isIn(value);
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).some((part) => holdsSecret(part, secrets));
}

/** An object with each text that holds a secret replaced; what identifies the object stays. The input is not changed. */
export function maskTexts(object: KubeObject, secrets: Pick<SecretValues, 'isIn'>, mask: string): KubeObject {
  const masked = (value: unknown): unknown => {
    if (typeof value === 'string') return secrets.isIn(value) ? mask : value;
    if (Array.isArray(value)) return value.map(masked);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, masked(part)]));
  };
  const { name, namespace } = object.metadata;
  const metadata = { ...(masked(object.metadata) as KubeObject['metadata']), name, ...(namespace && { namespace }) };
  return { ...(masked(object) as KubeObject), apiVersion: object.apiVersion, kind: object.kind, metadata };
}
