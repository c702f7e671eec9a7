// Manifests as text: split into documents, and given labels and annotations without a change of anything else, not even
// of how a scalar is written.
import { isMap as isYamlMap, isScalar, isSeq, parseDocument, YAMLMap } from 'yaml';

/** What is set, over what a manifest has. */
export interface ManifestMetadata {
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
}

const separator = /^---(?:[ \t].*)?$/m;

/** The documents of a stream that hold anything; lists of objects become their items. */
export function splitManifests(stream: string): string[] {
  return stream.split(separator).filter(hasContent).flatMap(expandList);
}

function hasContent(document: string): boolean {
  return document.split('\n').some((line) => !/^\s*(?:#.*)?$/.test(line));
}

const hookAnnotation = 'helm.sh/hook';

/** True for a manifest that helm runs at some point instead of keeping it in the release. */
export function isHookManifest(document: string): boolean {
  return Boolean(hookAnnotationOf(document));
}

/** The events that make a manifest a hook, as it names them: `pre-install, pre-upgrade`. undefined when it is none. */
export function hookAnnotationOf(document: string): string | undefined {
  if (!document.includes(hookAnnotation)) return undefined;
  const object = parse(document).toJS() as {
    metadata?: { annotations?: Record<string, unknown> | null } | null;
  } | null;
  const annotation = object?.metadata?.annotations?.[hookAnnotation];
  return typeof annotation === 'string' ? annotation : undefined;
}

/** The manifest with another text in that annotation, as it is written there; all else stays as it is. */
export function changeHookAnnotation(document: string, change: (text: string) => string): string {
  const node = parse(document).getIn(['metadata', 'annotations', hookAnnotation], true);
  if (!isScalar(node) || !node.range) return document;
  const [start, end] = node.range;
  return `${document.slice(0, start)}${change(document.slice(start, end))}${document.slice(end)}`;
}

/** The manifest with labels and annotations. Throws an `Error` when it is no YAML mapping. */
export function setManifestMetadata(document: string, { labels, annotations }: ManifestMetadata): string {
  const labelled = setFields(document, 'labels', labels);
  return setFields(labelled, 'annotations', annotations);
}

type Field = 'labels' | 'annotations';

/** All of it in one line, which can be parsed alone. */
const inlineMetadata = /^metadata: *\{[^&*#]*\} *$/;

function setFields(document: string, field: Field, entries: Readonly<Record<string, string>>): string {
  if (Object.keys(entries).length === 0) return document;
  return setInText(document, field, entries) ?? setInTree(document, field, entries);
}

/**
 * Sets them in a manifest of the form that helm and kustomize write: block mappings, one key a line. Parsing each manifest
 * would take as long as the rest of the work. Gives undefined for anything that it cannot be sure of.
 */
function setInText(document: string, field: Field, entries: Readonly<Record<string, string>>): string | undefined {
  const lines = document.split('\n');
  const [inline, ...others] = lines.filter((line) => line.startsWith('metadata:'));
  if (inline !== undefined && others.length === 0 && inlineMetadata.test(inline)) {
    return lines.with(lines.indexOf(inline), setInTree(inline, field, entries).trimEnd()).join('\n');
  }
  const start = lines.indexOf('metadata:');
  if (start < 0 || lines.some((line) => line.startsWith('metadata:') && line !== 'metadata:')) return undefined;
  if (lines.indexOf('metadata:', start + 1) >= 0) return undefined;
  const inner = block(lines, start, 0);
  if (!inner) return undefined;
  const indent = ' '.repeat(inner.indent);
  const heads = lines.slice(start + 1, inner.end).filter((line) => isKeyLine(line, indent, field));
  if (heads.length > 1) return undefined;
  if (heads.length === 0) {
    const added = Object.entries(entries).map(([key, value]) => `${indent}  ${entryLine(key, value)}`);
    return lines.toSpliced(start + 1, 0, `${indent}${field}:`, ...added).join('\n');
  }
  const head = lines.indexOf(`${indent}${field}:`, start + 1);
  if (head < 0 || head >= inner.end) return undefined; // `labels: {}`, or quoted
  const items = block(lines, head, inner.indent);
  if (!items) return undefined;
  const itemIndent = ' '.repeat(items.indent);
  const body = lines.slice(head + 1, items.end);
  // Exactly one scalar a line, or it is left to the parser.
  if (!body.every((line) => isPlainEntry(line, itemIndent))) return undefined;
  const kept = body.filter((line) => !Object.keys(entries).some((key) => isEntryOf(line, itemIndent, key)));
  const added = Object.entries(entries).map(([key, value]) => `${itemIndent}${entryLine(key, value)}`);
  return [...lines.slice(0, head + 1), ...kept, ...added, ...lines.slice(items.end)].join('\n');
}

/** The lines below a key: their indent, and where they end. undefined when there are none, or in no regular form. */
function block(lines: string[], at: number, parentIndent: number): { indent: number; end: number } | undefined {
  let indent = -1;
  let end = at + 1;
  for (; end < lines.length; end++) {
    const line = lines[end] as string;
    if (line.trim() === '') continue;
    const own = line.length - line.trimStart().length;
    if (own <= parentIndent) break;
    if (line.includes('\t') && /^\s*\t/.test(line)) return undefined;
    if (indent < 0) indent = own;
    if (own < indent) return undefined;
  }
  return indent < 0 ? undefined : { indent, end };
}

function isKeyLine(line: string, indent: string, key: string): boolean {
  const text = line.startsWith(indent) ? line.slice(indent.length) : '';
  return [key, `"${key}"`, `'${key}'`].some((name) => text.startsWith(`${name}:`) || text.startsWith(`${name} `));
}

const plainEntry = /^(?:[\w./-]+|"[\w./-]+"|'[\w./-]+'): (?:[^|>&*!{[].*)$/;

function isPlainEntry(line: string, indent: string): boolean {
  if (line.trim() === '') return true;
  const text = line.startsWith(indent) ? line.slice(indent.length) : '';
  if (!plainEntry.test(text)) return false;
  const value = text.slice(text.indexOf(': ') + 2);
  // A quoted text may go on in the next line.
  if (value.startsWith('"')) return /^"(?:[^"\\]|\\.)*"\s*$/.test(value);
  return value.startsWith("'") ? /^'(?:[^']|'')*'\s*$/.test(value) : true;
}

function isEntryOf(line: string, indent: string, key: string): boolean {
  const text = line.slice(indent.length);
  return [key, `"${key}"`, `'${key}'`].some((name) => text.startsWith(`${name}:`));
}

const plainKey = /^[A-Za-z][\w./-]*$/;

function entryLine(key: string, value: string): string {
  return `${plainKey.test(key) ? key : JSON.stringify(key)}: ${JSON.stringify(value)}`;
}

function setInTree(text: string, field: Field, entries: Readonly<Record<string, string>>): string {
  const document = parse(text);
  if (!isYamlMap(document.contents)) throw new Error('a rendered manifest is no YAML mapping');
  for (const path of [['metadata'], ['metadata', field]]) {
    if (!isYamlMap(document.getIn(path, true))) document.setIn(path, new YAMLMap());
  }
  for (const [key, value] of Object.entries(entries)) {
    const node = document.createNode(value);
    node.type = 'QUOTE_DOUBLE';
    document.setIn(['metadata', field, key], node);
  }
  return write(document);
}

/** In the failsafe schema every scalar is text, so that none of them changes on the way. */
function parse(text: string) {
  const document = parseDocument(text, { schema: 'failsafe', merge: true, uniqueKeys: false, logLevel: 'silent' });
  const [error] = document.errors;
  // The parser's own message quotes the manifest, which may be a Secret.
  if (error) throw new Error(`a rendered manifest is no valid YAML (${error.code})`);
  return document;
}

function write(document: ReturnType<typeof parse>): string {
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}

function expandList(text: string): string[] {
  if (!/^kind: *["']?\w*List["']?\s*$/m.test(text) || !/^items:/m.test(text)) return [text];
  const document = parse(text);
  const items = document.get('items', true);
  const kind = document.get('kind');
  if (!isSeq(items) || typeof kind !== 'string' || !kind.endsWith('List')) return [text];
  return items.items.map((item) => {
    if (!isYamlMap(item)) throw new Error(`a ${kind} in the rendered manifests has an item that is no object`);
    const single = parse('{}');
    single.contents = item as never;
    return write(single);
  });
}
