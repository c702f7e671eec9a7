// Drift: what a server-side dry run would change in the live object (contract 2.1, "change detection").
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../../k8s/object.ts';
import { escapeStep, removeAt } from './json-pointer.ts';

const maxPaths = 20;

/**
 * The JSON pointers at which two objects of the server differ, at most 20: labels, annotations and every field outside
 * of metadata and status. Fields that are absent and fields that are undefined are the same.
 */
export function differingPaths(a: KubeObject, b: KubeObject, ignored: ReadonlyArray<readonly string[]> = []): string[] {
  const paths: string[] = [];
  compare(comparable(a, ignored), comparable(b, ignored), '', paths);
  return paths;
}

/** The part of an object that drift is about; copied only when something has to be cut out of it. */
export function comparable(
  object: KubeObject,
  ignored: ReadonlyArray<readonly string[]> = [],
): Record<string, unknown> {
  const { apiVersion: _, kind: __, status: ___, metadata, ...fields } = object;
  const part = { metadata: { labels: metadata.labels ?? {}, annotations: metadata.annotations ?? {} }, ...fields };
  if (ignored.length === 0) return part;
  const copy = structuredClone(part);
  for (const steps of ignored) removeAt(copy, steps);
  return copy;
}

function compare(a: unknown, b: unknown, path: string, paths: string[]): void {
  if (paths.length >= maxPaths || a === b) return;
  if (isRecord(a) && isRecord(b)) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      compare(a[key], b[key], `${path}/${escapeStep(key)}`, paths);
    }
    return;
  }
  if (Array.isArray(a) && Array.isArray(b) && a.length === b.length) {
    for (let index = 0; index < a.length; index++) compare(a[index], b[index], `${path}/${index}`, paths);
    return;
  }
  if (!isDeepStrictEqual(a, b)) paths.push(path);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
