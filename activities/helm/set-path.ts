// Puts one value at a path, by the grammar of Helm's `--set` (contract 1.9, `valuesFrom[].targetPath`): `a.b[0].c=value`,
// a backslash takes the next character as it is, `{a,b}` is a list, a comma begins another `path=value`.
import type { Values } from './values-map.ts';
import { isMap } from './values-map.ts';

/** What one call may do with the value. */
export interface SetPathOptions {
  /** The value is the string as it is; nothing in it is syntax. */
  isLiteral?: boolean;
}

const maxIndex = 65_536;
const maxDepth = 30;
const largestInt64 = 2n ** 63n - 1n;
const smallestInt64 = -(2n ** 63n);

/**
 * Sets the value at the path, in place. `true`, `false`, `null` and whole numbers become what they look like; a value in
 * quotes becomes a string. Throws an `Error` that says what is wrong with the path, and never quotes the value.
 */
export function setAtPath(values: Values, path: string, text: string, options: SetPathOptions = {}): void {
  if (options.isLiteral) {
    createParser(`${path}=${text.replace(/[\\,[\]{}]/g, '\\$&')}`, path.length, true).run(values);
    return;
  }
  const isQuoted = isWrapped(text, "'") || isWrapped(text, '"');
  const value = isQuoted ? text.replace(/^['"]+|['"]+$/g, '') : text;
  createParser(`${path}=${value}`, path.length, isQuoted).run(values);
}

function isWrapped(text: string, quote: string): boolean {
  return text.startsWith(quote) && text.endsWith(quote);
}

/** A piece of text up to one of the characters asked for, or up to the end. */
interface Piece {
  text: string;
  /** undefined at the end of the text. */
  stop: string | undefined;
}

/** `pathLength` is how much of the text a message may quote. */
function createParser(source: string, pathLength: number, isString: boolean) {
  const characters = [...source];
  let position = 0;

  function until(stops: string): Piece {
    let text = '';
    for (; position < characters.length; position++) {
      const character = characters[position] as string;
      if (stops.includes(character)) {
        position += 1;
        return { text, stop: character };
      }
      if (character !== '\\') text += character;
      else {
        position += 1;
        if (position >= characters.length) break;
        text += characters[position];
      }
    }
    return { text, stop: undefined };
  }

  const isInPath = (): boolean => position <= [...source.slice(0, pathLength)].length + 1;
  const quoted = (text: string): string => (isInPath() ? ` "${text}"` : ' in the value');

  function key(map: Values, depth: number): void {
    const { text, stop } = until('=[,.');
    switch (stop) {
      case undefined:
        if (text !== '')
          throw new Error(`key${quoted(text)} has no value: escape "," with a backslash, or set literal`);
        return;
      case '[': {
        const index = listIndex();
        const known = Object.hasOwn(map, text) ? map[text] : undefined;
        if (Object.hasOwn(map, text) && !Array.isArray(known)) throw new Error(`"${text}" holds no list`);
        const list = Array.isArray(known) ? known : [];
        const changed = item(list, index, depth);
        put(map, text, changed);
        return;
      }
      case '=':
        put(map, text, value());
        return;
      case ',':
        put(map, text, '');
        throw new Error(`key${quoted(text)} has no value: escape "," with a backslash, or set literal`);
      default: {
        if (depth + 1 > maxDepth) throw new Error(`the path is deeper than ${maxDepth} names`);
        const known = Object.hasOwn(map, text) ? map[text] : undefined;
        if (Object.hasOwn(map, text) && !isMap(known)) throw new Error(`"${text}" holds no map`);
        const inner: Values = isMap(known) ? known : {};
        key(inner, depth + 1);
        if (Object.keys(inner).length === 0) throw new Error(`key${quoted(text)} has no value`);
        put(map, text, inner);
      }
    }
  }

  function listIndex(): number {
    const { text, stop } = until(']');
    if (stop === undefined) throw new Error('an index has no "]"');
    if (!/^[-+]?\d+$/.test(text)) throw new Error(`index${quoted(text)} is no number`);
    const index = Number(text);
    if (index < 0) throw new Error(`index ${index} is negative`);
    if (index > maxIndex) throw new Error(`index ${index} is greater than ${maxIndex}`);
    return index;
  }

  function item(list: unknown[], index: number, depth: number): unknown[] {
    const { text, stop } = until('[.=');
    if (text !== '') throw new Error(`unexpected${quoted(text)} after an index`);
    switch (stop) {
      case '=':
        return withItem(list, index, value());
      case '[': {
        const inner = listIndex();
        const known = list[index];
        if (known !== undefined && known !== null && !Array.isArray(known)) {
          throw new Error(`item ${index} holds no list`);
        }
        return withItem(list, index, item(Array.isArray(known) ? known : [], inner, depth));
      }
      case '.': {
        const known = list[index];
        const inner: Values = isMap(known) ? known : {};
        if (index < list.length) list[index] = inner;
        key(inner, depth);
        return withItem(list, index, inner);
      }
      default:
        throw new Error('an index is followed by nothing');
    }
  }

  function value(): unknown {
    if (characters[position] !== '{') return typed(until(',').text);
    position += 1;
    const list: unknown[] = [];
    for (;;) {
      const { text, stop } = until(',}');
      if (stop === undefined) throw new Error('the value begins with "{" and has no "}": quote it, or set literal');
      list.push(typed(text));
      if (stop === ',') continue;
      if (characters[position] === ',') position += 1;
      return list;
    }
  }

  function typed(text: string): unknown {
    if (isString) return text;
    switch (text.toLowerCase()) {
      case 'true':
        return true;
      case 'false':
        return false;
      case 'null':
        return null;
      case '0':
        return 0;
      default:
        return text.startsWith('0') ? text : (wholeNumber(text) ?? text);
    }
  }

  return {
    run(values: Values): void {
      while (position < characters.length) key(values, 0);
    },
  };
}

function wholeNumber(text: string): number | bigint | undefined {
  if (!/^[-+]?\d{1,19}$/.test(text)) return undefined;
  const exact = BigInt(text.replace(/^\+/, ''));
  if (exact < smallestInt64 || exact > largestInt64) return undefined;
  const number = Number(exact);
  return Number.isSafeInteger(number) ? number + 0 : exact;
}

/** An empty key sets nothing. */
function put(map: Values, key: string, value: unknown): void {
  if (key === '') return;
  // A plain assignment of `__proto__` would change the map's prototype.
  Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
}

function withItem(list: unknown[], index: number, value: unknown): unknown[] {
  const longer = index < list.length ? list : [...list, ...Array.from({ length: index + 1 - list.length }, () => null)];
  longer[index] = value;
  return longer;
}
