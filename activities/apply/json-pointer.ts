// RFC 6901 pointers into parsed JSON: `/spec/template/spec/containers/0/image`.

/** The steps of a pointer. Throws an `Error` that quotes a pointer which does not start with `/`. */
export function parsePointer(pointer: string): string[] {
  if (!pointer.startsWith('/')) throw new Error(`JSON pointer "${pointer}" must start with "/", e.g. "/spec/replicas"`);
  return pointer
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** One step as it is written in a pointer. */
export function escapeStep(step: string): string {
  return step.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** The value that a pointer names, or undefined. */
export function valueAt(root: unknown, steps: readonly string[]): unknown {
  let value = root;
  for (const step of steps) {
    if (typeof value !== 'object' || value === null) return undefined;
    const known = Array.isArray(value) ? /^\d+$/.test(step) : Object.hasOwn(value, step);
    if (!known) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

/** Removes the value that a pointer names, in place; what does not exist is fine. */
export function removeAt(root: unknown, steps: readonly string[]): void {
  const parent = valueAt(root, steps.slice(0, -1));
  const last = steps.at(-1);
  if (last === undefined || typeof parent !== 'object' || parent === null) return;
  if (!Array.isArray(parent)) delete (parent as Record<string, unknown>)[last];
  else if (/^\d+$/.test(last) && Number(last) < parent.length) parent.splice(Number(last), 1);
}

/** Replaces the value that a pointer names, in place, where its parent exists. */
export function replaceAt(root: unknown, steps: readonly string[], value: unknown): void {
  const parent = valueAt(root, steps.slice(0, -1));
  const last = steps.at(-1);
  if (last === undefined || typeof parent !== 'object' || parent === null) return;
  if (Array.isArray(parent) && (!/^\d+$/.test(last) || Number(last) >= parent.length)) return;
  (parent as Record<string, unknown>)[last] = value;
}
