// A directory of a person's disk as if it were the artifact of a source: the files that a commit of it would bring.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import type { UnpackedArtifact } from '../activities/artifact/artifact.ts';
import { compileIgnoreRules, ignoreFileName } from '../activities/source/ignore.ts';
import { CommandError, usageError } from './exit.ts';

/** Where a directory lies in its source. */
export interface LocalPlace {
  /** What stands for the root of the source. */
  root: string;
  /** The directory below it, with `/`; '' for the root itself. */
  path: string;
}

/** A source has at most so many files (contract 1.0); more would be a directory chosen by mistake. */
const maxFiles = 100_000;

/**
 * The place of a directory that a person gives for `spec.path`: in the Git work tree around it; else, where its path ends
 * in `spec.path`, below what is before that; else it is the root itself. Throws a usage error when it is no directory.
 */
export async function findLocalPlace(directory: string, specPath: string | undefined): Promise<LocalPlace> {
  const isDirectory = await stat(directory).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isDirectory) throw usageError(`--path has to be a directory that exists, got "${directory}"`);
  const real = realpathSync(directory);
  for (let at = real; at !== dirname(at); at = dirname(at)) {
    if (existsSync(join(at, '.git'))) return { root: at, path: relative(at, real).split(sep).join('/') };
  }
  const steps = (specPath ?? '').split('/').filter((step) => step !== '' && step !== '.');
  const tail = `${sep}${steps.join(sep)}`;
  if (steps.length > 0 && real.endsWith(tail))
    return { root: real.slice(0, -tail.length) || sep, path: steps.join('/') };
  return { root: real, path: '' };
}

/**
 * The files below a root, without what the source would leave out: symbolic links, `.git`, and what its ignore rules name
 * (`specIgnore` is the source's own list). Files are hashed when somebody asks for their digest.
 */
export async function openLocalArtifact(root: string, specIgnore: string | undefined): Promise<UnpackedArtifact> {
  const paths: string[] = [];
  async function walk(directory: string): Promise<void> {
    for (const entry of await readdir(join(root, directory), { withFileTypes: true })) {
      const path = directory ? `${directory}/${entry.name}` : entry.name;
      if (entry.isDirectory() && entry.name !== '.git') await walk(path);
      else if (entry.isFile()) paths.push(path);
      if (paths.length > maxFiles) {
        throw new CommandError(
          `"${root}" has more than the ${maxFiles} files that a source may have: is it the right one?`,
        );
      }
    }
  }
  await walk('');
  const isIgnoreFile = (path: string): boolean => path === ignoreFileName || path.endsWith(`/${ignoreFileName}`);
  const ignoreFiles = await Promise.all(
    paths.filter(isIgnoreFile).map(async (path) => ({
      directory: path.slice(0, -ignoreFileName.length).replace(/\/$/, ''),
      text: await readFile(join(root, path), 'utf8'),
    })),
  );
  const rules = compileIgnoreRules(ignoreFiles, specIgnore);
  const kept = paths.filter((path) => !rules.isIgnored(path));
  return { digest: `local:${root}`, directory: root, files: hashedWhenAsked(root, kept) };
}

/** Path → sha256, each computed at its first use: a build reads few of the files of a large work tree. */
function hashedWhenAsked(root: string, paths: readonly string[]): ReadonlyMap<string, string> {
  const digests = new Map<string, string>(paths.map((path) => [path, '']));
  const get = (path: string): string | undefined => {
    const known = digests.get(path);
    if (known !== '') return known;
    const digest = createHash('sha256')
      .update(readFileSync(join(root, path)))
      .digest('hex');
    digests.set(path, digest);
    return digest;
  };
  function* entries(): MapIterator<[string, string]> {
    for (const path of digests.keys()) yield [path, get(path) as string];
  }
  function* values(): MapIterator<string> {
    for (const [, digest] of entries()) yield digest;
  }
  const files: ReadonlyMap<string, string> = {
    size: digests.size,
    has: (path) => digests.has(path),
    keys: () => digests.keys(),
    get,
    entries,
    values,
    [Symbol.iterator]: entries,
    forEach(visit) {
      for (const [path, digest] of entries()) visit(digest, path, files);
    },
  };
  return files;
}
