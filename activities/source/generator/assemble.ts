// Puts the files of one artifact together: what its copy operations take, in their order (contract 1.7).
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../errors.ts';
import { type CopiedFile, type CopyOperation, filesToCopy, parseAliased } from './copy-rules.ts';
import { type MapYaml, maxMergedBytes, mergeYaml } from './merge-yaml.ts';
import { createStaging, type StagedFile, type Staging, type StagingLimits } from './staging.ts';
import type { SourceTree } from './source-tree.ts';

export interface AssembleOptions {
  treeOf(alias: string): SourceTree;
  /** Unpacks a tarball of a source. Throws an `Error` that says what is wrong with it. */
  extract(tarball: string, digest: string): Promise<SourceTree>;
  yaml: MapYaml;
  signal: AbortSignal;
  limits?: StagingLimits;
}

/** Files whose size and mode are looked up at the same time. */
const statsAtOnce = 64;
/** Merged files are kept in memory until they are packed. */
const maxMergedTogether = 64 * 1024 * 1024;

/** Throws an `Error` that names the operation and what is wrong; an aborted signal's reason when it is aborted. */
export async function assemble(operations: readonly CopyOperation[], options: AssembleOptions): Promise<Staging> {
  const staging = createStaging(options.limits);
  const budget = { mergedBytes: 0 };
  for (const operation of operations) {
    options.signal.throwIfAborted();
    try {
      await apply(operation, staging, budget, options);
    } catch (error) {
      options.signal.throwIfAborted();
      throw new Error(`copy from "${operation.from}" to "${operation.to}": ${messageOf(error)}`, { cause: error });
    }
    await new Promise(setImmediate); // others of this worker get their turn
  }
  return staging;
}

async function apply(
  operation: CopyOperation,
  staging: Staging,
  budget: { mergedBytes: number },
  { treeOf, extract, yaml, signal }: AssembleOptions,
): Promise<void> {
  const tree = treeOf(parseAliased(operation.from).alias);
  const files = filesToCopy(operation, tree, staging.isDirectory);
  if (operation.strategy !== 'Extract') {
    const isMerge = operation.strategy === 'Merge';
    await putAll(files, tree, signal, async (path, file) => {
      const under = isMerge ? staging.get(path) : undefined;
      staging.put(path, under ? await mergedFile(under, file, yaml, budget) : file);
    });
    return;
  }
  for (const { from, to } of files) {
    const extracted = await extract(join(tree.directory, from), tree.digestOf(from) ?? '');
    const inside = extracted.below('').map((path) => ({ from: path, to: to === '' ? path : `${to}/${path}` }));
    await putAll(inside, extracted, signal, async (path, file) => staging.put(path, file));
  }
}

async function putAll(
  files: readonly CopiedFile[],
  tree: SourceTree,
  signal: AbortSignal,
  put: (path: string, file: StagedFile) => Promise<void>,
): Promise<void> {
  for (let at = 0; at < files.length; at += statsAtOnce) {
    signal.throwIfAborted();
    const batch = files.slice(at, at + statsAtOnce);
    const staged = await Promise.all(batch.map(({ from }) => stagedFile(tree, from)));
    for (const [index, file] of staged.entries()) await put(batch[index]?.to ?? '', file);
  }
}

async function stagedFile(tree: SourceTree, path: string): Promise<StagedFile> {
  const file = join(tree.directory, path);
  const { mode, size } = await stat(file);
  return {
    digest: tree.digestOf(path) ?? '',
    isExecutable: (mode & 0o100) !== 0,
    sizeBytes: size,
    content: () => readFile(file),
  };
}

async function mergedFile(
  under: StagedFile,
  over: StagedFile,
  yaml: MapYaml,
  budget: { mergedBytes: number },
): Promise<StagedFile> {
  const largest = Math.max(under.sizeBytes, over.sizeBytes);
  if (largest > maxMergedBytes) throw new Error(`files of more than ${maxMergedBytes} bytes cannot be merged`);
  const content = mergeYaml(await under.content(), await over.content(), yaml);
  budget.mergedBytes += content.byteLength;
  if (budget.mergedBytes > maxMergedTogether) {
    throw new Error(`merged files have more than the ${maxMergedTogether} bytes allowed together`);
  }
  return {
    digest: createHash('sha256').update(content).digest('hex'),
    isExecutable: under.isExecutable,
    sizeBytes: content.byteLength,
    content: async () => content,
  };
}
