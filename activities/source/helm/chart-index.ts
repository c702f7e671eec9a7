// Reads the index of a Helm repository (contract 1.3): YAML or JSON of up to 50 MiB in, compact JSON out. Pure; it may
// take seconds, so that large ones are read in a thread (index-reader.ts).
import { FAILSAFE_SCHEMA, load } from 'js-yaml';
import { compareBuild, type SemVer } from 'semver';
import { versionOfTag } from '../git/semver-constraint.ts';

/** One version of a chart, as far as it takes to choose and to download it. */
export interface IndexedChart {
  name: string;
  version: string;
  /** Absolute, or relative to the repository. */
  urls: string[];
  /** Hex sha256 of the archive. */
  digest?: string;
  /** When it was packaged, epoch ms. */
  createdMs?: number;
}

/** A repository's charts. The versions of a chart are JSON of `IndexedChart[]` until somebody asks for that chart. */
export interface ChartIndex {
  charts: ReadonlyMap<string, string>;
  /** Memory that it takes, about. */
  sizeBytes: number;
}

export interface ReadIndex extends ChartIndex {
  /** The whole index as JSON, with the fields that Helm knows. */
  json: Uint8Array<ArrayBuffer>;
}

/** Deeper nesting than an honest index has. */
const maxDepth = 32;
type Fields = Record<string, unknown>;

/**
 * Reads an index. Entries without a valid name and version are left out, as Helm does. Throws an `Error` for what is no
 * index: empty, no YAML or JSON, aliases (which an honest index has none of), no `apiVersion`.
 */
export function readIndex(bytes: Uint8Array): ReadIndex {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  if (text.trim() === '') throw new Error('the index is empty');
  const { head, charts: encoded } = readParts(text) ?? readWhole(text);
  const apiVersion = textOf(head['apiVersion']);
  if (!apiVersion) throw new Error('it has no "apiVersion": this is no index of a Helm repository');
  const generated = textOf(head['generated']);
  const charts = new Map<string, string>();
  let sizeBytes = 0;
  for (const { name, compact } of encoded) {
    if (charts.has(name)) throw new Error(`chart "${name.slice(0, 100)}" is there twice`);
    charts.set(name, compact);
    sizeBytes += name.length + compact.length;
  }
  const top = JSON.stringify({ apiVersion, ...(generated && { generated }) }).slice(0, -1);
  return { charts, sizeBytes, json: joined(`${top},"entries":{`, encoded, '}}') };
}

/** The versions of a chart as JSON: all fields, and those that it takes to choose and download. */
interface EncodedChart {
  name: string;
  /** UTF-8, so that the objects that it was made of can go. */
  full: Uint8Array;
  compact: string;
}

interface Read {
  head: Fields;
  charts: EncodedChart[];
}

function encode(name: string, value: unknown): EncodedChart {
  const versions = versionsOf(value);
  const full = Buffer.from(JSON.stringify(versions.map(({ fields }) => fields)));
  return { name, full, compact: JSON.stringify(versions.map(compactOf)) };
}

/** `<head>"<name>":<full>,…<tail>`, in one buffer of its own. */
function joined(head: string, charts: readonly EncodedChart[], tail: string): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [Buffer.from(head)];
  for (const [position, { name, full }] of charts.entries()) {
    parts.push(Buffer.from(`${position > 0 ? ',' : ''}${JSON.stringify(name)}:`), full);
  }
  parts.push(Buffer.from(tail));
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.byteLength;
  }
  return all;
}

/**
 * Reads an index as Helm writes it chart by chart, which takes a fraction of the memory; undefined for one that is laid
 * out differently.
 */
function readParts(text: string): Read | undefined {
  const start = /^entries:[ \t]*\r?\n/m.exec(text);
  if (!start) return undefined;
  const from = start.index + start[0].length;
  const after = /^[^\s#-]/m.exec(text.slice(from));
  const end = after ? from + after.index : text.length;
  const indent = /^( +)[^\s#-]/m.exec(text.slice(from, Math.min(end, from + 4096)))?.[1]?.length;
  if (indent === undefined) return undefined;
  try {
    const head = parse(text.slice(0, start.index) + text.slice(end));
    const charts: EncodedChart[] = [];
    for (const part of partsOf(text, from, end, indent)) {
      const [entry, ...others] = Object.entries(parse(part));
      if (!entry || others.length > 0) return undefined;
      charts.push(encode(...entry));
    }
    return { head, charts };
  } catch {
    return undefined; // the whole says what is wrong, if anything is
  }
}

/** The lines of each key at an indent. */
function* partsOf(text: string, from: number, end: number, indent: number): Generator<string> {
  let begin = -1;
  for (let line = from; line < end; ) {
    const next = text.indexOf('\n', line);
    const first = text.charCodeAt(line + indent);
    const isBlank = first === 0x20 || first === 0x0a || first === 0x0d || first === 0x23 || first === 0x2d;
    if (!isBlank && text.slice(line, line + indent).trim() === '' && line + indent < end) {
      if (begin >= 0) yield text.slice(begin, line);
      begin = line;
    }
    line = next < 0 ? end : next + 1;
  }
  if (begin >= 0) yield text.slice(begin, end);
}

function readWhole(text: string): Read {
  const head = text.trimStart().startsWith('{') ? parseJson(text) : parse(text);
  const { entries } = head;
  if (isFields(entries)) return { head, charts: Object.entries(entries).map(([name, value]) => encode(name, value)) };
  if (textOf(entries) === undefined && !Array.isArray(entries)) return { head, charts: [] };
  throw new Error('its "entries" are no map of charts');
}

/** Every scalar stays the text that it is: a version `1.10` is no number. */
function parse(text: string): Fields {
  let value: unknown;
  try {
    value = load(text, { schema: FAILSAFE_SCHEMA, maxAliases: 0, maxDepth });
  } catch (error) {
    const { reason, mark } = error as { reason?: string; mark?: { line: number; column: number } };
    const where = mark ? ` at line ${mark.line + 1}, column ${mark.column + 1}` : '';
    throw new Error(`it is no valid YAML${where}: ${(reason ?? 'unreadable').slice(0, 200)}`);
  }
  if (!isFields(value)) throw new Error('it is no map: this is no index of a Helm repository');
  return value;
}

function parseJson(text: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return parse(text); // YAML in its flow style
  }
  return value as Fields;
}

interface ReadVersion {
  fields: Fields;
  version: SemVer;
}

/** The valid versions of a chart, the highest first. */
function versionsOf(value: unknown): ReadVersion[] {
  const items: unknown[] = Array.isArray(value) ? value : [];
  return items
    .map(readVersion)
    .filter((one) => one !== undefined)
    .sort((a, b) => compareBuild(b.version, a.version));
}

function readVersion(value: unknown): ReadVersion | undefined {
  if (!isFields(value)) return undefined;
  const fields = fieldsOf(value);
  const name = fields['name'] as string | undefined;
  const version = versionOfTag((fields['version'] as string | undefined) ?? '');
  if (!name || /[/\\]/.test(name) || name === '.' || name === '..' || !version) return undefined;
  return { fields, version };
}

function compactOf({ fields }: ReadVersion): IndexedChart {
  const { name, version, urls, digest, created } = fields as unknown as IndexedChart & { created?: string };
  const createdMs = created === undefined ? Number.NaN : Date.parse(created);
  return {
    name,
    version,
    urls: urls ?? [],
    ...(digest && { digest: digest.replace(/^sha256:/, '') }),
    ...(Number.isNaN(createdMs) ? {} : { createdMs }),
  };
}

const textFields = [
  ...['name', 'home', 'version', 'description', 'icon', 'apiVersion', 'condition', 'tags', 'appVersion'],
  ...['kubeVersion', 'type', 'created', 'digest'],
];
const listFields = ['sources', 'keywords', 'urls'];
const dependencyFields = ['name', 'version', 'repository', 'condition', 'alias'];

/** The fields of a chart's metadata and of its entry that Helm knows. */
function fieldsOf(value: Fields): Fields {
  const fields: Fields = {};
  for (const key of textFields) setUnless(fields, key, textOf(value[key]));
  for (const key of listFields) setUnless(fields, key, textsOf(value[key]));
  if (textOf(value['deprecated']) === 'true') fields['deprecated'] = true;
  const { annotations } = value;
  if (isFields(annotations)) {
    fields['annotations'] = Object.fromEntries(
      Object.entries(annotations).map(([key, one]) => [key, textOf(one) ?? '']),
    );
  }
  setUnless(fields, 'maintainers', recordsOf(value['maintainers'], ['name', 'email', 'url']));
  setUnless(fields, 'dependencies', recordsOf(value['dependencies'], dependencyFields));
  return fields;
}

function setUnless(fields: Fields, key: string, value: unknown): void {
  if (value !== undefined) fields[key] = value;
}

function recordsOf(value: unknown, keys: readonly string[]): Fields[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.filter(isFields).map((item) => {
    const record: Fields = {};
    for (const key of keys) setUnless(record, key, textOf(item[key]));
    setUnless(record, 'tags', textsOf(item['tags']));
    return record;
  });
}

function textsOf(value: unknown): string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.map(textOf).filter((text) => text !== undefined);
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'string' && value !== '' && value !== 'null' && value !== '~' ? value : undefined;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
