// Who waits for an object: a short list that its workflow keeps. Losing an entry costs one interval.
import type { ReconciledRef } from '../messages.ts';

/** More would not fit into the input of a continued run (32 KB); those past it look again on their interval. */
const maximumDependants = 250;

/** Adds those that are not in the list yet. */
export function addDependants(list: readonly ReconciledRef[], added: readonly ReconciledRef[]): ReconciledRef[] {
  const known = new Set(list.map(keyOf));
  return [...list, ...added.filter((one) => !known.has(keyOf(one)))].slice(0, maximumDependants);
}

function keyOf({ kind, namespace, name }: ReconciledRef): string {
  return `${kind}/${namespace}/${name}`;
}
