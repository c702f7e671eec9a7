// A private directory for one run of kustomize: hard links to the files of the closure, the merged kustomization, and
// plain copies of files that were decrypted. The unpacked artifact itself is shared by all who build from it and is never
// written.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { UnpackedArtifact } from '../artifact/artifact.ts';
import { linkOrCopy, makePrivateDirectory } from '../private-directory.ts';
import { fileTreeOf } from './file-tree.ts';
import type { BuildInput } from './generate-kustomization.ts';
import { kustomizationFileNames } from './kustomization-file.ts';

export interface Workspace {
  /** The root; stands for the artifact's root. */
  directory: string;
  /** The directory to build. */
  target: string;
  /** An empty home for the process. */
  home: string;
  remove(): Promise<void>;
}

/**
 * Makes the directory, for its owner alone. `files` is what the build reads; undefined puts every file of the artifact
 * there. `plain` has the content of those that are encrypted in the artifact.
 */
export async function createWorkspace(
  artifact: UnpackedArtifact,
  input: BuildInput,
  files: string[] | undefined,
  temporaryDirectory: string,
  plain: ReadonlyMap<string, Uint8Array> = new Map(),
): Promise<Workspace> {
  const base = await makePrivateDirectory(temporaryDirectory, 'build');
  const directory = join(base, 'source');
  const home = join(base, 'home');
  const target = join(directory, input.directory);
  const remove = (): Promise<void> => rm(base, { recursive: true, force: true });
  try {
    await mkdir(home, { recursive: true });
    await mkdir(target, { recursive: true });
    const made = new Set<string>();
    const wanted = new Set(files ?? fileTreeOf(artifact).filesBelow(''));
    if (input.file) wanted.add(input.file);
    if (input.isChanged && input.file) wanted.delete(input.file);
    for (const path of wanted) {
      const to = join(directory, path);
      const parent = dirname(to);
      if (!made.has(parent)) await mkdir(parent, { recursive: true });
      made.add(parent);
      const content = plain.get(path);
      if (content) await writeFile(to, content, { mode: 0o600, flag: 'wx' });
      else await linkOrCopy(join(artifact.directory, path), to);
    }
    if (input.isChanged || !input.file) {
      const name = input.file ?? join(input.directory, kustomizationFileNames[0]);
      await writeFile(join(directory, name), JSON.stringify(input.fields), { flag: 'wx' });
    }
    return { directory, target, home, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
