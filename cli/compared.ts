// What the kinds that `continuo diff` knows take and give.
import type { Comparison } from '../activities/apply/compare-manifests.ts';
import type { KubeClient } from '../k8s/client.ts';
import type { BuildFlags } from './build-flags.ts';
import type { ClusterFlags, OutputFormat } from './flags.ts';
import type { SecretValues } from './secret-values.ts';

export interface DiffFlags extends ClusterFlags, BuildFlags {
  helmreleaseFile?: string;
  values?: string[];
  output?: OutputFormat;
}

/** What would change, and where that comes from. */
export interface Compared extends Comparison {
  /** Texts that must not be shown. */
  secrets: SecretValues;
  /** The revision, the directory or the chart. */
  from: string;
}

/** Compares the object of a name. Throws a `CommandError` for what cannot be compared. */
export type Compare = (kube: KubeClient, name: string, flags: DiffFlags) => Promise<Compared>;

/** What goes wrong on the way, and what has to be fetched, is not the answer. */
export function report(line: string): void {
  console.error(line);
}
