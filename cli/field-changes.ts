// Two objects side by side: which fields differ, by paths that a person reads. Pure.
import { isDeepStrictEqual } from 'node:util';

/** One field; `before` is undefined for one that is new, `after` for one that goes. */
export interface FieldChange {
  /** `spec.template.spec.containers[name=web].image`, `data["index.html"]` */
  path: string;
  before: unknown;
  after: unknown;
}

type Json = Record<string, unknown>;

/** Fields that tell the items of a list apart, in the order in which they are tried: the keys of Kubernetes' lists. */
const itemKeys = ['name', 'mountPath', 'containerPort', 'port', 'ip', 'topologyKey', 'type', 'key', 'uid'] as const;

/** The fields that differ, in the order of the object. Absent and undefined are the same. */
export function fieldChanges(before: unknown, after: unknown): FieldChange[] {
  const changes: FieldChange[] = [];
  compare(before, after, '', changes);
  return changes;
}

function compare(before: unknown, after: unknown, path: string, changes: FieldChange[]): void {
  if (isDeepStrictEqual(before, after)) return;
  if (isMapping(before) && isMapping(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      compare(before[key], after[key], `${path}${fieldStep(key, path === '')}`, changes);
    }
    return;
  }
  if (Array.isArray(before) && Array.isArray(after) && compareLists(before, after, path, changes)) return;
  changes.push({ path, before, after });
}

/** Compares item by item where items can be told apart; false where only the whole lists can be shown. */
function compareLists(before: unknown[], after: unknown[], path: string, changes: FieldChange[]): boolean {
  const key = itemKeys.find((name) => isKeyOf(name, before) && isKeyOf(name, after));
  if (key !== undefined) {
    const names = (list: unknown[]): unknown[] => list.map((item) => (item as Json)[key]);
    const kept = names(before).filter((name) => names(after).includes(name));
    // Only an order that differs is shown by the lists themselves.
    if (
      !isDeepStrictEqual(
        kept,
        names(after).filter((name) => names(before).includes(name)),
      )
    )
      return false;
    for (const name of new Set([...names(before), ...names(after)])) {
      const itemOf = (list: unknown[]): unknown => list.find((item) => (item as Json)[key] === name);
      compare(itemOf(before), itemOf(after), `${path}[${key}=${String(name)}]`, changes);
    }
    return true;
  }
  if (before.length !== after.length) return false;
  for (const [index, item] of before.entries()) compare(item, after[index], `${path}[${index}]`, changes);
  return true;
}

/** True for a field that every item has, each with a value of its own. */
function isKeyOf(key: string, list: readonly unknown[]): boolean {
  const values = list.map((item) => (isMapping(item) ? item[key] : undefined));
  const isPlain = values.every((value) => typeof value === 'string' || typeof value === 'number');
  return isPlain && new Set(values).size === list.length;
}

function fieldStep(key: string, isFirst: boolean): string {
  if (!/^[A-Za-z_][\w-]*$/.test(key)) return `[${JSON.stringify(key)}]`;
  return isFirst ? key : `.${key}`;
}

function isMapping(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
