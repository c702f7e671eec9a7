// Finding and reading kustomization files. A parsed file is remembered by its content's digest, so that looking at a
// new artifact costs nothing for the files that it shares with the last one.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { UnpackedArtifact } from '../artifact/artifact.ts';
import { fileTreeOf } from './file-tree.ts';
import { ManifestError } from './manifest-error.ts';
import { isRecord, readYaml } from './read-manifests.ts';

/** The names that make a directory a kustomization (contract 2.1). */
export const kustomizationFileNames = ['kustomization.yaml', 'kustomization.yml', 'Kustomization'] as const;

/** The content of a kustomization file: any field, as kustomize checks them itself. Never to be changed in place. */
export type KustomizationFields = Readonly<Record<string, unknown>>;

const maxRemembered = 5000;
const maxFileSizeBytes = 4 * 1024 * 1024;
const remembered = new Map<string, KustomizationFields>();

/** The path of a directory's kustomization file, or undefined. Throws an `Error` when there is more than one. */
export function findKustomizationFile(artifact: UnpackedArtifact, directory: string): string | undefined {
  const tree = fileTreeOf(artifact);
  const found = kustomizationFileNames.map((name) => (directory ? `${directory}/${name}` : name)).filter(tree.isFile);
  if (found.length > 1)
    throw new Error(`"${directory || '.'}" has more than one kustomization file: ${found.join(', ')}`);
  return found[0];
}

/** Reads and remembers a kustomization file. Throws {@link ManifestError}. */
export function readKustomizationFile(artifact: UnpackedArtifact, path: string): KustomizationFields {
  const sha256 = fileTreeOf(artifact).sha256(path);
  const known = remembered.get(sha256);
  if (known) return known;
  const text = readFileSync(join(artifact.directory, path), 'utf8');
  const fields = parseKustomization(text, path);
  if (sha256) {
    if (remembered.size >= maxRemembered) remembered.delete(remembered.keys().next().value ?? '');
    remembered.set(sha256, fields);
  }
  return fields;
}

/** The fields of a kustomization file's text; an empty text has none. Throws {@link ManifestError}. */
export function parseKustomization(text: string, path: string): KustomizationFields {
  const limits = { sizeBytes: maxFileSizeBytes, nodes: 200_000, depth: 60 };
  const { documents } = readYaml(text, path, limits);
  const [first, second] = documents;
  if (second) {
    const place = { file: path, line: second.line, column: 1, document: second.number };
    throw new ManifestError(place, 'expected one document in a kustomization file, got more', text);
  }
  if (!first) return {};
  if (!isRecord(first.value)) {
    const place = { file: path, line: first.line, column: 1, document: first.number };
    throw new ManifestError(place, 'expected a mapping of kustomization fields', text);
  }
  return first.value;
}
