// The values of a SOPS file by the encrypted text that stands for each, so that what a build made of an encrypted object
// (another namespace, more labels, other names) can be completed. sops itself could decrypt such an object only without
// its message authentication code, as that covers the file as it was written; here the file is verified, the object not.
import type { KubeObject } from '../../../k8s/object.ts';
import { isRecord } from '../read-manifests.ts';
import { encryptedValueMark } from './sops-metadata.ts';

/** `<message authentication code>\0<path>\0<encrypted text>` → plain value. */
export type PlainValues = Map<string, unknown>;

/**
 * Adds the values of one document: `encrypted` as it lies in the file, `plain` as sops gives it. A value counts at its own
 * path alone, just as sops binds it to that: elsewhere in an object it stays unknown.
 */
export function addPlainValues(values: PlainValues, encrypted: Record<string, unknown>, plain: unknown): void {
  const mac = macOf(encrypted);
  function add(cipher: unknown, clear: unknown, path: string): void {
    if (typeof cipher === 'string') {
      if (cipher.includes(encryptedValueMark)) values.set(keyOf(mac, path, cipher), clear);
    } else if (Array.isArray(cipher)) {
      // sops drops an encrypted comment of a list; positions count without it, and none of them is part of a path.
      const items = cipher.filter((item) => !isEncryptedComment(item));
      for (const [index, item] of items.entries()) add(item, Array.isArray(clear) ? clear[index] : undefined, path);
    } else if (isRecord(cipher)) {
      for (const [key, value] of Object.entries(cipher))
        add(value, isRecord(clear) ? clear[key] : undefined, `${path}:${key}`);
    }
  }
  const { sops: _, ...fields } = encrypted;
  add(fields, plain, '');
}

/**
 * An object with its plain values and without the block of sops. Gives the path of the first value that is in no file
 * with that block instead, as when it was moved or changed by a patch.
 */
export function fillIn(object: KubeObject, values: PlainValues): { object: KubeObject } | { unknownPath: string } {
  const mac = macOf(object);
  let unknownPath: string | undefined;
  function plainOf(value: unknown, path: string): unknown {
    if (typeof value === 'string') {
      if (!value.includes(encryptedValueMark)) return value;
      const plain = values.get(keyOf(mac, path, value));
      if (plain === undefined) unknownPath ??= path.slice(1).replaceAll(':', '.');
      return plain;
    }
    if (Array.isArray(value))
      return value.filter((item) => !isEncryptedComment(item)).map((item) => plainOf(item, path));
    if (!isRecord(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, plainOf(field, `${path}:${key}`)]));
  }
  const { sops: _, ...fields } = object;
  const filled = plainOf(fields, '') as KubeObject;
  return unknownPath === undefined ? { object: filled } : { unknownPath };
}

/** The code by which an object and the file that it is from know each other; '' when the block has none. */
export function macOf(object: Readonly<Record<string, unknown>>): string {
  const block = object.sops;
  return isRecord(block) && typeof block.mac === 'string' ? block.mac : '';
}

function isEncryptedComment(item: unknown): boolean {
  return typeof item === 'string' && item.startsWith(encryptedValueMark) && item.endsWith(',type:comment]');
}

function keyOf(mac: string, path: string, text: string): string {
  return `${mac}\0${path}\0${text}`;
}
