// How verbs print: objects as JSON or YAML, times as ages, revisions cut short, colours where a person looks.
import { stringify } from 'yaml';
import type { KubeObject } from '../k8s/object.ts';
import type { OutputFormat } from './flags.ts';

type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'dim';
const codes: Record<Colour, number> = { red: 31, green: 32, yellow: 33, cyan: 36, dim: 2 };

/** True when colours may be used on standard output (https://no-color.org). */
export function isColoured(): boolean {
  return Boolean(process.stdout.isTTY) && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
}

/** Text in a colour, or as it is where colours do not belong. */
export function paint(colour: Colour, text: string): string {
  return isColoured() ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text;
}

/** The status of a condition in its colour. */
export function paintStatus(text: string): string {
  if (text === 'True') return paint('green', text);
  if (text === 'False') return paint('red', text);
  return text === 'Unknown' ? paint('yellow', text) : text;
}

/** Prints a `►`, `✔` or `✗` line; its mark is coloured. */
export function printLine(line: string): void {
  const mark = line.slice(0, 1);
  const colour = ({ '►': 'cyan', '✔': 'green', '✗': 'red' } as Record<string, Colour>)[mark];
  console.log(colour ? paint(colour, mark) + line.slice(1) : line);
}

/** The object as it is shown to people: without the bookkeeping of field managers. */
export function withoutManagedFields(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** One object, or a List of them, in a format for programs. */
export function formatObjects(
  objects: readonly KubeObject[],
  format: Exclude<OutputFormat, 'wide'>,
  isSingle: boolean,
): string {
  if (format === 'name') return objects.map(nameOf).join('\n');
  const shown = objects.map(withoutManagedFields);
  return formatValue(isSingle ? shown[0] : { apiVersion: 'v1', kind: 'List', items: shown }, format);
}

/** Any value as JSON or YAML. */
export function formatValue(value: unknown, format: 'json' | 'yaml'): string {
  if (format === 'json') return JSON.stringify(value, null, 2);
  // kubectl and Flux read YAML 1.1, where an unquoted "on" or "0o7" is no text.
  return stringify(value, { lineWidth: 0, compat: 'yaml-1.1' }).trimEnd();
}

/** Objects as YAML documents, as kubectl and Git take them. */
export function formatDocuments(objects: readonly KubeObject[]): string {
  return objects.map((object) => `---\n${formatValue(object, 'yaml')}`).join('\n');
}

/** `kustomization.kustomize.toolkit.fluxcd.io/demo`, as kubectl's `-o name`. */
function nameOf(object: KubeObject): string {
  const [group, version] = object.apiVersion.split('/');
  return `${object.kind.toLowerCase()}${version ? `.${group}` : ''}/${object.metadata.name}`;
}

/** The time since a timestamp in at most two units, as kubectl shows ages; `-` without one. */
export function ageOf(timestamp: string | undefined, nowMs: number): string {
  const sinceMs = timestamp === undefined ? Number.NaN : nowMs - Date.parse(timestamp);
  if (Number.isNaN(sinceMs)) return '-';
  const seconds = Math.max(0, Math.floor(sinceMs / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10 && seconds % 60 > 0) return `${minutes}m${seconds % 60}s`;
  if (minutes < 120) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8 && minutes % 60 > 0) return `${hours}h${minutes % 60}m`;
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}

/** Cuts the hashes in a revision or message to 8 characters: `main@sha1:6c1f09ab`. */
export function shortHashes(text: string): string {
  return text.replace(/\b(sha1|sha256|sha384|sha512|blake3):([0-9a-f]{8})[0-9a-f]{8,}/g, '$1:$2');
}

/** A duration in milliseconds, for people: `85ms`, `2.3s`, `4m5s`. */
export function shortDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)}ms`;
  if (durationMs < 60_000) return `${(durationMs / 1000).toFixed(1)}s`;
  return `${Math.floor(durationMs / 60_000)}m${Math.round((durationMs % 60_000) / 1000)}s`;
}
