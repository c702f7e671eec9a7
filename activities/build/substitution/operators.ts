// What each operator of an expression makes of a value (contract 2.1, "postBuild substitution"). Pure. Lengths and
// offsets count bytes of UTF-8, as they do in Flux.
import { type Operator, SubstitutionError } from './expression.ts';
import { matchingPrefixes, parseGlob } from './glob.ts';

/** Characters that one text may have; more is refused, since a few expressions can make gigabytes of a few kilobytes. */
export const maxTextLength = 16 * 1024 * 1024;
/** Characters × parts of a pattern that one removal may look at. */
const maxGlobWork = 20_000_000;

type Operation = (value: string, operands: readonly string[]) => string;

const operations: Record<Operator, Operation> = {
  '': (value) => value,
  length: (value) => String(Buffer.byteLength(value)),
  default: (value, operands) => value || operands.join(''),
  ':': substring,
  ',': (value) => changeFirst(value, lower),
  ',,': (value) => [...value].map(lower).join(''),
  '^': (value) => changeFirst(value, upper),
  '^^': (value) => [...value].map(upper).join(''),
  '#': (value, [pattern = '']) => withoutPrefix([...value], pattern, 'shortest').join(''),
  '##': (value, [pattern = '']) => withoutPrefix([...value], pattern, 'longest').join(''),
  '%': (value, [pattern = '']) => withoutSuffix(value, pattern, 'shortest'),
  '%%': (value, [pattern = '']) => withoutSuffix(value, pattern, 'longest'),
  '/': (value, [pattern = '', text = '']) => replaceFirst(value, pattern, text),
  '//': (value, [pattern = '', text = '']) => replaceAll(value, pattern, text),
  // Without a text these two do nothing, where the other two delete.
  '/#': (value, [pattern = '', text]) =>
    text !== undefined && value.startsWith(pattern) ? text + value.slice(pattern.length) : value,
  '/%': (value, [pattern = '', text]) =>
    text !== undefined && value.endsWith(pattern) ? value.slice(0, value.length - pattern.length) + text : value,
};

/** Carries out an operator on a value, `''` for a variable that is not set. Throws {@link SubstitutionError}. */
export function operate(operator: Operator, value: string, operands: readonly string[]): string {
  return operations[operator](value, operands);
}

/** An offset or a length that is no whole number leaves the value as it is, as a blank in it does: `${v: -1}`. */
function substring(value: string, [offsetText = '', lengthText]: readonly string[]): string {
  const bytes = Buffer.from(value);
  const offset = wholeNumber(offsetText);
  if (offset === undefined) return value;
  const start = offset < 0 ? Math.max(0, bytes.length + offset) : offset;
  if (lengthText === undefined) return textOf(bytes.subarray(start));
  const length = wholeNumber(lengthText);
  if (length === undefined) return value;
  if (start + length >= bytes.length) return textOf(bytes.subarray(start));
  if (length < 0) throw new SubstitutionError('a substring has a negative length; lengths count from the offset');
  return textOf(bytes.subarray(start, start + length));
}

function wholeNumber(text: string): number | undefined {
  if (!/^[-+]?[0-9]+$/.test(text)) return undefined;
  const number = Number(text);
  return Math.abs(number) < 2 ** 63 ? number : undefined;
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new SubstitutionError('a substring cuts a character in two; offsets and lengths count bytes of UTF-8');
  }
}

function changeFirst(value: string, change: (character: string) => string): string {
  const [first = ''] = value;
  return change(first) + value.slice(first.length);
}

/** Letters are changed one by one, so that what would need two letters stays: "ß" has no capital letter here. */
function upper(character: string): string {
  const changed = character.toUpperCase();
  return [...changed].length > 1 ? character : changed;
}

function lower(character: string): string {
  const [first = ''] = character.toLowerCase();
  return first;
}

/** A malformed pattern removes nothing, and neither does one that matches only the empty text. */
function withoutPrefix(characters: readonly string[], pattern: string, which: 'shortest' | 'longest'): string[] {
  const glob = parseGlob(pattern);
  if (glob && glob.length * characters.length > maxGlobWork) {
    throw new SubstitutionError(`a pattern of ${glob.length} parts is too long for so long a value`);
  }
  const found = glob && matchingPrefixes(glob, characters);
  return characters.slice(found?.[which] ?? 0);
}

/** Both texts are turned round, and with them what a pattern means: `[a-z]` and `\*` do not work at the end. */
function withoutSuffix(value: string, pattern: string, which: 'shortest' | 'longest'): string {
  const turned = [...pattern].reverse().join('');
  return withoutPrefix([...value].reverse(), turned, which)
    .reverse()
    .join('');
}

function replaceFirst(value: string, pattern: string, text: string): string {
  const at = value.indexOf(pattern);
  return at < 0 ? value : value.slice(0, at) + text + value.slice(at + pattern.length);
}

/** An empty pattern, which only a nested expression can be, matches before every character and at the end. */
function replaceAll(value: string, pattern: string, text: string): string {
  const parts = pattern === '' ? ['', ...value, ''] : value.split(pattern);
  const length = value.length + (parts.length - 1) * (text.length - pattern.length);
  if (length > maxTextLength) throw tooLong();
  return parts.join(text);
}

/** For a text that grows over {@link maxTextLength}. */
export function tooLong(): SubstitutionError {
  return new SubstitutionError(`the result is longer than the limit of ${maxTextLength} characters`);
}
