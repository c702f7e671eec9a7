// What `diff` and `build` have in common: which Kustomization, and what stands for its source.
import type { Command } from 'commander';
import { kinds } from '../k8s/api/index.ts';
import type { Kustomization } from '../k8s/api/kustomization.ts';
import type { KubeClient } from '../k8s/client.ts';
import type { InventoryEntry } from '../k8s/object.ts';
import type { ClusterFlags } from './flags.ts';
import { objectRefOf } from './kinds.ts';
import { readObjectFile } from './object-file.ts';
import { readObject } from './objects.ts';

export interface BuildFlags {
  path?: string;
  kustomizationFile?: string;
  artifactAddress?: string;
  /** False with `--no-strict-substitute`. */
  strictSubstitute: boolean;
}

/** Adds `--path`, `--kustomization-file`, `--artifact-address` and `--no-strict-substitute`. */
export function addBuildFlags(command: Command): Command {
  return command
    .option(
      '--path <directory>',
      'build this directory (of a HelmRelease: the chart in it) in place of the source’s artifact',
    )
    .option('--kustomization-file <file>', 'take the Kustomization from this file, not from the cluster')
    .option(
      '--artifact-address <host:port>',
      'where the artifact server can be reached from here, such as a forwarded port; else as its URL says',
    )
    .option('--no-strict-substitute', 'let variables be empty that are not set and have no default');
}

/** The Kustomization that is meant, and what it has applied so far. */
export interface ChosenKustomization {
  kustomization: Kustomization;
  /** Empty for one that is not in the cluster. */
  inventory: InventoryEntry[];
}

/** Reads the Kustomization from the file, if one is given, else from the cluster; `kube` undefined asks no cluster. */
export async function kustomizationOf(
  kube: KubeClient | undefined,
  name: string,
  { namespace, kustomizationFile }: BuildFlags & Pick<ClusterFlags, 'namespace'>,
): Promise<ChosenKustomization> {
  const definition = kinds.Kustomization;
  const written = kustomizationFile ? await readObjectFile(kustomizationFile, definition, name, namespace) : undefined;
  const at = written?.metadata.namespace ?? namespace;
  const live = written
    ? await kube?.get(objectRefOf(definition, { namespace: at, name }))
    : kube && (await readObject(kube, definition, at, name));
  const { status } = (live ?? {}) as Partial<Kustomization>;
  return { kustomization: (written ?? live) as Kustomization, inventory: status?.inventory?.entries ?? [] };
}
