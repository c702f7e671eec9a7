// The files of an artifact as copy operations look at them. Links never get this far: unpacking leaves them out.
import type { UnpackedArtifact } from '../../artifact/artifact.ts';

export interface SourceTree {
  directory: string;
  /** Hex sha256 of a file; undefined where there is none. */
  digestOf(path: string): string | undefined;
  isDirectory(path: string): boolean;
  /** All directories, sorted. */
  directories(): string[];
  /** The files below a directory, sorted; '' is the whole tree. */
  below(directory: string): string[];
}

export function createSourceTree({ directory, files }: Pick<UnpackedArtifact, 'directory' | 'files'>): SourceTree {
  const paths = [...files.keys()].sort(byCodeUnit);
  const directories = new Set(paths.flatMap((path) => parentsOf(path)));
  return {
    directory,
    digestOf: (path) => files.get(path),
    isDirectory: (path) => path === '' || directories.has(path),
    directories: () => [...directories].sort(byCodeUnit),
    below(parent) {
      if (parent === '') return paths;
      const prefix = `${parent}/`;
      const first = lowerBound(paths, prefix);
      let end = first;
      while (paths[end]?.startsWith(prefix)) end++;
      return paths.slice(first, end);
    },
  };
}

/** The directories that a path is in, from the outermost on. */
export function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1))
    parents.push(path.slice(0, slash));
  return parents;
}

function lowerBound(paths: readonly string[], wanted: string): number {
  let low = 0;
  let high = paths.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((paths[middle] ?? '') < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

function byCodeUnit(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
