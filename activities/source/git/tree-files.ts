// From a commit's tree to the files of an artifact: walks trees by object id, applies spec.sparseCheckout and the ignore
// rules, reads blobs only when the archive asks for them.
import type { ArchiveFile } from '../../artifact/artifact.ts';
import { failure } from '../../errors.ts';
import type { ByteCache } from './byte-cache.ts';
import type { ObjectStore, TreeEntry } from './object-store.ts';
import type { MountedTrees } from './submodule-trees.ts';
import { withoutIgnored } from '../ignore.ts';
import { mergeFiles } from './include-artifacts.ts';

/** What goes into the artifact. */
export interface TreeSelection {
  /** spec.ignore. */
  ignore?: string;
  /** spec.sparseCheckout; empty takes all. */
  sparseCheckout?: string[];
  /** Files from elsewhere (spec.include); the ignore rules are for them as well. */
  included?: readonly ArchiveFile[];
  /** The trees of submodules that were fetched. */
  submodules?: MountedTrees;
  /** Most files of the whole tree. @default 100000 */
  maxFiles?: number;
}

interface TreeFile {
  reader: CachedReader;
  path: string;
  oid: string;
  isExecutable: boolean;
}

const defaultMaxFiles = 100_000;
const maxPathLength = 4096;

/**
 * The files of a tree that go into the artifact. Symbolic links, and submodules that were not fetched, are left out
 * (contract 1.0). Trees that the cache holds are not read again. Fails with GitOperationFailed for a sparse directory that is not in the
 * tree, SourceIgnoreError for ignore files that are too large, ArchiveOperationFailed for too many files or too long paths.
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
  const mounted = (path: string) => {
    const mount = selection.submodules?.get(path);
    return mount && { reader: createCachedReader(mount.objects, cache), oid: mount.tree };
  };
  for (const directory of wanted) await requireDirectory({ reader, oid: tree }, directory, mounted);
  const files: TreeFile[] = [];
  let entryCount = 0;

  async function walk({ reader, oid }: Place, prefix: string): Promise<void> {
    for (const entry of await reader.tree(oid)) {
      const path = prefix + entry.name;
      const inside = entry.type === 'tree' ? { reader, oid: entry.oid } : entry.type === 'commit' && mounted(path);
      if (!(inside ? isWanted(`${path}/`, wanted) : isInside(path, wanted))) continue;
      // Links as well: a tree in which the same tree stands again and again has more of them than anybody could go through.
      if (++entryCount > maxFiles) throw tooManyFiles(maxFiles);
      if (path.length > maxPathLength) throw tooDeep(path);
      if (inside) await walk(inside, `${path}/`);
      else if (isRegular(entry)) {
        files.push({ reader, path, oid: entry.oid, isExecutable: entry.mode.endsWith('755') });
      }
    }
  }
  await walk({ reader, oid: tree }, '');

  const own = files.map(
    ({ reader: from, path, oid, isExecutable }): ArchiveFile => ({
      path,
      isExecutable,
      contentId: oid,
      content: () => from.blob(oid),
    }),
  );
  const all = mergeFiles(own, selection.included ?? []);
  if (all.length > maxFiles) throw tooManyFiles(maxFiles);
  return await withoutIgnored(all, selection.ignore);
}

function tooManyFiles(maxFiles: number): Error {
  return failure('ArchiveOperationFailed', `the commit has more than the ${maxFiles} files and directories allowed`);
}

function tooDeep(path: string): Error {
  const shown = path.slice(0, 200);
  return failure(
    'ArchiveOperationFailed',
    `the commit has a path of more than ${maxPathLength} characters: "${shown}…"`,
  );
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

async function requireDirectory(
  root: Place,
  directory: string,
  mounted: (path: string) => Place | undefined,
): Promise<void> {
  let place = root;
  let path = '';
  for (const name of directory.split('/').filter(Boolean)) {
    path += path ? `/${name}` : name;
    const entry = (await place.reader.tree(place.oid)).find((candidate) => candidate.name === name);
    const next =
      entry?.type === 'tree' ? { reader: place.reader, oid: entry.oid } : entry?.type === 'commit' && mounted(path);
    if (!next) {
      const wanted = directory.slice(0, -1);
      throw failure('GitOperationFailed', `directory "${wanted}" of spec.sparseCheckout is not in the commit`);
    }
    place = next;
  }
}

/** A tree, and who reads it. */
interface Place {
  reader: CachedReader;
  oid: string;
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
    // Files are read for what changed alone, and once: keeping them would be memory for nothing.
    blob: (oid: string): Promise<Uint8Array> => objects.readBlob(oid),
  };
}
