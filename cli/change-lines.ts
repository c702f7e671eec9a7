// Field changes as lines for a person: one line for a short value, a block for a long one, a line diff for texts. Pure.
import { stringify } from 'yaml';
import type { FieldChange } from './field-changes.ts';
import { lineDiff } from './line-diff.ts';
import { paint } from './output.ts';

/** No line is longer, and no value has more lines: a person looks for what differs, programs read the objects. */
const maxLineLength = 200;
const maxValueLines = 200;

/** The lines of one change, not indented. `~ spec.replicas: 2 → 3`, `+ data.b: new`, `- data.c: old`. */
export function changeLinesOf({ path, before, after }: FieldChange): string[] {
  if (before === undefined) return sided('+', path, after);
  if (after === undefined) return sided('-', path, before);
  const title = paint('yellow', '~');
  if (typeof before === 'string' && typeof after === 'string' && (hasLines(before) || hasLines(after))) {
    return [`${title} ${path}:`, ...limited(lineDiff(before, after).map(({ mark, text }) => marked(mark, text)))];
  }
  const [old, now] = [valueLines(before), valueLines(after)];
  if (old.length === 1 && now.length === 1) return [`${title} ${path}: ${old[0]} → ${now[0]}`];
  const block = [...old.map((line) => marked('-', line)), ...now.map((line) => marked('+', line))];
  return [`${title} ${path}:`, ...limited(block)];
}

/** A field that comes or goes. */
function sided(mark: '+' | '-', path: string, value: unknown): string[] {
  const lines = valueLines(value);
  const sign = paint(mark === '+' ? 'green' : 'red', mark);
  if (lines.length === 1) return [`${sign} ${path}: ${lines[0]}`];
  return [`${sign} ${path}:`, ...limited(lines.map((line) => marked(mark, line)))];
}

function marked(mark: '=' | '-' | '+' | '…', text: string): string {
  if (mark === '…') return '    …';
  if (mark === '=') return `      ${printable(text)}`.trimEnd();
  return paint(mark === '+' ? 'green' : 'red', `    ${mark} ${printable(text)}`);
}

/** Any value as YAML, which is one line for most. */
function valueLines(value: unknown): string[] {
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object'))
    return [printable(JSON.stringify(value))];
  const isEmpty = typeof value === 'object' && value !== null && Object.keys(value).length === 0;
  if (isEmpty) return [JSON.stringify(value)];
  if (typeof value === 'string' && value.includes('\n')) return value.replace(/\n$/, '').split('\n').map(printable);
  return stringify(value, { lineWidth: 0 }).trimEnd().split('\n').map(printable);
}

/** True for a text of several lines. */
function hasLines(text: string): boolean {
  return text.trimEnd().includes('\n');
}

function limited(lines: string[]): string[] {
  if (lines.length <= maxValueLines) return lines;
  return [...lines.slice(0, maxValueLines), `    … and ${lines.length - maxValueLines} more lines`];
}

/** Text from elsewhere, without the control characters that could steer a terminal, and cut at some length. */
function printable(text: string): string {
  const clean = text.replace(/\t/g, '  ').replace(/\p{Cc}/gu, ' ');
  return clean.length > maxLineLength ? `${clean.slice(0, maxLineLength)}…` : clean;
}
