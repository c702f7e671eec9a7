// Which objects of a bucket become files of its artifact, and the revision that they make (contract 1.5). Pure.
import { createHash } from 'node:crypto';
import { compileIgnoreRules, ignoreFileName } from '../ignore.ts';
import type { StoredObject } from './bucket-storage.ts';

/** What a bucket may hold at most. */
export interface BucketLimits {
  /** @default 100000 */
  maxObjects: number;
  /** Of all objects together. @default 1 GiB */
  maxBytes: number;
}

export const defaultBucketLimits: BucketLimits = { maxObjects: 100_000, maxBytes: 1024 ** 3 };

/** The files of an artifact: path → object, sorted by path. */
export interface ObjectIndex {
  files: ReadonlyMap<string, StoredObject>;
  /** `sha256:<hex>` */
  revision: string;
}

export interface IndexRules {
  /** Text of the `.sourceignore` in the bucket's root, if there is one. */
  ignoreFile?: string;
  /** `spec.ignore` */
  ignore?: string;
  limits: BucketLimits;
}

/**
 * The index of a listing. Keys that end with `/` are folders, and are passed over as ignored ones are; throws an `Error`
 * for a key that cannot be a path, for two that cannot both be, and over the limits.
 */
export function indexObjects(objects: Iterable<StoredObject>, rules: IndexRules): ObjectIndex {
  const { ignoreFile, ignore, limits } = rules;
  const ignored = compileIgnoreRules(ignoreFile === undefined ? [] : [{ directory: '', text: ignoreFile }], ignore);
  const found: [string, StoredObject][] = [];
  let sizeBytes = 0;
  for (const object of objects) {
    const key = textOfKey(object.keyBytes);
    if (key.endsWith('/') || key === ignoreFileName || ignored.isIgnored(key)) continue;
    const problem = keyProblem(key) ?? factProblem(object);
    if (problem) throw new Error(`the object ${quoted(key)} ${problem}: ${wayOut}`);
    found.push([key, object]);
    sizeBytes += object.sizeBytes;
    if (found.length > limits.maxObjects) {
      throw new Error(`there are more than the ${limits.maxObjects} objects allowed: ${wayOut}`);
    }
    if (sizeBytes > limits.maxBytes) {
      throw new Error(`the objects have more than the ${limits.maxBytes} bytes allowed: ${wayOut}`);
    }
  }
  found.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const files = new Map(found);
  const clash = clashOf(files);
  if (clash) {
    throw new Error(`${quoted(clash)} is an object and the folder of others: rename it, or ${wayOut}`);
  }
  return { files, revision: revisionOf(files) };
}

const wayOut = 'leave it out with spec.ignore, .sourceignore or spec.prefix';

/** `sha256:<hex>` over lines `<key> <etag>`, sorted by key. */
export function revisionOf(files: ReadonlyMap<string, Pick<StoredObject, 'etag'>>): string {
  const hash = createHash('sha256');
  const lines = [...files].map(([key, { etag }]) => `${key} ${etag}\n`);
  for (const line of lines) hash.update(line);
  return `sha256:${hash.digest('hex')}`;
}

/** Why a key cannot be the path of a file; undefined when it can. */
export function keyProblem(key: string): string | undefined {
  if (key.includes('\uFFFD')) return 'has a key that is not UTF-8';
  if (key === '') return 'has an empty key';
  if (key.startsWith('/')) return 'has a key that begins with "/"';
  if (/[\0-\x1f\x7f]/.test(key)) return 'has control characters in its key';
  if (key.includes('\\')) return 'has a backslash in its key';
  const segments = key.split('/');
  if (segments.includes('..') || segments.includes('.')) return 'has "." or ".." in its key';
  if (segments.includes('')) return 'has an empty name in its key';
  if (segments.some((segment) => Buffer.byteLength(segment) > 255))
    return 'has a name of more than 255 bytes in its key';
  return undefined;
}

/** Why an object cannot be told from its later versions, or not be counted; undefined when it can. */
function factProblem({ etag, sizeBytes }: StoredObject): string | undefined {
  if (etag === '') return 'is listed without an ETag';
  return sizeBytes < 0 ? 'is listed with a size below zero' : undefined;
}

/** A file that is also a folder. */
function clashOf(files: ReadonlyMap<string, unknown>): string | undefined {
  for (const path of files.keys()) {
    for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
      const folder = path.slice(0, slash);
      if (files.has(folder)) return folder;
    }
  }
  return undefined;
}

/** What is not UTF-8 holds U+FFFD. */
export function textOfKey(keyBytes: Uint8Array): string {
  return Buffer.from(keyBytes).toString('utf8');
}

function quoted(key: string): string {
  return JSON.stringify(key.slice(0, 200));
}
