// Reads YAML as kustomize and the Kubernetes libraries read it, into plain JSON objects. Pure; never touches a disk.
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type Scalar,
} from 'yaml';
import type { KubeObject } from '../../k8s/object.ts';
import { ManifestError } from './manifest-error.ts';
import { resolveScalar, resolveYaml11Scalar } from './yaml-scalar.ts';

/** Bounds on one text; beyond them a {@link ManifestError} is thrown. */
export interface ReadLimits {
  sizeBytes: number;
  /** Nodes of all documents after aliases are expanded: what an alias bomb runs into. */
  nodes: number;
  depth: number;
}

export const defaultReadLimits: ReadLimits = { sizeBytes: 64 * 1024 * 1024, nodes: 5_000_000, depth: 100 };

/** Whose rules say what an unquoted word means: kustomize's, or those of Kubernetes' own libraries (YAML 1.1). */
export type YamlDialect = 'kustomize' | 'kubernetes';

/** One YAML document as JSON; empty documents are left out. */
export interface YamlDocument {
  value: unknown;
  /** Position in the file, from 1. */
  number: number;
  line: number;
}

export interface YamlDocuments {
  documents: YamlDocument[];
  /** True when the text uses what kustomize may render in its own way: anchors, tags, timestamps, keys that are no text. */
  isDelicate: boolean;
}

export interface Manifests {
  objects: KubeObject[];
  /** See {@link YamlDocuments.isDelicate}; a `List` counts as well. */
  isDelicate: boolean;
}

/**
 * The Kubernetes objects of a text of one or many documents, lists flattened.
 * Throws {@link ManifestError} with file, line and column for anything that is no object with apiVersion, kind and name.
 */
export function readManifests(text: string, file: string, limits: ReadLimits = defaultReadLimits): Manifests {
  const read = readYaml(text, file, limits);
  const objects: KubeObject[] = [];
  let isDelicate = read.isDelicate;
  for (const document of read.documents) {
    const fail = (problem: string): ManifestError =>
      new ManifestError({ file, line: document.line, column: 1, document: document.number }, problem, text);
    for (const value of flatten(document.value)) {
      if (value !== document.value) isDelicate = true;
      objects.push(asObject(value, fail));
    }
  }
  return { objects, isDelicate };
}

/** All documents of a text as JSON. Throws {@link ManifestError}. */
export function readYaml(
  text: string,
  file: string,
  limits: ReadLimits = defaultReadLimits,
  dialect: YamlDialect = 'kustomize',
): YamlDocuments {
  if (text.length > limits.sizeBytes) {
    const problem = `file of ${text.length} bytes is over the limit of ${limits.sizeBytes} bytes`;
    throw new ManifestError({ file, line: 1, column: 1, document: 1 }, problem, '');
  }
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, {
    schema: 'failsafe',
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'silent',
    lineCounter: lines,
  });
  const reader = createReader(text, file, lines, limits, dialect);
  const documents: YamlDocument[] = [];
  if (!Array.isArray(parsed)) return { documents, isDelicate: false };
  for (const [index, document] of parsed.entries()) {
    const value = reader.read(document, index + 1);
    if (value === null || value === undefined) continue;
    const offset = document.contents?.range?.[0] ?? 0;
    documents.push({ value, number: index + 1, line: lines.linePos(offset).line || 1 });
  }
  return { documents, isDelicate: reader.isDelicate() };
}

/** The items of a `List` or `…List`, or the document itself. */
function* flatten(value: unknown): Generator<unknown> {
  const list = value as { kind?: unknown; items?: unknown };
  if (isRecord(value) && typeof list.kind === 'string' && list.kind.endsWith('List') && Array.isArray(list.items)) {
    for (const item of list.items) yield* flatten(item);
  } else {
    yield value;
  }
}

function asObject(value: unknown, fail: (problem: string) => Error): KubeObject {
  if (!isRecord(value)) throw fail('expected a Kubernetes object, got something that is not a mapping');
  const { apiVersion, kind, metadata } = value;
  if (typeof apiVersion !== 'string' || !apiVersion) throw fail('object has no apiVersion');
  if (typeof kind !== 'string' || !kind) throw fail('object has no kind');
  const name = isRecord(metadata) ? metadata.name : undefined;
  const generateName = isRecord(metadata) ? metadata.generateName : undefined;
  if (!name && !generateName) throw fail(`${kind} has no metadata.name`);
  if (name !== undefined && typeof name !== 'string') {
    throw fail(`${kind} has a metadata.name that is not text; quote it`);
  }
  return value as KubeObject;
}

interface Reader {
  read(document: Document.Parsed, number: number): unknown;
  isDelicate(): boolean;
}

function createReader(
  text: string,
  file: string,
  lines: LineCounter,
  limits: ReadLimits,
  dialect: YamlDialect,
): Reader {
  const resolve = dialect === 'kustomize' ? resolveScalar : resolveYaml11Scalar;
  let nodes = 0;
  let delicate = false;

  function read(document: Document.Parsed, number: number): unknown {
    const [error] = document.errors;
    if (error) throw failAt(error.pos[0], number, describe(error.message));
    const anchors = new Map<string, Node>();
    const open = new Set<string>();
    const isSchema = isCustomResourceDefinition(document.contents);

    function convert(node: Node | null, depth: number): unknown {
      nodes += 1;
      const offset = node?.range?.[0] ?? 0;
      if (nodes > limits.nodes) {
        throw failAt(offset, number, `more than ${limits.nodes} values (aliases expanded); simplify the file`);
      }
      if (depth > limits.depth) throw failAt(offset, number, `nested deeper than ${limits.depth} levels`);
      if (node === null) return null;
      if (isAlias(node)) return expand(node.source, offset, depth);
      const anchor = (node as { anchor?: string }).anchor;
      if (anchor) {
        delicate = true;
        anchors.set(anchor, node);
        open.add(anchor);
      }
      const value = isMap(node) ? mapping(node.items as Pair[], depth) : contents(node, depth, offset);
      if (anchor) open.delete(anchor);
      return value;
    }

    function contents(node: Node, depth: number, offset: number): unknown {
      if (isSeq(node)) return node.items.map((item) => convert(item as Node | null, depth + 1));
      return isScalar(node) ? scalar(node, offset, false) : null;
    }

    function expand(name: string, offset: number, depth: number): unknown {
      const target = anchors.get(name);
      if (!target) throw failAt(offset, number, `alias "*${name}" has no anchor`);
      if (open.has(name)) throw failAt(offset, number, `anchor "&${name}" contains itself`);
      return convert(target, depth + 1);
    }

    function mapping(pairs: Pair[], depth: number): Record<string, unknown> {
      const result: Record<string, unknown> = {};
      const merged: unknown[] = [];
      for (const pair of pairs) {
        const offset = pair.key?.range?.[0] ?? 0;
        if (isMergeKey(pair.key)) {
          delicate = true;
          const value = convert(pair.value, depth + 1);
          merged.push(...(Array.isArray(value) ? value : [value]));
          continue;
        }
        const key = keyText(pair.key, offset);
        if (Object.hasOwn(result, key)) throw failAt(offset, number, `key "${key}" is there twice`);
        // The bounds of a schema are doubles for the API server as well.
        const mayRound = isSchema && (key === 'maximum' || key === 'minimum') && isScalar(pair.value);
        define(result, key, mayRound ? scalar(pair.value as Scalar, offset, true) : convert(pair.value, depth + 1));
      }
      for (const source of merged) {
        if (!isRecord(source)) throw failAt(pairs[0]?.key?.range?.[0] ?? 0, number, '"<<" needs a mapping');
        for (const [key, value] of Object.entries(source)) if (!Object.hasOwn(result, key)) define(result, key, value);
      }
      return result;
    }

    function keyText(key: Node | null, offset: number): string {
      const value = convert(key, 0);
      if (typeof value === 'string') return value;
      delicate = true;
      if (dialect === 'kubernetes') {
        if (typeof value === 'number' || typeof value === 'boolean') return String(value);
      } else if (isScalar(key) && typeof key.value === 'string') return key.value;
      throw failAt(offset, number, 'a key has to be text');
    }

    function scalar(node: Scalar, offset: number, mayRound: boolean): unknown {
      const source = typeof node.value === 'string' ? node.value : '';
      if (node.tag && node.tag !== 'tag:yaml.org,2002:str') {
        delicate = true;
        if (node.tag === 'tag:yaml.org,2002:binary') return Buffer.from(source, 'base64').toString('utf8');
        if (!/^tag:yaml.org,2002:(?:int|float|bool|null)$/.test(node.tag)) return source;
      } else if (node.type !== 'PLAIN' || node.tag) {
        if (node.tag) delicate = true;
        return source;
      }
      try {
        const resolved = resolve(source, mayRound);
        if (resolved.isDelicate) delicate = true;
        return resolved.value;
      } catch (error) {
        throw failAt(offset, number, (error as Error).message);
      }
    }

    return convert(document.contents, 0);
  }

  function failAt(offset: number, document: number, problem: string): ManifestError {
    const { line, col } = lines.linePos(offset);
    return new ManifestError({ file, line: line || 1, column: col || 1, document }, problem, text);
  }

  return { read, isDelicate: () => delicate };
}

interface Pair {
  key: Node | null;
  value: Node | null;
}

function isCustomResourceDefinition(root: Node | null): boolean {
  return isMap(root) && root.get('kind') === 'CustomResourceDefinition';
}

function isMergeKey(key: Node | null): boolean {
  return isScalar(key) && key.type === 'PLAIN' && key.value === '<<';
}

/** Assigns like a literal would, so that a key named `__proto__` is a key and nothing else. */
function define(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    target[key] = value;
  }
}

function describe(message: string): string {
  const first = message.split('\n', 1)[0] ?? message;
  return first.charAt(0).toLowerCase() + first.slice(1);
}

/** True for a mapping. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
