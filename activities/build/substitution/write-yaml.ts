// Writes an object as the YAML text that expressions are put into. A text with an expression is written exactly as
// Kubernetes' own YAML library writes it, since what a value can do depends on how it stands there: plain, quoted or as a
// block. No other text can change, so all of these are quoted.
import { resolveYaml11Scalar } from '../yaml-scalar.ts';
import { hasExpressions } from './expression.ts';

/** Column after which a long line is broken at the next blank. */
const bestWidth = 80;
/** Keys that need no quotes, words such as `on` excepted. */
const plainKey = /^[A-Za-z_][\w./-]*$/;

/** The text of a value: mappings with sorted keys, two blanks a level. */
export function writeYaml(value: Readonly<Record<string, unknown>>): string {
  let text = '';
  /** Where the current line began. */
  let lineStart = 0;

  function put(part: string): void {
    text += part;
  }

  function newLine(indent: number): void {
    if (text !== '') text += '\n';
    lineStart = text.length;
    text += ' '.repeat(indent);
  }

  function writeMapping(mapping: Readonly<Record<string, unknown>>, indent: number, isInline: boolean): void {
    let isFirst = isInline;
    for (const key of Object.keys(mapping).sort()) {
      if (!isFirst) newLine(indent);
      isFirst = false;
      put(`${writeKey(key)}:`);
      const item = mapping[key];
      if (Array.isArray(item) && item.length > 0) writeSequence(item, indent, false);
      else if (isFilled(item)) writeMapping(item, indent + 2, false);
      else writeLeaf(item, indent + 2);
    }
  }

  function writeSequence(items: readonly unknown[], indent: number, isInline: boolean): void {
    let isFirst = isInline;
    for (const item of items) {
      if (isFirst) put(' -');
      else {
        newLine(indent);
        put('-');
      }
      isFirst = false;
      if (Array.isArray(item) && item.length > 0) writeSequence(item, indent + 2, true);
      else if (isFilled(item)) {
        put(' ');
        writeMapping(item, indent + 2, true);
      } else writeLeaf(item, indent + 2);
    }
  }

  function writeLeaf(item: unknown, indent: number): void {
    put(' ');
    const isTemplate = typeof item === 'string' && hasExpressions(item);
    put(isTemplate ? writeText(item, indent, text.length - lineStart) : JSON.stringify(item));
  }

  writeMapping(value, 0, false);
  return `${text}\n`;
}

function isFilled(item: unknown): item is Record<string, unknown> {
  return typeof item === 'object' && item !== null && !Array.isArray(item) && Object.keys(item).length > 0;
}

function writeKey(key: string): string {
  if (!hasExpressions(key))
    return plainKey.test(key) && resolveYaml11Scalar(key).value === key ? key : JSON.stringify(key);
  const style = styleOf(key);
  return writeText(key, 0, -Infinity, style === 'block' ? 'double' : style);
}

type Style = 'plain' | 'single' | 'double' | 'block';

/** Blanks before a line break, breaks other than `\n`, and what is not printable or beyond 16 bits. */
const needsEscapes = /[^\n\x20-\x7e\u00a0-\ud7ff\ue000-\ufefe\uff00-\ufffd]|[\u2028\u2029]| \n/;
const needsQuotes = /^[#,[\]{}&*!|>'"%@` ]|^[?:-](?: |$)|^---|^\.\.\.|:(?: |$)| #| $/;

function styleOf(text: string): Style {
  if (needsEscapes.test(text)) return 'double';
  if (text.includes('\n')) return text.endsWith(' ') ? 'double' : 'block';
  return needsQuotes.test(text) ? 'single' : 'plain';
}

/** A text in its style; `column` is where it begins, `indent` where its further lines do. */
function writeText(text: string, indent: number, column: number, style = styleOf(text)): string {
  switch (style) {
    case 'block':
      return writeBlock(text, indent);
    case 'double':
      return `"${fold(JSON.stringify(text).slice(1, -1), indent, column + 1, true)}"`;
    case 'single':
      return `'${fold(text.replaceAll("'", "''"), indent, column + 1)}'`;
    default:
      return fold(text, indent, column);
  }
}

function writeBlock(text: string, indent: number): string {
  const hint = /^[ \n]/.test(text) ? '2' : '';
  const end = text.endsWith('\n\n') || text === '\n' ? '+' : text.endsWith('\n') ? '' : '-';
  const body = text.endsWith('\n') ? text.slice(0, -1) : text;
  const lines = body.split('\n').map((line) => (line === '' ? '' : ' '.repeat(indent) + line));
  return `|${hint}${end}\n${lines.join('\n')}`;
}

/** Breaks a line at single blanks beyond the best width; never at its first or last character. */
function fold(text: string, indent: number, column: number, isDouble = false): string {
  let result = '';
  let position = column;
  let last = '';
  const characters = [...text];
  for (const [index, character] of characters.entries()) {
    const next = characters[index + 1];
    const isInside = index > 0 && next !== undefined && (isDouble || next !== ' ');
    if (character === ' ' && last !== ' ' && position > bestWidth && isInside) {
      // Where a blank follows, it has to be escaped to survive.
      result += `\n${' '.repeat(indent)}${next === ' ' ? '\\' : ''}`;
      position = indent;
    } else {
      result += character;
      position += 1;
    }
    last = character;
  }
  return result;
}
