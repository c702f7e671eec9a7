// One build: from an unpacked artifact and a Kustomization's overrides to Kubernetes objects.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { KubeObject } from '../../k8s/object.ts';
import type { UnpackedArtifact } from '../artifact/artifact.ts';
import { failure, messageOf } from '../errors.ts';
import { buildKeyOf, type OtherInputs } from './build-key.ts';
import type { BuildSpec } from './build-spec.ts';
import { type Closure, closureOf } from './closure.ts';
import { assertNotEncrypted, decryptObjects } from './decryption/decrypt-objects.ts';
import { decryptSources, noPlainSources, type PlainSources } from './decryption/decrypt-sources.ts';
import type { Decryption } from './decryption/decryption.ts';
import { isIdentityEncrypted } from './decryption/sops-metadata.ts';
import { fileTreeOf, parentOf, resolveInside, resolveSpecPath } from './file-tree.ts';
import { type BuildInput, prepareBuild } from './generate-kustomization.ts';
import { runKustomize } from './kustomize.ts';
import { ManifestError } from './manifest-error.ts';
import { buildPlainFolder, isPlainSpec } from './plain-folder.ts';
import { defaultReadLimits, isRecord, type Manifests, readManifests, readYaml } from './read-manifests.ts';
import { createWorkspace } from './workspace.ts';

/** How builds are run; the same for all of them. */
export interface BuildOptions {
  /** Path of the kustomize binary. */
  kustomizeBinary: string;
  /** Its version; part of every build key. */
  kustomizeVersion: string;
  /** Refuse bases and files that are fetched over the network. */
  noRemoteBases: boolean;
  /** Where private build directories are made, at best on the file system of the unpacked artifacts. */
  temporaryDirectory: string;
  /** For one run of kustomize; default 2 minutes. */
  timeoutMs?: number;
  /** Of what one run prints; default 64 MiB. */
  maxOutputBytes?: number;
  /** Environment variables for builds with remote bases (proxy, certificates); none by default. */
  remoteEnvironment?: Readonly<Record<string, string>>;
}

/** A build that is ready to run: what it reads and, where that decides the result, its key. */
export interface BuildPlan {
  input: BuildInput;
  closure: Closure;
  /** undefined when something comes over the network. */
  buildKey: string | undefined;
}

/**
 * Finds out what a build reads. Reads kustomization files only, synchronously, so that it can be asked in passing.
 * `others` goes into the key as it is. Fails with ArtifactFailed when the path is not there and BuildFailed when the
 * kustomization cannot be built.
 */
export function planBuild(
  artifact: UnpackedArtifact,
  spec: BuildSpec,
  options: BuildOptions,
  others: OtherInputs = {},
): BuildPlan {
  const directory = existingDirectory(artifact, spec.path);
  try {
    const input = prepareBuild(artifact, directory, spec);
    const label = input.file ?? `the kustomization generated for "${directory || '.'}"`;
    const closure = closureOf(artifact, directory, input.fields, label);
    assertRemotesAllowed(closure, options);
    return { input, closure, buildKey: buildKeyOf(artifact, input, spec, closure, options.kustomizeVersion, others) };
  } catch (cause) {
    throw buildFailed(cause);
  }
}

/**
 * Builds the objects of a plan: source files are decrypted, kustomize runs, what it gives is decrypted
 * (contract 2.1, step 10). Fails with BuildFailed; rejects with the signal's reason when aborted.
 */
export async function buildObjects(
  artifact: UnpackedArtifact,
  spec: BuildSpec,
  plan: BuildPlan,
  options: BuildOptions,
  signal?: AbortSignal,
  decryption?: Decryption,
): Promise<KubeObject[]> {
  if (plan.closure.files.length === 0 && plan.input.file === undefined && isEmptyInput(plan.input)) return [];
  await assertFileSizes(artifact, plan.closure.files);
  if (!decryption) {
    const objects = await buildPlainly(artifact, spec, plan, options, noPlainSources, signal);
    assertNotEncrypted(objects);
    return objects;
  }
  const session = decryption.open(options.temporaryDirectory, signal);
  try {
    const sources = await decryptSources(artifact, plan.closure, session);
    const objects = await buildPlainly(artifact, spec, plan, options, sources, signal);
    return await decryptObjects(objects, { artifact, closure: plan.closure }, session);
  } finally {
    await session.close();
  }
}

/** A build without any decryption but that of its source files, which is done. */
async function buildPlainly(
  artifact: UnpackedArtifact,
  spec: BuildSpec,
  plan: BuildPlan,
  options: BuildOptions,
  sources: PlainSources,
  signal: AbortSignal | undefined,
): Promise<KubeObject[]> {
  const plain = await tryPlainFolder(artifact, spec, plan);
  if (plain) return plain;
  try {
    return await buildWithKustomize(artifact, plan, options, sources, signal);
  } catch (cause) {
    signal?.throwIfAborted();
    throw sources.hide(buildFailed(await explain(artifact, plan, cause)));
  }
}

/** A generated kustomization without resources builds nothing; kustomize itself would refuse it. */
function isEmptyInput(input: BuildInput): boolean {
  const { resources, components } = input.fields;
  return [resources, components].every((list) => !Array.isArray(list) || list.length === 0);
}

/** A file that is too large to be read is told by name at once; kustomize would chew on it for a minute. */
async function assertFileSizes(artifact: UnpackedArtifact, files: readonly string[]): Promise<void> {
  const { sizeBytes: limit } = defaultReadLimits;
  for (const path of files) {
    const size = (await stat(join(artifact.directory, path)).catch(() => undefined))?.size ?? 0;
    if (size <= limit) continue;
    throw buildFailed(
      new Error(`"${path}" has ${size} bytes, over the limit of ${limit} bytes: split it, or name it in .sourceignore`),
    );
  }
}

async function tryPlainFolder(
  artifact: UnpackedArtifact,
  spec: BuildSpec,
  { input, closure }: BuildPlan,
): Promise<KubeObject[] | undefined> {
  if (input.file || !isPlainSpec(spec) || closure.remotes.length > 0) return undefined;
  const tree = fileTreeOf(artifact);
  const resources = input.fields.resources as string[];
  const paths = resources.map((entry) => (input.directory ? `${input.directory}/${entry}` : entry));
  if (!paths.every(tree.isFile)) return undefined; // a sub-directory with a kustomization of its own
  const read: Manifests[] = [];
  for (const path of paths) {
    try {
      read.push(readManifests(await readFile(join(artifact.directory, path), 'utf8'), path));
    } catch (error) {
      // Let kustomize judge; should it refuse as well, the place of this error is shown.
      if (error instanceof ManifestError) return undefined;
      throw buildFailed(error);
    }
  }
  return buildPlainFolder(read, spec.targetNamespace);
}

async function buildWithKustomize(
  artifact: UnpackedArtifact,
  { input, closure }: BuildPlan,
  options: BuildOptions,
  sources: PlainSources,
  signal: AbortSignal | undefined,
): Promise<KubeObject[]> {
  const files = closure.isComplete ? closure.files : undefined;
  const isRemote = closure.remotes.length > 0;
  const workspace = await createWorkspace(artifact, input, files, options.temporaryDirectory, sources.files);
  try {
    const output = await runKustomize({
      binary: options.kustomizeBinary,
      directory: workspace.directory,
      target: workspace.target,
      home: workspace.home,
      // What a remote base refers to is not known here, so kustomize itself has to keep it off this machine's files.
      restrictor: isRemote ? 'root' : 'none',
      timeoutMs: options.timeoutMs ?? 120_000,
      maxOutputBytes: options.maxOutputBytes ?? 64 * 1024 * 1024,
      environment: isRemote ? options.remoteEnvironment : undefined,
      signal,
    });
    return await readOutput(output, signal);
  } finally {
    await workspace.remove();
  }
}

/**
 * The objects that kustomize printed. It ends a document with a line of its own and indents every text inside of one,
 * so the documents can be read one by one, with a pause for the other work of this process in between.
 */
async function readOutput(output: string, signal: AbortSignal | undefined): Promise<KubeObject[]> {
  const objects: KubeObject[] = [];
  let sliceEndsMs = performance.now() + sliceMs;
  // With its last line break: blank lines at the end of a text may be part of it.
  for (const document of output.split(/(?<=\n)---\n/)) {
    objects.push(...readManifests(document, 'kustomize output').objects);
    if (performance.now() < sliceEndsMs) continue;
    await setImmediate();
    signal?.throwIfAborted();
    sliceEndsMs = performance.now() + sliceMs;
  }
  return objects;
}

/** kustomize seldom says where; if one of the files it read is no YAML, or all encrypted, that is the better message. */
async function explain(artifact: UnpackedArtifact, { closure, input }: BuildPlan, cause: unknown): Promise<unknown> {
  const isUnplaced = cause instanceof ManifestError;
  if (
    !isUnplaced &&
    !(cause instanceof Error && /yaml|json|kind|apiVersion|metadata|object|crashed/i.test(cause.message))
  )
    return cause;
  const generated = input.file ? [] : (input.fields.resources as string[]);
  const resources = new Set(generated.map((entry) => resolveInside(input.directory, entry)));
  for (const path of closure.files.filter((name) => /\.ya?ml$/.test(name))) {
    try {
      const text = await readFile(join(artifact.directory, path), 'utf8');
      const { documents } = readYaml(text, path);
      if (documents.some(({ value }) => isRecord(value) && isIdentityEncrypted(value))) return allEncrypted(path);
      if (resources.has(path)) readManifests(text, path);
    } catch (error) {
      if (error instanceof ManifestError) return error;
    }
  }
  return cause;
}

function allEncrypted(path: string): Error {
  return new Error(
    `"${path}" has an encrypted apiVersion, kind or name, which kustomize has to read: decrypt it and encrypt only data ` +
      "and stringData (--encrypted-regex '^(data|stringData)$')",
  );
}

function existingDirectory(artifact: UnpackedArtifact, specPath: string | undefined): string {
  const tree = fileTreeOf(artifact);
  const directory = resolveSpecPath(specPath);
  if (tree.isDirectory(directory)) return directory;
  if (tree.isFile(directory)) {
    throw failure('ArtifactFailed', `kustomization path not found: "${specPath}" is a file, expected a directory`);
  }
  let near = parentOf(directory);
  while (!tree.isDirectory(near)) near = parentOf(near);
  const names = tree.directoriesIn(near).slice(0, maxNamesShown);
  const there = names.length > 0 ? `has the directories ${names.join(', ')}` : 'has no directories';
  const where = near ? `"${near}"` : 'the root of the source';
  throw failure(
    'ArtifactFailed',
    `kustomization path not found: "${specPath}" is not in the source; ${where} ${there}`,
  );
}

function assertRemotesAllowed(closure: Closure, options: BuildOptions): void {
  const [remote] = closure.remotes;
  if (!remote) return;
  if (options.noRemoteBases) {
    throw new Error(`remote base "${remote}" is not allowed: this installation runs with no remote bases; vendor it`);
  }
  if (closure.sharedFile) {
    throw new Error(
      `remote base "${remote}" cannot be used together with "${closure.sharedFile}", which is outside of the directory ` +
        'of the kustomization that names it; move the file or vendor the base',
    );
  }
}

function buildFailed(cause: unknown): Error {
  return failure('BuildFailed', `kustomize build failed: ${messageOf(cause)}`, { cause });
}

const maxNamesShown = 10;
/** How long reading may keep the event loop busy at a stretch. */
const sliceMs = 20;
