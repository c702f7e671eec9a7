// Fields that stale managers alone own: the cleanup before an apply gives them to us, and the apply, whose manifest does
// not have them, takes them away. A dry run of the apply cannot show that, as it is made without the cleanup.
import type { KubeObject } from '../../k8s/object.ts';
import { isStaleManager, staleAnnotations, staleLabels } from './field-managers.ts';
import { removeAt } from './json-pointer.ts';
import { isKeyOf, isOurs } from './managed-fields.ts';

type Tree = Record<string, unknown>;

/**
 * The object as it is asked for by cleanup and apply together, made from the dry run of the apply alone (contract 2.1,
 * "field-manager cleanup"). What the server fills in by default is missing where it was taken away; only the server can
 * say. `overrides` is `--override-manager`.
 */
export function withoutStrayFields(
  dryRun: KubeObject,
  desired: KubeObject,
  overrides: readonly string[] = [],
): KubeObject {
  const { managedFields = [] } = dryRun.metadata;
  const stale = managedFields.filter((entry) => isStaleManager(entry, overrides));
  const others = managedFields
    .filter((entry) => !isOurs(entry) && !stale.includes(entry))
    .map(({ fieldsV1 }) => fieldsV1);
  // Sets of fields of another version than ours cannot be joined with ours: they are dropped, and their fields stay.
  const version = managedFields.find(isOurs)?.apiVersion;
  const joined = stale.filter(({ apiVersion }) => version === undefined || apiVersion === version);
  const paths = joined.flatMap(({ fieldsV1 = {} }) => strayPaths(fieldsV1, dryRun, desired, others.filter(isTree)));
  for (const key of staleAnnotations) paths.push(['metadata', 'annotations', key]);
  for (const key of staleLabels) paths.push(['metadata', 'labels', key]);
  const copy = structuredClone(dryRun);
  // Later items of a list first, so that removing one does not move another that is still to be removed.
  paths.sort((a, b) => b.join('/').localeCompare(a.join('/'), 'en', { numeric: true }));
  let last = '';
  for (const path of paths) {
    if (path.join('/') !== last) removeAt(copy, path);
    last = path.join('/');
  }
  return copy;
}

/** Walks a set of fields beside the object, the manifest and the sets of those who keep what they own. */
function strayPaths(fields: Tree, value: unknown, desired: unknown, others: readonly Tree[]): string[][] {
  const paths: string[][] = [];
  for (const [key, below] of Object.entries(fields)) {
    if (key === '.' || !isTree(below)) continue;
    const step = stepOf(key, value);
    const child = step === undefined ? undefined : (value as Tree)[step];
    if (step === undefined || child === undefined) continue;
    const wanted = wantedAt(key, desired);
    const owners = others.map((tree) => tree[key]).filter(isTree);
    const isLeaf = Object.keys(below).every((name) => name === '.');
    if (wanted === undefined && owners.length === 0 && (isLeaf || '.' in below)) paths.push([step]);
    else if (!isLeaf) {
      for (const path of strayPaths(below, child, wanted, owners)) paths.push([step, ...path]);
    }
  }
  return paths;
}

/** The field name, or the index of the item, that a key of `fieldsV1` stands for. */
function stepOf(key: string, value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (key.startsWith('f:')) return key.slice(2);
  const index = Array.isArray(value) ? value.findIndex((item, at) => isKeyOf(key, item, String(at))) : -1;
  return index < 0 ? undefined : String(index);
}

function wantedAt(key: string, desired: unknown): unknown {
  const step = stepOf(key, desired);
  return step === undefined ? undefined : (desired as Tree)[step];
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null;
}
