// From a commit's tree to the files of an artifact: walks trees by object id, applies spec.sparseCheckout and the ignore
// rules, reads blobs only when the archive asks for them.
import type { ArchiveFile } from '../../artifact/artifact.ts';
import { failure } from '../../errors.ts';
import type { ByteCache } from './byte-cache.ts';
import type { ObjectStore, TreeEntry } from './object-store.ts';
import { compileIgnoreRules, ignoreFileName } from '../ignore.ts';

/** What goes into the artifact. */
export interface TreeSelection {
  /** spec.ignore. */
  ignore?: string;
  /** spec.sparseCheckout; empty takes all. */
  sparseCheckout?: string[];
  /** Most files of the whole tree. @default 100000 */
  maxFiles?: number;
}

interface TreeFile {
  path: string;
  oid: string;
  isExecutable: boolean;
}

const defaultMaxFiles = 100_000;
const maxIgnoreFileBytes = 1024 * 1024;

/**
 * The files of a tree that go into the artifact. Symbolic links and submodules are left out (contract 1.0). Blobs and
 * trees that the cache holds are not read again. Fails with GitOperationFailed for a sparse directory that is not in the
 * tree, SourceIgnoreError for an ignore file that is too large, ArchiveOperationFailed for too many files.
 */
export async function filesOfTree(
  objects: ObjectStore,
  tree: string,
  selection: TreeSelection,
  cache: ByteCache,
): Promise<ArchiveFile[]> {
  const reader = createCachedReader(objects, cache);
  const maxFiles = selection.maxFiles ?? defaultMaxFiles;
  const wanted = (selection.sparseCheckout ?? []).map(normalDirectory);
  for (const directory of wanted) await requireDirectory(reader, tree, directory);
  const files: TreeFile[] = [];

  async function walk(oid: string, prefix: string): Promise<void> {
    for (const entry of await reader.tree(oid)) {
      const path = prefix + entry.name;
      if (entry.type === 'tree') {
        if (isWanted(`${path}/`, wanted)) await walk(entry.oid, `${path}/`);
      } else if (isRegular(entry) && isInside(path, wanted)) {
        if (files.length >= maxFiles) {
          throw failure('ArchiveOperationFailed', `the commit has more than the ${maxFiles} files allowed`);
        }
        files.push({ path, oid: entry.oid, isExecutable: entry.mode.endsWith('755') });
      }
    }
  }
  await walk(tree, '');

  const ignoreFiles = [];
  for (const file of files) {
    if (file.path !== ignoreFileName && !file.path.endsWith(`/${ignoreFileName}`)) continue;
    const content = await reader.blob(file.oid);
    if (content.byteLength > maxIgnoreFileBytes) {
      throw failure('SourceIgnoreError', `"${file.path}" has more than the ${maxIgnoreFileBytes} bytes allowed`);
    }
    const directory = file.path.slice(0, -ignoreFileName.length).replace(/\/$/, '');
    ignoreFiles.push({ directory, text: Buffer.from(content).toString('utf8') });
  }
  const rules = compileIgnoreRules(ignoreFiles, selection.ignore);
  return files
    .filter((file) => !rules.isIgnored(file.path))
    .map(({ path, oid, isExecutable }) => ({ path, isExecutable, content: () => reader.blob(oid) }));
}

function isRegular(entry: TreeEntry): boolean {
  return entry.type === 'blob' && entry.mode.startsWith('100');
}

function normalDirectory(directory: string): string {
  const path = directory.replace(/^(\.\/)+/, '').replaceAll(/^\/+|\/+$/g, '');
  return path === '' || path === '.' ? '' : `${path}/`;
}

function isInside(path: string, wanted: string[]): boolean {
  return wanted.length === 0 || wanted.some((directory) => path.startsWith(directory));
}

/** True for a directory inside of a wanted one or on the way to one. */
function isWanted(path: string, wanted: string[]): boolean {
  return isInside(path, wanted) || wanted.some((directory) => directory.startsWith(path));
}

async function requireDirectory(reader: CachedReader, tree: string, directory: string): Promise<void> {
  let oid = tree;
  for (const name of directory.split('/').filter(Boolean)) {
    const entry = (await reader.tree(oid)).find((candidate) => candidate.name === name && candidate.type === 'tree');
    if (!entry) {
      const path = directory.slice(0, -1);
      throw failure('GitOperationFailed', `directory "${path}" of spec.sparseCheckout is not in the commit`);
    }
    oid = entry.oid;
  }
}

type CachedReader = ReturnType<typeof createCachedReader>;

/** Objects never change under their id, so what one commit has read serves the next. */
function createCachedReader(objects: ObjectStore, cache: ByteCache) {
  return {
    async tree(oid: string): Promise<TreeEntry[]> {
      const known = cache.get(`tree ${oid}`);
      if (known) return JSON.parse(Buffer.from(known).toString('utf8')) as TreeEntry[];
      const entries = await objects.readTree(oid);
      cache.set(`tree ${oid}`, Buffer.from(JSON.stringify(entries)));
      return entries;
    },
    async blob(oid: string): Promise<Uint8Array> {
      const known = cache.get(oid);
      if (known) return known;
      const content = await objects.readBlob(oid);
      cache.set(oid, content);
      return content;
    },
  };
}
