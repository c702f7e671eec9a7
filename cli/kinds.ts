// The words by which a person names a kind: those of kubectl (plural, singular, short names) and of the flux CLI.
import { type KindDefinition, resourceOf } from '../k8s/api/definition.ts';
import { definitions } from '../k8s/api/index.ts';
import { type KubeObject, type NamespacedName, type ObjectRef, splitApiVersion } from '../k8s/object.ts';
import { usageError } from './exit.ts';

/** What the flux CLI calls some kinds: one or two words. */
const fluxWords: Record<string, string> = {
  'source git': 'GitRepository',
  'source oci': 'OCIRepository',
  'source helm': 'HelmRepository',
  'source chart': 'HelmChart',
  'source bucket': 'Bucket',
  'source external': 'ExternalArtifact',
  'artifact generator': 'ArtifactGenerator',
  'image repository': 'ImageRepository',
  'image policy': 'ImagePolicy',
  'image update': 'ImageUpdateAutomation',
  'alert-provider': 'Provider',
};

const kindOfWord = new Map<string, KindDefinition>();
for (const definition of definitions) {
  const { kind, plural, singular, shortNames, group } = definition;
  const words = [kind.toLowerCase(), plural, singular, ...shortNames, `${plural}.${group}`];
  for (const word of words) kindOfWord.set(word, definition);
}
for (const [words, kind] of Object.entries(fluxWords)) {
  const definition = definitions.find((candidate) => candidate.kind === kind) as KindDefinition;
  const [first = '', second] = words.split(' ');
  const heads = [first, `${first}s`];
  const tails =
    second === undefined ? [''] : second.endsWith('y') ? [second, `${second.slice(0, -1)}ies`] : [second, `${second}s`];
  for (const head of heads) for (const tail of tails) kindOfWord.set(tail ? `${head} ${tail}` : head, definition);
}

/** What the words of a command name: a kind (undefined: several) and objects of it (none: all of them). */
export interface Target {
  definition: KindDefinition | undefined;
  /** The kinds that are meant where it is not one. @default all */
  definitions?: readonly KindDefinition[];
  names: string[];
}

/** The kind of a word, in any case; undefined for an unknown one. */
export function kindOf(word: string): KindDefinition | undefined {
  return kindOfWord.get(word.toLowerCase());
}

/** The kind of ours that an object is of; undefined for any other. */
export function definitionOf({
  apiVersion,
  kind,
}: Pick<KubeObject, 'apiVersion' | 'kind'>): KindDefinition | undefined {
  const { group } = splitApiVersion(apiVersion);
  return definitions.find((definition) => definition.kind === kind && definition.group === group);
}

/** The kinds that the flux CLI calls by a word and another one, such as `source` or `sources`; none for other words. */
function familyOf(word: string): KindDefinition[] {
  const head = word.toLowerCase().replace(/s$/, '');
  const inFamily = Object.entries(fluxWords).filter(([words]) => words.startsWith(`${head} `));
  return inFamily.map(([words]) => kindOfWord.get(words) as KindDefinition);
}

/**
 * Reads `ks`, `ks demo other`, `ks/demo`, `source git demo`, `all`, `sources all`. Throws a usage error for an unknown kind, for an empty
 * name, and for objects of different kinds.
 */
export function parseTarget(words: readonly string[]): Target {
  const [first, second, ...rest] = words;
  if (first === undefined || (first === 'all' && second === undefined)) return { definition: undefined, names: [] };
  if (second === 'all' && rest.length === 0) {
    const family = familyOf(first);
    if (family.length > 0) return { definition: undefined, definitions: family, names: [] };
  }
  if (first.includes('/')) return parseSlashes(words);
  const pair = second === undefined ? undefined : kindOf(`${first} ${second}`);
  if (pair) return withNames(pair, rest);
  const definition = kindOf(first);
  if (!definition) throw unknownKind(first, second);
  return withNames(definition, words.slice(1));
}

/** Like {@link parseTarget}, for verbs that need a kind. */
export function parseKindTarget(words: readonly string[]): Target & { definition: KindDefinition } {
  const { definition, names } = parseTarget(words);
  if (!definition) throw usageError('kind is missing: expected for example "ks" or "source git"');
  return { definition, names };
}

/** Like {@link parseTarget}, for verbs that act on exactly one object. */
export function parseObjectTarget(words: readonly string[]): { definition: KindDefinition; name: string } {
  const { definition, names } = parseKindTarget(words);
  const [name, ...others] = names;
  if (name === undefined || others.length > 0) {
    throw usageError(`expected one name of a ${definition.kind}, got ${names.length === 0 ? 'none' : names.length}`);
  }
  return { definition, name };
}

/** Like {@link parseObjectTarget}, for verbs that are about Kustomizations; gives the name. */
export function parseKustomizationTarget(words: readonly string[]): string {
  const { definition, name } = parseObjectTarget(words);
  if (definition.kind === 'Kustomization') return name;
  throw usageError(`expected a Kustomization, such as "ks ${name}", got a ${definition.kind}`);
}

/** The reference of an object of a kind of ours, in the version that is stored. */
export function objectRefOf(definition: KindDefinition, { namespace, name }: NamespacedName): ObjectRef {
  const { group, version, kind } = resourceOf(definition);
  return { group, version, kind, namespace, name };
}

/** The shortest word for a kind, as commands that are suggested write it. */
export function wordOf(definition: KindDefinition): string {
  return definition.shortNames[0] ?? definition.singular;
}

function parseSlashes(words: readonly string[]): Target {
  const named = words.map((word) => {
    const slash = word.indexOf('/');
    if (slash < 0) throw usageError(`expected "<kind>/<name>" like the word before, got "${word}"`);
    const definition = kindOf(word.slice(0, slash));
    if (!definition) throw unknownKind(word.slice(0, slash));
    return { definition, name: word.slice(slash + 1) };
  });
  const definition = named[0]?.definition;
  if (!definition || named.some((entry) => entry.definition !== definition)) {
    throw usageError('expected objects of one kind, got several kinds');
  }
  return withNames(
    definition,
    named.map((entry) => entry.name),
  );
}

/** Throws a usage error for a name that no object can have. */
export function checkNames(definition: KindDefinition, names: readonly string[]): void {
  for (const name of names) {
    if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name)) {
      throw usageError(
        `invalid name of a ${definition.kind}: expected lower-case letters, digits, "-" and ".", got "${name}"`,
      );
    }
  }
}

function withNames(definition: KindDefinition, names: string[]): Target & { definition: KindDefinition } {
  checkNames(definition, names);
  return { definition, names };
}

function unknownKind(word: string, next?: string): Error {
  const isHead = [...kindOfWord.keys()].some((known) => known.startsWith(`${word.toLowerCase()} `));
  const got = isHead && next !== undefined ? `${word} ${next}` : word;
  return usageError(`unknown kind "${got}": expected one of ${definitions.map(wordOf).join(', ')}`);
}
