// The files of an unpacked artifact as a tree, and the one function that resolves a path without leaving it.
import { posix } from 'node:path';
import type { UnpackedArtifact } from '../artifact/artifact.ts';

/** A read-only view of an artifact's files; paths are relative to its root, '' is the root itself. */
export interface FileTree {
  isFile(path: string): boolean;
  isDirectory(path: string): boolean;
  /** Hex sha256 of a file. */
  sha256(path: string): string;
  /** All files at or below a directory, sorted. */
  filesBelow(directory: string): string[];
  /** Names of the directories right below a directory, sorted. */
  directoriesIn(directory: string): string[];
}

const trees = new WeakMap<ReadonlyMap<string, string>, FileTree>();

/** The tree of an artifact; made once an artifact, as the file map of one never changes. */
export function fileTreeOf(artifact: Pick<UnpackedArtifact, 'files'>): FileTree {
  let tree = trees.get(artifact.files);
  if (!tree) {
    tree = createFileTree(artifact.files);
    trees.set(artifact.files, tree);
  }
  return tree;
}

function createFileTree(files: ReadonlyMap<string, string>): FileTree {
  const sorted = [...files.keys()].sort();
  const children = new Map<string, Set<string>>([['', new Set()]]);
  for (const path of sorted) {
    let directory = parentOf(path);
    for (let child = ''; ; child = posix.basename(directory), directory = parentOf(directory)) {
      const known = children.get(directory);
      if (known) {
        if (child) known.add(child);
        break;
      }
      children.set(directory, new Set(child ? [child] : []));
    }
  }
  return {
    isFile: (path) => files.has(path),
    isDirectory: (path) => children.has(path),
    sha256: (path) => files.get(path) ?? '',
    filesBelow: (directory) => (directory ? withPrefix(sorted, `${directory}/`) : sorted),
    directoriesIn: (directory) => [...(children.get(directory) ?? [])].sort(),
  };
}

/** The run of sorted strings that start with a prefix. */
function withPrefix(sorted: string[], prefix: string): string[] {
  let low = 0;
  for (let high = sorted.length; low < high; ) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? '') < prefix) low = middle + 1;
    else high = middle;
  }
  let end = low;
  while (sorted[end]?.startsWith(prefix)) end += 1;
  return sorted.slice(low, end);
}

/** The directory of a path; '' for one at the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

/**
 * Joins a path onto a directory of the tree. Gives undefined when it is absolute or leaves the root, by whatever
 * combination of `..`, so that each caller can say whose path it was.
 */
export function resolveInside(directory: string, path: string): string | undefined {
  if (path.startsWith('/') || path.includes('\0')) return undefined;
  const joined = posix.join(directory, path);
  if (joined === '..' || joined.startsWith('../')) return undefined;
  return joined === '.' || joined === './' ? '' : joined.replace(/\/$/, '');
}

/** `spec.path` inside the root: `..` cannot climb above it and a leading `/` means the root (a secure join). */
export function resolveSpecPath(path: string | undefined): string {
  return posix
    .join('/', path ?? '')
    .replace(/^\//, '')
    .replace(/\/$/, '');
}
