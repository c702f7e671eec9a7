// Substitution in one object: its YAML text is the template, and the result is read as YAML again, so that an unquoted
// number or word becomes what YAML takes it for (contract 2.1, "postBuild substitution"). Pure.
//
// Stricter than Flux, each time instead of a wrong object: keys that become the same, labels and annotations that become
// numbers, whole numbers beyond 2^53. Globs go by characters, where Flux cuts those of several bytes.
import { type KubeObject, refOf, subjectOf } from '../../../k8s/object.ts';
import { failure } from '../../errors.ts';
import { defaultReadLimits, isRecord, readYaml } from '../read-manifests.ts';
import { evaluate, type EvaluateOptions } from './evaluate.ts';
import { hasExpressions, namesIn, parseTemplate, SubstitutionError } from './expression.ts';
import { writeYaml } from './write-yaml.ts';

/** On an object, as annotation or label, with exactly the value `disabled`: its expressions are plain text. */
export const substituteKey = 'kustomize.toolkit.fluxcd.io/substitute';

/**
 * The object with variables put in; the very same one when it has no expressions or opts out.
 * Fails with BuildFailed; the message names the object, the field and the variable, and never a value.
 */
export function substituteObject(object: KubeObject, options: EvaluateOptions): KubeObject {
  if (isExempt(object) || !isTemplate(object)) return object;
  try {
    return asObject(substituteValue(object, options), object);
  } catch (error) {
    if (!(error instanceof SubstitutionError)) throw error;
    const subject = subjectOf(refOf(object));
    const culprit = findCulprit(object, options);
    const where = culprit ? ` at ${culprit.path}` : '';
    throw failure('BuildFailed', `post build failed for ${subject}${where}: ${(culprit?.error ?? error).message}`, {
      subject,
    });
  }
}

function isExempt({ metadata }: KubeObject): boolean {
  return [metadata.labels, metadata.annotations].some((map) => map?.[substituteKey] === 'disabled');
}

function isTemplate(value: unknown): boolean {
  if (typeof value === 'string') return hasExpressions(value);
  if (Array.isArray(value)) return value.some(isTemplate);
  return isRecord(value) && Object.entries(value).some(([key, item]) => hasExpressions(key) || isTemplate(item));
}

function substituteValue(value: Readonly<Record<string, unknown>>, options: EvaluateOptions): unknown {
  const template = parseTemplate(writeYaml(value));
  const text = evaluate(template, options);
  try {
    const { documents } = readYaml(text, 'manifest', defaultReadLimits, 'kubernetes');
    return documents[0]?.value;
  } catch {
    // The reader's message may quote a value.
    const names = [...new Set(namesIn(template))].slice(0, maxNamesShown).map((name) => `"${name}"`);
    throw new SubstitutionError(
      `the text is no valid YAML with the values put in (${names.join(', ')}): ` +
        'a value with a quote, ": ", " #", a bracket or a brace, or a number beyond 15 digits, needs quotes of its own, ' +
        'and keys have to stay distinct',
    );
  }
}

const maxNamesShown = 5;

/** What makes an object must still be there, and labels must be text. */
function asObject(value: unknown, original: KubeObject): KubeObject {
  const object = isRecord(value) ? value : {};
  const metadata = isRecord(object.metadata) ? object.metadata : {};
  assertText('apiVersion', object.apiVersion);
  assertText('kind', object.kind);
  if (metadata.generateName === undefined || metadata.name !== undefined) assertText('metadata.name', metadata.name);
  if (metadata.namespace !== undefined) assertText('metadata.namespace', metadata.namespace);
  for (const field of ['labels', 'annotations'] as const) {
    const map = isRecord(metadata[field]) ? metadata[field] : {};
    for (const [key, item] of Object.entries(map)) {
      // A key may be a value of a variable, too.
      const name = Object.hasOwn(original.metadata[field] ?? {}, key) ? `"${key}"` : 'a key';
      if (item !== null && item !== '') assertText(`${name} in metadata.${field}`, item);
    }
  }
  return object as KubeObject;
}

function assertText(path: string, value: unknown): void {
  if (typeof value === 'string' && value !== '') return;
  const got = value === null || value === undefined || value === '' ? 'empty' : `a ${typeof value}`;
  throw new SubstitutionError(
    `${path} is ${got} with the values put in, expected text; give the variable a value in quotes, such as '"1.0"'`,
  );
}

interface Culprit {
  path: string;
  error: SubstitutionError;
}

/** The first text of an object that already fails alone; undefined when only the whole does. */
function findCulprit(object: KubeObject, options: EvaluateOptions): Culprit | undefined {
  function look(value: unknown, path: string): Culprit | undefined {
    if (typeof value === 'string') return hasExpressions(value) ? tryAlone({ value }, path) : undefined;
    if (Array.isArray(value)) return first(value.entries(), (index, item) => look(item, `${path}[${index}]`));
    if (!isRecord(value)) return undefined;
    return first(Object.entries(value), (key, item) => {
      const at = path ? `${path}.${fieldName(key)}` : fieldName(key);
      return (hasExpressions(key) ? tryAlone({ [key]: '' }, at) : undefined) ?? look(item, at);
    });
  }

  function tryAlone(alone: Record<string, string>, path: string): Culprit | undefined {
    try {
      substituteValue(alone, options);
    } catch (error) {
      if (error instanceof SubstitutionError) return { path, error };
      throw error;
    }
    return undefined;
  }

  return look(object, '');
}

function first<K, T, R>(entries: Iterable<[K, T]>, find: (key: K, item: T) => R | undefined): R | undefined {
  for (const [key, item] of entries) {
    const found = find(key, item);
    if (found !== undefined) return found;
  }
  return undefined;
}

function fieldName(key: string): string {
  return /^[\w-]+$/.test(key) ? key : `"${key}"`;
}
