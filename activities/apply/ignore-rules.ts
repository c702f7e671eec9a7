// `spec.ignore`: fields that drift detection leaves alone and that an apply does not take back (contract 2.1).
import { parseLabelSelector } from '../../k8s/label-selector.ts';
import { type KubeObject, refOf } from '../../k8s/object.ts';
import { parsePointer, removeAt, replaceAt, valueAt } from './json-pointer.ts';
import { isAppliedByOther } from './managed-fields.ts';

/** One entry of `spec.ignore`. */
export interface IgnoreSpec {
  paths: string[];
  target?: {
    group?: string;
    version?: string;
    kind?: string;
    name?: string;
    namespace?: string;
    labelSelector?: string;
    annotationSelector?: string;
  };
}

/** Gives the paths of an object that are ignored. */
export type IgnoreRules = (object: KubeObject) => string[][];

const maxPatternLength = 256;

/** Compiles `spec.ignore`. Throws an `Error` that names the entry whose path, pattern or selector is wrong. */
export function compileIgnoreRules(specs: readonly IgnoreSpec[] = []): IgnoreRules {
  const rules = specs.map((spec, index) => {
    try {
      return { matches: compileTarget(spec.target), paths: spec.paths.map(parsePointer) };
    } catch (error) {
      throw new Error(`spec.ignore[${index}] is not valid: ${(error as Error).message}`);
    }
  });
  return (object) => {
    const paths = rules.filter((rule) => rule.matches(object)).flatMap((rule) => rule.paths);
    // Later items of a list first, so that removing one does not move another that is still to be removed.
    return paths.sort((a, b) => b.join('/').localeCompare(a.join('/'), 'en', { numeric: true }));
  };
}

/** Identity fields are regular expressions that match the whole value, as in a patch's target. */
function compileTarget(target: IgnoreSpec['target'] = {}): (object: KubeObject) => boolean {
  const fields = (['group', 'version', 'kind', 'name', 'namespace'] as const).map((field) => ({
    field,
    pattern: target[field] ? compilePattern(target[field]) : undefined,
  }));
  const matchesLabels = parseLabelSelector(target.labelSelector ?? '');
  const matchesAnnotations = parseLabelSelector(target.annotationSelector ?? '');
  return (object) => {
    const ref = refOf(object);
    return (
      fields.every(({ field, pattern }) => !pattern || pattern.test(ref[field])) &&
      matchesLabels(object.metadata.labels) &&
      matchesAnnotations(object.metadata.annotations)
    );
  };
}

function compilePattern(pattern: string): RegExp {
  if (pattern.length > maxPatternLength) throw new Error(`a pattern is longer than ${maxPatternLength} characters`);
  return new RegExp(`^(?:${pattern})$`);
}

/**
 * The desired object as it is sent when it has to be applied anyway: an ignored path that another applier owns is left
 * to it, any other takes the live value, so that the apply reverts neither.
 */
export function adoptIgnored(
  desired: KubeObject,
  live: KubeObject,
  ignored: ReadonlyArray<readonly string[]>,
): KubeObject {
  if (ignored.length === 0) return desired;
  const copy = structuredClone(desired);
  for (const steps of ignored) {
    if (valueAt(copy, steps) === undefined) continue;
    const liveValue = valueAt(live, steps);
    if (liveValue === undefined || isAppliedByOther(live, steps)) removeAt(copy, steps);
    else replaceAt(copy, steps, liveValue);
  }
  return copy;
}
