// spec.include of a GitRepository: the files of other GitRepositories' artifacts, under directories of this one (contract
// 1.1). What is included, and whether it may be, is decided here; the files are read from the unpacked artifacts.
import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitInclude, GitRepository } from '../../../k8s/api/git-repository.ts';
import { type NamespacedName, refOf } from '../../../k8s/object.ts';
import type { Artifact, ArchiveFile, UnpackedArtifacts } from '../../artifact/artifact.ts';
import { failure, messageOf } from '../../errors.ts';

/** What including needs from outside. */
export interface IncludeDeps {
  unpacked: Pick<UnpackedArtifacts, 'get'>;
  /** The live GitRepository, or undefined when there is none. */
  gitRepository(ref: NamespacedName): Promise<GitRepository | undefined>;
}

/** One entry of spec.include with the artifact that it stands for now. */
export interface IncludedArtifact {
  include: GitInclude;
  artifact: Artifact;
}

/** Objects that one include after the other may lead to; more are refused as if they were a circle. */
const maxIncludeGraph = 100;

/**
 * The artifacts that spec.include names, in its order. Fails with NotFound and NoArtifact, which wait for the other
 * object, and with IllegalPath for a `toPath` that leaves the artifact. Objects that include each other in a circle would
 * grow with every reconcile, so they wait as if they had no artifact yet, until one of the includes is removed.
 */
export async function includedArtifacts(object: GitRepository, deps: IncludeDeps): Promise<IncludedArtifact[]> {
  const { namespace, name } = refOf(object);
  const includes = object.spec.include ?? [];
  const found: IncludedArtifact[] = [];
  for (const include of includes) {
    toPathOf(include);
    fromPathOf(include);
    const subject = `GitRepository/${namespace}/${include.repository.name}`;
    const other = await deps.gitRepository({ namespace, name: include.repository.name });
    if (!other) throw failure('NotFound', `included ${subject} does not exist`, { subject });
    await refuseCircle({ namespace, name }, other, deps);
    const { artifact } = other.status ?? {};
    if (!artifact) throw failure('NoArtifact', `included ${subject} has no artifact yet`, { subject });
    found.push({ include, artifact });
  }
  return found;
}

/** True when these are the artifacts that the status names. */
export function areIncluded({ status = {} }: GitRepository, included: readonly IncludedArtifact[]): boolean {
  const was = status.includedArtifacts ?? [];
  return (
    was.length === included.length &&
    included.every(
      ({ artifact }, index) => artifact.digest === was[index]?.digest && artifact.revision === was[index].revision,
    )
  );
}

/**
 * The files that an artifact takes over, under `toPath`. Fails with CopyFailure when the artifact cannot be had, or has no
 * `fromPath`.
 */
export async function includedFiles(
  { include, artifact }: IncludedArtifact,
  unpacked: IncludeDeps['unpacked'],
  signal: AbortSignal,
): Promise<ArchiveFile[]> {
  const from = fromPathOf(include);
  const to = toPathOf(include);
  const subject = `GitRepository "${include.repository.name}"`;
  try {
    const { directory, files } = await unpacked.get(artifact, signal);
    const taken: ArchiveFile[] = [];
    for (const [path, digest] of files) {
      const rest = from === '' ? path : path === from ? (path.split('/').at(-1) ?? path) : below(path, from);
      if (rest === undefined) continue;
      const file = join(directory, path);
      const { mode } = await lstat(file);
      const isExecutable = (mode & 0o100) !== 0;
      const target = path === from ? to : `${to}/${rest}`;
      taken.push({ path: target, isExecutable, contentId: `sha256:${digest}`, content: () => readFile(file) });
    }
    if (taken.length > 0 || from === '') return taken;
  } catch (error) {
    signal.throwIfAborted();
    throw failure('CopyFailure', `the files of ${subject} cannot be included: ${messageOf(error)}`, { cause: error });
  }
  throw failure('CopyFailure', `included ${subject} has no "${from}": correct spec.include[].fromPath`);
}

/** Puts files together. Fails with CopyFailure when two are of the same path. */
export function mergeFiles(own: readonly ArchiveFile[], included: readonly ArchiveFile[]): ArchiveFile[] {
  const paths = new Set(own.map(({ path }) => path));
  for (const { path } of included) {
    if (paths.has(path)) {
      throw failure('CopyFailure', `"${path}" comes from more than one repository: set spec.include[].toPath`);
    }
    paths.add(path);
  }
  return [...own, ...included];
}

function below(path: string, directory: string): string | undefined {
  return path.startsWith(`${directory}/`) ? path.slice(directory.length + 1) : undefined;
}

function toPathOf({ repository, toPath }: GitInclude): string {
  const path = insidePath(toPath || repository.name);
  if (path === undefined || path === '') {
    throw failure('IllegalPath', `spec.include[].toPath "${toPath}" is not a directory of the artifact`);
  }
  return path;
}

function fromPathOf({ repository, fromPath = '' }: GitInclude): string {
  const path = insidePath(fromPath);
  if (path !== undefined) return path;
  throw failure('IllegalPath', `spec.include[].fromPath "${fromPath}" leaves the artifact of "${repository.name}"`);
}

/** A path relative to the artifact's root, `''` for the root itself; undefined when `..` leads out of it. */
function insidePath(path: string): string | undefined {
  const segments: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment !== '..') segments.push(segment);
    else if (segments.pop() === undefined) return undefined;
  }
  return segments.includes('.git') ? undefined : segments.join('/');
}

async function refuseCircle(own: NamespacedName, first: GitRepository, deps: IncludeDeps): Promise<void> {
  const seen = new Set<string>();
  const open: GitRepository[] = [first];
  for (let object = open.pop(); object; object = open.pop()) {
    const { name } = object.metadata;
    if (name === own.name || seen.size >= maxIncludeGraph) {
      const message = `GitRepository "${first.metadata.name}" includes "${own.name}" in turn: remove one of the includes`;
      throw failure('NoArtifact', message);
    }
    if (seen.has(name)) continue;
    seen.add(name);
    for (const { repository } of object.spec.include ?? []) {
      const next = await deps.gitRepository({ namespace: own.namespace, name: repository.name });
      if (next) open.push(next);
    }
  }
}
