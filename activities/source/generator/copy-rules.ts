// Which files a copy operation takes, and where they go (contract 1.7): the semantics of `cp -r`. Pure. Errors are
// `Error`s that quote what is wrong; nothing outside of the source or of the artifact can be named.
import { pathProblem } from '../../artifact/tar-path.ts';
import { compileGlob, isGlob } from './glob.ts';
import { parentsOf, type SourceTree } from './source-tree.ts';

export interface CopyOperation {
  /** `@<alias>/<path or glob>` */
  from: string;
  /** `@artifact/<path>` */
  to: string;
  exclude?: string[];
  strategy?: 'Overwrite' | 'Merge' | 'Extract';
}

/** One file, by its path in the source and its path in the artifact. */
export interface CopiedFile {
  from: string;
  to: string;
}

/** Splits `@<alias>/<path>`; the path is normal and relative, '' for all. */
export function parseAliased(text: string): { alias: string; path: string } {
  const [, alias, path] = /^@([^/]+)\/(.*)$/s.exec(text) ?? [];
  if (alias === undefined || path === undefined) throw new Error(`"${text}" is not of the form "@<alias>/<path>"`);
  return { alias, path: normalPath(path, text) };
}

/** Without `.` and a `/` at its end. Everything that could lead out is refused, not resolved. */
function normalPath(path: string, whole: string): string {
  const inner = path.replace(/\/+$/, '');
  if (path.startsWith('/') && inner !== '')
    throw new Error(`"${whole}" has an absolute path: leave the second "/" out`);
  const normal = inner
    .split('/')
    .filter((name) => name !== '.' && name !== '')
    .join('/');
  const problem = normal === '' ? undefined : pathProblem(normal);
  if (problem) throw new Error(`"${whole}" cannot be used: its path ${problem}`);
  return normal;
}

/**
 * The files that an operation takes, in the order in which they are copied; with `Extract` the tarballs, whose `to` is the
 * directory to unpack them into. `isDirectory` asks for what is in the artifact by then.
 */
export function filesToCopy(
  operation: CopyOperation,
  tree: SourceTree,
  isDirectory: (path: string) => boolean,
): CopiedFile[] {
  const { path } = parseAliased(operation.from);
  const target = parseAliased(operation.to).path;
  const isExtract = operation.strategy === 'Extract';
  const excluded = excludes(operation.exclude ?? []);
  if (isGlob(path)) return globbed(path, target, isExtract, tree, excluded);

  if (tree.digestOf(path) !== undefined) {
    if (excluded(path, '', path)) return [];
    if (isExtract && !isTarball(path)) throw new Error(`"${path}" is no tarball: Extract takes .tar.gz and .tgz`);
    const isInto = operation.to.endsWith('/') || target === '' || isDirectory(target);
    return [{ from: path, to: isExtract || !isInto ? target : join(target, baseOf(path)) }];
  }
  if (!tree.isDirectory(path)) throw new Error(`"${path}" does not exist in the source`);
  if (isExtract) throw new Error(`"${path}" is a directory: Extract takes tarballs`);
  return tree
    .below(path)
    .filter((file) => !excluded(file, path, undefined))
    .map((file) => ({ from: file, to: join(target, baseOf(path), relative(file, path)) }));
}

function globbed(
  pattern: string,
  target: string,
  isExtract: boolean,
  tree: SourceTree,
  excluded: Excludes,
): CopiedFile[] {
  const root = literalRoot(pattern);
  const matches = remembered(compileGlob(pattern));
  const stripped = pattern.endsWith('/**') ? pattern.slice(0, -3) : undefined;
  const copied: CopiedFile[] = [];
  let isMatched = false;
  for (const file of tree.below(root)) {
    // A directory that fits is copied whole; only a tarball itself is extracted.
    const matched = isExtract ? (matches(file) ? file : undefined) : [...parentsOf(file), file].find(matches);
    if (matched === undefined) continue;
    isMatched = true;
    if (excluded(file, root, matched)) continue;
    if (isExtract) {
      if (isTarball(file)) copied.push({ from: file, to: target });
      continue;
    }
    const isBelow = stripped !== undefined && file.startsWith(`${stripped}/`);
    copied.push({ from: file, to: join(target, isBelow ? relative(file, stripped) : file) });
  }
  if (!isMatched) throw new Error(`no files match "${pattern}" in the source`);
  if (copied.length === 0 && !isExtract) throw new Error(`all files that match "${pattern}" are excluded`);
  return copied;
}

/** @param first the outermost path that the patterns may exclude; undefined: whatever is below `root` */
type Excludes = (file: string, root: string, first: string | undefined) => boolean;

/**
 * A file is left out when it, or a directory on the way to it, fits a pattern: as it is in the source, or below what was
 * selected. A pattern without `/` is for names at any depth.
 */
function excludes(patterns: readonly string[]): Excludes {
  const compiled = patterns.map((pattern) => ({ matches: compileGlob(pattern), isName: !pattern.includes('/') }));
  if (compiled.length === 0) return () => false;
  const known = new Map<string, boolean>();
  const fits = (path: string, root: string): boolean => {
    const is = known.get(path);
    if (is !== undefined) return is;
    const inner = root !== '' && path.startsWith(`${root}/`) ? relative(path, root) : path;
    const result = compiled.some(
      ({ matches, isName }) => matches(path) || (inner !== path && matches(inner)) || (isName && matches(baseOf(path))),
    );
    known.set(path, result);
    return result;
  };
  return (file, root, first) =>
    [...parentsOf(file), file]
      .filter((path) => (first === undefined ? path.length > root.length : path.length >= first.length))
      .some((path) => fits(path, root));
}

function remembered(matches: (path: string) => boolean): (path: string) => boolean {
  const known = new Map<string, boolean>();
  return (path) => {
    const is = known.get(path) ?? matches(path);
    known.set(path, is);
    return is;
  };
}

/** The directories of a pattern before the first name with a glob in it. */
function literalRoot(pattern: string): string {
  const names = pattern.split('/');
  const first = names.findIndex((name) => isGlob(name) || /[{\\]/.test(name));
  return names.slice(0, first < 0 ? -1 : first).join('/');
}

function isTarball(path: string): boolean {
  return /\.(tar\.gz|tgz)$/i.test(path);
}

function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function relative(path: string, directory: string): string {
  return directory === '' ? path : path.slice(directory.length + 1);
}

function join(...parts: string[]): string {
  return parts.filter((part) => part !== '').join('/');
}
