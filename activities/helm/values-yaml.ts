// Values as YAML text: read as Helm reads it, and written, with sorted keys, byte for byte as Go's YAML library writes
// it, since the digest of the values is that of this text (contract 2.2, "values").
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, Scalar } from 'yaml';
import { resolveYaml11Scalar } from '../../k8s/yaml-scalar.ts';
import type { Values } from './values-map.ts';

/** Far above any honest file; aliases of aliases grow without end. */
const maxAliasedNodes = 100_000;
/** Column after which a long line is broken at the next blank. */
const bestWidth = 80;
const maxSimpleKeyBytes = 128;
/** From this power of ten on, `%g` writes an exponent. */
const largestPlainPower = 6;

/**
 * Reads the text of a values file; an empty one gives no values. Throws an `Error` that says where it is wrong, by line
 * and column, and never quotes the text, which may be out of a Secret.
 */
export function readValuesYaml(text: string): Values {
  const lines = new LineCounter();
  const document = parseDocument(text, { schema: 'failsafe', lineCounter: lines, logLevel: 'silent' });
  const error = document.errors[0];
  if (error) {
    const { line, col } = lines.linePos(error.pos[0]);
    throw new Error(`no valid YAML at line ${line}, column ${col} (${error.code})`);
  }
  const anchors = new Map<string, { value: unknown; nodeCount: number }>();
  /** Of what was read so far, aliases in full. */
  let nodeCount = 0;

  function read(node: unknown): unknown {
    if (isAlias(node)) {
      const anchored = anchors.get(node.source);
      if (!anchored) throw new Error('YAML alias without its anchor');
      nodeCount += anchored.nodeCount;
      if (nodeCount > maxAliasedNodes) throw new Error(`YAML aliases for more than ${maxAliasedNodes} values`);
      return structuredClone(anchored.value);
    }
    const before = nodeCount;
    nodeCount += 1;
    const value = readNode(node);
    const anchor = (node as { anchor?: string } | null)?.anchor;
    if (anchor) anchors.set(anchor, { value, nodeCount: nodeCount - before });
    return value;
  }

  function readNode(node: unknown): unknown {
    if (isSeq(node)) return node.items.map(read);
    if (isMap(node)) {
      const own = new Map<string, unknown>();
      const merged = new Map<string, unknown>();
      for (const { key, value } of node.items) {
        const name = keyOf(read(key));
        const isMerge = name === '<<' && isScalar(key) && key.type === Scalar.PLAIN;
        if (!isMerge) own.set(name, read(value));
        else for (const source of [read(value)].flat()) for (const entry of entriesOf(source)) merged.set(...entry);
      }
      return Object.fromEntries([...merged, ...own]);
    }
    return isScalar(node) ? scalarOf(node) : null;
  }

  const value = read(document.contents);
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw new Error('the YAML is no map of values');
  return value as Values;
}

function scalarOf(node: Scalar): unknown {
  const text = node.value === null ? '' : String(node.value);
  const tag = node.tag?.replace('tag:yaml.org,2002:', '!!');
  if (tag === '!!str' || (!tag?.startsWith('!!') && node.type !== Scalar.PLAIN)) return text;
  // Helm has every number as a double.
  return resolveYaml11Scalar(text, true).value;
}

/** Keys are text in JSON, whatever they look like in YAML. */
function keyOf(key: unknown): string {
  if (typeof key === 'object') throw new Error('a key in the YAML is null, a map or a list: quote it');
  return String(key);
}

function entriesOf(source: unknown): [string, unknown][] {
  return typeof source === 'object' && source !== null ? Object.entries(source) : [];
}

/** The text of values, or of anything in them, with a line break at its end. */
export function writeValuesYaml(value: unknown): string {
  const parts: string[] = [];
  let column = 0;

  function put(text: string): void {
    parts.push(text);
    const lineBreak = text.lastIndexOf('\n');
    column = lineBreak < 0 ? column + text.length : text.length - lineBreak - 1;
  }

  function newLine(indent: number): void {
    put(`${parts.length > 0 ? '\n' : ''}${' '.repeat(indent)}`);
  }

  function writeMap(map: Values, indent: number, isInline: boolean): void {
    let isFirst = isInline;
    for (const key of Object.keys(map).sort(byCodePoint)) {
      if (!isFirst) newLine(indent);
      isFirst = false;
      if (!breaks.test(key) && Buffer.byteLength(key) <= maxSimpleKeyBytes) {
        put(`${writeString(key, indent, -Infinity, true)}:`);
        writeValue(map[key], indent);
      } else {
        put(`? ${writeString(key, indent + 2, column + 2, false)}`);
        newLine(indent);
        put(':');
        writeItem(map[key], indent);
      }
    }
  }

  function writeValue(item: unknown, indent: number): void {
    if (Array.isArray(item) && item.length > 0) writeList(item, indent, false);
    else if (isFilled(item)) {
      newLine(indent + 2);
      writeMap(item, indent + 2, true);
    } else writeLeaf(item, indent + 2);
  }

  function writeList(items: readonly unknown[], indent: number, isInline: boolean): void {
    let isFirst = isInline;
    for (const item of items) {
      if (!isFirst) newLine(indent);
      isFirst = false;
      put('-');
      writeItem(item, indent);
    }
  }

  /** What stands behind `-`, or behind the `:` of a key that has a line of its own. */
  function writeItem(item: unknown, indent: number): void {
    if (Array.isArray(item) && item.length > 0) {
      put(' ');
      writeList(item, indent + 2, true);
    } else if (isFilled(item)) {
      put(' ');
      writeMap(item, indent + 2, true);
    } else writeLeaf(item, indent + 2);
  }

  function writeLeaf(item: unknown, indent: number): void {
    put(' ');
    put(typeof item === 'string' ? writeString(item, indent, column, false) : writeScalar(item));
  }

  if (Array.isArray(value) && value.length > 0) writeList(value, 0, true);
  else if (isFilled(value)) writeMap(value, 0, true);
  else put(typeof value === 'string' ? writeString(value, 0, 0, false) : writeScalar(value));
  return `${parts.join('')}\n`;
}

function isFilled(item: unknown): item is Values {
  return typeof item === 'object' && item !== null && !Array.isArray(item) && Object.keys(item).length > 0;
}

/** Go orders strings by their bytes, which is the order of code points. */
function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function writeScalar(item: unknown): string {
  if (item === null || item === undefined) return 'null';
  if (Array.isArray(item)) return '[]';
  if (typeof item === 'object') return '{}';
  return typeof item === 'number' ? writeNumber(item) : String(item);
}

/** A whole number that fits 64 bits has all its digits; any other is in Go's shortest form, which is that of `%g`. */
function writeNumber(number: number): string {
  if (Number.isInteger(number) && number >= -(2 ** 63) && number < 2 ** 64) return String(BigInt(number));
  const [digits = '', exponent = '0'] = number.toExponential().split('e');
  const power = Number(exponent);
  if (power >= -4 && power < largestPlainPower) return String(number);
  return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

type Style = 'plain' | 'single' | 'double' | 'block';

const base60 = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/;
const breaks = /[\n\r\u0085\u2028\u2029]/;
const indicators = /^[#,[\]{}&*!|>'"%@`]|^[?:-](?:[ \t\n\r\u0085\u2028\u2029]|$)|^---|^\.\.\.|:(?:[ \t\n\r]|$)|[ \t]#/;
const unprintable = /[^\n\x20-\x7e\u00a0-\ud7ff\ue000-\ufefe\uff00-\ufffd]/;

/** The style that Go's library takes for a text. */
function styleOf(text: string, isKey: boolean): Style {
  const isText = resolvesToText(text);
  let style: Style = text.includes('\n') ? 'block' : isText ? 'plain' : 'double';
  const hasSpecial = unprintable.test(text) || / [\n\r\u0085\u2028\u2029]/.test(text);
  const hasBreak = breaks.test(text);
  if (isKey && hasBreak) style = 'double';
  if (style === 'plain') {
    const isEdged = /^[ \n\r\u0085\u2028\u2029]|[ \n\r\u0085\u2028\u2029]$/.test(text);
    if (isEdged || hasBreak || hasSpecial || indicators.test(text) || (text === '' && isKey)) style = 'single';
  }
  if (style === 'single' && (hasSpecial || /[\n\r\u0085\u2028\u2029] /.test(text))) style = 'double';
  if (style === 'block' && (hasSpecial || text.endsWith(' ') || isKey)) style = 'double';
  return style;
}

function resolvesToText(text: string): boolean {
  if (base60.test(text)) return false;
  if (text === '<<') return true;
  try {
    const { value, isDelicate } = resolveYaml11Scalar(text, true);
    return typeof value === 'string' && !isDelicate;
  } catch {
    return false; // .inf and .nan
  }
}

/** A text in its style; `column` is where it begins, `indent` where its further lines do. */
function writeString(text: string, indent: number, column: number, isKey: boolean): string {
  switch (styleOf(text, isKey)) {
    case 'block':
      return writeBlock(text, indent);
    case 'double':
      return writeDouble(text, indent, column);
    case 'single':
      return `'${fold(text.replaceAll("'", "''"), indent, column + 1, true)}'`;
    default:
      return fold(text, indent, column, false);
  }
}

function writeBlock(text: string, indent: number): string {
  const hint = /^[ \n\r\u0085\u2028\u2029]/.test(text) ? '2' : '';
  const isBreak = (character: string | undefined): boolean => character !== undefined && breaks.test(character);
  const chomp = isBreak(text.at(-1)) ? (text.length === 1 || isBreak(text.at(-2)) ? '+' : '') : '-';
  let body = '';
  let isLineStart = true;
  for (const character of text) {
    if (isBreak(character)) {
      body += character;
      isLineStart = true;
    } else {
      body += isLineStart ? ' '.repeat(indent) + character : character;
      isLineStart = false;
    }
  }
  // The emitter ends a block with its own break only when the text has none.
  return `|${hint}${chomp}\n${body.endsWith('\n') ? body.slice(0, -1) : body}`;
}

/** Breaks a line at a blank beyond the best width, where no other blank is beside it. */
function fold(text: string, indent: number, column: number, isQuoted: boolean): string {
  let result = '';
  let position = column;
  let isAfterBlank = false;
  const characters = [...text];
  for (const [index, character] of characters.entries()) {
    const isInside = !isQuoted || (index > 0 && index < characters.length - 1);
    if (character === ' ' && !isAfterBlank && position > bestWidth && isInside && characters[index + 1] !== ' ') {
      result += `\n${' '.repeat(indent)}`;
      position = indent;
    } else {
      // Behind a line break that is no line feed the emitter indents, and does not begin a line.
      if (index > 0 && breaks.test(characters[index - 1] ?? '') && !breaks.test(character))
        result += ' '.repeat(indent);
      result += character;
      position += 1;
    }
    isAfterBlank = character === ' ';
  }
  return result;
}

const escapes = new Map([
  ...Object.entries({ '\0': '0', '\x07': 'a', '\b': 'b', '\t': 't', '\n': 'n', '\v': 'v', '\f': 'f', '\r': 'r' }),
  ...Object.entries({ '\x1b': 'e', '"': '"', '\\': '\\', '\u0085': 'N', '\u2028': 'L', '\u2029': 'P' }),
]);

function writeDouble(text: string, indent: number, column: number): string {
  let result = '"';
  let position = column + 1;
  let isAfterBlank = false;
  const characters = [...text];
  for (const [index, character] of characters.entries()) {
    const next = characters[index + 1];
    let piece = character;
    if (character === ' ' && !isAfterBlank && position > bestWidth && index > 0 && next !== undefined) {
      piece = `\n${' '.repeat(indent)}${next === ' ' ? '\\' : ''}`;
      position = indent - (piece.length - (next === ' ' ? 1 : 0));
    } else if (escapes.has(character)) piece = `\\${escapes.get(character)}`;
    else if (unprintable.test(character)) piece = escapeOf(character.codePointAt(0) ?? 0);
    result += piece;
    position += piece.length;
    isAfterBlank = character === ' ';
  }
  return `${result}"`;
}

function escapeOf(codePoint: number): string {
  const hex = codePoint.toString(16).toUpperCase();
  if (codePoint <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return codePoint <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
