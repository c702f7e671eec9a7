// What a HelmChart's build came to, in words and in fields of the status (contract 1.4). Pure.
import type { HelmChart } from '../../../k8s/api/helm-chart.ts';
import type { Artifact } from '../../artifact/artifact.ts';

/** Name and version of a chart as it is published. */
export interface BuiltChart {
  name: string;
  /** With the metadata that the spec asks for. */
  version: string;
  /** It was put together here; otherwise it is the very package of its repository. */
  isPackaged: boolean;
  valuesFiles: readonly string[];
}

/** e.g. `packaged 'web' chart with version '1.2.0+2' and merged values files [values.yaml prod.yaml]`. */
export function summaryOf({ name, version, isPackaged, valuesFiles }: BuiltChart): string {
  const merged = valuesFiles.length > 0 ? ` and merged values files [${valuesFiles.join(' ')}]` : '';
  return `${isPackaged ? 'packaged' : 'pulled'} '${name}' chart with version '${version}'${merged}`;
}

export function reasonOf({ isPackaged }: BuiltChart): 'ChartPackageSucceeded' | 'ChartPullSucceeded' {
  return isPackaged ? 'ChartPackageSucceeded' : 'ChartPullSucceeded';
}

/** The artifact of the status when it is of this chart, made by this spec, and named as it would be now. */
export function currentArtifact(object: HelmChart, { name, version }: BuiltChart): Artifact | undefined {
  const { status, metadata } = object;
  if (status?.observedGeneration !== metadata.generation || status?.observedChartName !== name) return undefined;
  return status.artifact?.revision === version ? status.artifact : undefined;
}

const shortDigits = 12;

/**
 * The build metadata of the version (contract 1.4): with the strategy `Revision` the first 12 digits of the source's hash,
 * with values files the generation; '' for none.
 */
export function versionMetadataOf(
  { spec, metadata }: Pick<HelmChart, 'spec' | 'metadata'>,
  sourceRevision: string | undefined,
): string {
  const parts: string[] = [];
  const isFromFiles = spec.sourceRef.kind !== 'HelmRepository';
  if (isFromFiles && spec.reconcileStrategy === 'Revision' && sourceRevision) {
    parts.push(sourceRevision.slice(sourceRevision.lastIndexOf(':') + 1).slice(0, shortDigits));
  }
  if ((spec.valuesFiles ?? []).length > 0) parts.push(String(metadata.generation ?? 1));
  return parts.join('.');
}
